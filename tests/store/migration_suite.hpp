#pragma once

// Migrations of a host's entity in three versions, and of generated ones, on any storage: what the
// tests on memory, SQLite and PostgreSQL share.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "basics.hpp"
#include "bureau/core/clock.hpp"
#include "bureau/core/random.hpp"
#include "bureau/store/database.hpp"
#include "bureau/store/migration.hpp"
#include "bureau/store/stored_catalog.hpp"

namespace migration_suite {

using namespace bureau;

/// A storage that a test may open several times, as processes do; memory gives the same each time.
struct Place {
  std::function<std::shared_ptr<Storage>()> open;
};

/// One version of a program: the table `things`, and the migrations up to it.
struct Version {
  const TableInfo* table = nullptr;  ///< null: it has no such table
  std::vector<Migration> migrations;
};

/// A table that lives as long as the process.
inline const TableInfo& make_table(std::string_view name, std::vector<ColumnInfo> columns,
                                   std::vector<detail::IndexDef> indexes = {},
                                   journal::Mode mode = journal::full) {
  static std::deque<TableInfo> kept;
  TableInfo& table = kept.emplace_back();
  table.name = name;
  table.prefix = "thg";
  table.journal = mode;
  table.columns = std::move(columns);
  detail::finish_table(table, indexes);
  for (const ColumnInfo& column : table.columns) {
    table.defaults.push_back(column.nullable             ? OwnedValue()
                             : column.type == Type::text ? OwnedValue::text("")
                                                         : OwnedValue(Value::integer(0)));
  }
  return table;
}

inline ColumnInfo column(std::string_view name, Type type, bool nullable = false) {
  return detail::make_column(name, type, nullable, {});
}
inline ColumnInfo folded(std::string_view name) {
  detail::ColumnOptions options;
  options.folded = true;
  return detail::make_column(name, Type::text, false, options);
}

inline OwnedValue number(std::int64_t value) { return OwnedValue(Value::integer(value)); }
inline OwnedValue text(std::string_view value) { return OwnedValue::text(std::string(value)); }

/// A program of some version at work on an office.
class Program {
 public:
  Program(const Version& version, std::shared_ptr<Storage> storage,
          OnOpen on_open = OnOpen::expand) {
    table_ = version.table;
    opened_ = open(version, std::move(storage), on_open);
  }
  static Result<std::unique_ptr<Database>> try_open(const Version& version,
                                                    std::shared_ptr<Storage> storage,
                                                    OnOpen on_open = OnOpen::expand) {
    DatabaseOptions options;
    options.storage = std::move(storage);
    options.migrations = version.migrations;
    options.on_open = on_open;
    if (version.table != nullptr) must(options.catalog.add(*version.table));
    return Database::open(std::move(options));
  }

  [[nodiscard]] Database& database() { return *opened_; }

  Result<void> insert(std::int64_t id, std::map<std::string, OwnedValue> values) {
    std::vector<Value> row;
    for (const ColumnInfo& one : table_->columns) {
      const auto given = values.find(std::string(one.name));
      row.push_back(given != values.end() ? given->second.view()
                                          : table_->defaults[one.index].view());
    }
    row[0] = Value::integer(id);
    detail::Scratch scratch;
    detail::fill_folded(*table_, row, scratch);
    return write([&](Transaction& t) { return t.insert(*table_, row); });
  }
  Result<void> set(std::int64_t id, std::string_view name, const OwnedValue& value) {
    Update update{{table_, this_row(id)}, {}};
    const ColumnInfo& one = *table_->find(name);
    update.set = {{&one, value.view()}};
    OwnedValue companion;
    if (one.folded) {
      companion = OwnedValue::text(fold_case(value.view().as_text()));
      update.set.push_back({&table_->columns[one.folded_index], companion.view()});
    }
    return write([&](Transaction& t) -> Result<void> {
      BUREAU_TRY(const auto changed, t.update(update));
      return changed == 1 ? Result<void>() : fail(Code::not_found, "no such row");
    });
  }
  Result<void> remove(std::int64_t id) {
    return write([&](Transaction& t) -> Result<void> {
      BUREAU_TRY_VOID(t.remove({table_, this_row(id)}));
      return {};
    });
  }

