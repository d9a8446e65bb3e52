#include "bureau/ai/text_classifier.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using bureau::Code;
using bureau::LabelledText;
using bureau::Prediction;
using bureau::TextClassifier;
using bureau::TrainingOptions;

namespace {

const std::vector<LabelledText>& examples() {
  static const std::vector<LabelledText> all = {
      {"my card was stolen", "card"},
      {"I lost my card yesterday", "card"},
      {"please block the card", "card"},
      {"a new card has not arrived", "card"},
      {"the card does not work in the shop", "card"},
      {"when will my new card come", "card"},
      {"I want my money back", "refund"},
      {"please refund the payment", "refund"},
      {"how do I get a refund for this order", "refund"},
      {"the shop owes me money, I returned the order", "refund"},
      {"refund has not arrived on my account", "refund"},
      {"money for the returned shoes please", "refund"},
      {"I forgot my password", "login"},
      {"cannot log in to the app", "login"},
      {"the app says wrong password", "login"},
      {"reset my password please", "login"},
      {"log in does not work with my phone", "login"},
      {"how do I change the password of the app", "login"},
  };
  return all;
}

TextClassifier trained(const TrainingOptions& options = {}) {
  auto result = TextClassifier::train(examples(), options);
  REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().message));
  return *std::move(result);
}

std::vector<std::string> some_texts() {
  return {"my card is gone",
          "refund!",
          "PASSWORD",
          "",
          "zzz",
          "the money of the app",
          std::string("\xFF\x00 card", 7),
          std::string(100'000, 'q')};
}

void check_error(const bureau::Result<TextClassifier>& result, Code code, std::string_view field,
                 std::string_view rule) {
  REQUIRE(!result.has_value());
  CHECK(result.error().code == code);
  CHECK(result.error().field == field);
  CHECK_MESSAGE(result.error().message.find(rule) != std::string::npos, result.error().message);
}

}  // namespace

TEST_CASE("a classifier learns") {
  const TextClassifier classifier = trained();
  CHECK(std::vector<std::string>(classifier.labels().begin(), classifier.labels().end()) ==
        std::vector<std::string>{"card", "login", "refund"});
  CHECK(classifier.predict("somebody has stolen my CARD!").label == "card");
  CHECK(classifier.predict("what is my password?").label == "login");
  CHECK(classifier.predict("I would like a refund").label == "refund");
  CHECK(classifier.cross_validation().texts == examples().size());
  CHECK(classifier.cross_validation().accuracy > 0.5);
}

TEST_CASE("a text of which nothing is known is unsure, whatever the threshold") {
  const auto classifier = trained().with_threshold(0);
  REQUIRE(classifier.has_value());
  for (const char* text : {"", " \n", "?!", "漢字", "\xFF\xFE"}) {
    CHECK(classifier->predict(text).unsure);
    CHECK(!classifier->predict(text).label.empty());
    for (const Prediction& one : classifier->top(text, 3)) CHECK(one.unsure);
  }
  CHECK(!classifier->predict("card").unsure);
}

TEST_CASE("unsure means a confidence below the threshold") {
  const TextClassifier classifier = trained();
  const double confidence = classifier.predict("my card").confidence;
  CHECK(!classifier.with_threshold(confidence)->predict("my card").unsure);
  CHECK(classifier.with_threshold(std::nextafter(confidence, 1))->predict("my card").unsure);
  check_error(classifier.with_threshold(1.01), Code::invalid, "threshold", "0 to 1");
  check_error(classifier.with_threshold(-0.5), Code::invalid, "threshold", "0 to 1");
  check_error(classifier.with_threshold(std::numeric_limits<double>::quiet_NaN()), Code::invalid,
              "threshold", "0 to 1");
}

TEST_CASE("the chosen threshold keeps its promise on held-out texts") {
  const TextClassifier strict = trained({.target_accuracy = 1.0});
  CHECK(strict.cross_validation().accuracy_at_threshold == 1.0);
  CHECK(strict.cross_validation().coverage > 0);
  const TextClassifier lax = trained({.target_accuracy = 0});
  CHECK(lax.cross_validation().coverage == 1.0);
  CHECK(lax.threshold() <= strict.threshold());
  CHECK(trained({.threshold = 0.25}).threshold() == 0.25);
}

TEST_CASE("where nothing can be judged, everything is unsure") {
  // One text a label: when it is held out, nothing of its label is left to learn from.
  const std::vector<LabelledText> two = {{"yes", "a"}, {"no", "b"}};
  const auto classifier = TextClassifier::train(two);
  REQUIRE(classifier.has_value());
  CHECK(classifier->threshold() == 1);
  CHECK(classifier->predict("yes").label == "a");
  CHECK(classifier->predict("yes").unsure);
}

TEST_CASE("predictions are the head of the list of labels, whose confidences are probabilities") {
  const TextClassifier classifier = trained();
  CHECK(rc::check("top", [&](const std::string& noise) {
    const std::string text = *rc::gen::elementOf(some_texts()) + noise;
    const auto all = classifier.top(text, 10);
    RC_ASSERT(all.size() == 3U);
    RC_ASSERT(all[0] == classifier.predict(text));
    double sum = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      RC_ASSERT((all[i].confidence >= 0 && all[i].confidence <= 1));
      if (i > 0) RC_ASSERT(all[i - 1].confidence >= all[i].confidence);
      sum += all[i].confidence;
    }
    RC_ASSERT(sum <= 1 + 1e-12);
    RC_ASSERT(sum >= 1 - 1e-9);
    RC_ASSERT(classifier.top(text, 2) == std::vector<Prediction>(all.begin(), all.begin() + 2));
  }));
  CHECK(classifier.top("card", 0).empty());
}

