#include "bureau/core/money.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

Currency currency(std::string_view code) { return Currency::parse(code).value(); }

Money money(std::string_view text) { return Money::parse(text).value(); }

}  // namespace

TEST_CASE("money: currencies") {
  CHECK(currency("EUR").digits() == 2);
  CHECK(currency("JPY").digits() == 0);
  CHECK(currency("KWD").digits() == 3);
  CHECK(currency("CLF").digits() == 4);
  CHECK(currency("AED").code() == "AED");
  CHECK(currency("ZWG").code() == "ZWG");
  CHECK(Currency().code().empty());
  CHECK(currency("EUR") == currency("EUR"));
  CHECK(currency("EUR") != currency("USD"));
  CHECK(currency("EUR") != Currency());
  // Lower case, unknown, withdrawn, without a minor unit.
  for (const char* code :
       {"", "eur", "Eur", "EU", "EURO", "AAA", "ZZZ", "DEM", "HRK", "XAU", "XXX", "EU ", "   "}) {
    CAPTURE(code);
    const auto found = Currency::parse(code);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Code::invalid);
  }
  CHECK_FALSE(Currency::parse(std::string_view("EU\0", 3)));
}

TEST_CASE("money: text") {
  CHECK(money("12.50 EUR") == Money{1250, currency("EUR")});
  CHECK(money("12.5 EUR") == Money{1250, currency("EUR")});
  CHECK(money("12 EUR") == Money{1200, currency("EUR")});
  CHECK(money("-0.05 USD") == Money{-5, currency("USD")});
  CHECK(money("1200 JPY") == Money{1200, currency("JPY")});
  CHECK(money("1.234 KWD") == Money{1234, currency("KWD")});
  CHECK(money("-92233720368547758.08 EUR").minor == INT64_MIN);
  CHECK(money("92233720368547758.07 EUR").minor == INT64_MAX);

  CHECK(Money{-5, currency("USD")}.to_string() == "-0.05 USD");
  CHECK(Money{0, currency("EUR")}.to_string() == "0.00 EUR");
  CHECK(Money{1200, currency("JPY")}.to_string() == "1200 JPY");
  CHECK(Money{1, currency("CLF")}.to_string() == "0.0001 CLF");
  CHECK(Money{7, {}}.to_string() == "7");

  for (const char* text : {"", "12.50", "EUR", " EUR", "12.50EUR", "12.50  EUR", "12.505 EUR",
                           "1.0 JPY", "12. EUR", ".5 EUR", "+1 EUR", "--1 EUR", "- EUR", "1,50 EUR",
                           "1e3 EUR", "12.50 eur", "12.50 EUR ", "1.2.3 EUR", "0x10 EUR"}) {
    CAPTURE(text);
    const auto parsed = Money::parse(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Code::invalid);
  }
  for (const char* text : {"92233720368547758.08 EUR", "-92233720368547758.09 EUR",
                           "92233720368547758070 JPY", "922337203685477581 EUR"}) {
    CAPTURE(text);
    CHECK(Money::parse(text).error().code == Code::exhausted);
  }
}

TEST_CASE("money: sums") {
  CHECK(add(money("1.50 EUR"), money("-2 EUR")).value() == money("-0.50 EUR"));
  CHECK(subtract(money("1.50 EUR"), money("2 EUR")).value() == money("-0.50 EUR"));
  CHECK(add(money("1 EUR"), money("1 USD")).error().code == Code::invalid);
  CHECK(subtract(money("1 EUR"), Money{}).error().code == Code::invalid);
  const Money most{INT64_MAX, currency("EUR")};
  const Money least{INT64_MIN, currency("EUR")};
  CHECK(add(most, money("0.01 EUR")).error().code == Code::exhausted);
  CHECK(subtract(least, money("0.01 EUR")).error().code == Code::exhausted);
  CHECK(add(most, least).value() == money("-0.01 EUR"));
  CHECK(subtract(money("0 EUR"), least).error().code == Code::exhausted);
}

TEST_CASE("money: scale rounds half to even") {
  const auto scaled = [](std::int64_t minor, std::int64_t numerator, std::int64_t denominator) {
    return scale({minor, currency("EUR")}, numerator, denominator).value().minor;
  };
  CHECK(scaled(100, 19, 100) == 19);
  CHECK(scaled(1, 1, 2) == 0);
  CHECK(scaled(3, 1, 2) == 2);
  CHECK(scaled(5, 1, 2) == 2);
  CHECK(scaled(-1, 1, 2) == 0);
  CHECK(scaled(-3, 1, 2) == -2);
  CHECK(scaled(-5, 1, 2) == -2);
  CHECK(scaled(7, 1, 3) == 2);
  CHECK(scaled(8, 1, 3) == 3);
  CHECK(scaled(8, -1, 3) == -3);
  CHECK(scaled(INT64_MAX, INT64_MAX, INT64_MAX) == INT64_MAX);
  CHECK(scaled(INT64_MIN, INT64_MAX, INT64_MAX) == INT64_MIN);
  CHECK(scaled(INT64_MIN, 1, 2) == INT64_MIN / 2);
  const Money most{INT64_MAX, currency("EUR")};
  CHECK(scale(most, 2, 1).error().code == Code::exhausted);
  CHECK(scale({INT64_MIN, currency("EUR")}, -1, 1).error().code == Code::exhausted);
  CHECK(scale(most, INT64_MIN, 1).error().code == Code::exhausted);
  CHECK(scale(most, 1, 0).error().code == Code::invalid);
  CHECK(scale(most, 1, -2).error().code == Code::invalid);
}

TEST_CASE("money: properties") {
  const auto any_currency =
      rc::gen::map(rc::gen::element<std::string>("EUR", "JPY", "KWD", "CLF", "USD"),
                   [](const std::string& code) { return currency(code); });
  const auto any_amount = rc::gen::oneOf(rc::gen::arbitrary<std::int64_t>(),
                                         rc::gen::element<std::int64_t>(INT64_MIN, INT64_MAX, 0));
  CHECK(rc::check("parse(to_string(m)) == m", [&] {
    const Money m{*any_amount, *any_currency};
    RC_ASSERT(Money::parse(m.to_string()).value() == m);
  }));
  CHECK(rc::check("scale is within half a unit, and even when exactly half", [] {
    const auto minor = *rc::gen::inRange<std::int64_t>(-1'000'000, 1'000'000);
    const auto numerator = *rc::gen::inRange<std::int64_t>(-1000, 1000);
    const auto denominator = *rc::gen::inRange<std::int64_t>(1, 50);
    const auto result = scale({minor, currency("EUR")}, numerator, denominator).value().minor;
    const auto twice_off = 2 * (minor * numerator - result * denominator);
    RC_ASSERT(twice_off <= denominator && twice_off >= -denominator);
    if (twice_off == denominator || twice_off == -denominator) RC_ASSERT(result % 2 == 0);
  }));
}
