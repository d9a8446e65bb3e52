#include "store/row_pages.hpp"

#include <algorithm>
#include <cstring>

#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {
constexpr std::size_t block_size = 64 * 1024;
/// A page of long rows ends earlier.
constexpr std::size_t page_bytes_max = 4 << 20;
}  // namespace

void RowPage::add(std::span<const Value> row) {
  for (const Value& value : row) {
    switch (value.kind()) {
      case Value::Kind::text:
        values_.push_back(Value::text(keep(value.as_text())));
        break;
      case Value::Kind::bytes:
        values_.push_back(Value::bytes(keep(value.as_text())));
        break;
      default:
        values_.push_back(value);
    }
  }
  bytes_ += row.size() * sizeof(Value);
}

void RowPage::clear() {
  values_.clear();
  blocks_.clear();
  room_ = bytes_ = 0;
}

std::string_view RowPage::keep(std::string_view text) {
  if (text.empty()) return "";
  if (text.size() > room_) {
    block_bytes_ = std::max(block_size, text.size());
    blocks_.push_back(std::make_unique<char[]>(block_bytes_));
    room_ = block_bytes_;
  }
  char* const at = blocks_.back().get() + (block_bytes_ - room_);
  std::memcpy(at, text.data(), text.size());
  room_ -= text.size();
  bytes_ += text.size();
  return {at, text.size()};
}

Result<void> each_page(Reader& reader, const TableInfo& table, std::int64_t after, PageSize size,
                       FunctionRef<Result<bool>(RowPage&)> sink) {
  RowPage page(table);
  std::uint64_t rows = size.rows;
  for (bool more = true; more;) {
    Select select{&table, {}, {{&table.columns[0], false}}, rows, {}, false};
    if (after > 0) {
      select.where = compare_column(table.columns[0], Predicate::Op::greater,
                                    {OwnedValue(Value::integer(after))});
    }
    page.clear();
    bool cut = false;
    BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> row) -> Result<bool> {
      page.add(row);
      cut = page.bytes() > page_bytes_max;
      return !cut;
    }));
    if (page.rows() == 0) return {};
    const bool full = cut || page.rows() == rows;
    // A server sends all that is asked for: more than fits is sent again with the next page.
    rows = cut ? page.rows() : std::min(2 * rows, size.rows);
    after = page.last_id();
    BUREAU_TRY(const bool wanted, sink(page));
    more = wanted && full;
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
