#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

/// An ISO 4217 currency. A plain value; two are equal when their codes are.
class Currency {
 public:
  constexpr Currency() = default;
  /// `invalid` unless the text is the code, in upper case, of an active ISO 4217 currency that has
  /// a minor unit (XAU and the like have none).
  [[nodiscard]] static Result<Currency> parse(std::string_view code);
  [[nodiscard]] std::string_view code() const { return {code_, code_[0] == '\0' ? 0U : 3U}; }
  /// How many digits the minor unit has: 2 for EUR, 0 for JPY, 3 for KWD.
  [[nodiscard]] int digits() const;
  friend constexpr bool operator==(const Currency&, const Currency&) = default;

 private:
  char code_[4] = {};
};

/// An exact amount in minor units (cents) of one currency.
struct Money {
  std::int64_t minor = 0;
  Currency currency;

  /// "12.50 EUR", "-0.05 USD", "1200 JPY": exactly the currency's digits, or fewer. `invalid`
  /// otherwise, `exhausted` when it does not fit 64 bits.
  [[nodiscard]] static Result<Money> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  friend constexpr bool operator==(const Money&, const Money&) = default;
};

/// Sums of one currency. `invalid` when the currencies differ, `exhausted` on overflow.
[[nodiscard]] Result<Money> add(const Money& a, const Money& b);
[[nodiscard]] Result<Money> subtract(const Money& a, const Money& b);
/// amount * numerator / denominator, rounded half to even. `invalid` when denominator is not
/// positive, `exhausted` on overflow.
[[nodiscard]] Result<Money> scale(const Money& amount, std::int64_t numerator,
                                  std::int64_t denominator);

BUREAU_END_NAMESPACE
