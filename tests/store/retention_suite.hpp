#pragma once

// The journal's retention on any storage: what goes, what is kept for whom, who does it.

#include <algorithm>
#include <string>
#include <vector>

#include "basics.hpp"
#include "bureau/core/clock.hpp"
#include "bureau/core/random.hpp"
#include "bureau/store/database.hpp"
#include "bureau/store/retention.hpp"
#include "bureau/store/schema.hpp"

namespace retention_suite {

using namespace bureau;
using namespace std::chrono_literals;

constexpr auto day = std::chrono::hours(24);

struct Owner;
struct Letter {
  Id<Letter> id;
  std::string text;
};
struct Parcel {
  Id<Parcel> id;
  std::string text;
};
/// How far somebody has read.
struct Bookmark {
  Id<Bookmark> id;
  Id<Owner> tenant;
  std::int64_t position = 0;
  std::int64_t turned = 0;
};

}  // namespace retention_suite

template <>
inline constexpr auto bureau::schema<retention_suite::Letter> =
    bureau::table("kept_letters", "klt", bureau::journal::after,
                  bureau::column("id", &retention_suite::Letter::id),
                  bureau::column("text", &retention_suite::Letter::text));
template <>
inline constexpr auto bureau::schema<retention_suite::Parcel> =
    bureau::table("kept_parcels", "kpc", bureau::journal::after,
                  bureau::column("id", &retention_suite::Parcel::id),
                  bureau::column("text", &retention_suite::Parcel::text));
template <>
inline constexpr auto bureau::schema<retention_suite::Bookmark> =
    bureau::table("kept_bookmarks", "kbm", bureau::journal::none,
                  bureau::column("id", &retention_suite::Bookmark::id),
                  bureau::column("tenant", &retention_suite::Bookmark::tenant),
                  bureau::column("position", &retention_suite::Bookmark::position),
                  bureau::column("turned", &retention_suite::Bookmark::turned));

namespace retention_suite {

/// One program's view of an office; several may have one storage and one clock.
struct Office {
  Office(std::shared_ptr<Storage> in, ManualClock& time, std::uint64_t seed = 3)
      : clock(time), random(seed), storage(std::move(in)) {
    DatabaseOptions options;
    options.storage = storage;
    options.clock = &clock;
    options.random = &random;
    options.log = [this](const LogRecord& record) {
      if (record.source != "journal" || record.level != LogLevel::warning) return;
      for (const LogField& field : record.fields) {
        if (field.name == "reader") warned.emplace_back(std::get<std::string_view>(field.value));
      }
    };
    must(options.catalog.add(table_of<Letter>()));
    must(options.catalog.add(table_of<Parcel>()));
    must(options.catalog.add(table_of<Bookmark>()));
    database = must(Database::open(std::move(options)));
  }

  template <Entity T>
  void add(std::int64_t tenant = 1) {
    must(database->write({}, {tenant, 0, 0}, [&](Transaction& tx) -> Result<void> {
      T row;
      BUREAU_TRY(row.id.value, tx.next_id());
      row.text = "something";
      return insert(tx, row);
    }));
  }
  template <Entity T>
  static Result<void> insert(Transaction& tx, const T& row) {
    std::vector<Value> values(table_of<T>().width());
    detail::Scratch scratch;
    to_values(row, values, scratch);
    return tx.insert(table_of<T>(), values);
  }
  /// A letter a day.
  void letters(int days) {
    for (int i = 0; i < days; ++i) {
      add<Letter>();
      clock.advance(day);
    }
  }
  void mark(std::int64_t tenant, std::int64_t position) {
    must(database->write({}, {}, [&](Transaction& tx) -> Result<void> {
      BUREAU_TRY_VOID(
          tx.remove({&table_of<Bookmark>(), col(&Bookmark::id) == Id<Bookmark>(tenant)}));
      return insert(tx, Bookmark{Id<Bookmark>(tenant), Id<Owner>(tenant), position, 0});
    }));
  }
  std::int64_t marked(std::int64_t tenant) {
    std::int64_t position = -1;
    must(database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY_VOID(reader.find(table_of<Bookmark>(), tenant,
                                  [&](std::span<const Value> row) -> Result<bool> {
                                    position = row[2].as_integer();
                                    return true;
                                  }));
      return {};
    }));
    return position;
  }
  /// The number of the oldest change that is kept.
  std::int64_t tail() {
    std::int64_t out = 0;
    must(database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(out, database->journal_tail(reader));
      return {};
    }));
    return out;
  }

  ManualClock& clock;
  SeededRandom random;
  std::shared_ptr<Storage> storage;
  std::unique_ptr<Database> database;
  std::vector<std::string> warned;  ///< readers that the log named
};

/// All that is due now; how many calls it took.
inline int keep(JournalKeeper& keeper, ManualClock& clock, const JournalKeeping& keeping) {
  for (int calls = 1;; ++calls) {
    REQUIRE(calls < 1000);
    if (must(keeper.step()) > keeping.pause) return calls;
    clock.advance(keeping.pause);
  }
}

inline JournalReader letters_reader() {
  return {"letters", &table_of<Bookmark>(), "position",
          [](Reader&, std::int64_t, std::int64_t) -> Result<std::vector<const TableInfo*>> {
            return std::vector<const TableInfo*>{&table_of<Letter>()};
          }};
}

