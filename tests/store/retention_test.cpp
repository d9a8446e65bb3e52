// The journal's retention in memory and on a file; tests/postgres has it on a server.

#include "bureau/store/memory_storage.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/testing/faulty_storage.hpp"
#include "counts.hpp"
#include "store/retention_suite.hpp"

using namespace retention_suite;

namespace {

std::shared_ptr<Storage> open_file(const Folder& folder) {
  SqliteOptions options;
  options.path = folder.file();
  options.durability = Durability::relaxed;
  return must(open_sqlite(options));
}

template <class Check>
void on_both(Check check) {
  {
    ManualClock clock;
    check(make_memory_storage(), clock);
  }
  const Folder folder;
  ManualClock clock;
  check(open_file(folder), clock);
}

}  // namespace

TEST_CASE("The journal is trimmed by its age, a few records a write") { on_both(by_age); }
TEST_CASE("A journal that is kept for ever is kept") { on_both(for_ever); }
TEST_CASE("The journal keeps what is still to be read, and says for whom") {
  on_both(held_for_readers);
}
TEST_CASE("A reader that says nothing of tables has still to read all") { on_both(held_for_all); }
TEST_CASE("A reader that goes back is waited for") { on_both(reader_goes_back); }
TEST_CASE("Of two processes one trims the journal, once an hour") {
  {
    ManualClock clock;
    const auto storage = make_memory_storage();
    one_of_two(storage, storage, clock);
  }
  const Folder folder;
  ManualClock clock;
  one_of_two(open_file(folder), open_file(folder), clock);
}

TEST_CASE("A young journal costs no write") {
  ManualClock clock;
  bool armed = false;
  int writes = 0;
  const auto count = [&](bool is_write, std::uint64_t) -> std::optional<testing::Fault> {
    if (armed && is_write) ++writes;
    return {};
  };
  Office office(std::make_shared<testing::FaultyStorage>(make_memory_storage(), count), clock);
  const JournalKeeping keeping;
  JournalKeeper keeper(*office.database, keeping);
  must(keeper.add(letters_reader()));
  office.letters(20);
  armed = true;
  for (int hour = 0; hour < 24; ++hour) {
    keep(keeper, clock, keeping);
    clock.advance(keeping.every);
  }
  CHECK(writes == 0);
}

TEST_CASE("Whatever call fails, the retention says so, and is done by the next turns") {
  const std::uint64_t step_size = counts::sanitized ? 7 : 1;
  for (std::uint64_t fails_at = 1;; fails_at += step_size) {
    CAPTURE(fails_at);
    ManualClock clock;
    std::uint64_t calls = 0;
    bool armed = false;
    const auto plan = [&](bool, std::uint64_t) -> std::optional<testing::Fault> {
      if (!armed || ++calls != fails_at) return {};
      return testing::Fault{};
    };
    Office office(std::make_shared<testing::FaultyStorage>(make_memory_storage(), plan), clock);
    JournalKeeping keeping;
    keeping.batch = 4;
    JournalKeeper keeper(*office.database, keeping);
    must(keeper.add(letters_reader()));
    office.mark(1, 15);
    office.mark(2, 0);
    office.letters(50);
    armed = true;
    int failed = 0;
    for (int step = 0; step < 100; ++step) {
      const auto done = keeper.step();
      if (!done) {
        ++failed;
        CHECK(done.error().code == Code::unavailable);
      }
      clock.advance(20min);
    }
    armed = false;
    CHECK(office.tail() == 16);
    CHECK(office.marked(2) >= 20);
    if (calls < fails_at) break;
    CHECK(failed == 1);
  }
}
