#include "ai/calibration.hpp"

#include <algorithm>
#include <cmath>

BUREAU_BEGIN_NAMESPACE
namespace detail {
namespace {

/// Minus the mean log-likelihood of the true labels.
double loss(const HeldOut& held_out, double sharpness) {
  double sum = 0;
  for (std::size_t i = 0; i < held_out.truth.size(); ++i) {
    const std::span<const float> scores = held_out.of(i);
    const auto own = static_cast<double>(scores[held_out.truth[i]]);
    const auto best = static_cast<double>(scores[best_of(scores)]);
    double total = 0;
    for (const float score : scores) total += std::exp(sharpness * (score - best));
    sum += std::log(total) - sharpness * (own - best);
  }
  return sum / static_cast<double>(std::max<std::size_t>(held_out.truth.size(), 1));
}

struct Judged {
  double confidence;
  bool right;
};

std::vector<Judged> judge(const HeldOut& held_out, double sharpness) {
  std::vector<Judged> out;
  for (std::size_t i = 0; i < held_out.truth.size(); ++i) {
    const std::size_t best = best_of(held_out.of(i));
    out.push_back({confidence_of(held_out.of(i), best, sharpness), best == held_out.truth[i]});
  }
  return out;
}

}  // namespace

std::size_t best_of(std::span<const float> scores) {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

double confidence_of(std::span<const float> scores, std::size_t label, double sharpness) {
  const auto own = static_cast<double>(scores[label]);
  double total = 0;
  for (const float score : scores) total += std::exp(sharpness * (score - own));
  return 1 / total;
}

double fit_sharpness(const HeldOut& held_out) {
  // The loss is convex in the sharpness, so it has one valley also on a logarithmic scale.
  double low = std::log(0.05), high = std::log(50.0);
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double a = high - golden * (high - low), b = low + golden * (high - low);
  double loss_a = loss(held_out, std::exp(a)), loss_b = loss(held_out, std::exp(b));
  while (high - low > 0.01) {
    if (loss_a <= loss_b) {
      high = b;
      b = a;
      loss_b = loss_a;
      a = high - golden * (high - low);
      loss_a = loss(held_out, std::exp(a));
    } else {
      low = a;
      a = b;
      loss_a = loss_b;
      b = low + golden * (high - low);
      loss_b = loss(held_out, std::exp(b));
    }
  }
  return std::exp((low + high) / 2);
}

double choose_threshold(const HeldOut& held_out, double sharpness, double target_accuracy) {
  std::vector<Judged> judged = judge(held_out, sharpness);
  std::sort(judged.begin(), judged.end(),
            [](const Judged& a, const Judged& b) { return a.confidence > b.confidence; });
  double threshold = 1, best_share = 0;
  bool reached = false;
  std::size_t right = 0;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    right += judged[i].right ? 1 : 0;
    if (i + 1 < judged.size() && judged[i + 1].confidence == judged[i].confidence) continue;
    const double share = static_cast<double>(right) / static_cast<double>(i + 1);
    const bool reaches = share >= target_accuracy;
    if (reaches || (!reached && share > 0 && share >= best_share)) {
      threshold = judged[i].confidence;
      best_share = share;
    }
    reached = reached || reaches;
  }
  return threshold;
}

CrossValidation evaluate(const HeldOut& held_out, double sharpness, double threshold) {
  double right = 0, sure = 0, sure_and_right = 0;
  for (const Judged& one : judge(held_out, sharpness)) {
    right += one.right ? 1 : 0;
    if (one.confidence < threshold) continue;
    sure += 1;
    sure_and_right += one.right ? 1 : 0;
  }
  CrossValidation out;
  out.texts = held_out.truth.size();
  const auto texts = static_cast<double>(std::max<std::uint64_t>(out.texts, 1));
  out.accuracy = right / texts;
  out.coverage = sure / texts;
  out.accuracy_at_threshold = sure > 0 ? sure_and_right / sure : 0;
  return out;
}

}  // namespace detail
BUREAU_END_NAMESPACE
