// Hints, nodes, and what is there after the storage was closed.

#include <memory>

#include "bureau/core/civil.hpp"
#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

/// A late hint is of what was written before; one each time is not.
Result<void> nothing_is_not_hinted(Bench& bench, const Heard& heard) {
  for (int i = 0; i < 20; ++i) {
    const int before = heard.count();
    BUREAU_TRY_VOID(bench.write([](Writer& writer) -> Result<void> {
      return writer.scan(select<Counter>(),
                         [](std::span<const Value>) -> Result<bool> { return true; });
    }));
    if (heard.count() == before) return {};
  }
  return expect(false, "a write that changed nothing was hinted at");
}

Result<void> commits_are_hinted(Bench& bench) {
  const auto heard = std::make_shared<Heard>();  // a late hint may outlive this function
  BUREAU_TRY(Subscription subscription, bench.storage->on_commit([heard] { heard->add(); }));
  for (int i = 1; i <= 3; ++i) {
    const int before = heard->count();
    BUREAU_TRY_VOID(bench.write([&](Writer& writer) { return insert(writer, counter(i)); }));
    BUREAU_TRY_VOID(heard->expect_more_than(before, bench, "a commit"));
  }
  BUREAU_TRY_VOID(nothing_is_not_hinted(bench, *heard));
  subscription = Subscription();
  const int before = heard->count();
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, counter(9)); }));
  BUREAU_TRY_VOID(bench.ids(select<Counter>()));
  return expect_number(heard->count(), before, "hints after the subscription's end");
}

Result<void> nodes_are_held_once(Bench& bench) {
  Storage& storage = *bench.storage;
  BUREAU_TRY(const bool before, storage.node_is_alive(7));
  BUREAU_TRY_VOID(expect(!before, "a node that nobody holds is alive"));
  BUREAU_TRY(const bool first, storage.hold_node(7));
  BUREAU_TRY_VOID(expect(first, "a node that nobody holds could not be held"));
  BUREAU_TRY(const bool second, storage.hold_node(7));
  BUREAU_TRY_VOID(expect(!second, "one node was held twice"));
  BUREAU_TRY(const bool other, storage.hold_node(1023));
  BUREAU_TRY_VOID(expect(other, "the last node could not be held"));
  BUREAU_TRY(const bool alive, storage.node_is_alive(7));
  BUREAU_TRY_VOID(expect(alive, "a node that is held is not alive"));
  storage.release_node(7);
  BUREAU_TRY(const bool again, storage.hold_node(7));
  BUREAU_TRY_VOID(expect(again, "a node that was released could not be held"));
  storage.release_node(7);
  storage.release_node(1023);
  BUREAU_TRY_VOID(expect_error(storage.hold_node(1024), {Code::invalid}, "node 1024"));
  return expect_error(storage.node_is_alive(-1), {Code::invalid}, "node -1");
}

Result<void> maintain_is_harmless(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, counter(1)); }));
  BUREAU_TRY(const Duration next, bench.storage->maintain());
  BUREAU_TRY_VOID(expect(next.count() >= 0, "maintain wants its next call in the past"));
  return expect_ids(bench.ids(select<Counter>()), {1}, "after maintain");
}

/// Midnight of the first day of the month that comes so many months after this one.
Timestamp month_begins(const Bench& bench, unsigned after) {
  CivilDate date = Zone().to_civil(bench.clock.now()).date;
  const unsigned month = date.month - 1 + after;
  date = {date.year + static_cast<int>(month / 12), month % 12 + 1, 1};
  return Timestamp() + std::chrono::hours(24 * std::int64_t{date.days()});
}

/// Two rows in each of three months; of the second month one may not go, and the third is too new.
Result<void> months_are_dropped(Bench& bench) {
  std::vector<std::int64_t> ids;
  for (unsigned month = 0; month < 3; ++month) {
    const std::int64_t first = id::first_at(month_begins(bench, month));
    ids.insert(ids.end(), {first, first + 1});
  }
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      BUREAU_TRY_VOID(insert(writer, counter(ids[i], i == 2 ? 1 : 0)));
    }
    return insert(writer, item(1, "a"));
  }));
  BUREAU_TRY(const auto others, bench.storage->drop_months(table_of<Item>(), INT64_MAX, {}));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(others), 0, "rows not kept by month"));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>()), {1}, "a table that is not kept by month"));
  const Predicate going = col(&Counter::added) == 0;
  BUREAU_TRY(const auto went, bench.storage->drop_months(table_of<Counter>(), ids[4], going));
  // Whether it keeps months apart is the storage's business.
  const Ids left(went == 0 ? ids.begin() : ids.begin() + 2, ids.end());
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Counter>()), left, "after months were dropped"));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(went + left.size()), 6,
                                "rows that went, and that are left"));
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    const Predicate old = col(&Counter::id) < Id<Counter>(ids[4]);
    BUREAU_TRY_VOID(writer.remove(select<Counter>().where(going && old), ignore_rows()));
    return insert(writer, counter(ids[0]));
  }));
  return expect_ids(bench.ids(select<Counter>()), {ids[0], ids[2], ids[4], ids[5]},
                    "rows that may not go, and one that came late");
}

Result<void> rows_survive_reopening(Bench& bench) {
  if (!bench.storage->capabilities().durable) return skip("the storage is not durable");
  if (!bench.factory.reopen) return skip("the factory cannot reopen");
  std::int64_t last = 0;
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, std::vector<Item>{item(1, "a"), item(2, "b")}));
    BUREAU_TRY(last, writer.draw_sequence(5));
    return {};
  }));
  BUREAU_TRY(const bool held, bench.storage->hold_node(3));
  BUREAU_TRY_VOID(expect(held, "a node that nobody holds could not be held"));
  bench.storage.reset();
  BUREAU_TRY(bench.storage, bench.factory.reopen());
  BUREAU_TRY_VOID(bench.storage->migrate(catalog()));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>()), {1, 2}, "after reopening"));
  BUREAU_TRY(const bool alive, bench.storage->node_is_alive(3));
  BUREAU_TRY_VOID(expect(!alive, "a node is alive after its storage was closed"));
  std::int64_t next = 0;
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY(next, writer.draw_sequence(1));
    return insert(writer, item(3, "c"));
  }));
  return expect_number(next, last + 1, "the number drawn after reopening");
}

}  // namespace

std::vector<CheckEntry> life_checks() {
  return {{"commits_are_hinted", commits_are_hinted},
          {"nodes_are_held_once", nodes_are_held_once},
          {"maintain_is_harmless", maintain_is_harmless},
          {"months_are_dropped", months_are_dropped},
          {"rows_survive_reopening", rows_survive_reopening}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
