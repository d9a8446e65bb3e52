#include "bureau/ai/text_classifier.hpp"

#include <algorithm>
#include <numeric>

#include "ai/calibration.hpp"
#include "ai/classifier_model.hpp"

BUREAU_BEGIN_NAMESPACE
namespace {

struct Scored {
  std::vector<float> scores;  // padded to the model's stride
  bool known;                 // at least one feature

  [[nodiscard]] std::span<const float> of_labels(std::size_t labels) const {
    return std::span(scores).first(labels);
  }
};

Scored score(const detail::ClassifierModel& model, std::string_view text) {
  const detail::TextGrams grams = detail::cut_text(text);
  std::vector<detail::Term> terms;
  terms.reserve(grams.grams.size());
  detail::vectorize(
      grams, [&](std::uint32_t key) { return model.index.find(key); }, model.idf, model.unknown_idf,
      terms);
  Scored out{std::vector<float>(model.linear.stride), !terms.empty()};
  model.linear.score(terms, out.scores);
  return out;
}

}  // namespace

TextClassifier::TextClassifier(std::shared_ptr<const detail::ClassifierModel> model,
                               double threshold)
    : model_(std::move(model)), threshold_(threshold) {}

Prediction TextClassifier::predict(std::string_view text) const {
  const Scored scored = score(*model_, text);
  const std::span<const float> scores = scored.of_labels(model_->labels.size());
  const std::size_t best = detail::best_of(scores);
  const double confidence = detail::confidence_of(scores, best, model_->sharpness);
  return {model_->labels[best], confidence, !scored.known || confidence < threshold_};
}

std::vector<Prediction> TextClassifier::top(std::string_view text, std::size_t n) const {
  const Scored scored = score(*model_, text);
  const std::span<const float> scores = scored.of_labels(model_->labels.size());
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(n, order.size()));
  std::vector<Prediction> out;
  out.reserve(order.size());
  for (const std::size_t label : order) {
    const double confidence = detail::confidence_of(scores, label, model_->sharpness);
    out.push_back({model_->labels[label], confidence, !scored.known || confidence < threshold_});
  }
  return out;
}

std::string TextClassifier::serialize() const { return detail::encode_model(*model_, threshold_); }

Result<TextClassifier> TextClassifier::deserialize(std::string_view bytes) {
  BUREAU_TRY(detail::DecodedModel decoded, detail::decode_model(bytes));
  return TextClassifier(std::make_shared<const detail::ClassifierModel>(std::move(decoded.model)),
                        decoded.threshold);
}

std::span<const std::string> TextClassifier::labels() const { return model_->labels; }

double TextClassifier::threshold() const { return threshold_; }

const CrossValidation& TextClassifier::cross_validation() const { return model_->cross_validation; }

Result<TextClassifier> TextClassifier::with_threshold(double threshold) const {
  if (!(threshold >= 0 && threshold <= 1)) {
    return fail(Code::invalid,
                "threshold: " + std::to_string(threshold) + " is not a probability from 0 to 1",
                "threshold");
  }
  return TextClassifier(model_, threshold);
}

BUREAU_END_NAMESPACE
