// update and remove: which rows, what they return, what they refuse.

#include <algorithm>
#include <limits>

#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

const ColumnInfo* column(std::string_view name) { return table_of<Item>().find(name); }

Result<void> insert_counts(Writer& writer) {
  std::vector<Item> items;
  for (std::int64_t i = 1; i <= 6; ++i) {
    items.push_back(item(i, "s"));
    if (i != 4) items.back().count = 10 - i;
  }
  return insert(writer, items);
}

Update set_count(Select which, const Value& value, bool add = false) {
  Update update;
  update.which = std::move(which);
  update.set.push_back({column("count"), value, add});
  return update;
}

/// The ids that match, sorted.
Result<void> expect_where(Reader& reader, std::string_view text, const Ids& want) {
  BUREAU_TRY(const Select where, items_where(text));
  return expect_ids(ids_of(reader, where), want, text);
}

Result<void> update_with_order_and_limit(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    Ids returned;
    std::vector<std::string> notes;
    Update claim;
    claim.which = select<Item>().where(col(&Item::count) > 0).order_by(col(&Item::count)).limit(2);
    claim.set.push_back({column("note"), Value::text("mine"), false});
    claim.set.push_back({column("open"), Value::integer(0), false});
    BUREAU_TRY(const std::uint64_t changed,
               writer.update(claim, [&](std::span<const Value> row) -> Result<bool> {
                 returned.push_back(row[0].as_integer());
                 notes.emplace_back(row[column("note")->index].as_text());
                 return true;
               }));
    std::sort(returned.begin(), returned.end());
    BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(changed), 2, "rows changed"));
    BUREAU_TRY_VOID(expect_ids(returned, {5, 6}, "rows returned by an update with a limit"));
    BUREAU_TRY_VOID(expect(notes == std::vector<std::string>{"mine", "mine"},
                           "an update must return rows as they became"));
    BUREAU_TRY_VOID(expect_where(writer, "note = 'mine' and open = false", {5, 6}));
    BUREAU_TRY_VOID(expect_where(writer, "open = true", {1, 2, 3, 4}));
    BUREAU_TRY(const std::uint64_t none,
               writer.update(set_count(select<Item>().limit(0), Value::integer(1))));
    BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(none), 0, "an update with limit 0"));
    Select after = select<Item>().order_by(col(&Item::count), true);
    after.after = {OwnedValue(Value::integer(8)), OwnedValue(Value::integer(2))};
    BUREAU_TRY(const std::uint64_t rest, writer.update(set_count(after, Value::integer(0))));
    BUREAU_TRY_VOID(
        expect_number(static_cast<std::int64_t>(rest), 4, "an update after a position"));
    return expect_where(writer, "count != 0", {1, 2});
  });
}

Result<void> update_adds(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    BUREAU_TRY(const std::uint64_t changed,
               writer.update(set_count(select<Item>(), Value::integer(-5), true)));
    BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(changed), 6, "rows added to"));
    BUREAU_TRY_VOID(expect_where(writer, "count = 4", {1}));
    BUREAU_TRY_VOID(expect_where(writer, "count is null", {4}));
    return expect_where(writer, "count < 0", {6});
  });
}

Result<void> update_overflow_changes_nothing(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    const Value most = Value::integer(std::numeric_limits<std::int64_t>::max() - 7);
    BUREAU_TRY_VOID(expect_error(writer.update(set_count(select<Item>(), most, true)),
                                 {Code::exhausted}, "an addition that overflows", "count"));
    BUREAU_TRY_VOID(
        expect_error(writer.update(set_count(select<Item>(), most, true), ignore_rows()),
                     {Code::exhausted}, "one that returns rows", "count"));
    BUREAU_TRY_VOID(expect_where(writer, "count < 10", {1, 2, 3, 5, 6}));
    const Value least = Value::integer(std::numeric_limits<std::int64_t>::min());
    BUREAU_TRY_VOID(
        writer.update(set_count(select<Item>().where(col(&Item::count) >= 0), Value::integer(-1))));
    BUREAU_TRY_VOID(expect_error(writer.update(set_count(select<Item>(), least, true)),
                                 {Code::exhausted}, "one that overflows downwards"));
    return expect_where(writer, "count = -1", {1, 2, 3, 5, 6});
  });
}

Result<void> updates_are_checked(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    const auto refused = [&](std::string_view name, const Value& value, bool add,
                             std::string_view what) {
      Update update;
      update.which = select<Item>();
      update.set.push_back({column(name), value, add});
      return expect_error(writer.update(update), {Code::invalid}, what, name);
    };
    BUREAU_TRY_VOID(refused("id", Value::integer(9), false, "assigning the id"));
    BUREAU_TRY_VOID(refused("subject", Value(), false, "assigning null"));
    BUREAU_TRY_VOID(refused("subject", Value::text("01234567890"), false, "a text too long"));
    BUREAU_TRY_VOID(refused("level", Value::integer(7), false, "a number that names no level"));
    BUREAU_TRY_VOID(refused("tags", Value::text("[ ]"), false, "JSON that is not canonical"));
    BUREAU_TRY_VOID(refused("subject", Value::integer(1), true, "adding to a text"));
    BUREAU_TRY_VOID(refused("count", Value(), true, "adding null"));
    Update nothing;
    nothing.which = select<Item>();
    BUREAU_TRY_VOID(
        expect_error(writer.update(nothing), {Code::invalid}, "an update that assigns nothing"));
    return expect_where(writer, "subject = 's'", {1, 2, 3, 4, 5, 6});
  });
}

