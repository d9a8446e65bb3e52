#pragma once

#include <atomic>
#include <optional>

#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// One failure of a storage, as a caller would meet it.
struct Fault {
  enum class At {
    before,          ///< before the closure runs; nothing is changed
    statement,       ///< in the n-th statement, which dooms the transaction
    commit,          ///< the closure ran, the commit failed cleanly: nothing is changed
    unknown_kept,    ///< the commit answers unknown_outcome, and was made
    unknown_undone,  ///< the commit answers unknown_outcome, and was not made
  };
  At at = At::before;
  int statement = 1;              ///< from 1; more than the closure makes: no fault
  Code code = Code::unavailable;  ///< of the error, but for the two unknown ones
};

/// A storage that fails when its plan says so, and is the other storage at all other times. Thread-
/// safe; the plan is called from the threads that read and write.
class FaultyStorage final : public StorageWrapper {
 public:
  /// Asked before every read and write. `number` counts the calls from 1, reads and writes
  /// together. Reads can only fail `before` and in a `statement`.
  using Plan = std::function<std::optional<Fault>(bool is_write, std::uint64_t number)>;

  FaultyStorage(std::shared_ptr<Storage> inner, Plan plan)
      : StorageWrapper(std::move(inner)), plan_(std::move(plan)) {}

  Result<void> read(Monotonic deadline, ReadClosure closure) override;
  Result<void> write(const WriteOptions& options, WriteClosure closure) override;

  /// How many reads and writes there were.
  [[nodiscard]] std::uint64_t calls() const { return calls_.load(); }
  /// How many of them failed by plan.
  [[nodiscard]] std::uint64_t faults() const { return faults_.load(); }

 private:
  Plan plan_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> faults_{0};
};

}  // namespace testing

BUREAU_END_NAMESPACE
