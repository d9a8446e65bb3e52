#pragma once

// What every benchmark shares: its arguments, its output and the comparison of two programs by
// interleaved pairs. Header only, standard library only; each benchmark is one program.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// The arguments that every benchmark takes.
struct Arguments {
  bool json = false;      ///< One JSON object a line instead of a table.
  bool long_run = false;  ///< The large sizes; without it a benchmark ends within two minutes.
  bool quick = false;     ///< Just enough to show that it runs, within seconds: for the tests.
  std::vector<std::string_view> only = {};  ///< The parts to be run; none: all.
  [[nodiscard]] bool wants(std::string_view part) const {
    return only.empty() || std::find(only.begin(), only.end(), part) != only.end();
  }
};

/// Reads `--json`, `--long`, `--quick` and, where the program names its parts, `--only=PART`;
/// prints usage and ends the program (0 or 2) at `--help` or anything else.
inline Arguments parse_arguments(int argc, char** argv,
                                 std::initializer_list<std::string_view> parts = {}) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      arguments.json = true;
    } else if (argument == "--long") {
      arguments.long_run = true;
    } else if (argument == "--quick") {
      arguments.quick = true;
    } else if (const auto part = argument.substr(std::min<std::size_t>(7, argument.size()));
               argument.starts_with("--only=") &&
               std::find(parts.begin(), parts.end(), part) != parts.end()) {
      arguments.only.push_back(part);
    } else {
      const bool asked = argument == "--help" || argument == "-h";
      std::fprintf(asked ? stdout : stderr,
                   "usage: %s [--json] [--long | --quick]\n"
                   "  --json  one JSON object a line\n"
                   "  --long  the large sizes\n"
                   "  --quick just enough to show that it runs; the figures mean nothing\n",
                   argc > 0 ? argv[0] : "bench");
      if (parts.size() > 0) {
        std::fprintf(asked ? stdout : stderr,
                     "  --only=PART, several times if you like; the parts:");
        for (const std::string_view one : parts) {
          std::fprintf(asked ? stdout : stderr, " %s", std::string(one).c_str());
        }
        std::fprintf(asked ? stdout : stderr, "\n");
      }
      std::exit(asked ? 0 : 2);
    }
  }
  return arguments;
}

/// One measured number. What does not apply stays empty and is printed as null. Percentages are
/// from 0 to 100. `ratio` is made so that above 1 is better for us.
struct Metric {
  std::string_view bench = {};
  std::string_view metric = {};
  std::string_view storage = {};     ///< "sqlite", "memory", "postgres" or empty.
  std::string_view durability = {};  ///< "power_safe", "relaxed" or empty.
  double value = 0;
  std::string_view unit = {};
  std::optional<double> baseline = {};          ///< The same number of the hand-written loop.
  std::optional<double> ratio = {};             ///< Against that loop.
  std::optional<double> ratio_no_journal = {};  ///< Against the loop that writes no journal.
  std::optional<double> spread = {};            ///< See Pairs::spread.
  std::optional<double> sync_us = {};           ///< The measured time of one sync.
};

namespace detail {
/// Six significant digits, never in a form that JSON lacks; "null" when there is no number.
inline std::string number_text(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return "null";
  char text[64];
  const bool whole = std::floor(*value) == *value && std::fabs(*value) < 1e15;
  const auto end =
      whole ? std::to_chars(text, text + sizeof text, *value, std::chars_format::fixed)
            : std::to_chars(text, text + sizeof text, *value, std::chars_format::general, 6);
  return {text, end.ptr};
}

/// A JSON string, or null when empty. Names here need no escapes but for quotes and backslashes.
inline std::string name_text(std::string_view name) {
  if (name.empty()) return "null";
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}
}  // namespace detail

