// Recovery of an office whose tables were migrated after the backup: to what was before.

#include "bureau/store/backup.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "store/migration_suite.hpp"
#include "store/small_office.hpp"

using namespace migration_suite;
using small_office::check_refused;

namespace {

std::shared_ptr<Storage> open_file(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  options.durability = Durability::relaxed;
  return must(open_sqlite(std::move(options)));
}

std::int64_t head(Program& program) {
  std::int64_t out = 0;
  must(program.database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(out, program.database().journal_head(reader));
    return {};
  }));
  return out;
}

/// What a program of a version sees after each change.
struct Seen {
  const Version* version;
  std::int64_t sequence;
  Program::Rows rows;
};

/// An office and what was seen of it.
struct Past {
  explicit Past(const std::string& file) : storage(open_file(file)) {}
  void note(const Version& version, Program& program) {
    seen.push_back({&version, head(program), program.rows()});
  }
  void begin() {
    Program one(version_1(), storage);
    three_things(one);
    note(version_1(), one);
  }
  /// A few changes by a program of the first version, whose rows have ids from that on.
  void work_first(std::int64_t id) {
    Program one(version_1(), storage);
    must(one.insert(id, {{"name", text("Name " + std::to_string(id))}, {"note", text("n")}}));
    note(version_1(), one);
    must(one.set(id, "size", number(id)));
    must(one.set(1, "mood", number(id)));
    note(version_1(), one);
    must(one.insert(id + 1, {{"name", text("Gone " + std::to_string(id))}}));
    must(one.remove(id + 1));
    note(version_1(), one);
  }
  void work_second(std::int64_t id) {
    Program two(version_2(), storage, OnOpen::refuse);
    must(two.insert(id, {{"title", text("Title " + std::to_string(id))}, {"rank", number(1)}}));
    note(version_2(), two);
    must(two.set(1, "site", text("yard " + std::to_string(id))));
    note(version_2(), two);
  }
  /// The other version's view of what was made last.
  void look_as(const Version& version) {
    Program other(version, storage, OnOpen::refuse);
    note(version, other);
  }
  [[nodiscard]] std::int64_t newest() const { return seen.back().sequence; }

  std::shared_ptr<Storage> storage;
  std::vector<Seen> seen;
};

struct Restored {
  Result<RestoreReport> to(std::optional<std::int64_t> sequence) {
    RestoreOptions options;
    options.history = past.storage.get();
    options.to_sequence = sequence;
    options.replace = true;
    return restore_backup(folder.file(backup), folder.file("new.db"), options);
  }
  /// Every state that was seen after the one change, up to the other.
  int check_all(std::int64_t after, std::int64_t through) {
    int checked = 0;
    for (const Seen& one : past.seen) {
      if (one.sequence < after || one.sequence > through) continue;
      CAPTURE(one.sequence);
      must(to(one.sequence));
      Program program(*one.version, open_file(folder.file("new.db")), OnOpen::refuse);
      CHECK(program.rows() == one.rows);
      CHECK(head(program) == one.sequence);
      ++checked;
    }
    return checked;
  }
  const Folder& folder;
  std::string backup;
  Past& past;
};

}  // namespace

TEST_CASE("G13_what was before a migration comes back, though it was made since") {
  const Folder folder;
  Past past(folder.file());
  past.begin();
  must(past.storage->back_up(folder.file("first.db"), {}));
  const std::int64_t first = past.newest();
  past.work_first(10);
  const std::int64_t begun = past.newest();
  Migrator second = migrator_of(version_2(), past.storage);
  must(second.up(losing()));
  past.work_second(20);
  must(past.storage->back_up(folder.file("between.db"), {}));
  const std::int64_t between = past.newest();
  past.work_first(30);
  past.look_as(version_2());
  past.work_second(40);
  past.look_as(version_1());
  const std::int64_t ended = past.newest();
  must(second.finalize(losing()));
  past.work_second(50);

  Restored from_first{folder, "first.db", past}, from_between{folder, "between.db", past};
  CHECK(from_first.check_all(first, begun) == 4);
  CHECK(from_between.check_all(between, ended) == 8);
  const auto said = [](std::int64_t change) {
    return "migration 2 (titles, sites, no notes) began in it after change " +
           std::to_string(change);
  };
  for (const std::optional<std::int64_t> beyond :
       {std::optional(begun + 1), std::optional(past.newest()), std::optional<std::int64_t>()}) {
    check_refused(from_first.to(beyond), Code::conflict, "history", said(begun));
  }
  check_refused(from_between.to(ended + 1), Code::conflict, "history", said(ended));
  check_refused(from_between.to({}), Code::conflict, "history", said(ended));

  SUBCASE("nor is what a third did, which ended with the table") {
    must(migrator_of(version_3(), past.storage).up(losing()));
    must(migrator_of(version_3(), past.storage).finalize(losing()));
    CHECK(from_first.check_all(first, begun) == 4);
    CHECK(from_between.check_all(between, ended) == 8);
  }
  SUBCASE("what is recovered is migrated again") {
    must(from_first.to(begun));
    const auto storage = open_file(folder.file("new.db"));
    must(migrator_of(version_2(), storage).up(losing()));
    must(migrator_of(version_2(), storage).finalize(losing()));
    Program two(version_2(), storage, OnOpen::refuse);
    CHECK(two.row(10).at("title") == text("Name 10"));
    CHECK(two.row(10).at("label") == text("Nam"));
  }
}

