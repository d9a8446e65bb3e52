#pragma once

#include <functional>
#include <span>
#include <vector>

#include "work/orchestrator_impl.hpp"

BUREAU_BEGIN_NAMESPACE

/// The writes that record what attempts have come to, and what is done once their outcome is known.
/// All plain results are one write: one pass over the table, one record in the journal. Effects are
/// a write each, so that those which fail take no others with them.
class Orchestrator::Impl::Settlement {
 public:
  Settlement(Impl& impl, std::vector<Finished> some);
  Settlement(const Settlement&) = delete;
  Settlement& operator=(const Settlement&) = delete;

  /// To be made by one Database::write_all().
  [[nodiscard]] std::span<Database::Write> writes() { return writes_; }
  /// REQUIRES: they were made, or failed to be.
  void finish();

 private:
  using Closure = std::function<Result<void>(Transaction&)>;
  void add(const Attribution& by, Closure closure);
  Result<void> outcome_of_result(const Finished& one, Result<void> all, std::optional<Error>& lost);

  Impl& impl_;
  std::vector<Finished> some_;
  std::vector<std::optional<Error>> lost_;  // of each: the lease was gone
  std::vector<char> failed_;                // of each: its effects did, not their commit
  std::vector<std::size_t> write_of_;       // of each: which write is its
  std::vector<TaskQueue::Completion> results_;
  std::vector<Id<Task>> gone_;  // of them: their leases were
  std::vector<Closure> closures_;
  std::vector<Database::Write> writes_;
};

BUREAU_END_NAMESPACE
