#pragma once

#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>

#include "bureau/core/json.hpp"

BUREAU_BEGIN_NAMESPACE

/// For rapidcheck's counterexamples.
inline void showValue(const Json& json, std::ostream& out) { out << json.dump(); }

namespace gen {

inline void append_code_point(std::string& out, std::uint32_t c) {
  const auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xC0 | c >> 6);
    byte(0x80 | (c & 63));
  } else if (c < 0x10000) {
    byte(0xE0 | c >> 12);
    byte(0x80 | (c >> 6 & 63));
    byte(0x80 | (c & 63));
  } else {
    byte(0xF0 | c >> 18);
    byte(0x80 | (c >> 12 & 63));
    byte(0x80 | (c >> 6 & 63));
    byte(0x80 | (c & 63));
  }
}

/// Code points but NUL and surrogates, with a taste for short ones and for the edges of lengths.
inline rc::Gen<std::uint32_t> code_point() {
  return rc::gen::suchThat(
      rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(1, 0x80),
                     rc::gen::inRange<std::uint32_t>(0x20, 0x7F),
                     rc::gen::inRange<std::uint32_t>(0x80, 0x900),
                     rc::gen::inRange<std::uint32_t>(0x700, 0x10000),
                     rc::gen::inRange<std::uint32_t>(0x10000, 0x110000),
                     rc::gen::element<std::uint32_t>('"', '\\', 0x7F, 0x7FF, 0x800, 0xD7FF, 0xE000,
                                                     0xFFFF, 0x10000, 0x10FFFF)),
      [](std::uint32_t c) { return c < 0xD800 || c > 0xDFFF; });
}

/// Valid UTF-8 without NUL.
inline rc::Gen<std::string> text() {
  return rc::gen::map(rc::gen::container<std::vector<std::uint32_t>>(code_point()),
                      [](const std::vector<std::uint32_t>& points) {
                        std::string out;
                        for (const auto c : points) append_code_point(out, c);
                        return out;
                      });
}

inline rc::Gen<double> finite_double() {
  return rc::gen::oneOf(
      rc::gen::map(rc::gen::suchThat(rc::gen::arbitrary<std::uint64_t>(),
                                     [](std::uint64_t bits) {
                                       return std::isfinite(std::bit_cast<double>(bits));
                                     }),
                   [](std::uint64_t bits) { return std::bit_cast<double>(bits); }),
      rc::gen::map(rc::gen::arbitrary<std::int32_t>(),
                   [](std::int32_t n) { return static_cast<double>(n); }),
      rc::gen::element(0.0, -0.0, 1.0, 0.1, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
                       9007199254740993.0, 1e22, 1e23));
}

inline Json make_json(int levels) {
  const int kind = *rc::gen::inRange(0, levels > 0 ? 9 : 6);
  switch (kind) {
    case 0:
      return nullptr;
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return *rc::gen::arbitrary<std::int64_t>();
    case 3:
      return *rc::gen::element<std::int64_t>(0, -1, INT64_MAX, INT64_MIN);
    case 4:
      return *finite_double();
    case 5:
      return *text();
    case 6: {
      Json::Array items;
      const int count = *rc::gen::inRange(0, 4);
      for (int i = 0; i < count; ++i) items.push_back(make_json(levels - 1));
      return Json::array(std::move(items));
    }
    default: {
      Json object = Json::object();
      const int count = *rc::gen::inRange(0, 4);
      for (int i = 0; i < count; ++i) object.set(*text(), make_json(levels - 1));
      return object;
    }
  }
}

inline rc::Gen<Json> json() {
  return rc::gen::exec([] { return make_json(4); });
}

/// Bytes with a taste for those of `special`.
inline rc::Gen<std::string> bytes(const std::string& special) {
  return rc::gen::container<std::string>(rc::gen::oneOf(
      rc::gen::elementOf(special), rc::gen::elementOf(special), rc::gen::arbitrary<char>()));
}

}  // namespace gen

BUREAU_END_NAMESPACE
