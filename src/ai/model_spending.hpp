#pragma once

#include "bureau/ai/language_model.hpp"
#include "bureau/work/budget.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// What one call may cost at most, as far as one can know.
[[nodiscard]] Result<Spend> reservation(const std::optional<ModelPrice>& price,
                                        std::int64_t input_tokens, std::int64_t output_tokens);
/// Says in `used` what was used instead of what was reserved.
void count_tokens(const std::optional<ModelPrice>& price, std::int64_t input_tokens,
                  std::int64_t output_tokens, Amounts& used);
/// Says in `used` what a call that failed has used: with some errors nothing was answered, and
/// nothing is to be paid; with others it stays as it was reserved.
void count_failure(Code code, Amounts& used);

}  // namespace detail

BUREAU_END_NAMESPACE
