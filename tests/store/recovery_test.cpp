// Recovery to any change or moment, from a backup and the journal of what came after.

#include <rapidcheck.h>

#include "bureau/store/backup.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/store/retention.hpp"
#include "bureau/store/verify.hpp"
#include "store/small_office.hpp"
#include "store/sqlite_fixture.hpp"

using namespace bureau;
using small_office::check_refused;
using small_office::Glance;
using small_office::Office;
using small_office::Parcel;
using small_office::rows_of;
using small_office::Stamp;
using small_office::Texts;

namespace {

/// What memory storage, given the same history, has after a write.
struct State {
  std::int64_t sequence = 0;
  Timestamp at;
  Texts parcels, stamps;
};

State state_of(Office& office) {
  return {office.head(), office.clock.now(), rows_of(office.storage(), table_of<Parcel>()),
          rows_of(office.storage(), table_of<Stamp>())};
}

void check_is(Storage& storage, const State& state) {
  RC_ASSERT(rows_of(storage, table_of<Parcel>()) == state.parcels);
  RC_ASSERT(rows_of(storage, table_of<Stamp>()) == state.stamps);
}

std::shared_ptr<Storage> open_file(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  options.durability = Durability::relaxed;
  return must(open_sqlite(options));
}

/// An office and its model, with the state after each write.
struct Twins {
  Twins(const std::string& path, std::uint64_t seed)
      : office(open_file(path), seed), model(make_memory_storage(), seed) {
    office.counts_ids = model.counts_ids = true;
    states.push_back(state_of(model));
  }
  void go_on(int writes) {
    for (int i = 0; i < writes; ++i) {
      office.make_history(1);
      model.make_history(1);
      states.push_back(state_of(model));
      RC_ASSERT(office.head() == states.back().sequence);
    }
  }
  Office office, model;
  std::vector<State> states;
};

RestoreOptions to_sequence(Storage& history, std::int64_t sequence) {
  RestoreOptions options;
  options.history = &history;
  options.to_sequence = sequence;
  return options;
}

}  // namespace

TEST_CASE("G13_from a backup at any point, every later state comes back as memory storage has it") {
  CHECK(rc::check("recovery", [] {
    const Folder folder;
    Twins twins(folder.file(), *rc::gen::arbitrary<std::uint64_t>());
    twins.go_on(*rc::gen::inRange(0, 10));
    must(twins.office.storage().back_up(folder.file("base.db"), {.share = 1}));
    const std::size_t base = twins.states.size() - 1;
    const Texts glances = rows_of(twins.office.storage(), table_of<Glance>());
    twins.go_on(*rc::gen::inRange(1, 12));
    std::int64_t last = -1;
    for (std::size_t i = base; i < twins.states.size(); ++i) {
      const State& state = twins.states[i];
      // A write that changed nothing is the same state; one without a journal is not in it.
      if (state.sequence == last) continue;
      last = state.sequence;
      const std::string path = folder.file("at-" + std::to_string(i) + ".db");
      const auto report = must(restore_backup(folder.file("base.db"), path,
                                              to_sequence(twins.office.storage(), state.sequence)));
      RC_ASSERT(report.sequence == state.sequence);
      const auto storage = open_file(path);
      check_is(*storage, state);
      RC_ASSERT(rows_of(*storage, table_of<Glance>()) == glances);
      RC_ASSERT(must(digest_office(*storage)).sequence == state.sequence);
      // And to the moment of that write.
      const std::string other = folder.file("moment-" + std::to_string(i) + ".db");
      RestoreOptions options;
      options.history = &twins.office.storage();
      options.to_moment = state.at;
      RC_ASSERT(must(restore_backup(folder.file("base.db"), other, options)).sequence ==
                state.sequence);
    }
  }));
}

TEST_CASE("a later backup is a history too, and a recovered office goes on") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(10);
  must(office.storage().back_up(folder.file("base.db"), {}));
  office.make_history(10);
  must(office.storage().back_up(folder.file("later.db"), {}));
  const auto history = must(open_backup(folder.file("later.db")));
  RestoreOptions options;
  options.history = history.get();
  const auto report = must(restore_backup(folder.file("base.db"), folder.file("new.db"), options));
  CHECK(report.sequence == office.head());
  CHECK(report.replayed == office.head() - report.backup.sequence);

  const auto storage = open_file(folder.file("new.db"));
  CHECK(rows_of(*storage, table_of<Parcel>()) == rows_of(office.storage(), table_of<Parcel>()));
  Office recovered(storage, 77);
  recovered.make_history(5);
  CHECK(recovered.head() > report.sequence);
  // Its journal is whole: a second recovery starts from the same backup and goes beyond.
  options.history = storage.get();
  CHECK(must(restore_backup(folder.file("base.db"), folder.file("third.db"), options)).sequence ==
        recovered.head());
}

