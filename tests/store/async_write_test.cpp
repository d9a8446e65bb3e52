// Writes that are begun and told of later; what every storage must do is in exercise_storage.

#include <doctest/doctest.h>

#include <stdexcept>
#include <thread>

#include "bureau/store/database.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "testing/exercise/bench.hpp"

using namespace bureau;
using bureau::testing::Fault;
using bureau::testing::FaultyStorage;
using bureau::testing::exercise::Counter;
using namespace std::chrono_literals;

namespace {

struct Office {
  explicit Office(FaultyStorage::Plan plan) {
    storage = std::make_shared<FaultyStorage>(make_memory_storage(clock), std::move(plan));
    DatabaseOptions options;
    options.storage = storage;
    options.catalog = testing::exercise::catalog();
    options.clock = &clock;
    auto opened = Database::open(std::move(options));
    REQUIRE(opened);
    database = *std::move(opened);
    REQUIRE(database->node());
  }
  void begin(std::int64_t id, WriteOptions options = {}) {
    REQUIRE(database->write_async(
        options, {},
        [id](Transaction& tx) {
          return testing::exercise::insert(tx.unjournalled(), testing::exercise::counter(id));
        },
        [this](Result<void> outcome) {
          told.push_back(outcome ? "success" : std::string(to_string(outcome.error().code)));
        }));
  }
  void run() {
    while (database->run_async_writes()) {
    }
  }
  bool has(std::int64_t id) {
    bool found = false;
    REQUIRE(database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(found, reader.find(table_of<Counter>(), id,
                                    [](std::span<const Value>) -> Result<bool> { return true; }));
      return {};
    }));
    return found;
  }
  ManualClock clock;
  std::shared_ptr<FaultyStorage> storage;
  std::unique_ptr<Database> database;
  std::vector<std::string> told;
};

}  // namespace

TEST_CASE("G2_an unknown outcome is told of the write that has it, and of no other") {
  int writes = -1;
  Office office([&](bool is_write, std::uint64_t) -> std::optional<Fault> {
    if (!is_write || writes < 0) return {};
    switch (++writes) {
      case 2:
        return Fault{Fault::At::unknown_kept};
      case 3:
        return Fault{Fault::At::unknown_undone};
      case 5:
        return Fault{Fault::At::commit};
      default:
        return {};
    }
  });
  writes = 0;
  for (std::int64_t id = 1; id <= 6; ++id) office.begin(id);
  office.run();
  CHECK(office.told == std::vector<std::string>{"success", "unknown_outcome", "unknown_outcome",
                                                "success", "unavailable", "success"});
  CHECK(office.has(2));
  CHECK_FALSE(office.has(3));
  CHECK_FALSE(office.has(5));
  CHECK(office.has(6));
}

TEST_CASE("the deadline of a begun write counts from the call") {
  Office office([](bool, std::uint64_t) { return std::nullopt; });
  WriteOptions options;
  options.deadline = office.clock.monotonic() + 1s;
  office.begin(1, options);
  office.clock.advance(2s);
  office.begin(2);
  office.run();
  CHECK(office.told == std::vector<std::string>{"deadline", "success"});
  CHECK_FALSE(office.has(1));
}

TEST_CASE("a callback that throws holds up nobody") {
  Office office([](bool, std::uint64_t) { return std::nullopt; });
  REQUIRE(office.database->write_async(
      {}, {}, [](Transaction&) { return Result<void>(); },
      [](Result<void>) { throw std::runtime_error("no"); }));
  office.begin(1);
  office.run();
  CHECK(office.told == std::vector<std::string>{"success"});
  CHECK(office.database->pending_async_writes() == 0);
}

TEST_CASE("finishing does not wait beyond its deadline, nor for the caller itself") {
  Office office([](bool, std::uint64_t) { return std::nullopt; });
  Code inside{};
  REQUIRE(office.database->write_async(
      {}, {}, [](Transaction&) { return Result<void>(); },
      [&](Result<void>) {
        auto finished = office.database->finish_async_writes(Monotonic::never());
        inside = finished ? Code() : finished.error().code;
      }));
  office.begin(1);
  office.begin(2, {.deadline = office.clock.monotonic()});
  office.run();
  CHECK(inside == Code::deadline);
  CHECK(office.told.size() == 2);

  Office late([](bool, std::uint64_t) { return std::nullopt; });
  late.begin(1);
  auto finished = late.database->finish_async_writes(late.clock.monotonic());
  REQUIRE_FALSE(finished);
  CHECK(finished.error().code == Code::deadline);
  CHECK(late.told == std::vector<std::string>{"cancelled"});
  CHECK_FALSE(late.has(1));
}
