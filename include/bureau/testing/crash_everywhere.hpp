#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bureau/engine.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// A host's office and what happens in it, for crash_everywhere().
struct CrashScenario {
  /// Adds the agents; called in each life of the process, before they start.
  std::function<Result<void>(Engine&)> agents;
  /// Makes tenant, rows and tasks; called once a trial, before anything can crash. What the host
  /// counts outside the office begins anew here.
  std::function<Result<void>(Engine&)> begin;
  /// What must hold when all is done. An error says what does not.
  std::function<Result<void>(Engine&)> check;
  std::vector<const TableInfo*> tables = {};  ///< the host's own entities
  Policies policies = {};
  Duration horizon = std::chrono::hours(24 * 31);  ///< of virtual time; then all must be done
  std::uint64_t seed = 1;
};

/// What became of the crashes.
struct CrashReport {
  struct Failure {
    std::uint64_t commit = 0;  ///< at which the process died, from 1; 0: it fails without a crash
    std::string how;           ///< "before", "after": the commit was lost, or was made
    std::string error;         ///< what does not hold
    std::vector<std::string> trace;  ///< where the last commits before came from
  };
  std::uint64_t seed = 0;
  std::uint64_t commits = 0;  ///< of the scenario without a crash
  std::uint64_t crashes = 0;
  std::vector<Failure> failures;  ///< the one after the fewest commits first

  [[nodiscard]] bool good() const { return failures.empty(); }
  /// The first failure with its trace and the seed; or how much was tried.
  [[nodiscard]] std::string to_string() const;
};

/// Runs the scenario once on a memory storage in virtual time; then again for each of its commits,
/// with a process that dies there (once with that commit lost, once with it made), starts again and
/// goes on. Each closure that writes runs twice, as a storage may. Deterministic: agents run one at
/// a time on the calling thread, from the seed. An error is the scenario's own (`begin`, `agents`).
[[nodiscard]] Result<CrashReport> crash_everywhere(const CrashScenario& scenario);

}  // namespace testing

BUREAU_END_NAMESPACE
