#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ai/feature_space.hpp"
#include "ai/linear_model.hpp"
#include "bureau/ai/text_classifier.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What a trained classifier consists of; the threshold lives beside it.
struct ClassifierModel {
  std::vector<std::string> labels;         ///< Sorted bytewise.
  std::uint64_t texts = 0;                 ///< How many it learned from.
  std::vector<std::uint32_t> keys;         ///< The features' grams, ascending.
  std::vector<std::uint32_t> frequencies;  ///< How many texts held each.
  LinearModel linear;
  double sharpness = 1;
  CrossValidation cross_validation;

  // Derived from the above by `index_features`.
  std::vector<float> idf;
  float unknown_idf = 1;
  KeyIndex index;

  void index_features();
};

/// Bytes and back; see the format in model_codec.cpp.
[[nodiscard]] std::string encode_model(const ClassifierModel& model, double threshold);
struct DecodedModel {
  ClassifierModel model;
  double threshold;
};
[[nodiscard]] Result<DecodedModel> decode_model(std::string_view bytes);

/// How many weights a model may have: bounds the memory of training and of stored models.
constexpr std::size_t max_weights = 16U << 20U;
constexpr std::size_t max_features = 150'000;

}  // namespace detail
BUREAU_END_NAMESPACE