TEST_CASE("A recovery to before a migration leaves nothing out without a word") {
  const Folder folder;
  Past past(folder.file());
  {
    Program one(version_1(), past.storage);
    three_things(one);
  }
  must(past.storage->back_up(folder.file("first.db"), {}));
  // A column that comes by itself, and has values before the migration begins.
  std::vector<ColumnInfo> columns = version_1().table->columns;
  std::erase_if(columns, [](const ColumnInfo& one) { return one.hidden; });
  columns.push_back(column("colour", Type::text, true));
  const Version coloured{&make_table("things", columns), version_1().migrations};
  {
    Program one(coloured, past.storage);
    past.note(coloured, one);
    must(one.set(1, "colour", text("red")));
    past.note(coloured, one);
  }
  columns.push_back(column("shade", Type::text, true));
  const Version shaded{&make_table("things", columns),
                       {first_migration(), Migration(2, "shades").add_column("things", "shade")}};
  must(migrator_of(shaded, past.storage).up());
  Restored restored{folder, "first.db", past};
  must(restored.to(past.seen.front().sequence));
  check_refused(restored.to(past.newest()), Code::conflict, "history",
                "is of a form of things that came after the backup");
}

namespace {

/// A version whose table has these columns behind its id.
Version version_of(std::vector<ColumnInfo> columns, std::vector<Migration> migrations) {
  columns.insert(columns.begin(), column("id", Type::id));
  return {&make_table("things", std::move(columns)), std::move(migrations)};
}

void finalize(const Version& version, const std::shared_ptr<Storage>& storage) {
  must(migrator_of(version, storage).up(losing()));
  must(migrator_of(version, storage).finalize(losing()));
}

}  // namespace

TEST_CASE(
    "What a migration gave columns when both versions worked is given to none that came after") {
  const Folder folder;
  Past past(folder.file());
  const Version one = version_of({column("n", Type::integer)}, {first_migration()});
  const Version two =
      version_of({column("n", Type::integer), column("site", Type::text, true)},
                 {first_migration(), Migration(2, "sites").add_column("things", "site", "hall")});
  { Program program(one, past.storage); }
  finalize(two, past.storage);
  const auto migrations = [&](Migration third) {
    std::vector<Migration> all = two.migrations;
    all.push_back(std::move(third));
    return all;
  };
  Version three;
  std::map<std::string, OwnedValue> given;
  SUBCASE("renamed") {
    three = version_of({column("n", Type::integer), column("place", Type::text, true)},
                       migrations(Migration(3, "places").rename_column("things", "site", "place")));
    must(migrator_of(three, past.storage).up(losing()));
    given["place"] = OwnedValue();
  }
  SUBCASE("dropped") {
    three = version_of({column("n", Type::integer)},
                       migrations(Migration(3, "no sites").drop_column("things", "site")));
    must(migrator_of(three, past.storage).up(losing()));
  }
  SUBCASE("dropped, and added again with another type") {
    three = version_of({column("n", Type::integer)},
                       migrations(Migration(3, "no sites").drop_column("things", "site")));
    finalize(three, past.storage);
    std::vector<Migration> all = three.migrations;
    all.push_back(Migration(4, "numbers").add_column("things", "site", 3));
    three = version_of({column("n", Type::integer), column("site", Type::integer)}, std::move(all));
    finalize(three, past.storage);
    given["site"] = number(4);
  }
  must(past.storage->back_up(folder.file("backup.db"), {}));
  {
    Program program(three, past.storage, OnOpen::refuse);
    must(program.insert(1, given));
    past.note(three, program);
  }
  Migrator last = migrator_of(three, past.storage);
  const auto newest = static_cast<std::int64_t>(three.migrations.size());
  if (state_of(last, newest) == MigrationState::expanded) past.look_as(two);
  Restored restored{folder, "backup.db", past};
  CHECK(restored.check_all(0, past.newest()) == static_cast<int>(past.seen.size()));
}

