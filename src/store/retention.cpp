#include "bureau/store/retention.hpp"

#include "store/journal_age.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

Result<std::optional<JournalRow>> first_record(Reader& reader, const Predicate& which) {
  Select select{&table_of<JournalRow>(), which};
  select.limit = 1;
  std::optional<JournalRow> first;
  BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, first.emplace());
    return false;
  }));
  return first;
}

}  // namespace

Result<std::int64_t> changes_before(Reader& reader, Timestamp moment, std::int64_t until) {
  BUREAU_TRY(const auto stays,
             first_record(reader, col(&JournalRow::at) >= moment &&
                                      col(&JournalRow::id) <= Id<JournalRow>(until)));
  return stays ? stays->id.value - stays->count : until;
}

Result<std::optional<Timestamp>> made_after(Reader& reader, std::int64_t number) {
  BUREAU_TRY(const auto next,
             first_record(reader, col(&JournalRow::id) >= Id<JournalRow>(number + 1)));
  return next ? std::optional(next->at) : std::nullopt;
}

}  // namespace detail

Result<std::uint64_t> trim_journal_before(Database& database, Timestamp moment) {
  std::int64_t through = 0;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    // The newest stays, whatever is asked for.
    BUREAU_TRY(through, detail::changes_before(reader, moment, INT64_MAX));
    return {};
  }));
  return through == 0 ? Result<std::uint64_t>(0) : database.trim_journal(through);
}

BUREAU_END_NAMESPACE
