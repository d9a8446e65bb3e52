// An engine that is polled keeps its journal as long as it is to.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/store/memory_storage.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

/// How far a host has read.
struct Bookmark {
  Id<Bookmark> id;
  Id<Tenant> tenant;
  std::int64_t position = 0;
};

}  // namespace

template <>
inline constexpr auto bureau::schema<Bookmark> = bureau::table(
    "bookmarks", "bkm", bureau::journal::after, bureau::column("id", &Bookmark::id),
    bureau::column("tenant", &Bookmark::tenant), bureau::column("position", &Bookmark::position));

namespace {

struct Office {
  ManualClock clock;
  SeededRandom random{7};
  std::unique_ptr<Engine> engine;
  Tenant tenant;

  explicit Office(JournalKeeping journal) {
    EngineOptions options;
    options.storage = make_memory_storage(clock);
    options.clock = &clock;
    options.random = &random;
    options.journal = journal;
    options.tables = {&table_of<Bookmark>()};
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield"));
    must(engine->start_polled());
  }
  HealthComponent journal() {
    for (const HealthComponent& one : must(engine->health()).components) {
      if (one.name == "journal") return one;
    }
    FAIL("health says nothing of the journal");
    return {};
  }
  std::int64_t tail_after(Duration time) {
    clock.advance(time);
    for (int polls = 0; polls < 20; ++polls) {
      engine->poll({1, Duration::max()});
      clock.advance(100ms);
    }
    std::int64_t tail = 0;
    must(engine->database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(tail, engine->database().journal_tail(reader));
      return {};
    }));
    return tail;
  }
};

}  // namespace

TEST_CASE("An engine keeps its journal for thirty days, or for as long as it is told") {
  Office usual({});
  const std::int64_t tail = usual.tail_after(24h * 29);
  CHECK(usual.tail_after(24h * 2) > tail);
  Office patient({.keep = 24h * 60});
  CHECK(patient.tail_after(24h * 50) == tail);
  CHECK(patient.tail_after(24h * 11) > tail);
}

TEST_CASE("A host's own reader of the journal is waited for") {
  Office office({});
  CHECK_FALSE(office.engine->add({"nobody", nullptr, "position", {}}));
  must(office.engine->add({"me", &table_of<Bookmark>(), "position", {}}));
  const Repository<Bookmark> bookmarks(office.engine->system(office.tenant.id));
  Bookmark bookmark;
  must(office.engine->database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(bookmark.position, office.engine->database().journal_head(reader));
    return {};
  }));
  const Bookmark mine = must(bookmarks.insert(bookmark));
  for (int i = 0; i < 3; ++i) must(bookmarks.insert({}));  // of which none has read anything
  for (const Bookmark& other : must(bookmarks.list({}))) {
    if (other.id != mine.id) must(bookmarks.remove(other.id));
  }
  CHECK(office.tail_after(24h * 30 + 12h) == mine.position + 1);
  // It is named at once, and no trouble before it has had a day.
  CHECK(office.journal().status == HealthStatus::ok);
  CHECK(office.journal().reason.find("\"me\"") != std::string::npos);
  CHECK(office.tail_after(24h) == mine.position + 1);
  CHECK(office.journal().status == HealthStatus::degraded);
  const std::string metrics = must(office.engine->metrics_text());
  const std::string held = "bureau_journal_held_seconds{reader=\"me\"} ";
  REQUIRE(metrics.find(held) != std::string::npos);
  const double seconds = std::stod(metrics.substr(metrics.find(held) + held.size()));
  CHECK(seconds > 36 * 3600);
  CHECK(seconds < 37 * 3600);
  CHECK(metrics.find(fmt::format("bureau_journal_oldest {}\n", mine.position + 1)) !=
        std::string::npos);
}
