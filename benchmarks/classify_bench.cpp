// How well and how fast TextClassifier labels real messages: Banking77 (77 intents) and HINT3 (two
// live support bots, with messages that are about none of their intents). Models learn from the
// training files alone; the test files are only measured. For HINT3, `baseline` is the published
// figure: for the accuracy in scope the best system's at its lowest threshold, for the others those
// of the system and threshold with the best accuracy over all messages.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "bench.hpp"
#include "bureau/ai/text_classifier.hpp"
#include "bureau/core/clock.hpp"
#include "bureau/core/csv.hpp"

namespace {

using bureau::Clock;
using bureau::LabelledText;
using bureau::TextClassifier;

struct Example {
  std::string text, label;
};
using Table = std::vector<std::vector<std::string>>;

std::string data_folder() {
  if (const char* folder = std::getenv("BUREAU_SHARED_DATA")) return folder;
  return std::string(BUREAU_SOURCE_DIR) + "/../shared/data";
}

/// The records after the first. Ends the program when the file is there but cannot be read; empty
/// when it is not there.
Table read_table(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  bureau::CsvReader reader(text);
  bureau::CsvReader::Record record;
  Table out;
  for (bool first = true;; first = false) {
    const auto more = reader.next(record);
    if (!more) {
      std::fprintf(stderr, "%s: %s\n", path.c_str(), more.error().message.c_str());
      std::exit(1);
    }
    if (!*more) return out;
    if (!first && record.fields.size() >= 2) out.push_back(record.fields);
  }
}

std::vector<Example> read_examples(const std::string& path) {
  std::vector<Example> out;
  for (auto& fields : read_table(path)) out.push_back({fields[0], fields[1]});
  return out;
}

double seconds_since(bureau::Monotonic start) {
  const bureau::Duration passed = Clock::system().monotonic() - start;
  return static_cast<double>(passed.count()) / 1e6;
}

TextClassifier train(const std::vector<Example>& examples, unsigned threads) {
  std::vector<LabelledText> views;
  views.reserve(examples.size());
  for (const Example& example : examples) views.push_back({example.text, example.label});
  auto trained = TextClassifier::train(
      views, {.threshold = {}, .target_accuracy = 0.95, .seed = 1, .threads = threads});
  if (!trained) {
    std::fprintf(stderr, "%s\n", to_string(trained.error()).c_str());
    std::exit(1);
  }
  return *std::move(trained);
}

/// Counts of a test file's messages; those of label "NO_NODES_DETECTED" are out of scope.
struct Counts {
  double in_scope = 0, right = 0, sure = 0, sure_right = 0, out_of_scope = 0, left_unsure = 0;
};

Counts judge(const TextClassifier& classifier, const std::vector<Example>& test) {
  Counts counts;
  for (const Example& example : test) {
    const auto prediction = classifier.predict(example.text);
    if (example.label == "NO_NODES_DETECTED") {
      counts.out_of_scope += 1;
      counts.left_unsure += prediction.unsure ? 1 : 0;
      continue;
    }
    const bool right = prediction.label == example.label;
    counts.in_scope += 1;
    counts.right += right ? 1 : 0;
    counts.sure += prediction.unsure ? 0 : 1;
    counts.sure_right += right && !prediction.unsure ? 1 : 0;
  }
  return counts;
}

void print(const bench::Arguments& arguments, const std::string& metric, double value,
           std::string_view unit, std::optional<double> baseline = {}) {
  bench::Metric line{.bench = "classify", .metric = metric, .value = value, .unit = unit};
  line.baseline = baseline;
  if (baseline && *baseline > 0) line.ratio = value / *baseline;
  bench::print_metric(arguments, line);
}

double predict_microseconds(const TextClassifier& classifier, const std::vector<Example>& test) {
  std::vector<double> passes;
  for (int pass = 0; pass < 9; ++pass) {
    const auto start = Clock::system().monotonic();
    for (const Example& example : test) {
      if (classifier.predict(example.text).label.empty()) std::exit(1);
    }
    passes.push_back(seconds_since(start) * 1e6 / static_cast<double>(test.size()));
  }
  return bench::median(passes);
}

void banking77(const bench::Arguments& arguments) {
  const std::string folder = data_folder() + "/banking77/";
  const auto training = read_examples(folder + "train.csv"),
             test = read_examples(folder + "test.csv");
  if (training.empty() || test.empty()) return bench::print_skip("banking77", "no " + folder);

  const auto start = Clock::system().monotonic();
  const TextClassifier classifier = train(training, 2);
  const double train_seconds = seconds_since(start);
  const Counts counts = judge(classifier, test);
  print(arguments, "accuracy", counts.right / counts.in_scope, "fraction");
  print(arguments, "coverage", counts.sure / counts.in_scope, "fraction");
  print(arguments, "accuracy_at_threshold", counts.sure_right / counts.sure, "fraction");
  print(arguments, "threshold", classifier.threshold(), "fraction");
  const bureau::CrossValidation& found = classifier.cross_validation();
  print(arguments, "cross_validated_accuracy", found.accuracy, "fraction");
  print(arguments, "cross_validated_coverage", found.coverage, "fraction");
  print(arguments, "train_seconds", train_seconds, "s");
  if (arguments.long_run) {
    const auto alone = Clock::system().monotonic();
    train(training, 1);
    print(arguments, "train_seconds_one_thread", seconds_since(alone), "s");
  }
  print(arguments, "predict_us", predict_microseconds(classifier, test), "us");

  const std::string bytes = classifier.serialize();
  print(arguments, "model_bytes", static_cast<double>(bytes.size()), "bytes");
  const auto reading = Clock::system().monotonic();
  if (!TextClassifier::deserialize(bytes)) std::exit(1);
  print(arguments, "load_ms", seconds_since(reading) * 1e3, "ms");
}

/// The published figures of one bot.
struct Published {
  double in_scope = 0, overall = 0, out_of_scope = 0;
};

Published read_published(const std::string& bot) {
  Published best;
  for (const char* system : {"bert", "dialogflow", "haptik", "luis", "rasa"}) {
    // Threshold, Accuracy, Weighted F1, Inscope Accuracy, OOS Recall, MCC; lowest threshold first.
    const Table rows =
        read_table(data_folder() + "/hint3/published-results/" + system + "_" + bot + ".csv");
    const auto number = [](const std::string& text) { return std::strtod(text.c_str(), nullptr); };
    if (!rows.empty()) best.in_scope = std::max(best.in_scope, number(rows[0].at(3)));
    for (const auto& row : rows) {
      if (number(row.at(1)) <= best.overall) continue;
      best.overall = number(row.at(1));
      best.out_of_scope = number(row.at(4));
    }
  }
  return best;
}

void hint3(const bench::Arguments& arguments, const std::string& bot) {
  const std::string folder = data_folder() + "/hint3/v1/";
  const auto training = read_examples(folder + "train/" + bot + "_train.csv");
  const auto test = read_examples(folder + "test/" + bot + "_test.csv");
  if (training.empty() || test.empty()) return bench::print_skip("hint3 " + bot, "no " + folder);

  const Counts counts = judge(train(training, 2), test);
  const Published published = read_published(bot);
  const std::string name = "hint3_" + bot + "_";
  print(arguments, name + "in_scope_accuracy", counts.right / counts.in_scope, "fraction",
        published.in_scope);
  print(arguments, name + "out_of_scope_unsure", counts.left_unsure / counts.out_of_scope,
        "fraction", published.out_of_scope);
  print(arguments, name + "overall_accuracy",
        (counts.sure_right + counts.left_unsure) / (counts.in_scope + counts.out_of_scope),
        "fraction", published.overall);
  print(arguments, name + "in_scope_coverage", counts.sure / counts.in_scope, "fraction");
  print(arguments, name + "in_scope_accuracy_at_threshold", counts.sure_right / counts.sure,
        "fraction");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse_arguments(argc, argv);
  if (!arguments.quick) banking77(arguments);
  hint3(arguments, "curekart");
  hint3(arguments, "sofmattress");
}