  using Row = std::map<std::string, OwnedValue>;
  using Rows = std::map<std::int64_t, Row>;
  /// What it sees, by id and name of column, but for companions.
  Rows rows() {
    Rows all;
    must(database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      all.clear();
      return reader.scan({table_, {}, {}, {}, {}, false},
                         [&](std::span<const Value> row) -> Result<bool> {
                           Row& one = all[row[0].as_integer()];
                           for (const ColumnInfo& c : table_->columns) {
                             if (c.index != 0 && !c.hidden) {
                               one[std::string(c.name)] = OwnedValue(row[c.index]);
                             }
                           }
                           return true;
                         });
    }));
    return all;
  }
  Row row(std::int64_t id) { return rows().at(id); }

 private:
  static std::unique_ptr<Database> open(const Version& version, std::shared_ptr<Storage> storage,
                                        OnOpen on_open) {
    return must(try_open(version, std::move(storage), on_open));
  }
  [[nodiscard]] Predicate this_row(std::int64_t id) const {
    return detail::compare_column(table_->columns[0], Predicate::Op::equal, {number(id)});
  }
  Result<void> write(FunctionRef<Result<void>(Transaction&)> closure) {
    return database().write({}, {}, closure);
  }
  const TableInfo* table_;
  std::unique_ptr<Database> opened_;
};

inline Migrator migrator_of(const Version& version, std::shared_ptr<Storage> storage) {
  Catalog catalog;
  if (version.table != nullptr) must(catalog.add(*version.table));
  return must(Migrator::make(std::move(storage), std::move(catalog), version.migrations));
}

inline MigrateOptions losing() {
  MigrateOptions options;
  options.may_lose = true;
  options.by = "a test";
  return options;
}

inline MigrationState state_of(Migrator& migrator, std::int64_t number) {
  for (const MigrationStatus& one : must(migrator.status())) {
    if (one.number == number) return one.state;
  }
  FAIL("no such migration");
  return MigrationState::pending;
}

// The three versions of `things` -----------------------------------------------------------------

inline Migration first_migration() { return Migration(1, "things").add_table("things"); }

inline Result<void> fill_label(FillRow& row) {
  row.set("label", Value::text(row.get("title").as_text().substr(0, 3)));
  return {};
}

inline Migration second_migration(FillFunction fill = fill_label) {
  Migration made(2, "titles, sites, no notes");
  made.rename_column("things", "name", "title")
      .rename_column("things", "size", "length")
      .add_column("things", "site", "hall")
      .add_column("things", "label")
      .drop_column("things", "note", "none")
      .drop_column("things", "mood")
      .require("things", "rank", 5)
      .fill("things", "label is null", "labels of titles", std::move(fill));
  return made;
}

inline const Version& version_1() {
  static const Version made{
      &make_table("things",
                  {column("id", Type::id), folded("name"), column("size", Type::integer, true),
                   column("note", Type::text), column("mood", Type::integer, true),
                   column("rank", Type::integer, true)},
                  {unique_index("name", "name_folded"), index("size", "size"),
                   index("mood", "mood").where("mood is not null")}),
      {first_migration()}};
  return made;
}
inline const Version& version_2() {
  static const Version made{
      &make_table("things",
                  {column("id", Type::id), column("site", Type::text), folded("title"),
                   column("rank", Type::integer), column("length", Type::integer, true),
                   column("label", Type::text, true), column("extra", Type::integer)},
                  {unique_index("title", "title_folded"), index("size", "length")}),
      {first_migration(), second_migration()}};
  return made;
}
/// The table is gone again.
inline const Version& version_3() {
  static const Version made{
      nullptr,
      {first_migration(), second_migration(), Migration(3, "no things").drop_table("things")}};
  return made;
}

