// Tables by month on a server: partitions that are made ahead, rows that find their month, months
// that go.

#include <atomic>
#include <thread>

#include "basics.hpp"
#include "bureau/core/civil.hpp"
#include "bureau/store/alteration.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "bureau/store/schema.hpp"
#include "bureau/store/stored_catalog.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"

using namespace bureau;
using namespace std::chrono_literals;
using postgres_test::Client;

namespace {

struct Sample {
  Id<Sample> id;
  std::int64_t series = 0;
  std::int64_t value = 0;
};
/// The same before it was kept by month.
struct PlainSample {
  Id<PlainSample> id;
  std::int64_t series = 0;
  std::int64_t value = 0;
};

}  // namespace

template <>
inline constexpr auto bureau::schema<Sample> = bureau::table(
    "samples", "smp", bureau::journal::none, bureau::by_month, bureau::column("id", &Sample::id),
    bureau::column("series", &Sample::series), bureau::column("value", &Sample::value),
    bureau::index("by_series", "series", "value"));
template <>
inline constexpr auto bureau::schema<PlainSample> = bureau::table(
    "samples", "smp", bureau::journal::none, bureau::column("id", &PlainSample::id),
    bureau::column("series", &PlainSample::series), bureau::column("value", &PlainSample::value),
    bureau::index("by_series", "series", "value"));

namespace {

Timestamp at(const char* text) { return must(Timestamp::parse(text)); }

Catalog catalog_of(const TableInfo& table) {
  Catalog catalog;
  must(catalog.add(table));
  return catalog;
}

/// An office with one table, and what the server says of it.
struct Place {
  explicit Place(postgres_test::Server& server) : database(server.create_database()) {}

  std::shared_ptr<Storage> open() {
    PostgresOptions options;
    options.connection = database.conninfo();
    options.clock = &clock;
    options.connections = 4;
    options.log = [this](const LogRecord& record) {
      if (record.message.find("month") == std::string_view::npos) return;
      const std::lock_guard lock(mutex);
      told.emplace_back(record.message);
    };
    return must(open_postgres(std::move(options)));
  }
  std::shared_ptr<Storage> open_with_months() {
    auto storage = open();
    must(storage->migrate(catalog_of(table_of<Sample>())));
    return storage;
  }
  /// "samples$2026_01,samples$2026_02,..."
  std::string partitions() {
    return client.ask(
        "SELECT string_agg(inhrelid::regclass::text,',' ORDER BY inhrelid::regclass::text)"
        " FROM pg_inherits WHERE inhparent='bureau.samples'::regclass");
  }
  std::string partition_of(std::int64_t id) {
    return client.ask("SELECT tableoid::regclass::text FROM bureau.samples WHERE id=" +
                      std::to_string(id));
  }
  std::string count(const std::string& partition = "samples") {
    return client.ask("SELECT count(*) FROM bureau.\"" + partition + "\"");
  }
  /// As the engine does, an hour later.
  void maintain(Storage& storage) {
    clock.advance(1h);
    must(storage.maintain());
  }

  postgres_test::Database database;
  ManualClock clock{at("2026-01-15T12:00:00Z")};
  Client client{database.address()};
  std::mutex mutex;
  std::vector<std::string> told;
};

Result<void> put(Storage& storage, std::initializer_list<std::int64_t> ids,
                 std::int64_t series = 0) {
  return storage.write({}, [&](Writer& writer) -> Result<void> {
    for (const std::int64_t id : ids) {
      const std::vector<Value> row = {Value::integer(id), Value::integer(series),
                                      Value::integer(7)};
      BUREAU_TRY_VOID(writer.insert(table_of<Sample>(), row));
    }
    return {};
  });
}

std::int64_t first(const char* moment) { return id::first_at(at(moment)); }

std::string months(std::initializer_list<const char*> names) {
  std::string all;
  for (const char* name : names) {
    all += std::string(all.empty() ? "" : ",") + "bureau.\"samples$" + name + "\"";
  }
  return all;
}

const Predicate everything;

}  // namespace

