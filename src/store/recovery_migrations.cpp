#include "store/recovery_migrations.hpp"

#include <fmt/format.h>

#include <algorithm>

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

bool is_same(const MigrationRow& a, const MigrationRow& b) {
  return a.id == b.id && a.checksum == b.checksum && a.state == b.state && a.done == b.done;
}

const MigrationRow* with_number(const std::vector<MigrationRow>& rows, std::int64_t number) {
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [&](const auto& row) { return row.id.value == number; });
  return found == rows.end() ? nullptr : &*found;
}

/// The earliest of those that it is told of.
class First {
 public:
  /// A migration that is further in the history than in the backup, since that change.
  Result<void> note(std::int64_t number, const std::string& name,
                    std::optional<std::int64_t> after) {
    const std::string by = fmt::format("migration {} ({})", number, name);
    if (!after) {
      return foreign_history(
          fmt::format("{} is not where it was when the backup was made; take a backup "
                      "that was made after it",
                      by));
    }
    if (!found_ || *after < found_->after) found_ = {*after, by};
    return {};
  }
  [[nodiscard]] const std::optional<MigrationSince>& found() const { return found_; }

 private:
  std::optional<MigrationSince> found_;
};

}  // namespace

Unexpected foreign_history(std::string_view why) {
  return fail(Code::conflict,
              fmt::format("history: its journal cannot be replayed onto this backup: {}", why),
              "history");
}

bool operator==(const Migrations& a, const Migrations& b) {
  return std::equal(a.records.begin(), a.records.end(), b.records.begin(), b.records.end(),
                    is_same) &&
         a.taken_back == b.taken_back;
}

Result<Migrations> read_all_migrations(Reader& reader) {
  Migrations all;
  BUREAU_TRY(all.records, read_migrations(reader));
  BUREAU_TRY(all.taken_back, read_taken_back(reader));
  return all;
}

Result<Migrations> read_all_migrations(Storage& storage) {
  Migrations all;
  BUREAU_TRY(all.records, read_migrations(storage));
  auto read = storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(all.taken_back, read_taken_back(reader));
    return {};
  });
  if (!read && read.error().code != Code::invalid) return fail(std::move(read).error());
  return all;
}

Result<std::optional<MigrationSince>> first_migration_since(const Migrations& backup,
                                                            const Migrations& history,
                                                            std::int64_t backed_up) {
  First first;
  for (const MigrationRow& one : backup.records) {
    const MigrationRow* const there = with_number(history.records, one.id.value);
    if (there != nullptr && is_same(one, *there)) continue;
    // One of which nothing had been finalized when the backup was made.
    const bool was_applied =
        there != nullptr && one.checksum == there->checksum &&
        one.state == MigrationState::expanded &&
        (there->state == MigrationState::finalizing || there->state == MigrationState::finalized);
    BUREAU_TRY_VOID(first.note(
        one.id.value, one.name,
        was_applied ? newest_change_before(*there, MigrationState::finalizing) : std::nullopt));
  }
  for (const MigrationRow& one : history.records) {
    if (with_number(backup.records, one.id.value) != nullptr) continue;
    BUREAU_TRY_VOID(
        first.note(one.id.value, one.name, newest_change_before(one, MigrationState::expanding)));
  }
  // Those that the backup knows of were taken back before it was made.
  const auto [ours, theirs] = std::mismatch(backup.taken_back.begin(), backup.taken_back.end(),
                                            history.taken_back.begin(), history.taken_back.end());
  if (ours != backup.taken_back.end()) {
    BUREAU_TRY_VOID(first.note(ours->number, ours->name, std::nullopt));
  }
  for (auto one = theirs; one != history.taken_back.end(); ++one) {
    const bool came_after = one->after && *one->after >= backed_up &&
                            with_number(backup.records, one->number) == nullptr;
    BUREAU_TRY_VOID(first.note(one->number, one->name, came_after ? one->after : std::nullopt));
  }
  return first.found();
}

}  // namespace detail
BUREAU_END_NAMESPACE
