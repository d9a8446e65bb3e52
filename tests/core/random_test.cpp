#include "bureau/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <vector>

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

/// Gives the words it was told to, then zeros.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<std::uint64_t> words) : words_(std::move(words)) {}
  void fill(std::span<std::byte> out) override {
    const std::uint64_t word = at_ < words_.size() ? words_[at_] : 0;
    ++at_;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(word >> (8 * i));
  }
  [[nodiscard]] std::size_t asked() const { return at_; }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t at_ = 0;
};

}  // namespace

TEST_CASE("random: the seeded stream is frozen") {
  // xoshiro256** with the state that splitmix64 makes of the seed, by their published code.
  SeededRandom zero(0);
  CHECK(zero.next() == 11'091'344'671'253'066'420U);
  CHECK(zero.next() == 13'793'997'310'169'335'082U);
  CHECK(zero.next() == 1'900'383'378'846'508'768U);
  SeededRandom one(1);
  CHECK(one.next() == 12'966'619'160'104'079'557U);
}

TEST_CASE("random: fill is little-endian and uses a whole word for a part") {
  SeededRandom words(7);
  const std::uint64_t first = words.next();
  const std::uint64_t second = words.next();
  const std::uint64_t third = words.next();
  SeededRandom bytes(7);
  std::array<std::byte, 11> out{};
  bytes.fill(out);
  for (std::size_t i = 0; i < 8; ++i) CHECK(out[i] == static_cast<std::byte>(first >> (8 * i)));
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(out[8 + i] == static_cast<std::byte>(second >> (8 * i)));
  CHECK(bytes.next() == third);
  bytes.fill({});
}

TEST_CASE("random: below has no bias and stays below") {
  // 2^64 mod 3 = 1: of all words only 0 must be thrown away.
  ScriptedRandom scripted({0, 7});
  CHECK(scripted.below(3) == 1);
  CHECK(scripted.asked() == 2);
  // For the largest odd bounds nearly half of the words go.
  const std::uint64_t bound = (std::uint64_t{1} << 63) + 1;
  ScriptedRandom large({0, bound - 3, bound - 2});
  CHECK(large.below(bound) == bound - 2);
  CHECK(large.asked() == 3);

  SeededRandom random(3);
  CHECK(random.below(1) == 0);
  std::array<int, 10> counts{};
  for (int i = 0; i < 10'000; ++i) ++counts.at(random.below(10));
  for (const int count : counts) CHECK((count > 850 && count < 1150));
}

TEST_CASE("random: unit is in [0, 1)") {
  CHECK(ScriptedRandom({0}).unit() == 0.0);
  CHECK(ScriptedRandom({UINT64_MAX}).unit() < 1.0);
  CHECK(ScriptedRandom({UINT64_MAX}).unit() > 0.999999999999);
  CHECK(ScriptedRandom({std::uint64_t{1} << 63}).unit() == 0.5);
}

TEST_CASE("random: the system's randomness") {
  Random& random = Random::system();
  CHECK(&random == &Random::system());
  std::vector<std::uint64_t> words(1000);
  std::generate(words.begin(), words.end(), [&] { return random.next(); });
  std::sort(words.begin(), words.end());
  CHECK(std::adjacent_find(words.begin(), words.end()) == words.end());
}

TEST_CASE("random: threads share a seeded stream without repeating it") {
  SeededRandom random(11);
  std::vector<std::vector<std::uint64_t>> drawn(4);
  std::vector<std::thread> threads;
  for (auto& mine : drawn)
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) mine.push_back(random.next());
    });
  for (auto& thread : threads) thread.join();
  std::vector<std::uint64_t> all;
  for (const auto& mine : drawn) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());

  SeededRandom alone(11);
  std::vector<std::uint64_t> expected(all.size());
  std::generate(expected.begin(), expected.end(), [&] { return alone.next(); });
  std::sort(expected.begin(), expected.end());
  CHECK(all == expected);
}