TEST_CASE("Partitions are made ahead, and rows find theirs on both sides of a month's turn") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  const auto storage = place.open_with_months();
  CHECK(place.partitions() == months({"2026_01", "2026_02", "2026_03", "default"}));
  const std::int64_t turn = first("2026-02-01T00:00:00Z");
  must(put(*storage, {turn - 1, turn, turn + 1}));
  CHECK(place.partition_of(turn - 1) == months({"2026_01"}));
  CHECK(place.partition_of(turn) == months({"2026_02"}));
  CHECK(place.partition_of(turn + 1) == months({"2026_02"}));
  place.clock.advance(24h * 45);  // 1 March
  place.maintain(*storage);
  CHECK(place.partitions() ==
        months({"2026_01", "2026_02", "2026_03", "2026_04", "2026_05", "default"}));
  // Over the end of a year, and seen by another program that opens it.
  place.clock.advance(24h * 260);
  const auto again = place.open_with_months();
  CHECK(place.partitions().find("2027_01") != std::string::npos);
  CHECK(place.told.empty());
}

TEST_CASE("A row whose month has no partition has a place, and moves when the month is made") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  const auto storage = place.open_with_months();
  const std::int64_t early = first("2025-06-10T00:00:00Z");
  const std::int64_t late = first("2026-08-10T00:00:00Z");
  must(put(*storage, {1, early, early + 1, late}));
  CHECK(place.count("samples$default") == "4");
  place.maintain(*storage);
  CHECK(place.count("samples$default") == "0");
  CHECK(place.count() == "4");
  CHECK(place.partition_of(early + 1) == months({"2025_06"}));
  CHECK(place.partition_of(late) == months({"2026_08"}));
  CHECK(place.partition_of(1) == months({"2020_01"}));
  // Many, as a COPY, over several months.
  must(storage->write({}, [&](Writer& writer) {
    std::vector<Value> rows;
    for (std::int64_t i = 0; i < 300; ++i) {
      const std::int64_t id = id::first_at(at("2026-01-30T00:00:00Z") + i * 12h);
      rows.insert(rows.end(), {Value::integer(id), Value::integer(1), Value::integer(i)});
    }
    return writer.insert(table_of<Sample>(), rows);
  }));
  CHECK(place.count() == "304");
  const auto twice = put(*storage, {early});
  REQUIRE_FALSE(twice);
  CHECK(twice.error().code == Code::exists);
  CHECK(twice.error().message.find("samples.id") != std::string::npos);
}

TEST_CASE("Several processes make partitions while others write, and nothing is lost or refused") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  constexpr int processes = 4;
  std::vector<std::shared_ptr<Storage>> storages;
  for (int i = 0; i < processes; ++i) storages.push_back(place.open_with_months());
  std::int64_t rows = 0;
  for (int round = 0; round < 4; ++round) {
    place.clock.advance(24h * 100);  // no month has a partition any more
    const std::int64_t now = id::first_at(place.clock.now());
    std::vector<std::thread> threads;
    for (int i = 0; i < processes; ++i) {
      Storage& storage = *storages[static_cast<std::size_t>(i)];
      threads.emplace_back([&storage, now, i] {
        for (int k = 0; k < 20; ++k) {
          const auto done = put(storage, {now + i * 1000 + k});
          CHECK_MESSAGE(done, (done ? std::string() : to_string(done.error())));
        }
      });
      threads.emplace_back([&storage] {
        const auto done = storage.maintain();
        CHECK_MESSAGE(done, (done ? std::string() : to_string(done.error())));
      });
      rows += 20;
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(place.count() == std::to_string(rows));
    place.maintain(*storages[0]);
    CHECK(place.count("samples$default") == "0");
  }
  CHECK(place.partitions() ==
        months({"2026_01", "2026_02", "2026_03", "2026_04", "2026_05", "2026_06", "2026_08",
                "2026_09", "2026_10", "2026_11", "2026_12", "2027_01", "2027_02", "2027_03",
                "2027_04", "default"}));
  CHECK(place.told.empty());
}

