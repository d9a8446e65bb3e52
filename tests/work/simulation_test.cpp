#include "work/simulation.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "counts.hpp"

using namespace bureau;
using namespace bureau::work_test;

namespace {

/// The first seed from `first` on with which something does not hold, and what.
std::string first_broken(std::uint64_t first, std::uint64_t count, Canary canary) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const std::string broken = Simulation(seed, canary).run();
    if (!broken.empty()) return "seed " + std::to_string(seed) + ": " + broken;
  }
  return {};
}

std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("G3_G5_G6_simulated_offices_do_everything_once_and_lose_nothing") {
  // One thread and no memory of its own: the sanitizers have little to see here.
  const int few = counts::sanitized ? 40 : 1;
  const auto seeds = static_cast<std::uint64_t>(tests::fewer(counts::cases(500, 20'000) / few));
  CHECK(first_broken(number("BUREAU_SIMULATE_SEED", 1), number("BUREAU_SIMULATE", seeds),
                     Canary::none) == "");
}

TEST_CASE("The simulation notices programs that do it wrong") {
  if (counts::sanitized) return;  // they are wrong in what they say, not in memory
  CHECK(first_broken(1, 200, Canary::effect_beside_the_step).find("effects") != std::string::npos);
  CHECK(first_broken(1, 200, Canary::step_without_record).find("twice") != std::string::npos);
  CHECK(first_broken(1, 200, Canary::forgets_early_signals).find("not complete") !=
        std::string::npos);
}
