#include "bureau/core/money.hpp"

#include <algorithm>
#include <array>

#include "core/civil_text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

// ISO 4217 list one as of 2026-01-01, by the digits of the minor unit. Left out are the codes
// without a minor unit: metals, XDR, XSU, XUA, the testing code and "no currency".
constexpr std::string_view digits_0 =
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ";
constexpr std::string_view digits_2 =
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS "
    "GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD "
    "LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB "
    "PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW "
    "ZWG ";
constexpr std::string_view digits_3 = "BHD IQD JOD KWD LYD OMR TND ";
constexpr std::string_view digits_4 = "CLF UYW ";

struct Entry {
  std::array<char, 3> code;
  int digits;
  friend constexpr bool operator<(const Entry& a, const Entry& b) { return a.code < b.code; }
};

constexpr auto table = [] {
  constexpr std::size_t letters =
      digits_0.size() + digits_2.size() + digits_3.size() + digits_4.size();
  std::array<Entry, letters / 4> entries{};
  std::size_t count = 0;
  const auto add = [&](std::string_view codes, int digits) {
    for (std::size_t i = 0; i < codes.size(); i += 4)
      entries[count++] = {{codes[i], codes[i + 1], codes[i + 2]}, digits};
  };
  add(digits_0, 0);
  add(digits_2, 2);
  add(digits_3, 3);
  add(digits_4, 4);
  std::sort(entries.begin(), entries.end());
  return entries;
}();

const Entry* find(std::string_view code) {
  if (code.size() != 3) return nullptr;
  const Entry wanted{{code[0], code[1], code[2]}, 0};
  const auto place = std::lower_bound(table.begin(), table.end(), wanted);
  return place != table.end() && place->code == wanted.code ? &*place : nullptr;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

enum class Amount { good, malformed, too_big };

/// "-12.5" with two digits is -1250.
Amount parse_amount(std::string_view text, int digits, std::int64_t& minor) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == text.size() ? "" : text.substr(point + 1);
  const bool well_formed = !whole.empty() && (point == text.size() || !fraction.empty()) &&
                           fraction.size() <= static_cast<std::size_t>(digits) &&
                           std::all_of(whole.begin(), whole.end(), is_digit) &&
                           std::all_of(fraction.begin(), fraction.end(), is_digit);
  if (!well_formed) return Amount::malformed;

  minor = 0;
  const auto append = [&](int digit) {
    // Towards the sign, so that the smallest amount of all is read too.
    return !__builtin_mul_overflow(minor, std::int64_t{10}, &minor) &&
           !__builtin_add_overflow(minor, std::int64_t{negative ? -digit : digit}, &minor);
  };
  for (const std::string_view part : {whole, fraction})
    for (const char c : part)
      if (!append(c - '0')) return Amount::too_big;
  for (auto i = static_cast<int>(fraction.size()); i < digits; ++i)
    if (!append(0)) return Amount::too_big;
  return Amount::good;
}

std::string currency_name(const Currency& currency) {
  return currency.code().empty() ? "no currency" : std::string(currency.code());
}

template <class Operation>
Result<Money> combine(const Money& a, const Money& b, const char* name, Operation operation) {
  if (a.currency != b.currency)
    return fail(Code::invalid, std::string(name) + ": the currencies differ (" +
                                   currency_name(a.currency) + " and " + currency_name(b.currency) +
                                   ")");
  Money out{0, a.currency};
  if (operation(a.minor, b.minor, &out.minor))
    return fail(Code::exhausted, std::string(name) + " of " + a.to_string() + " and " +
                                     b.to_string() + ": does not fit 64 bits of minor units");
  return out;
}

}  // namespace

Result<Currency> Currency::parse(std::string_view code) {
  if (find(code) == nullptr)
    return fail(Code::invalid, "currency " + detail::shown(code) +
                                   ": expected the upper-case code of an active ISO 4217 currency");
  Currency currency;
  std::copy(code.begin(), code.end(), currency.code_);
  return currency;
}

int Currency::digits() const {
  const Entry* entry = find(code());
  return entry == nullptr ? 0 : entry->digits;
}

Result<Money> Money::parse(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos)
    return fail(Code::invalid,
                "amount " + detail::shown(text) +
                    ": expected a number, a space and a currency, such as 12.50 EUR");
  BUREAU_TRY(const Currency currency, Currency::parse(text.substr(space + 1)));
  Money money{0, currency};
  switch (parse_amount(text.substr(0, space), currency.digits(), money.minor)) {
    case Amount::good:
      return money;
    case Amount::too_big:
      return fail(Code::exhausted,
                  "amount " + detail::shown(text) + ": does not fit 64 bits of minor units");
    case Amount::malformed:
      break;
  }
  return fail(Code::invalid, "amount " + detail::shown(text) + ": expected a number with at most " +
                                 std::to_string(currency.digits()) + " digits after the point");
}

std::string Money::to_string() const {
  const auto digits = static_cast<std::size_t>(currency.digits());
  // Unsigned, as the smallest amount has no positive counterpart.
  const std::uint64_t magnitude =
      minor < 0 ? 0 - static_cast<std::uint64_t>(minor) : static_cast<std::uint64_t>(minor);
  std::string text = std::to_string(magnitude);
  if (text.size() <= digits) text.insert(0, digits + 1 - text.size(), '0');
  if (digits > 0) text.insert(text.size() - digits, ".");
  if (minor < 0) text.insert(0, "-");
  if (!currency.code().empty()) text.append(" ").append(currency.code());
  return text;
}

Result<Money> add(const Money& a, const Money& b) {
  return combine(a, b, "sum", [](std::int64_t x, std::int64_t y, std::int64_t* out) {
    return __builtin_add_overflow(x, y, out);
  });
}

Result<Money> subtract(const Money& a, const Money& b) {
  return combine(a, b, "difference", [](std::int64_t x, std::int64_t y, std::int64_t* out) {
    return __builtin_sub_overflow(x, y, out);
  });
}

Result<Money> scale(const Money& amount, std::int64_t numerator, std::int64_t denominator) {
  if (denominator <= 0)
    return fail(Code::invalid, "denominator " + std::to_string(denominator) + ": must be positive",
                "denominator");
  __extension__ using Wide = __int128;
  const Wide product = Wide{amount.minor} * numerator;
  Wide quotient = product / denominator;
  const Wide remainder = product % denominator;
  const Wide twice = remainder < 0 ? -remainder * 2 : remainder * 2;
  const bool to_even = twice == denominator && quotient % 2 != 0;
  if (twice > denominator || to_even) quotient += product < 0 ? -1 : 1;
  if (quotient > INT64_MAX || quotient < INT64_MIN)
    return fail(Code::exhausted, amount.to_string() + " times " + std::to_string(numerator) + "/" +
                                     std::to_string(denominator) +
                                     ": does not fit 64 bits of minor units");
  return Money{static_cast<std::int64_t>(quotient), amount.currency};
}

BUREAU_END_NAMESPACE