TEST_CASE("A null that was not allowed when the backup was made is not taken for nothing") {
  const Folder folder;
  Past past(folder.file());
  const Version strict = version_of({column("n", Type::integer)}, {first_migration()});
  const Version allowing = version_of({column("n", Type::integer, true)}, strict.migrations);
  {
    Program program(strict, past.storage);
    must(program.insert(1, {{"n", number(1)}}));
  }
  must(past.storage->back_up(folder.file("backup.db"), {}));
  {
    Program program(allowing, past.storage);
    must(program.set(1, "n", number(2)));
    past.note(allowing, program);
    must(program.set(1, "n", OwnedValue()));
    past.note(allowing, program);
  }
  const Version later =
      version_of({column("n", Type::integer, true), column("site", Type::text)},
                 {first_migration(), Migration(2, "sites").add_column("things", "site", "hall")});
  must(migrator_of(later, past.storage).up(losing()));
  Restored restored{folder, "backup.db", past};
  must(restored.to(past.seen.front().sequence));
  check_refused(restored.to(past.newest()), Code::conflict, "history", "things.n is null");
}

TEST_CASE("What a migration did that was taken back is not gone across") {
  const Folder folder;
  Past past(folder.file());
  const Version one = version_of({column("n", Type::integer), column("label", Type::text, true)},
                                 {first_migration()});
  const auto fill = [](FillRow& row) -> Result<void> {
    row.set("label", Value::text("filled"));
    return {};
  };
  const Version two = version_of(
      {column("n", Type::integer), column("label", Type::text, true)},
      {first_migration(), Migration(2, "labels").fill("things", "label is null", "labels", fill)});
  const auto work = [&](std::int64_t id) {
    Program program(one, past.storage);
    must(program.insert(id, {{"n", number(id)}}));
    past.note(one, program);
  };
  work(1);
  must(past.storage->back_up(folder.file("first.db"), {}));
  work(2);
  const std::int64_t begun = past.newest();
  must(migrator_of(two, past.storage).up(losing()));
  must(past.storage->back_up(folder.file("between.db"), {}));
  must(migrator_of(two, past.storage).down(losing()));
  must(past.storage->back_up(folder.file("after.db"), {}));
  work(3);
  Restored first{folder, "first.db", past}, between{folder, "between.db", past};
  Restored after{folder, "after.db", past};
  const auto check = [&](std::int64_t last) {
    CHECK(first.check_all(0, begun) == 2);
    check_refused(first.to(begun + 1), Code::conflict, "history", "migration 2 (labels) began");
    check_refused(between.to(begun + 1), Code::conflict, "history", "migration 2 (labels) is not");
    CHECK(after.check_all(begun + 1, last) == last - begun);
  };
  SUBCASE("once") { check(past.newest()); }
  SUBCASE("and applied again") {
    must(migrator_of(two, past.storage).up(losing()));
    check(past.newest());
    SUBCASE("for good") {
      must(migrator_of(two, past.storage).finalize(losing()));
      check(past.newest());
    }
  }
}

TEST_CASE("A migration of which nobody noted when it began is not gone behind") {
  const Folder folder;
  Past past(folder.file());
  past.begin();
  must(past.storage->back_up(folder.file("first.db"), {}));
  must(migrator_of(version_2(), past.storage).up(losing()));
  must(past.storage->back_up(folder.file("second.db"), {}));
  // Taken back: it is not recorded any more.
  must(migrator_of(version_2(), past.storage).down(losing()));
  Restored restored{folder, "second.db", past};
  check_refused(restored.to(past.newest()), Code::conflict, "history",
                "migration 2 (titles, sites, no notes) is not where it was");
}