/// A sink that fails undoes the statement and what the sink wrote, and nothing else.
Result<void> update_sink_errors_undo_it(Bench& bench) {
  std::int64_t drawn = 0;
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    BUREAU_TRY(drawn, writer.draw_sequence(1));
    int shown = 0;
    const auto failed = writer.update(set_count(select<Item>(), Value::integer(0)),
                                      [&](std::span<const Value>) -> Result<bool> {
                                        if (++shown < 2) return true;
                                        BUREAU_TRY_VOID(insert(writer, item(50, "sink")));
                                        BUREAU_TRY_VOID(writer.draw_sequence(5));
                                        return fail(Code::gone, "of the sink");
                                      });
    BUREAU_TRY_VOID(expect_error(failed, {Code::gone}, "an update whose sink fails"));
    BUREAU_TRY_VOID(expect_where(writer, "count = 0", {}));
    BUREAU_TRY(const std::int64_t next, writer.draw_sequence(1));
    BUREAU_TRY_VOID(expect_number(next, drawn + 1, "the number after a statement was undone"));
    return insert(writer, item(7, "s"));
  }));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>()), {1, 2, 3, 4, 5, 6, 7},
                             "what was written around a statement that was undone"));
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(expect_where(writer, "count = 0", {}));
    // Not to want more rows is no failure: the statement is whole.
    BUREAU_TRY(const std::uint64_t changed,
               writer.update(set_count(select<Item>(), Value::integer(0)),
                             [](std::span<const Value>) -> Result<bool> { return false; }));
    BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(changed), 7, "rows changed"));
    return expect_where(writer, "count = 0", {1, 2, 3, 4, 5, 6, 7});
  });
}

Result<void> remove_sink_errors_undo_it(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    // One inside the other: only the inner one is undone.
    BUREAU_TRY_VOID(writer.remove(
        select<Item>().where(col(&Item::count) == 9), [&](std::span<const Value>) -> Result<bool> {
          const auto inner =
              writer.remove(select<Item>(), [](std::span<const Value>) -> Result<bool> {
                return fail(Code::conflict, "of the inner sink");
              });
          BUREAU_TRY_VOID(expect_error(inner, {Code::conflict}, "a removal whose sink fails"));
          return true;
        }));
    return expect_ids(ids_of(writer, select<Item>()), {2, 3, 4, 5, 6}, "rows left");
  }));
  return expect_ids(bench.ids(select<Item>()), {2, 3, 4, 5, 6}, "rows left after the commit");
}

Result<void> remove_rows(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    Ids removed;
    BUREAU_TRY(const std::uint64_t count,
               writer.remove(select<Item>().order_by(col(&Item::count), true).limit(2),
                             [&](std::span<const Value> row) -> Result<bool> {
                               removed.push_back(row[0].as_integer());
                               return true;
                             }));
    std::sort(removed.begin(), removed.end());
    BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(count), 2, "rows removed"));
    BUREAU_TRY_VOID(expect_ids(removed, {1, 2}, "rows that remove showed"));
    BUREAU_TRY_VOID(expect_ids(ids_of(writer, select<Item>()), {3, 4, 5, 6}, "rows left"));
    BUREAU_TRY_VOID(
        writer.remove(select<Item>().where(col(&Item::count).is_null()), ignore_rows()));
    BUREAU_TRY_VOID(expect_ids(ids_of(writer, select<Item>()), {3, 5, 6}, "rows left"));
    BUREAU_TRY(const std::uint64_t rest, writer.remove(select<Item>(), ignore_rows()));
    return expect_number(static_cast<std::int64_t>(rest), 3, "all that were left");
  });
}

Result<void> reads_see_own_writes(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_counts(writer));
    BUREAU_TRY_VOID(expect_where(writer, "count = 9", {1}));
    BUREAU_TRY_VOID(writer.update(
        set_count(select<Item>().where(col(&Item::count) == 9), Value::integer(100))));
    BUREAU_TRY_VOID(expect_where(writer, "count = 100", {1}));
    BUREAU_TRY_VOID(writer.remove(select<Item>().where(col(&Item::count) == 100), ignore_rows()));
    BUREAU_TRY_VOID(expect_where(writer, "count = 100", {}));
    BUREAU_TRY(const bool found, writer.find(table_of<Item>(), 1, ignore_rows()));
    BUREAU_TRY_VOID(expect(!found, "find sees a row that its own transaction removed"));
    std::int64_t counted = -1;
    Aggregate count;
    count.table = &table_of<Item>();
    count.measures.push_back({Aggregate::Function::count, nullptr});
    BUREAU_TRY_VOID(writer.aggregate(count, [&](std::span<const Value> row) -> Result<bool> {
      counted = row[0].as_integer();
      return true;
    }));
    return expect_number(counted, 5, "an aggregate over own writes");
  });
}

}  // namespace

std::vector<CheckEntry> write_checks() {
  return {{"update_with_order_and_limit", update_with_order_and_limit},
          {"update_adds", update_adds},
          {"update_overflow_changes_nothing", update_overflow_changes_nothing},
          {"updates_are_checked", updates_are_checked},
          {"update_sink_errors_undo_it", update_sink_errors_undo_it},
          {"remove_rows", remove_rows},
          {"remove_sink_errors_undo_it", remove_sink_errors_undo_it},
          {"reads_see_own_writes", reads_see_own_writes}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