inline void three_things(Program& program) {
  must(program.insert(1, {{"name", text("Anna")},
                          {"size", number(10)},
                          {"note", text("n1")},
                          {"mood", number(1)},
                          {"rank", number(1)}}));
  must(program.insert(2, {{"name", text("Bert")}, {"note", text("")}}));
  must(program.insert(3, {{"name", text("Cleo")}, {"size", number(30)}, {"note", text("n3")}}));
}

/// From an office of the first version to one of the third, back where there is a way back, with
/// rows, and with both versions at work (one after the other: in memory there is one at a time).
inline void walk(const Place& place) {
  const auto storage = place.open();
  Program::Rows before;
  {
    Program one(version_1(), storage);
    three_things(one);
    before = one.rows();
  }
  Migrator second = migrator_of(version_2(), storage);
  CHECK(state_of(second, 1) == MigrationState::finalized);
  CHECK(state_of(second, 2) == MigrationState::pending);
  CHECK(Program::try_open(version_2(), storage, OnOpen::refuse).error().code == Code::unavailable);
  CHECK_FALSE(must(second.plan_up()).loses());
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    must(second.up(losing()));
    CHECK(state_of(second, 2) == MigrationState::expanded);
    {
      Program two(version_2(), storage, OnOpen::refuse);
      const auto anna = two.row(1);
      CHECK(anna.at("title") == text("Anna"));
      CHECK(anna.at("length") == number(10));
      CHECK(anna.at("site") == text("hall"));
      CHECK(anna.at("label") == text("Ann"));
      CHECK(anna.at("extra") == number(0));
      CHECK(two.row(2).at("length") == OwnedValue());
      must(two.set(1, "title", text("Anton")));
      must(two.insert(4, {{"title", text("Dora")},
                          {"length", number(40)},
                          {"site", text("yard")},
                          {"rank", number(2)}}));
      CHECK(two.insert(5, {{"title", text("BERT")}, {"rank", number(2)}}).error().code ==
            Code::exists);
    }
    {
      // The version before works on, and finds what the new one wrote.
      Program one(version_1(), storage);
      CHECK(one.row(1).at("name") == text("Anton"));
      CHECK(one.row(1).at("note") == text("n1"));
      CHECK(one.row(4).at("name") == text("Dora"));
      CHECK(one.row(4).at("size") == number(40));
      CHECK(one.row(4).at("note") == text("none"));
      CHECK(one.row(4).at("mood") == OwnedValue());
      must(one.set(2, "size", number(22)));
      must(one.set(1, "name", text("Anna")));
      must(one.insert(5, {{"name", text("Emil")}, {"note", text("n5")}}));
      CHECK(one.insert(6, {{"name", text("DORA")}}).error().code == Code::exists);
    }
    Program two(version_2(), storage, OnOpen::refuse);
    CHECK(two.row(2).at("length") == number(22));
    CHECK(two.row(1).at("title") == text("Anna"));
    CHECK(two.row(5).at("title") == text("Emil"));
    CHECK(two.row(5).at("site") == text("hall"));
    must(two.remove(4));
    must(two.remove(5));
    must(two.set(2, "length", OwnedValue()));
    if (round == 1) break;
    CHECK(second.down(losing()).error().code == Code::busy);  // `two` is alive
    CHECK(state_of(second, 2) == MigrationState::expanded);
    { Program gone = std::move(two); }
    const auto refused = second.down();
    CHECK(refused.error().code == Code::conflict);
    CHECK(refused.error().message.find("things.site of 3 rows") != std::string::npos);
    must(second.down(losing()));
    CHECK(state_of(second, 2) == MigrationState::pending);
    Program one(version_1(), storage);
    CHECK(one.rows() == before);
  }
  // For good.
  {
    Program one(version_1(), storage);
    must(one.insert(7, {{"name", text("Gina")}, {"note", text("late")}}));
    CHECK(second.finalize(losing()).error().code == Code::busy);
    CHECK(second.finalize(losing()).error().field == "node");
    CHECK(state_of(second, 2) == MigrationState::expanded);
    must(one.set(7, "size", number(70)));
  }
  CHECK(second.finalize().error().code == Code::conflict);
  must(second.finalize(losing()));
  CHECK(state_of(second, 2) == MigrationState::finalized);
  CHECK(Program::try_open(version_1(), storage).error().code == Code::upgraded);
  CHECK(second.down(losing()).error().code == Code::conflict);
  {
    Program two(version_2(), storage);
    CHECK(two.row(7).at("label") == text("Gin"));
    CHECK(two.row(7).at("length") == number(70));
    CHECK(two.row(7).at("rank") == number(5));
    CHECK(two.row(1).at("rank") == number(1));
    CHECK(two.rows().size() == 4);
    must(two.insert(8, {{"title", text("Hans")}, {"rank", number(2)}}));
    CHECK(two.insert(9, {{"title", text("hans")}, {"rank", number(2)}}).error().code ==
          Code::exists);
  }
  for (const StoredTable& one : must(storage->stored_tables())) {
    if (one.name != "things") continue;
    for (const char* gone :
         {"\"name\":\"name\"", "\"size\",\"nullable\"", "\"note\"", "\"mood\""}) {
      CAPTURE(gone);
      CHECK(one.definition.find("columns")->dump().find(gone) == std::string::npos);
    }
  }
  Migrator third = migrator_of(version_3(), storage);
  must(third.up());
  must(third.down());
  { CHECK(Program(version_2(), storage).rows().size() == 5); }
  must(third.up());
  CHECK(third.finalize().error().message.find("table things with 5 rows") != std::string::npos);
  must(third.finalize(losing()));
  for (const StoredTable& one : must(storage->stored_tables())) CHECK(one.name != "things");
}

