// Generated rows, predicates, selects and histories, compared with a plain vector of rows and with
// memory storage. A failure names the seed that repeats it.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/store/memory_storage.hpp"
#include "testing/exercise/generator.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

const TableInfo& items() { return table_of<Item>(); }

/// Rows in the order of their ids.
Rows any_rows(Random& random) {
  Rows rows;
  const std::uint64_t count = random.below(30);
  for (std::uint64_t i = 1; i <= count; ++i) {
    Item made = any_item(random);
    made.id = Id<Item>(static_cast<std::int64_t>(i));
    rows.push_back(values_of(made));
  }
  return rows;
}

Result<void> replace_rows(Bench& bench, const Rows& rows) {
  return bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(writer.remove(select<Item>(), ignore_rows()));
    for (const auto& row : rows) BUREAU_TRY_VOID(writer.insert(items(), views(row)));
    return {};
  });
}

Select any_select(Random& random) {
  Select select;
  select.table = &items();
  select.where = any_predicate(random, 3, false);
  for (std::uint64_t i = random.below(3); i > 0; --i) {
    const ColumnInfo* column = &items().columns[1 + random.below(items().width() - 1)];
    if (column->type != Type::json) select.order.push_back({column, random.below(2) == 0});
  }
  if (random.below(4) == 0) select.order.push_back({&items().columns[0], random.below(2) == 0});
  if (random.below(2) == 0) select.limit = random.below(12);
  return select;
}

struct Ordering {
  const Select& select;
  [[nodiscard]] int compare_rows(const std::vector<OwnedValue>& a,
                                 const std::vector<OwnedValue>& b) const {
    for (const Order& order : select.order) {
      const int c = compare(a[order.column->index].view(), b[order.column->index].view());
      if (c != 0) return order.descending ? -c : c;
    }
    return compare(a[0].view(), b[0].view());
  }
};

/// What a select means, the plain way.
Result<Ids> naive(const Rows& rows, const Select& select,
                  const std::vector<OwnedValue>* after = nullptr) {
  std::vector<const std::vector<OwnedValue>*> found;
  const Ordering ordering{select};
  for (const auto& row : rows) {
    BUREAU_TRY(const Truth truth, evaluate(select.where, views(row)));
    if (truth == Truth::yes && (after == nullptr || ordering.compare_rows(row, *after) > 0))
      found.push_back(&row);
  }
  std::stable_sort(found.begin(), found.end(),
                   [&](const auto* a, const auto* b) { return ordering.compare_rows(*a, *b) < 0; });
  Ids ids;
  for (const auto* row : found)
    if (!select.limit || ids.size() < *select.limit) ids.push_back((*row)[0].view().as_integer());
  return ids;
}

Result<void> one_select(Bench& bench, Random& random, const Rows& rows) {
  Select select = any_select(random);
  BUREAU_TRY(const Ids want, naive(rows, select));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select), want, select.where.to_text()));
  Aggregate count;
  count.table = select.table;
  count.where = select.where;
  count.measures.push_back({Aggregate::Function::count, nullptr});
  std::int64_t counted = -1;
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) {
    return reader.aggregate(count, [&](std::span<const Value> row) -> Result<bool> {
      counted = row[0].as_integer();
      return true;
    });
  }));
  Select unlimited = select;
  unlimited.limit.reset();
  BUREAU_TRY(const Ids all, naive(rows, unlimited));
  BUREAU_TRY_VOID(expect_number(counted, static_cast<std::int64_t>(all.size()),
                                "the count where " + select.where.to_text()));
  if (rows.empty()) return {};
  const auto& after = rows[random.below(rows.size())];
  for (const Order& order : select.order) select.after.push_back(after[order.column->index]);
  if (select.order.empty() || select.order.back().column->index != 0)
    select.after.push_back(after[0]);
  BUREAU_TRY(const Ids rest, naive(rows, select, &after));
  return expect_ids(
      bench.ids(select), rest,
      fmt::format("after row {} where {}", after[0].view().as_integer(), select.where.to_text()));
}

