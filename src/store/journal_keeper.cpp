// The journal's retention.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "bureau/store/retention.hpp"
#include "store/journal_age.hpp"
#include "store/row_values.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

namespace {

/// A cursor that stands before what is to go.
struct LateCursor {
  std::vector<OwnedValue> row;
  std::int64_t tenant = 0;
  std::int64_t position = 0;
};

std::vector<Value> views(const std::vector<OwnedValue>& row) {
  std::vector<Value> values;
  values.reserve(row.size());
  for (const OwnedValue& one : row) values.push_back(one.view());
  return values;
}

Result<std::vector<LateCursor>> late_cursors(Reader& reader, const JournalReader& of,
                                             std::int64_t through) {
  const ColumnInfo& position = *of.table->find(of.position);
  std::vector<OwnedValue> operand;
  operand.emplace_back(Value::integer(through));
  const Select late{of.table, compare_column(position, Predicate::Op::less, std::move(operand))};
  std::vector<LateCursor> cursors;
  BUREAU_TRY_VOID(reader.scan(late, [&](std::span<const Value> row) -> Result<bool> {
    LateCursor& cursor = cursors.emplace_back();
    for (const Value& value : row) cursor.row.emplace_back(value);
    if (of.table->tenant != TableInfo::absent) {
      cursor.tenant = row[static_cast<std::size_t>(of.table->tenant)].as_integer();
    }
    cursor.position = row[position.index].as_integer();
    return true;
  }));
  return cursors;
}

/// Whether one of the changes between concerns it. What is gone already concerns nobody.
Result<bool> has_to_read(Reader& reader, Database& database, const JournalReader& of,
                         const LateCursor& cursor, std::int64_t through) {
  BUREAU_TRY(const std::int64_t tail, database.journal_tail(reader));
  std::int64_t at = std::max(cursor.position, tail - 1);
  if (at >= through) return false;
  if (!of.concerns) return true;
  BUREAU_TRY(const auto tables, of.concerns(reader, cursor.tenant, cursor.position));
  bool found = false;
  while (!tables.empty() && !found && at < through) {
    const std::int64_t before = at;
    BUREAU_TRY(at, database.read_journal(reader, at, 1, {tables, cursor.tenant},
                                         [&](JournalRecord&& record) -> Result<bool> {
                                           found = record.changes()[0].sequence <= through;
                                           return false;
                                         }));
    if (at == before) break;
  }
  return found;
}

/// Nobody else has changed it meanwhile, not even what it stands for.
Result<void> move_cursor(Database& database, const JournalReader& of, const LateCursor& cursor,
                         std::int64_t through) {
  const std::vector<Value> before = views(cursor.row);
  std::vector<Value> after = before;
  after[of.table->find(of.position)->index] = Value::integer(through);
  return database.write({}, {cursor.tenant, 0, 0}, [&](Transaction& tx) -> Result<void> {
    bool same = false;
    BUREAU_TRY_VOID(tx.reader().find(
        *of.table, before[0].as_integer(), [&](std::span<const Value> row) -> Result<bool> {
          same = std::equal(row.begin(), row.end(), before.begin(), before.end());
          return false;
        }));
    return same ? tx.replace(*of.table, before, after) : Result<void>();
  });
}

}  // namespace
}  // namespace detail

namespace {
/// One look reads no more of the journal than this.
constexpr std::int64_t numbers_a_look = 100'000;
}  // namespace

/// What is older than it is to be, and is kept for a reader.
struct JournalKeeper::Held {
  const JournalReader* by = nullptr;
  std::int64_t through = 0;  ///< where it stands
};

JournalKeeper::JournalKeeper(Database& database, JournalKeeping keeping)
    : database_(database), keeping_(keeping) {}

Result<void> JournalKeeper::add(JournalReader reader) {
  const ColumnInfo* column =
      reader.table == nullptr ? nullptr : reader.table->find(reader.position);
  if (column == nullptr || column->type != Type::integer || column->nullable) {
    return fail(Code::invalid,
                fmt::format("{}: \"{}\" is no column of its cursors that holds a number",
                            reader.name, reader.position),
                "position");
  }
  const std::lock_guard lock(mutex_);
  readers_.push_back(std::move(reader));
  return {};
}

Result<Duration> JournalKeeper::step() {
  if (keeping_.keep == Duration::max()) return Duration::max();
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return keeping_.pause;
  return through_ ? trim() : look();
}

Result<Duration> JournalKeeper::look() {
  const Monotonic begun = database_.clock().monotonic();
  if (begun < next_) return next_ - begun;
  next_ = begun + keeping_.every;
  const bool goes_on = std::exchange(goes_on_, false);
  const Timestamp now = database_.clock().now();
  std::int64_t through = 0;
  std::int64_t tail = 0;
  bool more = false;
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(tail, database_.journal_tail(reader));
    BUREAU_TRY(const std::int64_t head, database_.journal_head(reader));
    const std::int64_t until = std::min(head - 1, tail + numbers_a_look);
    BUREAU_TRY(through, detail::changes_before(reader, now - keeping_.keep, until));
    more = through == until && until < head - 1;
    return {};
  }));
  // Of an office whose journal is young, or at rest, nothing is written either.
  if (through < tail) return keeping_.every;
  if (!goes_on) {
    BUREAU_TRY(const bool ours, take_turn(now));
    if (!ours) return keeping_.every;
  }
  BUREAU_TRY(const std::int64_t read, unread_by_none(through));
  if (read < tail) return keeping_.every;
  through_ = read;
  goes_on_ = more && read == through;
  return keeping_.pause;
}

