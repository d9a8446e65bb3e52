#include "bureau/store/database.hpp"

#include <doctest/doctest.h>

#include <set>
#include <thread>

#include "basics.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/store/schema.hpp"

using namespace bureau;

namespace {

std::unique_ptr<Database> open(const std::shared_ptr<Storage>& storage, Clock& clock,
                               Random& random) {
  DatabaseOptions options;
  options.storage = storage;
  options.clock = &clock;
  options.random = &random;
  return must(Database::open(std::move(options)));
}

std::vector<std::int64_t> take_ids(Database& database, int count) {
  std::vector<std::int64_t> out;
  must(database.write({}, {}, [&](Transaction& t) -> Result<void> {
    out.clear();
    for (int i = 0; i < count; ++i) {
      BUREAU_TRY(out.emplace_back(), t.next_id());
    }
    return {};
  }));
  return out;
}

/// Counts writes.
class Counting final : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    ++writes;
    return StorageWrapper::write(options, closure);
  }
  int writes = 0;
};

/// Runs each closure twice and keeps the second run.
class Twice final : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    auto first = StorageWrapper::write(options, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(closure(writer));
      return fail(Code::cancelled, "once more");
    });
    if (first.error().code != Code::cancelled) return first;
    return StorageWrapper::write(options, closure);
  }
};

}  // namespace

TEST_CASE("a node is taken at the first write, not at the opening") {
  ManualClock clock;
  SeededRandom random(1);
  const auto counting = std::make_shared<Counting>(make_memory_storage(clock));
  {
    const auto first = open(counting, clock, random);
    counting->writes = 0;
  }
  const auto database = open(counting, clock, random);
  CHECK(counting->writes == 0);  // an office that is up to date is only read
  for (int node = 0; node < id::node_count; ++node) {
    REQUIRE_FALSE(must(counting->node_is_alive(node)));
  }
  take_ids(*database, 1);
  CHECK(must(counting->node_is_alive(must(database->node()).number)));
}

TEST_CASE("two databases on one storage never issue the same id, whatever the clocks do") {
  ManualClock clock;
  ManualClock other_clock(clock.now() - std::chrono::hours(3));
  SeededRandom random(1);
  SeededRandom same_choices(1);
  const auto storage = make_memory_storage(clock);
  const auto a = open(storage, clock, random);
  const auto b = open(storage, other_clock, same_choices);
  std::set<std::int64_t> seen;
  SeededRandom steps(9);
  for (int round = 0; round < 200; ++round) {
    for (Database* database : {a.get(), b.get()}) {
      for (const std::int64_t id : take_ids(*database, 20)) {
        CHECK(id > 0);
        CHECK(seen.insert(id).second);
      }
    }
    for (ManualClock* c : {&clock, &other_clock}) {
      const auto step = std::chrono::seconds(static_cast<int>(steps.below(1200)) - 600);
      c->step(step);
    }
  }
  CHECK(must(a->node()).number != must(b->node()).number);
}

TEST_CASE(
    "a process that comes back to a node begins where nobody has been, with a new generation") {
  ManualClock clock;
  const auto storage = make_memory_storage(clock);
  SeededRandom settings(1);
  open(storage, clock, settings);  // the first opening draws a key; from then on nodes alone are
  std::set<std::int64_t> seen;
  std::int64_t generation = 0;
  for (int round = 0; round < 20; ++round) {
    SeededRandom same_node(3);
    const auto database = open(storage, clock, same_node);
    for (const std::int64_t id : take_ids(*database, 50)) CHECK(seen.insert(id).second);
    const auto node = must(database->node());
    CHECK(node.generation == ++generation);
    clock.step(-std::chrono::minutes(round));  // the clock goes back again and again
  }
}

TEST_CASE("a process that was paused beyond its reservation goes on without repeating an id") {
  ManualClock clock;
  SeededRandom random(3);
  const auto storage = make_memory_storage(clock);
  auto database = open(storage, clock, random);
  std::set<std::int64_t> seen;
  for (const std::int64_t id : take_ids(*database, 50)) CHECK(seen.insert(id).second);
  for (int i = 0; i < 5; ++i) {
    clock.advance(std::chrono::hours(2));
    for (const std::int64_t id : take_ids(*database, 50)) CHECK(seen.insert(id).second);
  }
}

TEST_CASE("a process whose node was taken by another does not reserve in its name") {
  ManualClock clock;
  SeededRandom settings(1);
  const auto storage = make_memory_storage(clock);
  open(storage, clock, settings);
  SeededRandom random(3);
  const auto a = open(storage, clock, random);
  take_ids(*a, 1);
  storage->release_node(must(a->node()).number);  // as if its lock had been lost
  SeededRandom same_node(3);
  const auto b = open(storage, clock, same_node);
  REQUIRE(must(b->node()).number == must(a->node()).number);
  clock.advance(std::chrono::hours(1));
  const auto refused = a->write({}, {}, [](Transaction&) -> Result<void> { return {}; });
  REQUIRE(!refused);
  CHECK(refused.error().code == Code::unavailable);
}

TEST_CASE("many threads take ids at the same time, each once") {
  SeededRandom random(3);
  ManualClock clock;
  const auto database = open(make_memory_storage(clock), clock, random);
  std::vector<std::vector<std::int64_t>> taken(4);
  std::vector<std::thread> threads;
  for (auto& mine : taken) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        for (const std::int64_t id : take_ids(*database, 5)) mine.push_back(id);
      }
    });
  }
  for (auto& t : threads) t.join();
  std::set<std::int64_t> seen;
  for (const auto& mine : taken) {
    CHECK(std::is_sorted(mine.begin(), mine.end()));
    for (const std::int64_t id : mine) CHECK(seen.insert(id).second);
  }
  CHECK(seen.size() == 4 * 50 * 5);
}

TEST_CASE("a closure that runs twice is journalled once") {
  ManualClock clock;
  SeededRandom random(3);
  const auto database = open(std::make_shared<Twice>(make_memory_storage(clock)), clock, random);
  const auto ids = take_ids(*database, 3);
  CHECK(ids.size() == 3);
}

TEST_CASE("the key of cursors stays with the office") {
  ManualClock clock;
  SeededRandom random(3);
  const auto storage = make_memory_storage(clock);
  const std::string key(open(storage, clock, random)->cursor_key());
  CHECK(key.size() == 32);
  CHECK(open(storage, clock, random)->cursor_key() == key);
}

TEST_CASE("an office cannot be opened without a storage") {
  CHECK(Database::open({}).error().code == Code::invalid);
}
