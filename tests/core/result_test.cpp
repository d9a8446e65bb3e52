#include "bureau/core/result.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>

#include "bureau/core/function_ref.hpp"
#include "bureau/core/log.hpp"

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

Result<std::unique_ptr<int>> half(int n) {
  if (n % 2 != 0) return fail(Code::invalid, std::to_string(n) + " is odd", "n");
  return std::make_unique<int>(n / 2);
}

Result<int> quarter(int n) {
  BUREAU_TRY(const auto once, half(n));
  BUREAU_TRY(auto twice, half(*once));
  BUREAU_TRY_VOID(half(0));
  return *twice;
}

Result<void> check(int n) {
  BUREAU_TRY_VOID(half(n));
  return {};
}

int call(FunctionRef<int(int)> f) { return f(20); }
int twice(int n) { return 2 * n; }

}  // namespace

TEST_CASE("error: the numbers and names of codes are frozen") {
  const std::pair<int, const char*> expected[] = {
      {1, "invalid"},   {2, "not_found"},  {3, "exists"},       {4, "conflict"},
      {5, "forbidden"}, {6, "busy"},       {7, "deadline"},     {8, "cancelled"},
      {9, "gone"},      {10, "suspended"}, {11, "unavailable"}, {12, "unknown_outcome"},
      {13, "corrupt"},  {14, "exhausted"}, {15, "internal"}};
  for (const auto& [number, name] : expected) CHECK(to_string(static_cast<Code>(number)) == name);
  CHECK(static_cast<int>(Code::invalid) == 1);
  CHECK(static_cast<int>(Code::not_found) == 2);
  CHECK(static_cast<int>(Code::exists) == 3);
  CHECK(static_cast<int>(Code::conflict) == 4);
  CHECK(static_cast<int>(Code::forbidden) == 5);
  CHECK(static_cast<int>(Code::busy) == 6);
  CHECK(static_cast<int>(Code::deadline) == 7);
  CHECK(static_cast<int>(Code::cancelled) == 8);
  CHECK(static_cast<int>(Code::gone) == 9);
  CHECK(static_cast<int>(Code::suspended) == 10);
  CHECK(static_cast<int>(Code::unavailable) == 11);
  CHECK(static_cast<int>(Code::unknown_outcome) == 12);
  CHECK(static_cast<int>(Code::corrupt) == 13);
  CHECK(static_cast<int>(Code::exhausted) == 14);
  CHECK(static_cast<int>(Code::internal) == 15);
  CHECK(to_string(Error(Code::busy, "locked by pid 7")) == "busy: locked by pid 7");
}

TEST_CASE("result: BUREAU_TRY passes values and errors on") {
  CHECK(quarter(20).value() == 5);
  CHECK(quarter(7).error() == Error(Code::invalid, "7 is odd", "n"));
  CHECK(quarter(6).error().message == "3 is odd");
  CHECK(check(2).has_value());
  CHECK(check(3).error().field == "n");
}

TEST_CASE("function_ref: refers to lambdas, functions and function objects") {
  int calls = 0;
  const auto counting = [&calls](int n) {
    ++calls;
    return n + 1;
  };
  CHECK(call(counting) == 21);
  CHECK(call([calls](int n) mutable { return n + ++calls; }) == 22);
  CHECK(calls == 1);
  CHECK(call(twice) == 40);
  CHECK(call(std::function<int(int)>(twice)) == 40);
  // What a callable returns may be dropped.
  const FunctionRef<void(int)> dropping = counting;
  dropping(1);
  CHECK(calls == 2);
}

TEST_CASE("log: an empty sink is nowhere, another one gets everything") {
  log({}, LogLevel::error, "test", "unheard");
  std::string heard;
  const LogSink sink = [&](const LogRecord& record) {
    heard += std::string(to_string(record.level)) + " " + std::string(record.source) + " " +
             std::string(record.message);
    for (const auto& field : record.fields) {
      heard += " " + std::string(field.name) + "=";
      if (const auto* number = std::get_if<std::int64_t>(&field.value))
        heard += std::to_string(*number);
      if (const auto* text = std::get_if<std::string_view>(&field.value)) heard += *text;
    }
  };
  log(sink, LogLevel::warning, "test", "slow",
      {{"count", std::int64_t{7}}, {"table", std::string_view("tickets")}});
  CHECK(heard == "warning test slow count=7 table=tickets");
  CHECK(to_string(LogLevel::debug) == "debug");
  CHECK(to_string(LogLevel::info) == "info");
  CHECK(to_string(LogLevel::error) == "error");
  CHECK(to_string(LogLevel::critical) == "critical");
}
