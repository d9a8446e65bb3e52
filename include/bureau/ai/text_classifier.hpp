#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {
struct ClassifierModel;
}

/// One example to learn from. The views need to live during the call only.
struct LabelledText {
  std::string_view text;   ///< Not blank, valid UTF-8 without NUL.
  std::string_view label;  ///< 1 to 200 bytes, not blank, valid UTF-8 without NUL.
};

/// What the classifier thinks of one text.
struct Prediction {
  std::string label;      ///< The best label, also when unsure.
  double confidence = 0;  ///< The probability, 0 to 1, that the label is right, given that one is.
  bool unsure = true;  ///< The confidence is below the threshold, or nothing in the text is known.

  friend bool operator==(const Prediction&, const Prediction&) = default;
};

struct TrainingOptions {
  /// The confidence from which a prediction counts as sure, 0 to 1. Empty: the lowest one at which,
  /// in the cross-validation, the share `target_accuracy` of the sure predictions was right; when
  /// none reaches it, the one at which the sure predictions were most often right.
  std::optional<double> threshold = {};
  double target_accuracy = 0.95;  ///< 0 to 1.
  std::uint64_t seed = 1;         ///< Of the order of training and of the folds.
  unsigned threads = 1;           ///< 1 to 64. The model does not depend on it; above 6 is no use.
};

/// How the classifier did on the training texts when each was judged by a model that had not seen
/// it (five-fold cross-validation). Shares are 0 to 1.
struct CrossValidation {
  std::uint64_t texts = 0;  ///< How many were judged: all, or 20,000 of them.
  double accuracy = 0;      ///< The share whose best label was right, unsure ones included.
  double coverage = 0;      ///< The share that was sure, at the model's threshold.
  double accuracy_at_threshold = 0;  ///< Of the sure ones, the share that was right; 0 if none was.

  friend bool operator==(const CrossValidation&, const CrossValidation&) = default;
};

/// Learns labels from texts, then labels texts: intents, topics, languages. A linear model (one
/// support vector machine per label) over words, pairs of words and pieces of words; it knows no
/// language, needs no network and no training data but what it is given. Letters of the Latin,
/// Greek and Cyrillic scripts match in either case.
///
/// Immutable and cheap to copy (copies share the model); every method may be called from any
/// thread.
class TextClassifier {
 public:
  /// Of longer texts only this many bytes, from the beginning, are read.
  static constexpr std::size_t max_text_bytes = 4096;
  static constexpr std::size_t max_label_bytes = 200;
  static constexpr std::size_t max_labels = 1000;
  static constexpr std::size_t max_training_texts = 250'000;
  /// Of all training texts together, each counted up to max_text_bytes.
  static constexpr std::size_t max_training_bytes = 16U << 20U;

  /// Learns. The result depends on the set of examples, the seed and the threshold's options; not
  /// on the examples' order or the number of threads. Blocks: about a second for 10,000 short texts
  /// and a handful of labels, some seconds for 77. `invalid` names the example and the rule (also:
  /// fewer than two labels); `exhausted` when a limit above is passed.
  [[nodiscard]] static Result<TextClassifier> train(std::span<const LabelledText> examples,
                                                    const TrainingOptions& options = {});

  /// The best label. Any bytes are fine: what is not UTF-8 is read as a space.
  [[nodiscard]] Prediction predict(std::string_view text) const;
  /// The n best labels (all, when there are fewer), best first; equals go by name. Their
  /// confidences add up to at most 1.
  [[nodiscard]] std::vector<Prediction> top(std::string_view text, std::size_t n) const;

  /// The model as bytes, to be stored: versioned, checksummed, of no machine's byte order.
  [[nodiscard]] std::string serialize() const;
  /// The inverse: predicts exactly as the original did. `corrupt` when the bytes are damaged, not a
  /// classifier, or of a newer version than this library reads. Safe with bytes of any origin.
  [[nodiscard]] static Result<TextClassifier> deserialize(std::string_view bytes);

  /// Sorted bytewise. Valid as long as this or a copy of it lives.
  [[nodiscard]] std::span<const std::string> labels() const;
  [[nodiscard]] double threshold() const;
  /// What the training found. Its coverage and accuracy are those of the threshold trained with.
  [[nodiscard]] const CrossValidation& cross_validation() const;
  /// The same model with another threshold. `invalid` unless it is 0 to 1.
  [[nodiscard]] Result<TextClassifier> with_threshold(double threshold) const;

 private:
  TextClassifier(std::shared_ptr<const detail::ClassifierModel> model, double threshold);

  std::shared_ptr<const detail::ClassifierModel> model_;
  double threshold_;
};

BUREAU_END_NAMESPACE
