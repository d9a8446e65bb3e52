#pragma once

#include <memory>
#include <vector>

#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Rows one after the other, with what they point to.
class RowPage {
 public:
  explicit RowPage(const TableInfo& table) : width_(table.width()) {}
  void add(std::span<const Value> row);
  void clear();
  [[nodiscard]] std::size_t rows() const { return values_.size() / width_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::vector<Value>& values() { return values_; }
  [[nodiscard]] std::span<Value> row(std::size_t i) {
    return {values_.data() + i * width_, width_};
  }
  /// REQUIRES: it has rows.
  [[nodiscard]] std::int64_t last_id() const {
    return values_[values_.size() - width_].as_integer();
  }

 private:
  std::string_view keep(std::string_view text);
  std::size_t width_;
  std::vector<Value> values_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t room_ = 0;  ///< in the last block
  std::size_t block_bytes_ = 0;
  std::size_t bytes_ = 0;
};

struct PageSize {
  std::uint64_t rows = 5'000;
};

/// Gives the table's rows with ids beyond `after`, in their order, some at a time; the last page is
/// the one that is not full. The sink returns false to stop.
Result<void> each_page(Reader& reader, const TableInfo& table, std::int64_t after, PageSize size,
                       FunctionRef<Result<bool>(RowPage&)> sink);

}  // namespace detail
BUREAU_END_NAMESPACE
