#include "bureau/core/metrics.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <thread>

#include "prometheus.hpp"

using namespace bureau;
using namespace std::chrono_literals;

TEST_CASE("a histogram counts each value once, in the first bucket that holds it") {
  rc::check("histogram", [](const std::vector<std::int16_t>& values) {
    static constexpr std::array<std::int64_t, 4> bounds{-100, 0, 7, 1000};
    Histogram histogram(bounds, 0.5);
    std::int64_t sum = 0;
    for (const std::int64_t value : values) {
      histogram.observe(value);
      sum += value;
    }
    const auto reading = histogram.read();
    RC_ASSERT(reading.count == values.size());
    RC_ASSERT(reading.sum == static_cast<double>(sum) * 0.5);
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      const auto up_to = static_cast<std::uint64_t>(std::count_if(
          values.begin(), values.end(), [&](std::int64_t v) { return v <= bounds[i]; }));
      RC_ASSERT(reading.buckets[i] == std::pair(static_cast<double>(bounds[i]) * 0.5, up_to));
    }
  });
}

TEST_CASE("what several threads count is all there") {
  Histogram histogram(duration_bounds(), 1e-6);
  Counter counter;
  const auto count = [&] {
    for (int i = 0; i < 10'000; ++i) {
      histogram.observe(std::chrono::milliseconds(i % 3));
      counter.add();
    }
  };
  std::thread other(count);
  count();
  other.join();
  CHECK(histogram.read().count == 20'000);
  CHECK(counter.value() == 20'000);
}

TEST_CASE("the text reads back as it was meant, whatever the labels hold") {
  rc::check("text", [](const std::map<std::string, std::int32_t>& values, std::string help) {
    std::erase(help, '\n');
    Histogram histogram(duration_bounds(), 1e-6);
    PrometheusText text;
    text.family("a_total", PrometheusText::Type::counter, "help " + help);
    text.sample({}, std::uint64_t{7});
    text.family("b", PrometheusText::Type::gauge, "b");
    for (const auto& [label, value] : values) {
      text.sample({{"label", label}, {"other", ""}}, std::int64_t{value});
      histogram.observe(Duration(std::abs(std::int64_t{value})));
    }
    text.family("c_seconds", PrometheusText::Type::histogram, "c");
    text.histogram({{"kind", "x\"\\\n"}}, histogram);
    prometheus::Reader reader;
    RC_ASSERT(reader.read(text.text()) == "");
    RC_ASSERT(reader.value("a_total") == 7);
    for (const auto& [label, value] : values) {
      RC_ASSERT(reader.value("b", {{"label", label}, {"other", ""}}) == value);
    }
    RC_ASSERT(reader.value("c_seconds_count", {{"kind", "x\"\\\n"}}) ==
              static_cast<double>(values.size()));
  });
}

TEST_CASE("the reader of these tests refuses what is wrong") {
  const std::string head = "# HELP a a\n# TYPE a gauge\n";
  const std::string buckets = "# HELP h h\n# TYPE h histogram\n";
  for (const std::string& text :
       {std::string("a 1\n"),
        head + "a 1",
        head + "\n",
        head + "a\n",
        head + "a one\n",
        head + "b 1\n",
        head + "a 1\na 1\n",
        head + head,
        head + "1a 1\n",
        head + "a{b=1} 1\n",
        head + "a{b=\"1} 1\n",
        head + "a{b=\"\\x\"} 1\n",
        head + "a{b=\"1\",} 1\n",
        head + "a{b=\"1\",b=\"2\"} 1\n",
        head + "a{1b=\"1\"} 1\n",
        head + "a{} 1\n",
        std::string("# TYPE a gauge\na 1\n"),
        std::string("# HELP a a\na 1\n"),
        std::string("# HELP a a\n# TYPE a counter\na 1\n"),
        std::string("# HELP a_total a\n# TYPE a_total gauge\na_total 1\n"),
        std::string("# HELP a_total a\n# TYPE a_total counter\na_total -1\n"),
        std::string("# HELP a a\n# TYPE a summary\na 1\n"),
        std::string("# note\n"),
        buckets + "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        buckets + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        buckets + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
        buckets + "h_bucket{le=\"+Inf\"} 1\nh_count 1\n",
        buckets + "h_sum 1\nh_count 1\n",
        buckets + "h 1\n"}) {
    CAPTURE(text);
    prometheus::Reader reader;
    CHECK_FALSE(reader.read(text).empty());
  }
  prometheus::Reader reader;
  CHECK(reader.read(head + "a{b=\"1\",c=\"\\\"\"} -1.5e-3\n" + buckets +
                    "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n") == "");
}
