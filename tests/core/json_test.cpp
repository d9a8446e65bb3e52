#include "bureau/core/json.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "core/canonical_json.hpp"
#include "core/generators.hpp"

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

std::string canonical(std::string_view text) {
  const auto json = Json::parse(text);
  return json ? json->dump() : "refused: " + json.error().message;
}

std::string error_of(std::string_view text) {
  const auto json = Json::parse(text);
  REQUIRE_MESSAGE(!json, "accepted: ", std::string(text));
  CHECK(json.error().code == Code::invalid);
  return json.error().message;
}

/// What is canonical has a reader of its own; a space before it makes it the general parser's.
bool readers_agree(const std::string& text) {
  const auto one = Json::parse(text), other = Json::parse(" " + text);
  if (!one || !other) return !one && !other;
  return *one == *other && one->dump() == other->dump();
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string nested(int levels, char open, char close) {
  return std::string(static_cast<std::size_t>(levels), open) +
         std::string(static_cast<std::size_t>(levels), close);
}

}  // namespace

TEST_CASE("json: canonical text is what dump writes, and nothing else") {
  for (const auto* text :
       {"null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "0.5",
        "1.0", "-0.0", "1e+300", "\"\"", "\"a\\n\\\"\\u001f\\\\ä/\"", "[]", "[1,[2,{}]]",
        "{\"\":1,\"a\":{\"b\":[]},\"ab\":2,\"ä\":3}", "{\"\\n\":1,\" \":2,\"\\\"\":3,\"a\":4}"}) {
    CAPTURE(text);
    CHECK(detail::is_canonical_json(text));
    REQUIRE(detail::read_canonical_json(text));
    CHECK(detail::read_canonical_json(text)->dump() == text);
  }
  for (const auto* text : {"",
                           " 1",
                           "1 ",
                           "01",
                           "-0",
                           "+1",
                           "1.",
                           ".5",
                           "1.50",
                           "1e5",
                           "1E+300",
                           "1e400",
                           "nul",
                           "9223372036854775808",
                           "\"\\u0041\"",
                           "\"\\/\"",
                           "\"\\u001F\"",
                           "\"\\u0000\"",
                           "\"a",
                           "[1,]",
                           "[1 ]",
                           "{\"b\":1,\"a\":2}",
                           "{\"a\":1,\"a\":2}",
                           "{\"a\" :1}",
                           "{a:1}",
                           "\"\n\"",
                           "[",
                           "-",
                           "1-2",
                           "\"\xFF\"",
                           "1,2"}) {
    CAPTURE(text);
    CHECK_FALSE(detail::is_canonical_json(text));
    CHECK_FALSE(detail::read_canonical_json(text));
  }
  const std::string deep(64, '['), too_deep(65, '[');
  CHECK(detail::is_canonical_json(deep + std::string(64, ']')));
  CHECK_FALSE(detail::is_canonical_json(too_deep + std::string(65, ']')));
}

TEST_CASE("json: canonical text") {
  CHECK(canonical(" { \"b\" : 1 , \"a\" : [ true , null , \"x\" ] } ") ==
        R"({"a":[true,null,"x"],"b":1})");
  CHECK(canonical("[]") == "[]");
  CHECK(canonical("{}") == "{}");
  CHECK(canonical("[[],{},[{}]]") == "[[],{},[{}]]");
  // Keys sort as bytes: U+FF61 before U+1F600, which UTF-16 would sort the other way.
  CHECK(canonical("{\"\xF0\x9F\x98\x80\":1,\"\xEF\xBD\xA1\":2}") ==
        "{\"\xEF\xBD\xA1\":2,\"\xF0\x9F\x98\x80\":1}");
}

