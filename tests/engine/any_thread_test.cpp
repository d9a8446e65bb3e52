#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "basics.hpp"
#include "bureau/engine.hpp"

using namespace bureau;

namespace {

/// What one thread's writes came to.
struct Tally {
  int made = 0, refused = 0, threw = 0, elsewhere = 0, wrong = 0;
};

}  // namespace

TEST_CASE("Whoever runs a closure, its outcome reaches the thread that called") {
  const Folder folder;
  EngineOptions options;
  options.path = folder.file();
  const auto engine = must(Engine::open(std::move(options)));
  const Session session = engine->system(must(engine->access().create_tenant("Larkfield")).id);

  constexpr int threads = 8, writes = 60;
  std::array<Tally, threads> tallies;
  std::atomic<int> ready{0};
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      Tally& tally = tallies[static_cast<std::size_t>(t)];
      const auto self = std::this_thread::get_id();
      ++ready;
      while (ready.load() < threads) std::this_thread::yield();
      for (int i = 0; i < writes; ++i) {
        const std::string name = std::to_string(t) + "." + std::to_string(i);
        std::thread::id ran;
        const auto closure = [&](Unit& unit) -> Result<std::string> {
          ran = std::this_thread::get_id();
          Team team;
          team.name = name;
          BUREAU_TRY(const Team made, Repository<Team>(unit).insert(team));
          if (i % 7 == 3) return fail(Code::conflict, name);
          if (i % 11 == 5) throw std::runtime_error(name);
          return made.name;
        };
        const bool bound = i % 3 == 0;
        const auto outcome = bound ? session.write(closure) : session.write(any_thread, closure);
        if (bound && ran != self) ++tally.elsewhere;
        if (outcome) {
          ++tally.made;
          if (*outcome != name) ++tally.wrong;
        } else {
          ++(outcome.error().code == Code::conflict ? tally.refused : tally.threw);
          if (outcome.error().message.find(name) == std::string::npos) ++tally.wrong;
        }
      }
    });
  }
  for (std::thread& one : running) one.join();
  int made = 0;
  for (const Tally& tally : tallies) {
    CHECK(tally.elsewhere == 0);  // without the tag a closure stays on its thread
    CHECK(tally.wrong == 0);
    CHECK(tally.refused == 9);
    CHECK(tally.threw == 4);
    CHECK(tally.made == writes - tally.refused - tally.threw);
    made += tally.made;
  }
  CHECK(must(Repository<Team>(session).count()) == made);
}
