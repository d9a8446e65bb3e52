// The SQLite storage as a storage: what it answers, and that it answers like memory.

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "bureau/store/memory_storage.hpp"
#include "counts.hpp"
#include "store/sqlite_fixture.hpp"
#include "testing/exercise/generator.hpp"

using bureau::Aggregate;
using bureau::Assignment;
using bureau::Code;
using bureau::col;
using bureau::ManualClock;
using bureau::Monotonic;
using bureau::OwnedValue;
using bureau::Predicate;
using bureau::Reader;
using bureau::Result;
using bureau::SeededRandom;
using bureau::Select;
using bureau::Storage;
using bureau::Update;
using bureau::Value;
using bureau::Writer;
using fixture::code_of;
using sample::Crew;
using sample::Item;
using sample::Level;

namespace {

using Rows = std::vector<std::vector<OwnedValue>>;

auto into(Rows& rows) {
  return [&rows](std::span<const Value> row) -> Result<bool> {
    rows.emplace_back(row.begin(), row.end());
    return true;
  };
}

/// One step of a history, run on a storage; what it answered, so that two can be compared.
struct Answer {
  std::string outcome;
  Rows rows;
  std::uint64_t count = 0;
  friend bool operator==(const Answer&, const Answer&) = default;
};

void sort(Rows& rows) {
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::lexicographical_compare(
        a.begin(), a.end(), b.begin(), b.end(),
        [](const OwnedValue& x, const OwnedValue& y) { return compare(x.view(), y.view()) < 0; });
  });
}

Answer scan(Storage& storage, const Select& select) {
  Answer answer;
  answer.outcome = code_of(storage.read(Monotonic::never(), [&](Reader& reader) {
    answer.rows.clear();
    return reader.scan(select, into(answer.rows));
  }));
  return answer;
}

Answer aggregate(Storage& storage, const Aggregate& aggregate) {
  Answer answer;
  answer.outcome = code_of(storage.read(Monotonic::never(), [&](Reader& reader) {
    answer.rows.clear();
    return reader.aggregate(aggregate, into(answer.rows));
  }));
  // Which groups are shown before one overflows is open.
  if (answer.outcome != "success") answer.rows.clear();
  return answer;
}

Answer change(Storage& storage, bureau::FunctionRef<Result<std::uint64_t>(Writer&, Rows&)> step) {
  Answer answer;
  answer.outcome = code_of(storage.write({}, [&](Writer& writer) -> Result<void> {
    answer.rows.clear();
    BUREAU_TRY(answer.count, step(writer, answer.rows));
    return {};
  }));
  sort(answer.rows);
  return answer;
}

Select any_select(bureau::Random& random) {
  Select select = bureau::select<Item>();
  select.where = *sample::any_predicate(random, 3).bind(
      {{"when", {OwnedValue(Value::integer(static_cast<std::int64_t>(random.below(3))))}}});
  const auto& table = bureau::table_of<Item>();
  for (std::size_t i = random.below(4); i > 0; --i) {
    const auto& column = table.columns[1 + random.below(table.width() - 1)];
    if (column.type == bureau::Type::json) continue;
    select.order.push_back({&column, random.below(2) == 0});
  }
  if (random.below(4) == 0) select.order.push_back({&table.columns[0], random.below(2) == 0});
  if (random.below(2) == 0) select.limit = random.below(12);
  return select;
}

/// Goes on behind some row, as the next page of a list does.
void turn_page(Select& select, const Rows& rows, bureau::Random& random) {
  if (rows.empty()) return;
  const auto& row = rows[random.below(rows.size())];
  select.after.clear();
  for (const auto& order : select.order) select.after.push_back(row[order.column->index]);
  const bool ends_in_id = !select.order.empty() && select.order.back().column->index == 0;
  if (!ends_in_id) select.after.push_back(row[0]);
}

std::vector<Assignment> any_assignments(bureau::Random& random) {
  const auto& table = bureau::table_of<Item>();
  switch (random.below(4)) {
    case 0:
      return {{table.find("level"), Value::integer(static_cast<std::int64_t>(random.below(5)))}};
    case 1:
      return {{table.find("count"), Value::integer(INT64_MAX - 1), random.below(2) == 0}};
    case 2:
      return {{table.find("closed_at"), random.below(2) == 0 ? Value() : Value::integer(1)}};
    default:
      return {{table.find("version"), Value::integer(1), true},
              {table.find("score"), Value::real(0.5)}};
  }
}

std::string shown(const OwnedValue& owned) {
  const Value value = owned.view();
  switch (value.kind()) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::integer:
      return std::to_string(value.as_integer());
    case Value::Kind::real:
      return std::to_string(value.as_real());
    default:
      return "'" + std::string(value.as_text()) + "'";
  }
}