TEST_CASE("json: numbers") {
  CHECK(canonical("9223372036854775807") == "9223372036854775807");
  CHECK(canonical("-9223372036854775808") == "-9223372036854775808");
  CHECK(canonical("-0") == "0");
  CHECK(canonical("-0.0") == "-0.0");
  CHECK(canonical("1.0") == "1.0");
  CHECK(canonical("100.0") == "100.0");
  CHECK(canonical("1e2") == "100.0");
  CHECK(canonical("0.1") == "0.1");
  CHECK(canonical("1e22") == "1e+22");
  CHECK(canonical("9223372036854775808.0") == "9223372036854775808.0");
  CHECK(canonical("1e-400") == "0.0");

  CHECK(holds(error_of("9223372036854775808"), "does not fit 64 bits"));
  CHECK(holds(error_of("-9223372036854775809"), "does not fit 64 bits"));
  CHECK(holds(error_of("[18446744073709551616]"), "does not fit 64 bits"));
  CHECK(holds(error_of("1e400"), "beyond the range of a double"));
  CHECK(holds(error_of("[-1e400]"), "beyond the range of a double"));
  for (const char* text : {"01", "+1", "1.", ".5", "1e", "NaN", "Infinity", "-", "0x1"})
    error_of(text);

  CHECK(Json(std::numeric_limits<double>::quiet_NaN()).dump() == "NaN");
  CHECK(Json(std::numeric_limits<double>::infinity()).dump() == "Infinity");
}

TEST_CASE("json: kinds and access") {
  const auto json = Json::parse(R"({"i":1,"d":1.5,"s":"x","b":false,"n":null,"a":[1]})").value();
  CHECK(json.kind() == Json::Kind::object);
  CHECK(*json.find("i")->as_int() == 1);
  CHECK(json.find("i")->as_double() == nullptr);
  CHECK(*json.find("d")->as_double() == 1.5);
  CHECK(*json.find("s")->as_string() == "x");
  CHECK(*json.find("b")->as_bool() == false);
  CHECK(json.find("n")->is_null());
  CHECK(json.find("a")->as_array()->size() == 1);
  CHECK(json.find("absent") == nullptr);
  CHECK(Json(1).find("i") == nullptr);
  CHECK(Json(1) != Json(1.0));
}

TEST_CASE("json: object() sorts and keeps the last of repeated keys") {
  const Json json = Json::object({{"b", 1}, {"a", 2}, {"b", 3}, {"c", 4}, {"b", "last"}, {"a", 5}});
  CHECK(json.dump() == R"({"a":5,"b":"last","c":4})");
}

TEST_CASE("json: set and push_back") {
  Json json;
  json.set("b", 1);
  json.set("a", 2);
  CHECK(json.set("b", "new") == Json("new"));
  json.set("c", Json()).push_back(1);
  CHECK(json.dump() == R"({"a":2,"b":"new","c":[1]})");
  CHECK(json == Json::parse(json.dump()).value());
}

TEST_CASE("json: refused with the offset and the rule") {
  CHECK(error_of(R"({"a":1,"b":2,"a":3})") == R"(JSON, byte 19: an object with the key "a" twice)");
  CHECK(holds(error_of(R"([{"k":{"x":1,"y":2,"x":1}}])"), R"("x" twice)"));
  // The same key, written differently.
  CHECK(holds(error_of(R"({"a":1,"\u0061":2})"), "twice"));
  CHECK(error_of(R"(["ab\u0000"])") == "JSON, byte 11: a string that holds U+0000");
  CHECK(holds(error_of(R"({"\u0000":1})"), "U+0000"));
  CHECK(error_of("[1,\"\xC3\"]") == "JSON, byte 4: invalid UTF-8");
  CHECK(error_of(std::string("[1]\0", 4)) == "JSON, byte 3: a NUL");
  CHECK(error_of(std::string("\0", 1)) == "JSON, byte 0: a NUL");
  CHECK(holds(error_of("[1,2"), "JSON, byte 4:"));
  CHECK(holds(error_of("[1 2]"), "JSON, byte 3:"));
  CHECK(holds(error_of(""), "JSON, byte 0:"));
  CHECK(holds(error_of("\xEF\xBB\xBF"), "JSON, byte 3:"));
  // An error does not repeat the input, however long it is.
  CHECK(error_of("\"" + std::string(1'000'000, 'x') + "\n\"").size() < 200);
  CHECK_FALSE(holds(error_of("\"; expected secret\n\""), "secret"));
  CHECK(error_of("{\"" + std::string(1000, 'k') + "\":1,\"" + std::string(1000, 'k') + "\":1}")
            .size() < 200);
}