/// One row says when the last one took its turn.
Result<bool> JournalKeeper::take_turn(Timestamp now) {
  bool ours = false;
  BUREAU_TRY_VOID(database_.storage().write({}, [&](Writer& writer) -> Result<void> {
    ours = false;
    const TableInfo& table = table_of<detail::SettingRow>();
    detail::SettingRow turn{Id<detail::SettingRow>(detail::journal_turn_setting),
                            "journal_turn",
                            {std::to_string(now.micros())}};
    std::optional<std::string> last;
    BUREAU_TRY_VOID(
        writer.find(table, turn.id.value, [&](std::span<const Value> row) -> Result<bool> {
          detail::SettingRow there;
          from_values(row, there);
          last = there.value.data;
          return false;
        }));
    if (last) {
      std::int64_t micros = 0;
      std::from_chars(last->data(), last->data() + last->size(), micros);
      const Duration since = now - Timestamp::from_micros(micros);
      // A clock that was set back takes no turn for longer than that.
      if (since < keeping_.every && since > -keeping_.every) return {};
      Update update{{&table, col(&detail::SettingRow::id) == turn.id}, {}};
      update.set = {{table.find("value"), Value::bytes(turn.value.data)}};
      BUREAU_TRY_VOID(writer.update(update));
    } else {
      BUREAU_TRY_VOID(writer.insert(table, detail::RowValues(turn).values()));
    }
    ours = true;
    return {};
  }));
  return ours;
}

Result<std::int64_t> JournalKeeper::unread_by_none(std::int64_t through) {
  Held held{nullptr, through};
  for (const JournalReader& reader : readers_) {
    BUREAU_TRY(const std::int64_t read, read_through(reader, through));
    if (read < held.through) held = {&reader, read};
  }
  if (held.by != nullptr) BUREAU_TRY_VOID(tell_of(held));
  return held.through;
}

Result<std::int64_t> JournalKeeper::read_through(const JournalReader& reader,
                                                 std::int64_t through) {
  std::int64_t least = through;
  std::vector<detail::LateCursor> passed;
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& snapshot) -> Result<void> {
    least = through;
    passed.clear();
    BUREAU_TRY(auto late, detail::late_cursors(snapshot, reader, through));
    for (detail::LateCursor& cursor : late) {
      BUREAU_TRY(const bool holds,
                 detail::has_to_read(snapshot, database_, reader, cursor, through));
      if (holds) {
        least = std::min(least, cursor.position);
      } else {
        passed.push_back(std::move(cursor));
      }
    }
    return {};
  }));
  for (const detail::LateCursor& cursor : passed) {
    BUREAU_TRY_VOID(detail::move_cursor(database_, reader, cursor, through));
  }
  return least;
}

Result<void> JournalKeeper::tell_of(const Held& held) {
  const Timestamp now = database_.clock().now();
  std::optional<Timestamp> made;
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(made, detail::made_after(reader, held.through));
    return {};
  }));
  if (!made || now - *made <= keeping_.keep + keeping_.patience) return {};
  const Duration beyond = now - *made - keeping_.keep;
  log(database_.log(), LogLevel::warning, "journal",
      "it is kept beyond its time for a reader that has not come so far",
      {{"reader", std::string_view(held.by->name)},
       {"read_through", held.through},
       {"hours_beyond", std::int64_t{std::chrono::floor<std::chrono::hours>(beyond).count()}}});
  return {};
}

Result<JournalReach> JournalKeeper::reach(Monotonic deadline) {
  JournalReach reach;
  const Timestamp now = database_.clock().now();
  BUREAU_TRY_VOID(database_.read(deadline, [&](Reader& reader) -> Result<void> {
    reach = {};
    BUREAU_TRY(const std::int64_t head, database_.journal_head(reader));
    if (head == 0) return {};
    BUREAU_TRY(reach.oldest, database_.journal_tail(reader));
    BUREAU_TRY(reach.since, detail::made_after(reader, reach.oldest - 1));
    if (keeping_.keep == Duration::max()) return {};
    const std::int64_t until = std::min(head - 1, reach.oldest + numbers_a_look);
    BUREAU_TRY(const std::int64_t through,
               detail::changes_before(reader, now - keeping_.keep, until));
    if (through < reach.oldest) return {};
    for (const JournalReader& one : readers_) {
      BUREAU_TRY(const auto late, detail::late_cursors(reader, one, through));
      for (const detail::LateCursor& cursor : late) {
        if (!reach.held_by.empty() && cursor.position >= reach.read_through) continue;
        BUREAU_TRY(const bool holds, detail::has_to_read(reader, database_, one, cursor, through));
        if (!holds) continue;
        reach.held_by = one.name;
        reach.read_through = cursor.position;
      }
    }
    if (reach.held_by.empty()) return {};
    BUREAU_TRY(reach.held_since, detail::made_after(reader, reach.read_through));
    return {};
  }));
  return reach;
}

Result<Duration> JournalKeeper::trim() {
  // A reader may have gone back since.
  BUREAU_TRY(through_, unread_by_none(*through_));
  auto removed = database_.trim_journal(*through_, keeping_.batch);
  const bool more = removed && *removed == keeping_.batch;
  if (removed) removed_ += *removed;
  if (more) return keeping_.pause;
  // What could not be removed now is so in the next turn.
  through_.reset();
  if (!removed) return fail(std::move(removed).error());
  const Monotonic now = database_.clock().monotonic();
  if (goes_on_) {
    next_ = now;
    return keeping_.pause;
  }
  log(database_.log(), LogLevel::info, "journal", "records that are past their time were removed",
      {{"records", static_cast<std::int64_t>(std::exchange(removed_, 0))}});
  return std::max(next_ - now, Duration(0));
}

BUREAU_END_NAMESPACE