/// Where the rows of two answers first differ.
std::string difference(const Rows& a, const Rows& b) {
  for (std::size_t row = 0; row < std::min(a.size(), b.size()); ++row) {
    for (std::size_t i = 0; i < std::min(a[row].size(), b[row].size()); ++i) {
      if (a[row][i] == b[row][i]) continue;
      return "row " + std::to_string(row) + ", value " + std::to_string(i) + ": " +
             shown(a[row][i]) + " and " + shown(b[row][i]);
    }
  }
  return "sizes: " + std::to_string(a.size()) + " and " + std::to_string(b.size()) + ", rows of " +
         std::to_string(a.empty() ? 0 : a[0].size()) + " and " +
         std::to_string(b.empty() ? 0 : b[0].size());
}

/// One random step on both, which must answer the same.
void step_on_both(Storage& a, Storage& b, bureau::Random& random) {
  const auto both = [&](auto step) {
    Answer left = step(a);
    const Answer right = step(b);
    CHECK(left.outcome == right.outcome);
    CHECK(left.count == right.count);
    CHECK(left.rows.size() == right.rows.size());
    INFO(difference(left.rows, right.rows));
    CHECK((left == right));
    return left;
  };
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2: {
      std::vector<Value> values;
      bureau::detail::Scratch scratch;
      std::vector<Item> items;
      for (std::size_t i = random.below(3) + 1; i > 0; --i)
        items.push_back(sample::any_item(random));
      const std::size_t width = bureau::table_of<Item>().width();
      values.resize(items.size() * width);
      for (std::size_t i = 0; i < items.size(); ++i)
        bureau::to_values(items[i], std::span(values).subspan(i * width, width), scratch);
      both([&](Storage& storage) {
        return change(storage, [&](Writer& writer, Rows&) -> Result<std::uint64_t> {
          BUREAU_TRY_VOID(writer.insert(bureau::table_of<Item>(), values));
          return 0;
        });
      });
      break;
    }
    case 3: {
      const Update update{any_select(random), any_assignments(random)};
      both([&](Storage& storage) {
        return change(
            storage, [&](Writer& writer, Rows& rows) { return writer.update(update, into(rows)); });
      });
      break;
    }
    case 4: {
      Select which = any_select(random);
      which.limit = random.below(4);
      both([&](Storage& storage) {
        return change(storage,
                      [&](Writer& writer, Rows& rows) { return writer.remove(which, into(rows)); });
      });
      break;
    }
    case 5: {
      const auto& table = bureau::table_of<Item>();
      Aggregate figures;
      figures.table = &table;
      figures.where = any_select(random).where;
      if (random.below(2) == 0) figures.group_by.push_back(table.find("wish"));
      using Function = Aggregate::Function;
      figures.measures = {{Function::count, nullptr},
                          {Function::sum, table.find("count")},
                          {Function::sum, table.find("score")},
                          {Function::average, table.find("effort")},
                          {Function::average, table.find("score")},
                          {Function::minimum, table.find("note")},
                          {Function::maximum, table.find("closed_at")}};
      both([&](Storage& storage) { return aggregate(storage, figures); });
      break;
    }
    default: {
      Select select = any_select(random);
      INFO(select.where.to_text());
      const Answer first = both([&](Storage& storage) { return scan(storage, select); });
      turn_page(select, first.rows, random);
      both([&](Storage& storage) { return scan(storage, select); });
    }
  }
}

}  // namespace

TEST_CASE("G15: SQLite and memory answer the same to the same generated history") {
  const int histories = counts::cases(12, 300);
  for (int seed = 0; seed < histories; ++seed) {
    CAPTURE(seed);
    ManualClock clock;
    const Folder folder;
    bureau::SqliteOptions options;
    options.path = folder.file();
    options.clock = &clock;
    const auto sqlite = fixture::open(options);
    const auto memory = bureau::make_memory_storage(clock);
    REQUIRE(memory->migrate(fixture::catalog()));
    SeededRandom random(static_cast<std::uint64_t>(seed));
    for (std::int64_t id = 1; id < 4; ++id) {
      const std::string name = std::string(1, static_cast<char>('a' + id));
      REQUIRE(fixture::add_crew(*sqlite, id, name));
      REQUIRE(fixture::add_crew(*memory, id, name));
    }
    for (int step = 0; step < 120; ++step) {
      CAPTURE(step);
      step_on_both(*sqlite, *memory, random);
    }
  }
}

TEST_CASE("a row is found by its id, and what was written is there after closing") {
  const Folder folder;
  {
    const auto storage = fixture::open(folder.file());
    REQUIRE(fixture::add_crew(*storage, 7, "north"));
    CHECK(fixture::has_crew(*storage, 7));
    CHECK_FALSE(fixture::has_crew(*storage, 8));
  }
  const auto storage = fixture::open(folder.file());
  CHECK(fixture::has_crew(*storage, 7));
}

