#pragma once

#include <array>
#include <vector>

#include "bureau/store/database.hpp"
#include "bureau/work/task.hpp"
#include "work/flow.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What time brings: tasks that were delayed and runs that have rested become ready, tokens of
/// rates come back, and what was not begun by its deadline ends. One looks first, beside whatever
/// else is read, as mostly there is nothing to be done; and then does it, in the same transaction.
class DueWork {
 public:
  explicit DueWork(Timestamp now);
  DueWork(const DueWork&) = delete;
  DueWork& operator=(const DueWork&) = delete;

  /// The look, for Reader::scan_all(). Belongs to this object.
  [[nodiscard]] std::array<Scan, 4> scans() const;
  [[nodiscard]] bool any() const;
  /// Does up to `limit` of each kind, and says how many tasks became ready.
  Result<std::uint64_t> see_to(Transaction& tx, std::uint64_t limit) const;

 private:
  /// Whether a scan found something.
  struct Found {
    mutable bool any = false;
    Result<bool> operator()(std::span<const Value>) const {
      any = true;
      return false;
    }
  };

  Select overdue_, delayed_, resting_, tokens_;
  Found overdue_found_, delayed_found_, resting_found_, tokens_found_;
  Timestamp now_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
