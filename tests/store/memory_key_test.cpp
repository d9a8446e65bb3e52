// The keys of memory storage's indexes: bytes in the order of the values.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "bureau/store/value.hpp"
#include "store/memory/key.hpp"

using namespace bureau;
using detail::memory::Key;

namespace memory_keys {
namespace {

using Values = std::vector<OwnedValue>;

rc::Gen<OwnedValue> value() {
  const auto integers = rc::gen::oneOf(
      rc::gen::arbitrary<std::int64_t>(),
      rc::gen::element<std::int64_t>(INT64_MIN, INT64_MIN + 1, -256, -1, 0, 1, 255, INT64_MAX));
  using Limits = std::numeric_limits<double>;
  const auto reals =
      rc::gen::oneOf(rc::gen::suchThat<double>([](double d) { return std::isfinite(d); }),
                     rc::gen::element(0.0, -0.0, Limits::denorm_min(), -Limits::denorm_min(),
                                      Limits::max(), Limits::lowest(), Limits::infinity()));
  const auto texts = rc::gen::container<std::string>(rc::gen::oneOf(
      rc::gen::element('\0', '\1', 'a', 'b', '\xfe', '\xff'), rc::gen::arbitrary<char>()));
  return rc::gen::oneOf(
      rc::gen::just(OwnedValue()),
      rc::gen::map(integers, [](std::int64_t v) { return OwnedValue(Value::integer(v)); }),
      rc::gen::map(reals, [](double v) { return OwnedValue(Value::real(v)); }),
      rc::gen::map(texts, [](std::string v) { return OwnedValue::text(std::move(v)); }),
      rc::gen::map(texts, [](std::string v) { return OwnedValue::bytes(std::move(v)); }));
}

std::vector<Value> views(const Values& values) {
  std::vector<Value> all;
  for (const OwnedValue& one : values) all.push_back(one.view());
  return all;
}

int order_of(const Values& a, const Values& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const int order = compare(a[i].view(), b[i].view());
    if (order != 0) return order;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

int sign(int order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

}  // namespace
}  // namespace memory_keys

using namespace memory_keys;

TEST_CASE("Keys are in the order of their values, and begin with what their first values are") {
  CHECK(rc::check("order", [] {
    const auto a = *rc::gen::container<Values>(value());
    auto b = *rc::gen::container<Values>(value());
    // So that they differ late, or not at all.
    const auto same = *rc::gen::inRange<std::size_t>(0, a.size() + 1);
    for (std::size_t i = 0; i < std::min(same, b.size()); ++i) b[i] = a[i];
    const Key one(views(a)), other(views(b));
    RC_ASSERT(sign(one.view().compare(other.view())) == order_of(a, b));
    const auto first = b.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
    const bool begins = order_of(a, Values(b.begin(), first)) == 0;
    RC_ASSERT(other.view().starts_with(one.view()) == begins);
  }));
}
