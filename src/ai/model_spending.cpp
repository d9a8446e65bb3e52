#include "ai/model_spending.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

Result<Spend> reservation(const std::optional<ModelPrice>& price, std::int64_t input_tokens,
                          std::int64_t output_tokens) {
  Spend spend;
  if (price) {
    BUREAU_TRY(spend.most, cost_of(*price, input_tokens, output_tokens));
  } else {
    spend.unpriced = true;
  }
  spend.most.tokens = input_tokens + output_tokens;
  spend.most.calls = 1;
  return spend;
}

void count_tokens(const std::optional<ModelPrice>& price, std::int64_t input_tokens,
                  std::int64_t output_tokens, Amounts& used) {
  if (price) {
    auto cost = cost_of(*price, input_tokens, output_tokens);
    if (!cost) return;
    used.money = cost->money;
    used.money_micros = cost->money_micros;
  }
  used.tokens = input_tokens + output_tokens;
}

void count_failure(Code code, Amounts& used) {
  if (code == Code::unavailable || code == Code::busy || code == Code::exhausted ||
      code == Code::invalid) {
    used = {.calls = 1, .time = used.time};
  }
}

}  // namespace detail

BUREAU_END_NAMESPACE