/// What a list, a record or an office that does not fit is told.
inline void refusals(const Place& place) {
  const auto storage = place.open();
  CHECK(migrator_of(version_1(), storage).up().error().code == Code::not_found);
  { Program one(version_1(), storage); }
  Version changed = version_1();
  changed.migrations = {Migration(1, "Things").add_table("things")};
  auto opened = Program::try_open(changed, storage);
  CHECK(opened.error().code == Code::conflict);
  CHECK(opened.error().message.find("was changed after it was applied") != std::string::npos);
  CHECK(must(migrator_of(changed, storage).status())[0].changed);
  CHECK(migrator_of(changed, storage).up().error().code == Code::conflict);
  must(migrator_of(version_2(), storage).up());
  Version between = version_2();
  between.migrations = {first_migration(), second_migration()};
  between.migrations.insert(between.migrations.begin(), Migration(0, "zero"));
  Catalog catalog;
  must(catalog.add(*version_2().table));
  CHECK(Migrator::make(storage, catalog, between.migrations).error().code == Code::invalid);
  between.migrations = {second_migration()};
  CHECK(Migrator::make(storage, catalog, between.migrations)
            .value()
            .up()
            .error()
            .message.find("does not have it") != std::string::npos);
  // A newer one's is not taken back by an older program.
  CHECK(migrator_of(version_1(), storage).down(losing()).error().code == Code::upgraded);
  // Lists that do not come to what the catalog describes.
  const auto refused = [&](const Version& version, Migration last, std::string_view says) {
    Catalog described;
    must(described.add(*version.table));
    auto list = version_1().migrations;
    list.push_back(std::move(last));
    const auto made = Migrator::make(storage, described, list);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::invalid);
    CHECK(made.error().field == "migrations");
    CHECK_MESSAGE(made.error().message.find(says) != std::string::npos, made.error().message);
  };
  refused(version_1(), Migration(2, "x").drop_column("things", "note"), "still describes it");
  refused(version_1(), Migration(2, "x").add_column("things", "nope"), "does not describe it");
  refused(version_1(), Migration(2, "x").drop_table("things"), "still describes it");
  refused(version_1(), Migration(2, "").drop_table("other"), "name is a text");
  refused(version_1(), Migration(2, "x").require("things", "rank", 1), "says that it may");
  refused(version_1(), Migration(2, "x").require("things", "rank", {}), "need a value");
  refused(version_1(), Migration(2, "x").drop_table("bureau_nodes"), "no name of a table");
  refused(version_1(), Migration(2, "x").fill("things", "id > 0", "", nullptr), "needs a label");
  refused(version_2(),
          Migration(2, "x").rename_column("things", "name", "title").drop_column("things", "title"),
          "in two of its operations");
}