TEST_CASE("a value that is taken names the index's last column") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(fixture::add_crew(*storage, 1, "north"));
  const auto name = fixture::add_crew(*storage, 2, "north");
  REQUIRE_FALSE(name);
  CHECK(name.error().code == Code::exists);
  CHECK(name.error().field == "name");
  const auto id = fixture::add_crew(*storage, 1, "south");
  REQUIRE_FALSE(id);
  CHECK(id.error().code == Code::exists);
  CHECK(id.error().field == "id");
}

TEST_CASE(
    "a closure may go on after a statement that failed, and after many rows of which one did") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(fixture::add_crew(*storage, 1, "north"));
  CHECK(storage->write({}, [](Writer& writer) -> Result<void> {
    CHECK(code_of(fixture::add_crew(writer, 2, "north")) == "exists");
    const std::size_t width = bureau::table_of<Crew>().width();
    std::vector<Value> rows(2 * width);
    bureau::detail::Scratch scratch;
    Crew crew;
    crew.id.value = 3;
    crew.name = "east";
    bureau::to_values(crew, std::span(rows).first(width), scratch);
    Crew taken;
    taken.id.value = 4;
    taken.name = "north";
    bureau::to_values(taken, std::span(rows).last(width), scratch);
    CHECK(code_of(writer.insert(bureau::table_of<Crew>(), rows)) == "exists");
    return fixture::add_crew(writer, 5, "west");
  }));
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1, 5});
}

TEST_CASE("a sink may write: the scan does not meet what it wrote") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  for (std::int64_t id = 1; id <= 3; ++id)
    REQUIRE(fixture::add_crew(*storage, id, std::string(1, static_cast<char>('a' + id))));
  CHECK(storage->write({}, [](Writer& writer) -> Result<void> {
    int seen = 0;
    BUREAU_TRY_VOID(writer.scan(bureau::select<Crew>(), [&](auto row) -> Result<bool> {
      const std::string_view name = row[1].as_text();
      ++seen;
      BUREAU_TRY_VOID(
          fixture::add_crew(writer, row[0].as_integer() + 10, "copy of " + std::string(name)));
      // What the sink was given stays readable, whatever it wrote meanwhile.
      CHECK(name == std::string(1, static_cast<char>('a' + row[0].as_integer())));
      return true;
    }));
    CHECK(seen == 3);
    return {};
  }));
  CHECK(fixture::crew_ids(*storage).size() == 6);
}

TEST_CASE("a sink that fails a removal undoes it alone; the closure is run again for that, once") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(fixture::add_crew(*storage, 1, "north"));
  int runs = 0;
  const auto done = storage->write({}, [&](Writer& writer) -> Result<void> {
    ++runs;
    for (int i = 0; i < 3; ++i) {
      const auto removed = writer.remove(bureau::select<Crew>(), [&](auto) -> Result<bool> {
        BUREAU_TRY_VOID(fixture::add_crew(writer, 5, "of the sink"));
        return bureau::fail(Code::forbidden, "not this one");
      });
      CHECK(code_of(removed) == "forbidden");
    }
    return fixture::add_crew(writer, 2, "south");
  });
  CHECK(code_of(done) == "success");
  CHECK(runs == 2);
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("the same select inside a select's sink, and a look-up inside a look-up") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(fixture::add_crew(*storage, 1, "a"));
  REQUIRE(fixture::add_crew(*storage, 2, "b"));
  int pairs = 0;
  CHECK(storage->read(Monotonic::never(), [&](Reader& reader) {
    return reader.scan(bureau::select<Crew>(), [&](auto) -> Result<bool> {
      BUREAU_TRY_VOID(reader.scan(bureau::select<Crew>(), [&](auto) -> Result<bool> {
        ++pairs;
        return true;
      }));
      return true;
    });
  }));
  CHECK(pairs == 4);
  CHECK(storage->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const bool found,
               reader.find(bureau::table_of<Crew>(), 1, [&](auto outer) -> Result<bool> {
                 const std::string_view name = outer[1].as_text();
                 BUREAU_TRY(const bool inner,
                            reader.find(bureau::table_of<Crew>(), 2, [](auto row) -> Result<bool> {
                              CHECK(row[1].as_text() == "b");
                              return true;
                            }));
                 CHECK(inner);
                 CHECK(name == "a");
                 return true;
               }));
    CHECK(found);
    return {};
  }));
}

