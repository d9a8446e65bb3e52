#include "ai/linear_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

BUREAU_BEGIN_NAMESPACE
namespace detail {
namespace {

constexpr int passes_max = 8;  // 6, 8 and 12 give the same cross-validated accuracy, within 0.001
constexpr float change_min = 1e-3F;  // a pass that changes no coordinate by more is the last
constexpr float loss_weight = 1;     // C
constexpr float diagonal = 1 / (2 * loss_weight);

/// GCC's and Clang's vector extension: four floats, which every machine of interest adds at once.
typedef float Quad __attribute__((vector_size(4 * sizeof(float))));

/// A number for each of 16 labels. (As an array of floats, GCC 12 keeps it in memory at -O2 and
/// training takes twice as long.)
struct alignas(lanes * sizeof(float)) Lanes {
  Quad quads[lanes / 4];

  float operator[](std::size_t k) const { return quads[k / 4][k % 4]; }
  void set(std::size_t k, float value) { quads[k / 4][k % 4] = value; }
};

/// sum += factor * row
inline void add_scaled(Lanes& sum, float factor, const Lanes& row) {
  static_assert(lanes == 16);
  sum.quads[0] += factor * row.quads[0];
  sum.quads[1] += factor * row.quads[1];
  sum.quads[2] += factor * row.quads[2];
  sum.quads[3] += factor * row.quads[3];
}

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
      step_size_.push_back(1 / square);
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
      add_scaled(score, term.value, block_.weights[term.feature]);
    }
    const std::size_t own = set_.label[i] - first_label_;  // wraps when it is in another block
    Lanes& dual = duals_[i];
    Lanes delta;
    float change = 0;
    for (std::size_t k = 0; k < lanes; ++k) {
      const float sign = k == own ? 1 : -1;
      const float gradient = sign * score[k] - 1 + diagonal * dual[k];
      const float next = std::max(dual[k] - gradient * step_size_[i], 0.0F);
      delta.set(k, (next - dual[k]) * sign);
      dual.set(k, next);
      change = std::max(change, std::fabs(delta[k]));
    }
    if (change == 0) return 0;
    add_scaled(block_.bias, 1, delta);
    for (const Term& term : set_.text(i)) {
      add_scaled(block_.weights[term.feature], term.value, delta);
    }
    return change;
  }

  const TrainingSet& set_;
  std::size_t first_label_;
  std::vector<Lanes> duals_;
  std::vector<float> step_size_;
  Block block_;
};

void store_rounded(const Block& block, std::size_t first_label, LinearModel& out) {
  std::array<float, lanes> largest{}, inverse{};
  for (const Lanes& row : block.weights) {
    for (std::size_t k = 0; k < lanes; ++k) largest[k] = std::max(largest[k], std::fabs(row[k]));
  }
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
    std::array<float, lanes> sum{};
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