TEST_CASE("Rows that wait for the default partition while their month is made go there") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  const auto storage = place.open_with_months();
  const std::int64_t june = first("2026-06-10T00:00:00Z");
  Client other(place.database.address());
  other.ask("BEGIN");
  other.ask("CREATE TABLE bureau.\"samples$2026_06\"(LIKE bureau.samples INCLUDING INDEXES)");
  other.ask("LOCK TABLE bureau.\"samples$default\" IN ACCESS EXCLUSIVE MODE");
  Result<void> written;
  std::thread writer([&] {
    written = storage->write({}, [&](Writer& tx) {
      std::vector<Value> rows;  // so many that they travel as a COPY
      for (std::int64_t i = 0; i < 150; ++i) {
        rows.insert(rows.end(), {Value::integer(june + i), Value::integer(1), Value::integer(i)});
      }
      return tx.insert(table_of<Sample>(), rows);
    });
  });
  while (place.client.ask("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0") {
  }
  other.ask(
      "ALTER TABLE bureau.samples ATTACH PARTITION bureau.\"samples$2026_06\" FOR VALUES FROM (" +
      std::to_string(first("2026-06-01T00:00:00Z")) + ") TO (" +
      std::to_string(first("2026-07-01T00:00:00Z")) + ")");
  other.ask("COMMIT");
  writer.join();
  CHECK_MESSAGE(written, (written ? std::string() : to_string(written.error())));
  CHECK(place.partition_of(june) == months({"2026_06"}));
}

TEST_CASE("Months go whole when all their rows may go") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  const auto storage = place.open_with_months();
  const std::int64_t january = first("2026-01-20T00:00:00Z");
  const std::int64_t february = first("2026-02-20T00:00:00Z");
  const std::int64_t march = first("2026-03-20T00:00:00Z");
  must(put(*storage, {january, january + 1, march}));
  must(put(*storage, {february}, 1));
  must(put(*storage, {february + 1}, 2));
  const Predicate going = col(&Sample::series) <= 1;
  // No month ends before.
  CHECK(must(storage->drop_months(table_of<Sample>(), february - 1, everything)) == 2);
  CHECK(place.partitions() == months({"2026_02", "2026_03", "default"}));
  CHECK(must(storage->drop_months(table_of<Sample>(), march, going)) == 0);
  CHECK(place.count() == "3");
  must(storage->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(writer.remove(select<Sample>().where(col(&Sample::series) == 2),
                                  [](std::span<const Value>) -> Result<bool> { return true; }));
    return {};
  }));
  CHECK(must(storage->drop_months(table_of<Sample>(), march, going)) == 1);
  CHECK(place.partitions() == months({"2026_03", "default"}));
  // A row that comes later yet finds a place.
  must(put(*storage, {january}));
  CHECK(place.partition_of(january) == months({"default"}));
  CHECK(place.count() == "2");
}

TEST_CASE("A month that somebody uses stays, and no writer waits for it to go") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  // Whoever waits for a lock fails instead of waiting for ever.
  place.client.ask("ALTER ROLE CURRENT_USER SET lock_timeout='20s'");
  const auto storage = place.open_with_months();
  const auto writer = place.open_with_months();
  const std::int64_t january = first("2026-01-20T00:00:00Z");
  const std::int64_t february = first("2026-02-20T00:00:00Z");
  must(put(*storage, {january}));
  // Someone reads, for as long as he likes: nobody can have the table to himself.
  place.client.ask("BEGIN");
  CHECK(place.count() == "1");
  std::atomic<bool> ended{false};
  std::atomic<int> attempts{0};
  std::thread dropper([&] {
    while (!ended) {
      const auto dropped = storage->drop_months(table_of<Sample>(), february, everything);
      CHECK_MESSAGE(dropped, (dropped ? std::string() : to_string(dropped.error())));
      CHECK(dropped.value_or(1) == 0);
      ++attempts;
    }
  });
  // Each write comes to its end while the month is asked for again and again.
  bool all_written = true;
  for (int i = 0; all_written && (attempts < 3 || i < 20); ++i) {
    all_written = put(*writer, {february + i}).has_value();
  }
  CHECK(all_written);
  ended = true;
  if (!all_written) place.client.ask("ROLLBACK");
  dropper.join();
  place.client.ask("COMMIT");
  CHECK(must(storage->drop_months(table_of<Sample>(), february, everything)) == 1);
  CHECK(place.partitions() == months({"2026_02", "2026_03", "default"}));
}

