#pragma once

#include <future>

#include "store/row_pages.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Inserts pages of rows one after the other, each in a write of its own, while its caller reads
/// the next.
class PageWriter {
 public:
  explicit PageWriter(Storage& to) : to_(to) {}

  /// Begins with this page when the one before it is written; an error is that one's, and this page
  /// is not begun then.
  Result<void> add(const TableInfo& table, RowPage page);
  /// Waits for the last.
  Result<void> finish();
  /// Rows that are written.
  [[nodiscard]] std::int64_t written() const { return written_; }

 private:
  Storage& to_;
  std::int64_t written_ = 0;
  std::int64_t under_way_ = 0;         // rows
  std::future<Result<void>> outcome_;  // its end waits for the thread
};

}  // namespace detail
BUREAU_END_NAMESPACE