TEST_CASE("the model depends on the set of examples and the seed, not on order and threads") {
  const std::string bytes = trained().serialize();
  CHECK(trained({.threads = 4}).serialize() == bytes);
  CHECK(trained({.seed = 2}).serialize() != bytes);
  std::vector<LabelledText> reversed(examples().rbegin(), examples().rend());
  CHECK(TextClassifier::train(reversed)->serialize() == bytes);
  reversed.pop_back();
  CHECK(TextClassifier::train(reversed)->serialize() != bytes);
}

TEST_CASE("what cannot be learned from is refused by name") {
  const auto train = [](const std::vector<LabelledText>& texts) {
    return TextClassifier::train(texts);
  };
  check_error(train({}), Code::invalid, "examples", "there are none");
  check_error(train({{"a", "x"}, {"b", "x"}}), Code::invalid, "examples", "at least two labels");
  check_error(train({{"a", "x"}, {"", "y"}}), Code::invalid, "examples[1].text", "blank");
  check_error(train({{"a", "x"}, {" \t\n", "y"}}), Code::invalid, "examples[1].text", "blank");
  check_error(train({{"a", ""}, {"b", "y"}}), Code::invalid, "examples[0].label", "blank");
  check_error(train({{"a", "x"}, {"\xC3(", "y"}}), Code::invalid, "examples[1].text", "UTF-8");
  check_error(train({{"a", "x"}, {"b", "\xFF"}}), Code::invalid, "examples[1].label", "UTF-8");
  check_error(train({{"a", "x"}, {std::string_view("b\0", 2), "y"}}), Code::invalid,
              "examples[1].text", "NUL");
  const std::string long_label(201, 'x');
  check_error(train({{"a", long_label}}), Code::invalid, "examples[0].label", "200");
}

TEST_CASE("limits are named") {
  std::vector<LabelledText> many(TextClassifier::max_training_texts + 1, {"a", "x"});
  check_error(TextClassifier::train(many), Code::exhausted, "examples", "250000");
  const std::string huge(1 << 15, 'x');
  many.assign(TextClassifier::max_training_bytes / TextClassifier::max_text_bytes + 1, {huge, "x"});
  check_error(TextClassifier::train(many), Code::exhausted, "examples", "bytes together");
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= TextClassifier::max_labels; ++i) names.push_back(std::to_string(i));
  many.clear();
  for (const std::string& name : names) many.push_back({"a", name});
  check_error(TextClassifier::train(many), Code::exhausted, "examples", "1001 labels");
}

TEST_CASE("options out of range are refused by name") {
  const auto train = [](const TrainingOptions& options) {
    return TextClassifier::train(examples(), options);
  };
  check_error(train({.threshold = 1.5}), Code::invalid, "threshold", "between 0 and 1");
  check_error(train({.target_accuracy = -1}), Code::invalid, "target_accuracy", "between 0 and 1");
  check_error(train({.threads = 0}), Code::invalid, "threads", "between 1 and 64");
  check_error(train({.threads = 65}), Code::invalid, "threads", "between 1 and 64");
}
