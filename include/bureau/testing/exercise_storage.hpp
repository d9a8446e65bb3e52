#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// Where the storages under test come from.
struct StorageFactory {
  /// A new, empty storage that shares nothing with those before it.
  std::function<Result<std::shared_ptr<Storage>>()> fresh;
  /// The storage that `fresh` gave last, opened again after the object was destroyed. Empty when
  /// there is no such thing; a durable storage without it has checks skipped.
  std::function<Result<std::shared_ptr<Storage>>()> reopen;
};

struct ExerciseOptions {
  std::uint64_t seed = 1;       ///< of what is generated; a failure's message repeats it
  std::size_t generated = 200;  ///< predicates, each over its own rows now and then
  std::size_t history = 200;    ///< transactions that are compared with memory storage's
  int threads = 4;              ///< that write at a time
  int writes = 25;              ///< of each of them
  /// The clock that the storage's deadlines are of; null: Clock::system(). Not owned. It must run.
  Clock* clock = nullptr;
  std::vector<std::string> only;  ///< names of checks; empty: all
};

struct Check {
  enum class Outcome { passed, failed, skipped };
  std::string name;
  Outcome outcome = Outcome::passed;
  std::string message;  ///< what was wrong, or why it was skipped
};

struct Report {
  std::string storage;  ///< its name()
  std::vector<Check> checks;

  /// Nothing failed, and something passed.
  [[nodiscard]] bool passed() const;
  [[nodiscard]] const Check* find(std::string_view name) const;
  /// A line for each check that did not pass, and a count.
  [[nodiscard]] std::string summary() const;
};

/// Runs every sentence of storage.hpp against a storage, and the meaning of predicates. It makes
/// its own tables and many small storages; it calls from several threads. Any storage for which the
/// report passed answers as bureau's own do. The names of checks are stable.
[[nodiscard]] Report exercise_storage(const StorageFactory& factory,
                                      const ExerciseOptions& options = {});

}  // namespace testing

BUREAU_END_NAMESPACE
