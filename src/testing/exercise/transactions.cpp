// What a transaction leaves behind when it succeeds, and when it does not.

#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

Result<void> insert_two(Bench& bench) {
  return bench.write([](Writer& writer) {
    return insert(writer, std::vector<Item>{item(1, "a"), item(2, "b")});
  });
}

Result<void> change_all(Writer& writer) {
  BUREAU_TRY_VOID(insert(writer, item(3, "c")));
  Update update;
  update.which = select<Item>().where(col(&Item::id) == Id<Item>(1));
  update.set.push_back({table_of<Item>().find("subject"), Value::text("z"), false});
  BUREAU_TRY_VOID(writer.update(update));
  BUREAU_TRY_VOID(
      writer.remove(select<Item>().where(col(&Item::id) == Id<Item>(2)), ignore_rows()));
  BUREAU_TRY_VOID(writer.draw_sequence(3));
  BUREAU_TRY_VOID(writer.update(update));
  return insert(writer, item(2, "again"));
}

Result<void> expect_two(Bench& bench, std::string_view what) {
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>()), {1, 2}, what));
  BUREAU_TRY(const Select a, items_where("subject = 'a'"));
  BUREAU_TRY_VOID(expect_ids(bench.ids(a), {1}, what));
  BUREAU_TRY(const Select b, items_where("subject = 'b'"));
  return expect_ids(bench.ids(b), {2}, what);
}

Result<void> failed_closure_leaves_nothing(Bench& bench) {
  BUREAU_TRY_VOID(insert_two(bench));
  const auto failed = bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(change_all(writer));
    return fail(Code::conflict, "of the closure", "some_field");
  });
  BUREAU_TRY_VOID(
      expect_error(failed, {Code::conflict}, "a write whose closure fails", "some_field"));
  BUREAU_TRY_VOID(
      expect(failed.error().message == "of the closure", "a closure's message must come through"));
  BUREAU_TRY_VOID(expect_two(bench, "after a write whose closure failed"));
  // And what was undone can be done.
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return change_all(writer); }));
  return expect_ids(bench.ids(select<Item>()), {1, 2, 3}, "after the same closure succeeded");
}

Result<void> success_keeps_all(Bench& bench) {
  BUREAU_TRY_VOID(insert_two(bench));
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return change_all(writer); }));
  BUREAU_TRY(const Select changed, items_where("subject in ('z', 'again', 'c')"));
  return expect_ids(bench.ids(changed), {1, 2, 3}, "what one closure inserted and changed");
}

Result<void> read_errors_come_through(Bench& bench) {
  const auto failed = bench.read([](Reader&) -> Result<void> {
    return fail(Code::not_found, "of the closure", "some_field");
  });
  return expect_error(failed, {Code::not_found}, "a read whose closure fails", "some_field");
}

Result<void> nested_write_is_refused(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, item(1)));
    const auto nested = bench.write([](Writer& inner) { return insert(inner, item(2)); });
    BUREAU_TRY_VOID(expect_error(nested, {Code::invalid}, "a write inside a write"));
    return insert(writer, item(3));
  }));
  return expect_ids(bench.ids(select<Item>()), {1, 3}, "after a write inside a write");
}

Result<void> acknowledged_writes_are_there(Bench& bench) {
  Ids want;
  for (std::int64_t i = 1; i <= 40; ++i) {
    BUREAU_TRY_VOID(bench.write([&](Writer& writer) { return insert(writer, counter(i, i)); }));
    want.push_back(i);
    BUREAU_TRY_VOID(expect_ids(bench.ids(select<Counter>()), want, "after an acknowledged write"));
  }
  return {};
}

Result<void> sequence_is_consecutive(Bench& bench) {
  const auto draw = [&](std::int64_t count) -> Result<std::int64_t> {
    std::int64_t last = 0;
    BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
      BUREAU_TRY(last, writer.draw_sequence(count));
      return insert(writer, counter(last));
    }));
    return last;
  };
  BUREAU_TRY(const std::int64_t first, draw(1));
  BUREAU_TRY_VOID(expect_number(first, 1, "the first number ever drawn"));
  BUREAU_TRY(const std::int64_t fourth, draw(3));
  BUREAU_TRY_VOID(expect_number(fourth, 4, "the last of three more"));
  std::int64_t lost = 0;
  const auto failed = bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY(lost, writer.draw_sequence(2));
    return fail(Code::conflict, "of the closure");
  });
  BUREAU_TRY_VOID(expect_error(failed, {Code::conflict}, "a write that draws and fails"));
  BUREAU_TRY(const std::int64_t next, draw(1));
  BUREAU_TRY_VOID(expect(next >= 5, "a number was drawn twice by writes that succeeded"));
  std::int64_t x = 0, y = 0;
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY(x, writer.draw_sequence(1));
    BUREAU_TRY(y, writer.draw_sequence(2));
    return {};
  }));
  BUREAU_TRY_VOID(expect(x > next && y == x + 2, "two draws of one write do not follow on"));
  return bench.write([](Writer& writer) {
    return expect_error(writer.draw_sequence(0), {Code::invalid}, "drawing no numbers");
  });
}

}  // namespace

std::vector<CheckEntry> transaction_checks() {
  return {{"failed_closure_leaves_nothing", failed_closure_leaves_nothing},
          {"success_keeps_all", success_keeps_all},
          {"read_errors_come_through", read_errors_come_through},
          {"nested_write_is_refused", nested_write_is_refused},
          {"acknowledged_writes_are_there", acknowledged_writes_are_there},
          {"sequence_is_consecutive", sequence_is_consecutive}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
