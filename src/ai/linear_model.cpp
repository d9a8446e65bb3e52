#include "ai/linear_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

BUREAU_BEGIN_NAMESPACE
namespace detail {
namespace {

constexpr int passes_max = 12;       // further ones changed no figure of the cross-validation
constexpr float change_min = 1e-3F;  // a pass that changes no coordinate by more is the last
constexpr float loss_weight = 1;     // C
constexpr float diagonal = 1 / (2 * loss_weight);

using Lanes = std::array<float, lanes>;

/// Full-precision weights of 16 labels while they are trained.
struct Block {
  std::vector<Lanes> weights;
  Lanes bias{};
};

class BlockTrainer {
 public:
  BlockTrainer(const TrainingSet& set, std::size_t first_label)
      : set_(set), first_label_(first_label), duals_(set.label.size(), Lanes{}) {
    block_.weights.assign(set.features, Lanes{});
    for (std::size_t i = 0; i < set.label.size(); ++i) {
      float square = 1 + diagonal;  // 1: the bias
      for (const Term& term : set.text(i)) square += term.value * term.value;
      curvature_.push_back(square);
    }
  }

  Block train(std::uint64_t seed) && {
    std::vector<std::uint32_t> order(set_.label.size());
    std::iota(order.begin(), order.end(), 0U);
    Shuffler shuffler(seed);
    for (int pass = 0; pass < passes_max; ++pass) {
      shuffler.shuffle(order);
      float change = 0;
      for (const std::uint32_t i : order) change = std::max(change, step(i));
      if (change < change_min) break;
    }
    return std::move(block_);
  }

 private:
  /// Sets the 16 dual variables of one text to their optimum, all others being fixed. Returns the
  /// largest change.
  float step(std::size_t i) {
    Lanes score = block_.bias;
    for (const Term& term : set_.text(i)) {
      const Lanes& row = block_.weights[term.feature];
      for (std::size_t k = 0; k < lanes; ++k) score[k] += term.value * row[k];
    }
    Lanes sign;
    sign.fill(-1);
    const std::size_t own = set_.label[i] - first_label_;  // wraps when it is in another block
    if (own < lanes) sign[own] = 1;

    Lanes& dual = duals_[i];
    Lanes delta;
    float change = 0;
    for (std::size_t k = 0; k < lanes; ++k) {
      const float gradient = sign[k] * score[k] - 1 + diagonal * dual[k];
      const float next = std::max(dual[k] - gradient / curvature_[i], 0.0F);
      delta[k] = (next - dual[k]) * sign[k];
      dual[k] = next;
      change = std::max(change, std::fabs(delta[k]));
    }
    if (change == 0) return 0;
    for (std::size_t k = 0; k < lanes; ++k) block_.bias[k] += delta[k];
    for (const Term& term : set_.text(i)) {
      Lanes& row = block_.weights[term.feature];
      for (std::size_t k = 0; k < lanes; ++k) row[k] += term.value * delta[k];
    }
    return change;
  }

  const TrainingSet& set_;
  std::size_t first_label_;
  std::vector<Lanes> duals_;
  std::vector<float> curvature_;
  Block block_;
};

void store_rounded(const Block& block, std::size_t first_label, LinearModel& out) {
  Lanes largest{};
  for (const Lanes& row : block.weights) {
    for (std::size_t k = 0; k < lanes; ++k) largest[k] = std::max(largest[k], std::fabs(row[k]));
  }
  Lanes inverse{};
  for (std::size_t k = 0; k < std::min(lanes, out.labels - first_label); ++k) {
    out.scale[first_label + k] = largest[k] / 127;
    out.bias[first_label + k] = block.bias[k];
    inverse[k] = largest[k] > 0 ? 127 / largest[k] : 0;
  }
  for (std::size_t feature = 0; feature < block.weights.size(); ++feature) {
    std::int8_t* row = &out.weights[feature * out.stride + first_label];
    for (std::size_t k = 0; k < lanes; ++k) {
      const float rounded = std::round(block.weights[feature][k] * inverse[k]);
      row[k] = static_cast<std::int8_t>(std::clamp(rounded, -127.0F, 127.0F));
    }
  }
}

}  // namespace

void LinearModel::score(std::span<const Term> terms, std::span<float> out) const {
  for (std::size_t first = 0; first < stride; first += lanes) {
    Lanes sum{};
    for (const Term& term : terms) {
      const std::int8_t* row = &weights[term.feature * stride + first];
      for (std::size_t k = 0; k < lanes; ++k) sum[k] += term.value * static_cast<float>(row[k]);
    }
    for (std::size_t k = 0; k < lanes; ++k) {
      out[first + k] = sum[k] * scale[first + k] + bias[first + k];
    }
  }
}

LinearModel train_linear(const TrainingSet& set, std::uint64_t seed) {
  LinearModel model;
  model.labels = set.labels;
  model.stride = LinearModel::stride_of(set.labels);
  model.weights.assign(set.features * model.stride, 0);
  model.scale.assign(model.stride, 0);
  model.bias.assign(model.stride, 0);
  for (std::size_t first = 0; first < set.labels; first += lanes) {
    store_rounded(BlockTrainer(set, first).train(seed), first, model);
  }
  return model;
}

}  // namespace detail
BUREAU_END_NAMESPACE
