#include "store/page_writer.hpp"

#include <system_error>

BUREAU_BEGIN_NAMESPACE
namespace detail {

Result<void> PageWriter::add(const TableInfo& table, RowPage page) {
  BUREAU_TRY_VOID(finish());
  under_way_ = static_cast<std::int64_t>(page.rows());
  auto write = [&to = to_, &table, rows = std::make_shared<RowPage>(std::move(page))] {
    return to.write({}, [&](Writer& writer) { return writer.insert(table, rows->values()); });
  };
  try {
    outcome_ = std::async(std::launch::async, write);
  } catch (const std::system_error&) {  // no thread to be had
    outcome_ = std::async(std::launch::deferred, write);
  }
  return {};
}

Result<void> PageWriter::finish() {
  if (!outcome_.valid()) return {};
  auto outcome = outcome_.get();
  if (outcome) written_ += under_way_;
  return outcome;
}

}  // namespace detail
BUREAU_END_NAMESPACE
