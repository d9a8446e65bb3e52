// Indexes of tables that others write to: built beside them, and built again where that was cut
// off.

#include <atomic>
#include <thread>

#include "bureau/store/postgres_storage.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "store/migration_suite.hpp"

using namespace bureau;
using namespace migration_suite;
using namespace std::chrono_literals;
using postgres_test::Client;

namespace {

const TableInfo& things(std::vector<detail::IndexDef> indexes) {
  return make_table("things", {column("id", Type::id), column("size", Type::integer, true)},
                    std::move(indexes));
}
const TableInfo& plain() {
  static const TableInfo& made = things({});
  return made;
}
const TableInfo& indexed() {
  static const TableInfo& made = things({index("by_size", "size")});
  return made;
}
const TableInfo& unique() {
  static const TableInfo& made = things({unique_index("by_size", "size")});
  return made;
}

Catalog catalog_of(const TableInfo& table) {
  Catalog catalog;
  must(catalog.add(table));
  return catalog;
}

/// An office with the table and two rows, and an administrator who looks at it.
struct Shop {
  explicit Shop(postgres_test::Server& server)
      : database(server.create_database()), admin(database.admin()), storage(open()) {
    must(storage->migrate(catalog_of(plain())));
    must(insert(1, 10));
    must(insert(2, 20));
  }

  std::shared_ptr<Storage> open() {
    PostgresOptions options;
    options.connection = database.conninfo();
    return must(open_postgres(std::move(options)));
  }
  Result<void> insert(std::int64_t id, std::int64_t size) {
    WriteOptions options;
    options.deadline = Clock::system().monotonic() + 30s;  // of a write that is held up
    const Value row[] = {Value::integer(id), Value::integer(size)};
    return storage->write(options, [&](Writer& writer) { return writer.insert(plain(), row); });
  }
  /// What the server says of indexes of that name: "t" or "f" for whole or not, and their columns.
  std::string indexes() {
    return admin.ask(
        "SELECT coalesce(string_agg(i.indisvalid::text||' '||pg_get_indexdef(c.oid,1,true),','),'')"
        " FROM pg_index i JOIN pg_class c ON c.oid=i.indexrelid WHERE c.relname LIKE '%by_size%'");
  }
  /// The process of the server that builds one, once it waits for others.
  std::string builder() {
    return admin.ask(
        "SELECT pid FROM pg_stat_activity WHERE datname=current_database()"
        " AND wait_event_type='Lock' AND query LIKE 'CREATE%INDEX%'");
  }
  std::vector<std::string> unbuilt() {
    return must(must(Migrator::make(open(), catalog_of(plain()), {})).unbuilt_indexes());
  }

  postgres_test::Database database;
  Client admin;
  std::shared_ptr<Storage> storage;
};

/// A migration of a program of its own, which comes to wait behind a transaction that is older.
class Held {
 public:
  Held(Shop& shop, const TableInfo& wanted) : shop_(shop), old_(shop.database.admin()) {
    old_.ask("BEGIN");
    old_.ask("UPDATE bureau.things SET size=size WHERE id=1");
    thread_ = std::thread([this, &wanted, storage = shop.open()] {
      done_ = storage->migrate(catalog_of(wanted));
      ended_ = true;
    });
    while (shop.builder().empty() && !ended_) std::this_thread::yield();
    CHECK_FALSE(ended_);
  }
  ~Held() {
    if (thread_.joinable()) end();
  }
  /// Somebody ends it, as a crash would.
  Result<void> cut_off() {
    shop_.admin.ask("SELECT pg_terminate_backend(" + shop_.builder() + ")");
    thread_.join();
    old_.ask("COMMIT");
    return done_;
  }
  /// The old transaction ends.
  Result<void> end() {
    old_.ask("COMMIT");
    thread_.join();
    return done_;
  }