Result<void> generated_selects(Bench& bench) {
  Rows rows;
  for (std::size_t i = 0; i < bench.options.generated; ++i) {
    const std::uint64_t seed = bench.options.seed + i;
    SeededRandom random(seed);
    if (i % 10 == 0) {
      rows = any_rows(random);
      BUREAU_TRY_VOID(replace_rows(bench, rows));
    }
    if (auto done = one_select(bench, random, rows); !done)
      return wrong(fmt::format("seed {}, case {} (rows of case {}): {}", bench.options.seed, i,
                               i - i % 10, done.error().message));
  }
  return {};
}

/// What a history may show: results by statement, and the rows at the end.
struct Trace {
  std::vector<std::string> lines;
};

Result<void> one_statement(Random& random, Writer& writer, Trace& trace) {
  const auto note = [&](const auto& result, std::int64_t value) {
    if (result) return trace.lines.push_back(std::to_string(value));
    const Error& error = result.error();
    trace.lines.push_back(fmt::format("{} {}", to_string(error.code), error.field));
  };
  Select which = any_select(random);
  switch (random.below(5)) {
    case 0:
    case 1: {
      std::vector<Item> made;
      for (std::uint64_t i = random.below(4); i < 4; ++i) {
        made.push_back(any_item(random));
        made.back().id = Id<Item>(static_cast<std::int64_t>(random.below(60)) + 1);
      }
      note(insert(writer, made), 0);
      return {};
    }
    case 2: {
      Update update;
      update.which = std::move(which);
      if (random.below(2) == 0) {
        const std::int64_t big = random.below(4) == 0 ? INT64_MAX : 1;
        update.set.push_back({items().find("count"), Value::integer(big), true});
      } else {
        update.set.push_back({items().find("wish"),
                              Value::integer(static_cast<std::int64_t>(random.below(5))), false});
      }
      const auto changed = writer.update(update);
      note(changed, static_cast<std::int64_t>(changed.value_or(0)));
      return {};
    }
    case 3: {
      which.limit = random.below(4);
      const auto removed = writer.remove(which, ignore_rows());
      note(removed, static_cast<std::int64_t>(removed.value_or(0)));
      return {};
    }
    default: {
      const auto ids = ids_of(writer, which);
      trace.lines.push_back(ids ? shown(*ids) : std::string(to_string(ids.error().code)));
      return {};
    }
  }
}

/// One transaction from its seed; some fail on purpose.
Trace transaction(Storage& storage, std::uint64_t seed) {
  Trace trace;
  const auto written = storage.write({}, [&](Writer& writer) -> Result<void> {
    SeededRandom random(seed);  // the same on every run of the closure
    trace.lines.clear();
    for (std::uint64_t i = 1 + random.below(4); i > 0; --i)
      BUREAU_TRY_VOID(one_statement(random, writer, trace));
    if (random.below(4) == 0) return fail(Code::conflict, "of the closure");
    return {};
  });
  trace.lines.emplace_back(written ? "committed" : to_string(written.error().code));
  return trace;
}

Result<Rows> everything(Storage& storage) {
  Rows rows;
  BUREAU_TRY_VOID(storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(rows, rows_of(reader, select<Item>()));
    return {};
  }));
  return rows;
}

Result<void> generated_history(Bench& bench) {
  const auto model = make_memory_storage(bench.clock);
  BUREAU_TRY_VOID(model->migrate(catalog()));
  for (std::size_t i = 0; i < bench.options.history; ++i) {
    const std::uint64_t seed = bench.options.seed + i;
    const Trace got = transaction(*bench.storage, seed);
    const Trace want = transaction(*model, seed);
    if (got.lines != want.lines)
      return wrong(fmt::format("seed {}, transaction {}: {} instead of {}", bench.options.seed, i,
                               fmt::join(got.lines, ", "), fmt::join(want.lines, ", ")));
    if (i % 20 != 19 && i + 1 != bench.options.history) continue;
    BUREAU_TRY(const Rows rows, everything(*bench.storage));
    BUREAU_TRY(const Rows wanted, everything(*model));
    if (rows != wanted)
      return wrong(fmt::format("seed {}: other rows than memory storage after transaction {}",
                               bench.options.seed, i));
  }
  return {};
}

}  // namespace

std::vector<CheckEntry> generated_checks() {
  return {{"generated_selects", generated_selects}, {"generated_history", generated_history}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