/// Many things, written at once.
inline void many_things(const std::shared_ptr<Storage>& storage, std::int64_t rows) {
  Program one(version_1(), storage);
  must(one.database().write({}, {}, [&](Transaction& t) -> Result<void> {
    for (std::int64_t id = 1; id <= rows; ++id) {
      const std::string name = "n" + std::to_string(id);
      const Value row[] = {Value::integer(id), Value::text(name), Value::integer(id),
                           Value::text(""),    Value(),           Value(),
                           Value::text(name)};
      BUREAU_TRY_VOID(t.insert(*version_1().table, row));
    }
    return {};
  }));
}

/// That every row has what the migration was to give it.
inline void check_many(Program& two, std::int64_t rows) {
  const auto all = two.rows();
  REQUIRE(static_cast<std::int64_t>(all.size()) == rows);
  for (const auto& [id, row] : all) {
    CHECK(row.at("title") == text("n" + std::to_string(id)));
    CHECK(row.at("length") == number(id));
    CHECK(row.at("label") == text(("n" + std::to_string(id)).substr(0, 3)));
  }
}

/// A fill of many rows in several writes; one that is interrupted, and goes on.
inline void long_fill(const Place& place) {
  const auto storage = place.open();
  constexpr std::int64_t rows = 1234;
  many_things(storage, rows);
  Migrator second = migrator_of(version_2(), storage);
  int calls = 0;
  MigrateOptions options;
  options.progress = [&](const Progress&) { return ++calls % 3 != 0; };
  int interrupted = 0;
  Result<MigrationPlan> done = second.up(options);
  while (!done && done.error().code == Code::cancelled) {
    ++interrupted;
    CHECK(state_of(second, 2) == MigrationState::expanding);
    done = second.up(options);
  }
  must(std::move(done));
  CHECK(interrupted > 1);
  Program two(version_2(), storage);
  check_many(two, rows);
}

/// A process is killed in the middle of a fill's write, again and again; each next one goes on.
inline void killed(const Place& place) {
  constexpr std::int64_t rows = 1234;
  many_things(place.open(), rows);
  for (const int at : {1, 300, 501, 600}) {
    CAPTURE(at);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int calls = 0;
      Version dying = version_2();
      dying.migrations = {first_migration(), second_migration([&](FillRow& row) {
                            if (++calls == at) ::raise(SIGKILL);
                            return fill_label(row);
                          })};
      static_cast<void>(migrator_of(dying, place.open()).up());
      ::_exit(0);  // not reached: there are more rows left than that
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    Migrator second = migrator_of(version_2(), place.open());
    CHECK(state_of(second, 2) == MigrationState::expanding);
    // The version before works on, whatever is half there.
    Program one(version_1(), place.open(), OnOpen::refuse);
    CHECK(static_cast<std::int64_t>(one.rows().size()) == rows);
    must(one.set(1, "size", number(1)));
  }
  Program two(version_2(), place.open());
  check_many(two, rows);
}

}  // namespace migration_suite