/// Changes 1 to 40, one a day.
inline void by_age(std::shared_ptr<Storage> storage, ManualClock& clock) {
  Office office(std::move(storage), clock);
  JournalKeeping keeping;
  keeping.batch = 3;
  JournalKeeper keeper(*office.database, keeping);
  CHECK_FALSE(must(keeper.reach(Monotonic::never())).since);
  office.letters(30);
  CHECK(keep(keeper, clock, keeping) == 1);
  CHECK(office.tail() == 1);
  office.letters(10);
  // 1 to 10 are older: in writes of three, and one that finds but one.
  std::vector<std::int64_t> tails;
  for (Duration pause = keeping.pause; pause <= keeping.pause;) {
    pause = must(keeper.step());
    tails.push_back(office.tail());
    clock.advance(keeping.pause);
  }
  CHECK(tails == std::vector<std::int64_t>{1, 4, 7, 10, 11});
  // The next turn is an hour later.
  clock.advance(day);
  const auto soon = must(keeper.step());
  CHECK(soon <= keeping.pause);
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 13);
  clock.advance(365 * day);
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 40);  // the newest holds the place of the numbers
}

inline void for_ever(std::shared_ptr<Storage> storage, ManualClock& clock) {
  Office office(std::move(storage), clock);
  JournalKeeping keeping;
  keeping.keep = Duration::max();
  JournalKeeper keeper(*office.database, keeping);
  office.letters(5);
  clock.advance(3650 * day);
  CHECK(must(keeper.step()) == Duration::max());
  CHECK(office.tail() == 1);
  CHECK(must(keeper.reach(Monotonic::never())).since < clock.now() - 3650 * day);
}

/// What somebody has still to read stays, and the log says for whom once that is beyond its time.
inline void held_for_readers(std::shared_ptr<Storage> storage, ManualClock& clock) {
  Office office(std::move(storage), clock);
  const JournalKeeping keeping;
  JournalKeeper keeper(*office.database, keeping);
  must(keeper.add(letters_reader()));
  CHECK_FALSE(keeper.add({"nothing", &table_of<Letter>(), "text", {}}));
  office.mark(1, 4);
  office.mark(2, 0);  // of whom there are no letters
  office.letters(10);
  clock.advance(24 * day + 30min);  // 1 to 5 are older, and 5 is half an hour beyond
  const JournalReach before = must(keeper.reach(Monotonic::never()));
  CHECK(before.oldest == 1);
  CHECK(before.held_by == "letters");
  CHECK(before.read_through == 4);  // for the other nothing is kept
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 5);
  const JournalReach after = must(keeper.reach(Monotonic::never()));
  CHECK(after.oldest == 5);
  CHECK(after.held_by == "letters");
  CHECK(clock.now() - after.since.value() > keeping.keep);
  CHECK(after.held_since == after.since);
  CHECK(office.marked(1) == 4);
  CHECK(office.marked(2) == 5);  // nothing of what goes concerned it
  CHECK(office.warned.empty());
  clock.advance(day);
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 5);
  CHECK(office.warned == std::vector<std::string>{"letters"});
  office.mark(1, 8);
  CHECK(must(keeper.reach(Monotonic::never())).held_by.empty());
  clock.advance(10 * day);
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 9);
}

/// A reader that every change concerns holds them whatever they are.
inline void held_for_all(std::shared_ptr<Storage> storage, ManualClock& clock) {
  Office office(std::move(storage), clock);
  const JournalKeeping keeping;
  JournalKeeper keeper(*office.database, keeping);
  must(keeper.add({"all", &table_of<Bookmark>(), "position", {}}));
  office.mark(1, 3);
  for (int i = 0; i < 6; ++i) office.add<Parcel>();
  clock.advance(31 * day);
  office.add<Parcel>();
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 4);
  CHECK(office.marked(1) == 3);
  // One that has read nothing at all is named too.
  office.mark(1, 0);
  clock.advance(2 * day);
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 4);
  CHECK(office.warned == std::vector<std::string>{"all"});
}

/// One that goes back while the journal is trimmed is waited for from there on.
inline void reader_goes_back(std::shared_ptr<Storage> storage, ManualClock& clock) {
  Office office(std::move(storage), clock);
  JournalKeeping keeping;
  keeping.batch = 2;
  JournalKeeper keeper(*office.database, keeping);
  must(keeper.add(letters_reader()));
  office.mark(1, 10);
  office.letters(10);
  clock.advance(40 * day);
  office.add<Letter>();
  must(keeper.step());
  must(keeper.step());
  CHECK(office.tail() == 3);
  office.mark(1, 5);
  keep(keeper, clock, keeping);
  CHECK(office.tail() == 6);
}

/// Of two processes one does it, once an hour.
inline void one_of_two(std::shared_ptr<Storage> storage, std::shared_ptr<Storage> again,
                       ManualClock& clock) {
  Office first(std::move(storage), clock);
  Office second(std::move(again), clock, 4);
  const JournalKeeping keeping;
  JournalKeeper one(*first.database, keeping);
  JournalKeeper two(*second.database, keeping);
  first.letters(40);
  CHECK(must(one.step()) == keeping.pause);
  CHECK(must(two.step()) == keeping.every);
  keep(one, clock, keeping);
  CHECK(second.tail() == 11);
  // The next change is due at once, but the turn is for an hour.
  clock.advance(30min);
  JournalKeeper three(*second.database, keeping);
  CHECK(must(three.step()) == keeping.every);
  clock.advance(31min);
  JournalKeeper four(*second.database, keeping);
  CHECK(must(four.step()) == keeping.pause);
  keep(four, clock, keeping);
  CHECK(first.tail() == 12);
  // A turn that a clock took that was ahead by far is none.
  clock.step(400 * day);
  JournalKeeper ahead(*second.database, keeping);
  keep(ahead, clock, keeping);
  CHECK(first.tail() == 40);
  clock.step(-400 * day);
  first.letters(40);
  JournalKeeper after(*second.database, keeping);
  keep(after, clock, keeping);
  CHECK(first.tail() > 40);
}

}  // namespace retention_suite
