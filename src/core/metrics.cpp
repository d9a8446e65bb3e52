#include "bureau/core/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

BUREAU_BEGIN_NAMESPACE

void Histogram::observe(std::int64_t value) noexcept {
  // Most values are small: from the front.
  std::size_t bucket = 0;
  while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Reading Histogram::read() const {
  Reading reading;
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    reading.count += counts_[i].load(std::memory_order_relaxed);
    reading.buckets.emplace_back(static_cast<double>(bounds_[i]) * unit_, reading.count);
  }
  reading.count += counts_[bounds_.size()].load(std::memory_order_relaxed);
  reading.sum = static_cast<double>(sum_.load(std::memory_order_relaxed)) * unit_;
  return reading;
}

std::span<const std::int64_t> duration_bounds() {
  static constexpr std::array<std::int64_t, 14> microseconds{
      100,     250,       1'000,     2'500,      10'000,     25'000,      100'000,
      250'000, 1'000'000, 2'500'000, 10'000'000, 30'000'000, 120'000'000, 300'000'000};
  return microseconds;
}

namespace {

std::string_view name_of(PrometheusText::Type type) {
  switch (type) {
    case PrometheusText::Type::counter:
      return "counter";
    case PrometheusText::Type::gauge:
      return "gauge";
    case PrometheusText::Type::histogram:
      return "histogram";
  }
  return "untyped";
}

/// Backslash and line feed as the format wants them, in a label's value the quote too.
void append_escaped(std::string& out, std::string_view text, bool quote) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quote) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

}  // namespace

void PrometheusText::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} ", name);
  append_escaped(text_, help, false);
  text_ += fmt::format("\n# TYPE {} {}\n", name, name_of(type));
}

void PrometheusText::line(std::string_view suffix, const Labels& labels, std::string_view value) {
  text_ += name_;
  text_ += suffix;
  char before = '{';
  for (const auto& [label, content] : labels) {
    text_ += before;
    text_ += label;
    text_ += "=\"";
    append_escaped(text_, content, true);
    text_ += '"';
    before = ',';
  }
  if (!labels.empty()) text_ += '}';
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void PrometheusText::sample(const Labels& labels, double value) {
  line("", labels, fmt::format("{}", value));
}
void PrometheusText::sample(const Labels& labels, std::uint64_t value) {
  line("", labels, fmt::format("{}", value));
}
void PrometheusText::sample(const Labels& labels, std::int64_t value) {
  line("", labels, fmt::format("{}", value));
}

void PrometheusText::histogram(const Labels& labels, const Histogram& histogram) {
  const Histogram::Reading reading = histogram.read();
  Labels with_bound = labels;
  with_bound.emplace_back("le", "");
  for (const auto& [bound, count] : reading.buckets) {
    const std::string text = fmt::format("{}", bound);
    with_bound.back().second = text;
    line("_bucket", with_bound, fmt::format("{}", count));
  }
  with_bound.back().second = "+Inf";
  line("_bucket", with_bound, fmt::format("{}", reading.count));
  line("_sum", labels, fmt::format("{}", reading.sum));
  line("_count", labels, fmt::format("{}", reading.count));
}

BUREAU_END_NAMESPACE
