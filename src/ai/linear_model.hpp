#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ai/feature_space.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Labels are trained and scored this many at a time: the loops over them have a constant length,
/// so that every compiler turns them into vector instructions.
constexpr std::size_t lanes = 16;

/// One linear function per label, its weights rounded to 8 bits by a scale per label. (Measured by
/// cross-validation: no loss that shows, at a quarter of the size.)
struct LinearModel {
  std::size_t labels = 0;
  std::size_t stride = 0;            ///< labels rounded up to lanes; what is beyond them is zero.
  std::vector<std::int8_t> weights;  ///< One row of `stride` per feature.
  std::vector<float> scale;          ///< One per label, padded to stride.
  std::vector<float> bias;           ///< The same.

  [[nodiscard]] static std::size_t stride_of(std::size_t labels) {
    return (labels + lanes - 1) / lanes * lanes;
  }
  /// Writes `stride` scores; positive means "is of this label". REQUIRES: out.size() == stride.
  void score(std::span<const Term> terms, std::span<float> out) const;
};

/// The texts' vectors one after the other, and the number of each one's label.
struct TrainingSet {
  std::vector<Term> terms;
  std::vector<std::size_t> begin{0};  ///< One per text and one more.
  std::vector<std::uint32_t> label;
  std::size_t labels = 0;
  std::size_t features = 0;

  [[nodiscard]] std::span<const Term> text(std::size_t i) const {
    return std::span(terms).subspan(begin[i], begin[i + 1] - begin[i]);
  }
};

/// Trains one support vector machine per label against all others (L2-regularised, squared hinge
/// loss, C = 1, a regularised bias) by dual coordinate descent: Hsieh et al., "A Dual Coordinate
/// Descent Method for Large-scale Linear SVM", ICML 2008. The order of the coordinates, drawn anew
/// for each pass from `seed`, is the same for all labels, so that 16 labels share each pass.
[[nodiscard]] LinearModel train_linear(const TrainingSet& set, std::uint64_t seed);

/// A small generator whose numbers are the same everywhere (SplitMix64).
class Shuffler {
 public:
  explicit Shuffler(std::uint64_t seed) : state_(seed) {}

  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[next() % i]);
  }

 private:
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }

  std::uint64_t state_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
