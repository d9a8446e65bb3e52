#include "bureau/store/retention.hpp"

#include "bureau/store/database.hpp"
#include "store/internal_tables.hpp"
#include "store/row_pages.hpp"

BUREAU_BEGIN_NAMESPACE

Result<std::uint64_t> trim_journal_before(Database& database, Timestamp moment) {
  std::int64_t through = 0;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    through = 0;
    const TableInfo& table = table_of<detail::JournalRow>();
    // What is read is what goes: the first that stays ends it.
    return detail::each_page(reader, table, 0, {1'000}, [&](detail::RowPage& page) -> Result<bool> {
      for (std::size_t i = 0; i < page.rows(); ++i) {
        detail::JournalRow row;
        from_values(page.row(i), row);
        if (row.at >= moment) return false;
        through = row.id.value;
      }
      return true;
    });
  }));
  return through == 0 ? Result<std::uint64_t>(0) : database.trim_journal(through);
}

BUREAU_END_NAMESPACE
