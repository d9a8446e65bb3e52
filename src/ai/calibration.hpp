#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bureau/ai/text_classifier.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Scores that texts got from models which had not seen them, and their true labels.
struct HeldOut {
  std::size_t labels = 0;
  std::vector<float> scores;  ///< `labels` for each text.
  std::vector<std::uint32_t> truth;

  [[nodiscard]] std::span<const float> of(std::size_t text) const {
    return std::span(scores).subspan(text * labels, labels);
  }
};

/// Where the highest score is; of equals the first.
[[nodiscard]] std::size_t best_of(std::span<const float> scores);

/// The probability of each label is exp(sharpness * score), divided by the sum over all labels.
/// This is that of `label`.
[[nodiscard]] double confidence_of(std::span<const float> scores, std::size_t label,
                                   double sharpness);

/// The sharpness (the inverse of the temperature of Guo et al., "On Calibration of Modern Neural
/// Networks", ICML 2017) under which the true labels are likeliest: 0.05 to 50.
[[nodiscard]] double fit_sharpness(const HeldOut& held_out);

/// The threshold that TrainingOptions::threshold describes; 1 when there is nothing to learn from.
[[nodiscard]] double choose_threshold(const HeldOut& held_out, double sharpness,
                                      double target_accuracy);

[[nodiscard]] CrossValidation evaluate(const HeldOut& held_out, double sharpness, double threshold);

}  // namespace detail
BUREAU_END_NAMESPACE