TEST_CASE(
    "calls within calls: a write in a write is refused, reads and a write in a read are not") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  const auto other = fixture::open(folder.file("other.db"));
  CHECK(storage->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 1, "inside"));
    CHECK(code_of(fixture::add_crew(*storage, 2, "nested")) == "invalid");
    CHECK(code_of(storage->migrate(fixture::catalog())) == "invalid");
    CHECK_FALSE(fixture::has_crew(*storage, 1));  // a snapshot from before this write
    CHECK(fixture::add_crew(*other, 1, "elsewhere"));
    return {};
  }));
  CHECK(storage->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    bool seen = false;
    const auto look = [&](auto) -> Result<bool> {
      seen = true;
      return true;
    };
    BUREAU_TRY(const bool before, reader.find(bureau::table_of<Crew>(), 3, look));
    CHECK_FALSE(before);
    CHECK(fixture::add_crew(*storage, 3, "written in a read"));
    BUREAU_TRY(const bool after, reader.find(bureau::table_of<Crew>(), 3, look));
    CHECK_FALSE(after);
    return {};
  }));
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1, 3});
}

TEST_CASE("an exception in a closure is an error, and undoes what the closure did") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  const auto failed = storage->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 1, "a"));
    throw std::runtime_error("oops");
  });
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Code::internal);
  CHECK(failed.error().message.find("oops") != std::string::npos);
  CHECK_FALSE(fixture::has_crew(*storage, 1));
  CHECK(fixture::add_crew(*storage, 1, "a"));
}

TEST_CASE(
    "journal numbers are consecutive from 1, survive closing, and those of a failed write are "
    "drawn again") {
  const Folder folder;
  const auto draw = [](Storage& storage, std::int64_t count, bool succeed) {
    std::int64_t last = 0;
    const auto done = storage.write({}, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY(last, writer.draw_sequence(count));
      return succeed ? Result<void>() : bureau::fail(Code::conflict, "no");
    });
    CHECK(done.has_value() == succeed);
    return last;
  };
  {
    const auto storage = fixture::open(folder.file());
    CHECK(draw(*storage, 1, true) == 1);
    CHECK(draw(*storage, 5, true) == 6);
    CHECK(draw(*storage, 5, false) == 11);
  }
  const auto storage = fixture::open(folder.file());
  const auto second = fixture::open(folder.file());
  CHECK(draw(*storage, 1, true) == 7);
  CHECK(draw(*second, 1, true) == 8);
  CHECK(draw(*storage, 1, true) == 9);
}

TEST_CASE("a read that is too slow ends at its deadline, and so does the wait for a reader") {
  const Folder folder;
  bureau::SqliteOptions options;
  options.path = folder.file();
  options.readers = 1;
  ManualClock clock;
  options.clock = &clock;
  const auto storage = fixture::open(options);
  REQUIRE(storage->write({}, [](Writer& writer) -> Result<void> {
    for (std::int64_t id = 1; id <= 2000; ++id)
      BUREAU_TRY_VOID(fixture::add_crew(writer, id, std::to_string(id)));
    return {};
  }));
  const Monotonic soon = clock.monotonic() + std::chrono::seconds(1);
  const auto slow = storage->read(soon, [&](Reader& reader) {
    return reader.scan(bureau::select<Crew>(), [&](auto) -> Result<bool> {
      clock.advance(std::chrono::seconds(2));
      return true;
    });
  });
  CHECK(code_of(slow) == "deadline");
  const Monotonic later = clock.monotonic() + std::chrono::seconds(1);
  CHECK(code_of(storage->read(Monotonic::never(), [&](Reader&) -> Result<void> {
          std::thread waiting([&] {
            CHECK(code_of(storage->read(later, [](Reader&) -> Result<void> { return {}; })) ==
                  "deadline");
          });
          while (clock.waiting() == 0) std::this_thread::yield();
          clock.advance(std::chrono::seconds(2));
          waiting.join();
          return {};
        })) == "success");
  CHECK(fixture::has_crew(*storage, 2000));
}

TEST_CASE("a partial index serves the query that has its condition") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(storage->write({}, [](Writer& writer) -> Result<void> {
    Item item;
    for (std::int64_t id = 1; id <= 50; ++id) {
      item.id.value = id;
      item.subject = std::to_string(id);
      item.level = Level::low;
      BUREAU_TRY_VOID(fixture::insert(writer, item));
    }
    return {};
  }));
  Select select = bureau::select<Item>().where(col(&Item::closed_at).is_null() &&
                                               col(&Item::subject).equals_folded("7"));
  CHECK(fixture::all<Item>(*storage, select).size() == 1);
}

TEST_CASE("commits are told to those who asked, until their subscription ends") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  int heard = 0;
  {
    const auto subscription = storage->on_commit([&] { ++heard; });
    REQUIRE(subscription);
    REQUIRE(fixture::add_crew(*storage, 1, "a"));
    CHECK(heard == 1);
    CHECK_FALSE(fixture::add_crew(*storage, 1, "a"));
    CHECK(heard == 1);
  }
  REQUIRE(fixture::add_crew(*storage, 2, "b"));
  CHECK(heard == 1);
}
