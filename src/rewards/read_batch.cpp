// From the journal to what may count.

#include <algorithm>
#include <unordered_map>

#include "rewards/batch.hpp"
#include "rewards/local_days.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

namespace {

/// A batch takes no further record once it has so many changes: it is what the write lock is held
/// for.
constexpr std::int64_t changes_a_batch = 4096;
constexpr std::size_t records_a_look = 128;
/// Nor does it look at more numbers than that when almost all are of other tables.
constexpr std::int64_t numbers_a_batch = 500'000;

bool is_among(std::span<const std::uint16_t> changed, const std::vector<std::uint16_t>& asked) {
  return std::any_of(changed.begin(), changed.end(), [&](std::uint16_t column) {
    return std::find(asked.begin(), asked.end(), column) != asked.end();
  });
}

/// For whom the row counts, by its criteria; 0: it does not.
Result<std::int64_t> counts_for(const CompiledCriteria& criteria, std::span<const Value> row,
                                std::int64_t actor) {
  if (row.empty()) return 0;
  std::int64_t user = actor;
  if (criteria.user != nullptr) {
    const Value& named = row[criteria.user->index];
    user = named.is_null() ? 0 : named.as_integer();
  }
  if (user == 0) return 0;
  BUREAU_TRY(const Truth truth, evaluate(criteria.predicate, row));
  return truth == Truth::yes ? user : 0;
}

Hit hit_of(const JournalRecord& record, const Change& change, std::int64_t user) {
  Hit hit;
  hit.sequence = change.sequence;
  hit.at = record.at();
  hit.source = (change.after.empty() ? change.before : change.after)[0].as_integer();
  hit.user = user;
  return hit;
}

/// Of criteria that count removals.
Result<std::optional<Hit>> judge_removal(const CompiledCriteria& criteria,
                                         const JournalRecord& record, const Change& change) {
  if (change.kind != ChangeKind::remove) return std::nullopt;
  BUREAU_TRY(const std::int64_t user, counts_for(criteria, change.before, record.actor()));
  if (user == 0) return std::nullopt;
  Hit hit = hit_of(record, change, user);
  hit.may_begin = true;
  return hit;
}

/// What one change means to one criterion; none: nothing.
Result<std::optional<Hit>> judge(const CompiledCriteria& criteria, const JournalRecord& record,
                                 const Change& change) {
  if (criteria.change == CountedChange::remove) return judge_removal(criteria, record, change);
  if (change.kind == ChangeKind::update && !is_among(change.changed, criteria.asks)) {
    return std::nullopt;
  }
  const bool by_actor = criteria.user == nullptr;
  // Who made the row match before is not told by this change: somebody.
  BUREAU_TRY(const std::int64_t before, counts_for(criteria, change.before, 1));
  BUREAU_TRY(std::int64_t after, counts_for(criteria, change.after, 1));
  // An update of a table whose journal is `after` does not say what was.
  const bool before_unknown = change.kind == ChangeKind::update && change.before.empty();
  if (!before_unknown && before == after) return std::nullopt;
  if (by_actor && after != 0) {
    after = record.actor();
    if (after == 0) return std::nullopt;  // the system earns nothing
  }
  Hit hit = hit_of(record, change, after);
  hit.may_begin = before == 0 && (criteria.change == CountedChange::any ||
                                  (criteria.change == CountedChange::insert) ==
                                      (change.kind == ChangeKind::insert));
  return hit;
}

using ByTable = std::unordered_map<const TableInfo*, std::vector<std::uint32_t>>;

Result<void> judge_record(const JournalRecord& record, const ByTable& by_table, Batch& batch) {
  const auto found = by_table.find(&record.table());
  if (found == by_table.end()) return {};
  for (const Change& change : record.changes()) {
    ++batch.changes;
    for (const std::uint32_t place : found->second) {
      const Criterion& criterion = batch.criteria[place];
      if (change.sequence <= criterion.counts_after) continue;
      BUREAU_TRY(auto hit, judge(criterion.criteria, record, change));
      if (!hit) continue;
      hit->criterion = place;
      batch.hits.push_back(*hit);
    }
  }
  return {};
}

Result<void> read_changes(Reader& reader, Database& database, Id<Tenant> tenant, Batch& batch) {
  ByTable by_table;
  std::vector<const TableInfo*> tables;
  for (std::uint32_t i = 0; i < batch.criteria.size(); ++i) {
    auto& places = by_table[batch.criteria[i].criteria.table];
    if (places.empty()) tables.push_back(batch.criteria[i].criteria.table);
    places.push_back(i);
  }
  LocalDays days;
  const Database::JournalFilter filter{tables, tenant.value};
  bool full = false;
  while (!full && batch.through < batch.head) {
    const auto take = [&](JournalRecord&& record) -> Result<bool> {
      const std::int64_t day = std::max(days.day(batch.zone, record.at()), batch.day);
      if (batch.changes > 0 && day > batch.day) {
        full = true;
        return false;
      }
      batch.day = day;
      BUREAU_TRY_VOID(judge_record(record, by_table, batch));
      batch.through = record.last_sequence();
      full = batch.changes >= changes_a_batch;
      return !full;
    };
    BUREAU_TRY(const std::int64_t read,
               database.read_journal(reader, batch.through, records_a_look, filter, take));
    if (!full) batch.through = read;
    full = full || batch.through - batch.cursor->position > numbers_a_batch;
  }
  batch.drained = batch.through >= batch.head;
  return {};
}

template <Entity T>
Result<void> add_criteria(Reader& reader, const Database& database, Id<Tenant> tenant,
                          std::vector<Criterion>& out) {
  BUREAU_TRY(auto rows, rows_of<T>(reader, select<T>().where(col(&T::tenant) == tenant)));
  for (T& row : rows) {
    std::optional<std::string> table = row.source_table;
    if (!table) continue;
    auto compiled =
        compile_criteria(database.catalog(), *table, row.change, row.predicate, row.user_column);
    if (!compiled) {
      log(database.log(), LogLevel::error, "rewards", "criteria cannot be read and count nothing",
          {{"key", std::string_view(row.key)},
           {"error", std::string_view(compiled.error().message)}});
      continue;
    }
    Criterion& made = out.emplace_back();
    made.id = row.id.value;
    made.counts_after = row.counts_after;
    made.active = row.active;
    made.criteria = *std::move(compiled);
    if constexpr (std::is_same_v<T, PointRule>) {
      made.rule = std::move(row);
    } else {
      made.achievement = std::move(row);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Criterion>> load_criteria(Reader& reader, const Database& database,
                                             Id<Tenant> tenant) {
  std::vector<Criterion> all;
  BUREAU_TRY_VOID(add_criteria<Achievement>(reader, database, tenant, all));
  BUREAU_TRY_VOID(add_criteria<PointRule>(reader, database, tenant, all));
  std::sort(all.begin(), all.end(),
            [](const Criterion& a, const Criterion& b) { return a.id < b.id; });
  return all;
}

Result<std::string> zone_of(Reader& reader, Id<Tenant> tenant) {
  BUREAU_TRY(auto row, row_with_id<Tenant>(reader, tenant.value));
  return row ? row->zone : std::string("UTC");
}

Result<Batch> read_batch(Reader& reader, Database& database, Id<Tenant> tenant) {
  Batch batch;
  BUREAU_TRY(batch.cursor, row_with_id<Cursor>(reader, tenant.value));
  if (!batch.cursor) {
    batch.drained = true;
    return batch;
  }
  BUREAU_TRY(batch.head, database.journal_head(reader));
  BUREAU_TRY(batch.zone, zone_of(reader, tenant));
  BUREAU_TRY(batch.criteria, load_criteria(reader, database, tenant));
  batch.through = batch.cursor->position;
  batch.day = days_of_date(batch.cursor->day);
  BUREAU_TRY(const std::int64_t tail, database.journal_tail(reader));
  if (batch.through + 1 < tail) {
    // What was trimmed before it was counted can be counted no more; that it is missing is kept.
    batch.missed = tail - 1 - batch.through;
    batch.through = tail - 1;
    log(database.log(), LogLevel::warning, "rewards", "changes were trimmed before they counted",
        {{"tenant", tenant.value}, {"missed", batch.missed}});
  }
  if (batch.criteria.empty()) {
    batch.through = batch.head;
    batch.drained = true;
    return batch;
  }
  BUREAU_TRY_VOID(read_changes(reader, database, tenant, batch));
  return batch;
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