TEST_CASE("An office that was made before keeps its table whole, and says so once") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  must(place.open()->migrate(catalog_of(table_of<PlainSample>())));
  const std::int64_t january = first("2026-01-20T00:00:00Z");
  const auto storage = place.open_with_months();
  must(put(*storage, {january}));
  CHECK(place.told.size() == 1);
  CHECK(place.client.ask("SELECT relkind FROM pg_class WHERE oid='bureau.samples'::regclass") ==
        "r");
  CHECK(must(storage->drop_months(table_of<Sample>(), INT64_MAX, everything)) == 0);
  place.maintain(*storage);
  CHECK(place.count() == "1");
  // What is moved from here is kept by month there.
  for (const StoredTable& stored : must(storage->stored_tables())) {
    if (stored.name == "samples") CHECK(*stored.definition.find("by_month") == Json(true));
  }
}

TEST_CASE("Without the right to make partitions rows have a place, and the log says so") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  const auto storage = place.open_with_months();
  place.client.ask("REVOKE CREATE ON SCHEMA bureau FROM current_user");
  place.clock.advance(24h * 100);  // late April
  place.maintain(*storage);
  place.maintain(*storage);
  CHECK(place.told.size() == 1);
  const std::int64_t april = first("2026-04-25T00:00:00Z");
  must(put(*storage, {april}));
  CHECK(place.partition_of(april) == months({"default"}));
  place.client.ask("GRANT CREATE ON SCHEMA bureau TO current_user");
  place.maintain(*storage);
  CHECK(place.partition_of(april) == months({"2026_04"}));
}

TEST_CASE("A partition that is made later has what the table has: columns, triggers, protection") {
  BUREAU_NEED_POSTGRES(server);
  Place place(server);
  const auto storage = place.open_with_months();
  must(storage->write({}, [](Writer& writer) -> Result<void> {
    Alteration alteration;
    alteration.kind = Alteration::Kind::mirror;
    alteration.table = "samples";
    alteration.column = "value";
    alteration.other = "amount";
    return writer.alter(alteration);
  }));
  place.client.ask("ALTER TABLE bureau.samples ENABLE ROW LEVEL SECURITY");
  place.clock.advance(24h * 80);  // April
  place.maintain(*storage);
  const std::int64_t may = first("2026-05-05T00:00:00Z");
  must(put(*storage, {may}));
  CHECK(place.partition_of(may) == months({"2026_05"}));
  CHECK(place.client.ask("SELECT amount FROM bureau.samples") == "7");
  CHECK(place.client.ask("SELECT relrowsecurity FROM pg_class WHERE oid="
                         "'bureau.\"samples$2026_05\"'::regclass") == "t");
  // Asked for by its name it is no table of the program's.
  const Catalog catalog = catalog_of(table_of<Sample>());
  const auto ignore = [](std::span<const std::string>, std::span<const Value>) -> Result<bool> {
    return true;
  };
  SqlQuery query;
  query.text = "select count(*) from \"samples$2026_05\"";
  const auto asked = storage->sql(catalog, query, ignore);
  REQUIRE_FALSE(asked);
  CHECK(asked.error().code == Code::forbidden);
  query.text = "select count(*) from samples";
  CHECK(must(storage->sql(catalog, query, ignore)).rows == 1);
}
