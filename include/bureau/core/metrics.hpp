#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE

/// How many of something there were. Thread-safe, without a lock.
class Counter {
 public:
  void add(std::uint64_t count = 1) noexcept { value_.fetch_add(count, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// How values are spread: counted in buckets of which each holds those up to its bound.
/// Thread-safe, without a lock: a reading taken meanwhile may miss what is being counted.
class Histogram {
 public:
  static constexpr std::size_t most_bounds = 20;
  /// `bounds` ascend, are at most most_bounds, and outlive it. `unit`: what 1 is in the base unit
  /// of the text, such as 1e-6 seconds.
  Histogram(std::span<const std::int64_t> bounds, double unit) : bounds_(bounds), unit_(unit) {}
  void observe(std::int64_t value) noexcept;
  void observe(Duration time) noexcept { observe(time.count()); }

  struct Reading {
    std::vector<std::pair<double, std::uint64_t>> buckets;  ///< bound, and how many are up to it
    std::uint64_t count = 0;                                ///< of all
    double sum = 0;
  };
  [[nodiscard]] Reading read() const;

 private:
  std::span<const std::int64_t> bounds_;
  double unit_;
  std::atomic<std::uint64_t> counts_[most_bounds + 1] = {};
  std::atomic<std::int64_t> sum_{0};
};

/// Bounds from 100 microseconds to 5 minutes, for a Histogram of Durations.
[[nodiscard]] std::span<const std::int64_t> duration_bounds();

/// Metrics in Prometheus's text format (version 0.0.4). REQUIRES: names and label names as
/// Prometheus has them; the samples of a family follow its family(), each with other labels.
class PrometheusText {
 public:
  enum class Type { counter, gauge, histogram };
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  void family(std::string_view name, Type type, std::string_view help);
  void sample(const Labels& labels, double value);
  void sample(const Labels& labels, std::uint64_t value);
  void sample(const Labels& labels, std::int64_t value);
  void histogram(const Labels& labels, const Histogram& histogram);

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void line(std::string_view suffix, const Labels& labels, std::string_view value);
  std::string text_, name_;
};

BUREAU_END_NAMESPACE