/// The line that `--json` prints for a metric.
inline std::string to_json(const Metric& m) {
  using detail::name_text;
  using detail::number_text;
  return "{\"bench\":" + name_text(m.bench) + ",\"metric\":" + name_text(m.metric) +
         ",\"storage\":" + name_text(m.storage) + ",\"durability\":" + name_text(m.durability) +
         ",\"value\":" + number_text(m.value) + ",\"unit\":" + name_text(m.unit) +
         ",\"baseline\":" + number_text(m.baseline) + ",\"ratio\":" + number_text(m.ratio) +
         ",\"ratio_no_journal\":" + number_text(m.ratio_no_journal) +
         ",\"spread\":" + number_text(m.spread) + ",\"sync_us\":" + number_text(m.sync_us) + "}";
}

/// The same as a line of a table.
inline std::string to_row(const Metric& m) {
  std::string name = std::string(m.bench) + "." + std::string(m.metric);
  if (!m.storage.empty()) name += " " + std::string(m.storage);
  if (!m.durability.empty()) name += " " + std::string(m.durability);
  if (name.size() < 44) name.resize(44, ' ');
  std::string row = name + "  " + detail::number_text(m.value) + " " + std::string(m.unit);
  const auto add = [&row](std::string_view what, std::optional<double> value) {
    if (value) row += "  " + std::string(what) + " " + detail::number_text(value);
  };
  add("baseline", m.baseline);
  add("ratio", m.ratio);
  add("ratio_no_journal", m.ratio_no_journal);
  add("spread_percent", m.spread);
  add("sync_us", m.sync_us);
  return row;
}

/// Prints one metric to stdout at once, so that a benchmark that is stopped has shown what it had.
inline void print_metric(const Arguments& arguments, const Metric& metric) {
  std::puts((arguments.json ? to_json(metric) : to_row(metric)).c_str());
  std::fflush(stdout);
}

/// Says on stderr that something was left out and why; stdout stays machine-readable.
inline void print_skip(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "skipped: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(why.size()), why.data());
}

/// REQUIRES: not empty.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// The p-th percentile (0 to 100) by the nearest rank. REQUIRES: not empty.
inline double percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(p / 100 * static_cast<double>(values.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return values[std::min(index, values.size() - 1)];
}

enum class Better { higher, lower };

/// What pairs of measurements come to.
struct Pairs {
  double ours = 0;      ///< Median of ours.
  double baseline = 0;  ///< Median of the baseline.
  double ratio = 0;     ///< Median of the pairs' ratios; above 1 is better for us.
  double spread = 0;    ///< (largest - smallest ratio) / median ratio, in percent.
};

/// `metric` with what the pairs came to.
inline Metric with_pairs(Metric metric, const Pairs& pairs) {
  metric.value = pairs.ours;
  metric.baseline = pairs.baseline;
  metric.ratio = pairs.ratio;
  metric.spread = pairs.spread;
  return metric;
}

/// Two programs measured in turn, so that what disturbs the machine disturbs both.
class PairedRuns {
 public:
  explicit PairedRuns(Better better = Better::higher) : better_(better) {}
  void add(double ours, double baseline) {
    ours_.push_back(ours);
    baseline_.push_back(baseline);
    ratios_.push_back(better_ == Better::higher ? ours / baseline : baseline / ours);
  }
  /// REQUIRES: something was added.
  [[nodiscard]] Pairs result() const {
    const auto [low, high] = std::minmax_element(ratios_.begin(), ratios_.end());
    const double ratio = median(ratios_);
    return {median(ours_), median(baseline_), ratio, (*high - *low) / ratio * 100};
  }

 private:
  Better better_;
  std::vector<double> ours_, baseline_, ratios_;
};

/// Runs `ours` and `baseline`, each of which returns one number, `count` times in turn, swapping
/// who goes first. REQUIRES: count > 0.
template <class Ours, class Baseline>
Pairs measure_pairs(int count, Better better, Ours&& ours, Baseline&& baseline) {
  PairedRuns runs(better);
  for (int i = 0; i < count; ++i) {
    double a = 0, b = 0;
    if (i % 2 == 0) {
      a = ours();
      b = baseline();
    } else {
      b = baseline();
      a = ours();
    }
    runs.add(a, b);
  }
  return runs.result();
}

}  // namespace bench