TEST_CASE("json: depth") {
  CHECK(canonical(nested(Json::max_depth, '[', ']')) == nested(Json::max_depth, '[', ']'));
  CHECK(error_of(nested(Json::max_depth + 1, '[', ']')) == "JSON, byte 65: more than 64 levels");
  // Far beyond any stack, closed or not.
  CHECK(holds(error_of(std::string(10'000'000, '[')), "more than 64 levels"));
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
  CHECK(holds(error_of(objects), "more than 64 levels"));
}

TEST_CASE("json: strings") {
  CHECK(canonical(R"("\u0041\/\b\f\n\r\t\u001f\"\\")") == R"("A/\b\f\n\r\t\u001f\"\\")");
  CHECK(canonical(R"("\ud83d\ude00 \u20ac")") == "\"\xF0\x9F\x98\x80 \xE2\x82\xAC\"");
  CHECK(canonical("\"\x7F\"") == "\"\x7F\"");
  for (const char* text : {R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", R"("\ud83d\ud83d")",
                           R"("\x41")", R"("\u12g4")", "\"\t\"", "\"", "'a'"})
    error_of(text);

  std::string out = "before ";
  append_json_string(out, "a\"b");
  CHECK(out == R"(before "a\"b")");
}

TEST_CASE("json: every byte is escaped right at every place of a word") {
  for (std::size_t at = 0; at < 20; ++at) {
    for (int c = 1; c < 0x80; ++c) {
      std::string text(20, 'x');
      text[at] = static_cast<char>(c);
      std::string quoted;
      append_json_string(quoted, text);
      const auto back = Json::parse(quoted);
      REQUIRE_MESSAGE(back, "byte ", c, " at ", at, ": ", quoted);
      REQUIRE(*back->as_string() == text);
      const bool plain = c >= 0x20 && c != '"' && c != '\\';
      REQUIRE((quoted.size() == 22) == plain);
    }
  }
}

TEST_CASE("json: properties") {
  CHECK(rc::check("parse(dump(x)) == x, and dump is a fixed point", [] {
    const Json json = *gen::json();
    const std::string text = json.dump();
    const auto back = Json::parse(text);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == json);
    RC_ASSERT(back->dump() == text);
    RC_ASSERT(readers_agree(text));
  }));

  CHECK(rc::check("doubles round trip to the bit, and stay doubles", [] {
    const double value = *gen::finite_double();
    const auto back = Json::parse(Json(value).dump());
    RC_ASSERT(back.has_value());
    RC_ASSERT(back->as_double() != nullptr);
    RC_ASSERT(std::bit_cast<std::uint64_t>(*back->as_double()) ==
              std::bit_cast<std::uint64_t>(value));
  }));

  CHECK(rc::check("whatever is accepted has a canonical text that is read back", [] {
    const auto tokens = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("[", "]", "{", "}", ",", ":", "1", "-0.5e3", "\"a\"", "null",
                                      "\"a\":", "1,", " ", "\"\\", "\xC3\xA9", "e", "tru"));
    std::string text;
    for (const auto& token : tokens) text += token;
    const auto json = Json::parse(text);
    RC_CLASSIFY(json.has_value());
    RC_ASSERT(readers_agree(text));
    if (!json) return;
    RC_ASSERT(Json::parse(json->dump()).value() == *json);
  }));

  CHECK(rc::check("a changed text is never read beyond its end", [] {
    std::string text = (*gen::json()).dump();
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    if (*rc::gen::arbitrary<bool>()) {
      text[at] = *rc::gen::arbitrary<char>();
    } else {
      text.resize(at);
    }
    // An exact buffer, so that the address sanitizer sees one byte too many.
    const std::vector<char> exact(text.begin(), text.end());
    const auto json = Json::parse({exact.data(), exact.size()});
    RC_ASSERT(readers_agree(text));
    if (json) RC_ASSERT(Json::parse(json->dump()).value() == *json);
  }));
}