TEST_CASE("G13_secret values and what has no journal are as the backup has them") {
  const Folder folder;
  Office office(open_file(folder.file()));
  Parcel parcel;
  parcel.id = Id<Parcel>(5);
  parcel.code = "first";
  parcel.sender = "Ann";
  must(office.write([&](Transaction& t) { return Office::insert(t, parcel); }));
  must(office.storage().back_up(folder.file("base.db"), {}));
  parcel.id = Id<Parcel>(6);
  parcel.sender = "Bob";
  must(office.write([&](Transaction& t) -> Result<void> {
    const TableInfo& table = table_of<Parcel>();
    Update update{{&table, {}}, {}};
    update.set = {{table.find("code"), Value::text("second")},
                  {table.find("label"), Value::text("Other")},
                  {table.find("label_folded"), Value::text("other")}};
    BUREAU_TRY_VOID(t.update(update));
    return Office::insert(t, parcel);
  }));
  RestoreOptions options;
  options.history = &office.storage();
  SUBCASE("nobody was erased") {
    const auto report =
        must(restore_backup(folder.file("base.db"), folder.file("new.db"), options));
    CHECK(report.erased_since == 0);
    const auto rows = rows_of(*open_file(folder.file("new.db")), table_of<Parcel>(), false);
    CHECK(rows.at(5).find("code=first;") != std::string::npos);
    CHECK(rows.at(5).find("label=Other;") != std::string::npos);
    CHECK(rows.at(6).find("code=;") != std::string::npos);
    CHECK(rows.at(6).find("sender=Bob;") != std::string::npos);
  }
  SUBCASE("both were erased since") {
    must(office.database().erase_personal_history(5));
    must(office.database().erase_personal_history(6));
    const auto report =
        must(restore_backup(folder.file("base.db"), folder.file("new.db"), options));
    CHECK(report.erased_since == 1);  // of those that the backup knows
    const auto rows = rows_of(*open_file(folder.file("new.db")), table_of<Parcel>(), false);
    CHECK(rows.at(6).find("sender=;") != std::string::npos);
  }
}

TEST_CASE("a recovery that cannot be is refused, and says what could") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.add_parcels(3);
  office.add_parcels(2);
  must(office.storage().back_up(folder.file("base.db"), {}));
  const Timestamp moment = office.clock.now();
  office.add_parcels(4);
  office.add_parcels(2);
  const auto restore = [&](const RestoreOptions& options) {
    return restore_backup(folder.file("base.db"), folder.file("new.db"), options);
  };
  Storage& history = office.storage();
  check_refused(restore(to_sequence(history, 4)), Code::invalid, "sequence", "earlier backup");
  check_refused(restore(to_sequence(history, 7)), Code::invalid, "sequence",
                "5 is the end of the one before");
  check_refused(restore(to_sequence(history, 10)), Code::invalid, "sequence",
                "9 is the end of the one before");
  check_refused(restore(to_sequence(history, 12)), Code::invalid, "sequence", "ends with 11");
  RestoreOptions options;
  options.to_sequence = 9;
  check_refused(restore(options), Code::invalid, "history", "takes a journal");
  options.history = &history;
  options.to_moment = moment;
  check_refused(restore(options), Code::invalid, "moment", "either");
  options.to_sequence.reset();
  options.to_moment = moment - std::chrono::microseconds(1);
  check_refused(restore(options), Code::invalid, "moment", "earlier backup");

  Office stranger(open_file(folder.file("other.db")), 4);
  stranger.add_parcels(20);
  check_refused(restore(to_sequence(stranger.storage(), 9)), Code::conflict, "history",
                "another office's");
  // One that went another way after the backup before.
  must(restore_backup(folder.file("base.db"), folder.file("branch.db"), {}));
  Office branch(open_file(folder.file("branch.db")), 9);
  branch.clock.advance(std::chrono::hours(1));
  branch.add_parcels(4);
  must(office.storage().back_up(folder.file("late.db"), {}));
  branch.add_parcels(4);
  RestoreOptions wrong = to_sequence(branch.storage(), 13);
  check_refused(restore_backup(folder.file("late.db"), folder.file("new.db"), wrong),
                Code::conflict, "history", "gone different ways");

  must(office.database().trim_journal(9));
  check_refused(restore(to_sequence(history, 11)), Code::gone, "history", "oldest change");
  CHECK_FALSE(open_backup(folder.file("new.db")));
}

TEST_CASE("the journal is trimmed by age: what was made at the moment stays") {
  const Folder folder;
  Office office(open_file(folder.file()));
  CHECK(must(trim_journal_before(office.database(), office.clock.now())) == 0);
  office.add_parcels(3);
  office.add_parcels(2);
  const Timestamp moment = office.clock.now();
  office.add_parcels(4);
  const auto tail = [&] {
    std::int64_t out = 0;
    must(office.database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(out, office.database().journal_tail(reader));
      return {};
    }));
    return out;
  };
  CHECK(must(trim_journal_before(office.database(), moment)) == 1);
  CHECK(tail() == 4);
  CHECK(must(trim_journal_before(office.database(), moment + std::chrono::microseconds(1))) == 1);
  CHECK(tail() == 6);
  // The newest holds the place of the numbers.
  CHECK(must(trim_journal_before(office.database(), moment + std::chrono::hours(1))) == 0);
  CHECK(tail() == 6);
}
