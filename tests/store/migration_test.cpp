// Migrations on memory and SQLite: the suite of all storages, and what faults leave.

#include <rapidcheck.h>

#include "bureau/store/memory_storage.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "counts.hpp"
#include "store/migration_history.hpp"
#include "store/migration_together.hpp"

using namespace migration_suite;
using bureau::testing::Fault;
using bureau::testing::FaultyStorage;

namespace {

Place memory_place() {
  auto storage = make_memory_storage();
  return {[storage] { return storage; }};
}

Place file_place(const Folder& folder, const std::string& name = "office.db") {
  return {[path = folder.file(name)] {
    SqliteOptions options;
    options.path = path;
    options.durability = Durability::relaxed;
    return must(open_sqlite(std::move(options)));
  }};
}

/// Each closure runs twice.
Place rerun_place(const Place& inner) {
  return {[inner] { return std::make_shared<bureau::testing::RerunStorage>(inner.open()); }};
}

}  // namespace

TEST_CASE("Every version is walked up and down, with rows") {
  SUBCASE("in memory") { walk(memory_place()); }
  SUBCASE("in memory, each closure twice") { walk(rerun_place(memory_place())); }
  SUBCASE("in a file") {
    const Folder folder;
    walk(file_place(folder));
  }
  SUBCASE("in a file, each closure twice") {
    const Folder folder;
    walk(rerun_place(file_place(folder)));
  }
}

TEST_CASE("What does not fit is refused, and says why") {
  SUBCASE("in memory") { refusals(memory_place()); }
  SUBCASE("in a file") {
    const Folder folder;
    refusals(file_place(folder));
  }
}

TEST_CASE("A fill goes on where it was interrupted") {
  SUBCASE("in memory") { long_fill(memory_place()); }
  SUBCASE("in a file") {
    const Folder folder;
    long_fill(file_place(folder));
  }
}

TEST_CASE("A process that is killed in a fill loses nothing, and the next goes on") {
  const Folder folder;
  killed(file_place(folder));
}

TEST_CASE("Two versions work on one file at the same time, and lose nothing") {
  const Folder folder;
  together(file_place(folder), 150);
}

TEST_CASE("A program that has not written yet is told when it is too late") {
  const Folder folder;
  latecomer(file_place(folder));
}

TEST_CASE("Generated migrations keep rows as a model does") {
  rc::check("in memory",
            [] { History(memory_place(), *rc::gen::arbitrary<std::uint64_t>()).run(12); });
  const Folder folder;
  int files = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    History(file_place(folder, std::to_string(++files)), seed).run(14);
  }
}

namespace {

/// Calls until it succeeds. Something that was made although nobody was told is in order.
template <class Call>
void insist(Call call, std::string_view already) {
  for (int tries = 0; tries < 10; ++tries) {
    const auto done = call();
    if (done) return;
    const bool made = !already.empty() && done.error().message.find(already) != std::string::npos;
    if (made) return;
    CHECK_MESSAGE(
        (done.error().code == Code::unavailable || done.error().code == Code::unknown_outcome),
        done.error().message);
  }
  FAIL("it does not come to an end");
}

/// All of a migration's life with a fault in one of the storage's calls; how many there were.
std::uint64_t live_with_fault(const Place& place, Fault fault, std::uint64_t at) {
  Program::Rows before;
  {
    Program one(version_1(), place.open());
    three_things(one);
    before = one.rows();
  }
  const auto faulty = std::make_shared<FaultyStorage>(
      place.open(), [&](bool, std::uint64_t number) -> std::optional<Fault> {
        if (number != at) return std::nullopt;
        return fault;
      });
  Migrator second = migrator_of(version_2(), faulty);
  insist([&] { return second.up(losing()); }, "");
  insist([&] { return second.down(losing()); }, "is finalized");
  {
    Program one(version_1(), place.open(), OnOpen::refuse);
    CHECK(one.rows() == before);
  }
  insist([&] { return second.up(losing()); }, "");
  insist([&] { return second.finalize(losing()); }, "");
  Program two(version_2(), place.open(), OnOpen::refuse);
  const auto rows = two.rows();
  REQUIRE(rows.size() == 3);
  for (const auto& [id, row] : rows) {
    CHECK(row.at("title") == before.at(id).at("name"));
    CHECK(row.at("length") == before.at(id).at("size"));
    CHECK(row.at("label") == text(row.at("title").view().as_text().substr(0, 3)));
    CHECK_FALSE(row.at("rank").view().is_null());
  }
  return faulty->calls();
}

}  // namespace

TEST_CASE("A migration that fails in any of its calls goes on with the next") {
  using At = Fault::At;
  const std::vector<Fault> faults = {Fault{At::before}, Fault{At::statement, 1}, Fault{At::commit},
                                     Fault{At::statement, 3}, Fault{At::unknown_kept}};
  // Each call fails in one way, with BUREAU_LONG in each; under a sanitizer some do, in each way.
  const std::size_t ways = counts::long_run() ? faults.size() : 1;
  const std::uint64_t step = counts::sanitized && !counts::long_run() ? 8 : 1;
  for (std::size_t way = 0; way < ways; ++way) {
    CAPTURE(way);
    std::uint64_t calls = 1;
    for (std::uint64_t at = 1; at <= calls; at += step) {
      CAPTURE(at);
      calls = live_with_fault(memory_place(), faults[(at + way) % faults.size()], at);
    }
    CHECK(calls > 50);
    const Folder folder;
    for (std::uint64_t at = 1; at <= calls; at += 13 * step) {
      CAPTURE(at);
      live_with_fault(file_place(folder, std::to_string(at)), faults[(at + way) % faults.size()],
                      at);
    }
  }
}