 private:
  Shop& shop_;
  Client old_;
  std::atomic<bool> ended_{false};
  Result<void> done_;
  std::thread thread_;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("Others write while an index is built behind an old transaction") {
  BUREAU_NEED_POSTGRES(server);
  Shop shop(server);
  Held held(shop, indexed());
  must(shop.insert(3, 30));
  CHECK(shop.unbuilt() == Names{"things.by_size"});
  // A program that does not know the index does not wait for it either.
  must(shop.open()->migrate(catalog_of(plain())));
  must(held.end());
  CHECK(shop.indexes() == "true size");
  CHECK(shop.unbuilt().empty());
}

TEST_CASE("An index that was cut off is found, said, and built again") {
  BUREAU_NEED_POSTGRES(server);
  Shop shop(server);
  {
    Held held(shop, indexed());
    CHECK(held.cut_off().error().code == Code::unavailable);
  }
  CHECK(shop.indexes() == "false size");
  CHECK(shop.unbuilt() == Names{"things.by_size"});
  SUBCASE("by the same program") {
    must(shop.storage->migrate(catalog_of(indexed())));
    CHECK(shop.indexes() == "true size");
  }
  SUBCASE("by several at a time") {
    const auto again = [&] { must(shop.open()->migrate(catalog_of(indexed()))); };
    std::thread one(again), two(again);
    one.join();
    two.join();
    CHECK(shop.indexes() == "true size");
  }
  SUBCASE("also one that was built and not noted, whatever it is of") {
    shop.admin.ask("DROP INDEX bureau.things_by_size");
    shop.admin.ask("CREATE INDEX things_by_size ON bureau.things(id)");
    must(shop.storage->migrate(catalog_of(indexed())));
    CHECK(shop.indexes() == "true size");
  }
  SUBCASE("and taken away by a program that does not want it") {
    must(shop.storage->migrate(catalog_of(plain())));
    CHECK(shop.indexes().empty());
  }
  CHECK(shop.unbuilt().empty());
  must(shop.insert(3, 30));
}

TEST_CASE("Values that come twice while a unique index is built are refused when it is whole") {
  BUREAU_NEED_POSTGRES(server);
  Shop shop(server);
  {
    Held held(shop, unique());
    must(shop.insert(3, 20));
    CHECK(held.end().error().code == Code::conflict);
  }
  CHECK(shop.indexes().empty());  // half of one would refuse values too
  CHECK(shop.unbuilt() == Names{"things.by_size"});
  CHECK(shop.storage->migrate(catalog_of(unique())).error().code == Code::conflict);
  must(shop.insert(4, 20));
  shop.admin.ask("DELETE FROM bureau.things WHERE id>2");
  must(shop.storage->migrate(catalog_of(unique())));
  CHECK(shop.indexes() == "true size");
  CHECK(shop.unbuilt().empty());
  CHECK(shop.insert(3, 20).error().code == Code::exists);
}

TEST_CASE("A migration that was cut off in an index goes on with it") {
  BUREAU_NEED_POSTGRES(server);
  Shop shop(server);
  const Version before{&plain(), {}};
  const Version after{
      &make_table("things", {column("id", Type::id), column("length", Type::integer, true)},
                  {index("by_size", "length")}),
      {Migration(1, "sizes are lengths").rename_column("things", "size", "length")}};
  { const Program first(before, shop.storage); }
  Client old(shop.database.admin());
  old.ask("BEGIN ISOLATION LEVEL REPEATABLE READ");  // holds no table, only a moment
  old.ask("SELECT count(*) FROM pg_class");
  std::atomic<bool> ended{false};
  Result<MigrationPlan> made;
  std::thread thread([&, storage = shop.open()] {
    made = migrator_of(after, storage).up();
    ended = true;
  });
  while (shop.builder().empty() && !ended) std::this_thread::yield();
  Migrator migrator = migrator_of(after, shop.open());
  CHECK(must(migrator.unbuilt_indexes()) == Names{"things.by_size"});
  shop.admin.ask("SELECT pg_terminate_backend(" + shop.builder() + ")");
  thread.join();
  old.ask("COMMIT");
  CHECK(made.error().code == Code::unavailable);
  CHECK(state_of(migrator, 1) == MigrationState::expanding);
  CHECK(must(migrator.unbuilt_indexes()) == Names{"things.by_size"});
  must(migrator.up());
  CHECK(state_of(migrator, 1) == MigrationState::expanded);
  CHECK(must(migrator.unbuilt_indexes()).empty());
  CHECK(shop.indexes() == "true length");
}
