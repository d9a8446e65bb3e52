// The text and JSON forms of predicates: what they read, what they write, what they refuse.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "bureau/core/random.hpp"
#include "bureau/store/predicate.hpp"
#include "store/sample.hpp"
#include "testing/exercise/generator.hpp"

using bureau::Bindings;
using bureau::Catalog;
using bureau::Code;
using bureau::col;
using bureau::Json;
using bureau::OwnedValue;
using bureau::Predicate;
using bureau::TableInfo;
using sample::Crew;
using sample::Item;
using sample::Level;

namespace {

const TableInfo& items() { return bureau::table_of<Item>(); }

const Catalog& catalog() {
  static const Catalog both = [] {
    Catalog c;
    REQUIRE(c.add(bureau::table_of<Item>()));
    REQUIRE(c.add(bureau::table_of<Crew>()));
    return c;
  }();
  return both;
}

Predicate read(std::string_view text) {
  CAPTURE(text);
  auto predicate = Predicate::parse(items(), text, &catalog());
  if (!predicate) FAIL_CHECK(predicate.error().message);
  return predicate.value_or(Predicate());
}

std::string refusal(std::string_view text) {
  CAPTURE(text);
  const auto predicate = Predicate::parse(items(), text, &catalog());
  if (predicate) return "read as " + predicate->to_text();
  CHECK(predicate.error().code == Code::invalid);
  return predicate.error().message;
}

std::string json_refusal(std::string_view text) {
  CAPTURE(text);
  const auto json = Json::parse(text);
  REQUIRE(json);
  const auto predicate = Predicate::from_json(items(), *json, &catalog());
  if (predicate) return "read as " + predicate->to_text();
  CHECK(predicate.error().code == Code::invalid);
  return predicate.error().message;
}

}  // namespace

TEST_CASE("text reads as what typed code writes") {
  CHECK(read("level >= 'high'") == (col(&Item::level) >= Level::high));
  CHECK(read("  open=true ") == (col(&Item::open) == true));
  CHECK(read("count != -3") == (col(&Item::count) != -3));
  CHECK(read("score < 2") == (col(&Item::score) < 2.0));
  CHECK(read("score < -2.5e-3") == (col(&Item::score) < -2.5e-3));
  CHECK(read("effort >= 1h30m") == (col(&Item::effort) >= std::chrono::minutes(90)));
  CHECK(read("effort >= -5m") == (col(&Item::effort) >= std::chrono::minutes(-5)));
  CHECK(read("created_at > \"1970-01-02\"") ==
        (col(&Item::created_at) > bureau::Timestamp::from_micros(86'400'000'000)));
  CHECK(read("crew in ('xcr_0000000000011', \"xcr_0000000000012\")") ==
        col(&Item::crew).in({bureau::Id<Crew>(33), bureau::Id<Crew>(34)}));
  CHECK(read("level not in ()") == col(&Item::level).not_in({}));
  CHECK(read("closed_at IS NOT NULL") == col(&Item::closed_at).is_not_null());
  CHECK(read("subject prefix 'a' AND subject contains 'b'") ==
        (col(&Item::subject).starts_with("a") && col(&Item::subject).contains("b")));
  CHECK(read("subject ieq 'ÄB'") == col(&Item::subject).equals_folded("äb"));
  CHECK(read("subject icontains 'ÄB'") == col(&Item::subject).contains_folded("ÄB"));
  CHECK(read("tags contains 'vip'") == col(&Item::tags).contains("vip"));
  CHECK(read("tags = '[\"a\", \"b\"]'") ==
        (col(&Item::tags) == std::vector<std::string>{"a", "b"}));
  CHECK(read("digest = 'aGk='") == (col(&Item::digest) == bureau::Bytes{"hi"}));
  CHECK(read(R"(subject = "\"\\\/\n\u00e4\ud83d\ude00\'")") ==
        (col(&Item::subject) == "\"\\/\nä😀'"));
  CHECK(read("subject = 'a \"b\"'") == (col(&Item::subject) == "a \"b\""));
  CHECK(read("true").is_always());
  CHECK(read("false or false").is_never());
}

TEST_CASE("not binds tighter than and, and tighter than or") {
  const Predicate a = read("open = true");
  const Predicate b = read("count > 1");
  const Predicate c = read("score > 1.0");
  CHECK(read("open = true or count > 1 and score > 1.0") == (a || (b && c)));
  CHECK(read("(open = true or count > 1) and score > 1.0") == ((a || b) && c));
  CHECK(read("not open = true and count > 1") == (!a && b));
  CHECK(read("not (open = true and count > 1)") == !(a && b));
  CHECK(read("not not open = true") == a);
  CHECK(read("((open = true))") == a);
}

TEST_CASE("what is read is written in one form, which reads as the same") {
  for (const auto& [text, written] : std::initializer_list<std::pair<const char*, const char*>>{
           {"open=true", "open = true"},
           {"level in('low' ,'high')", R"(level in ("low", "high"))"},
           {"score = 3", "score = 3.0"},
           {"effort < 90m", "effort < 1h30m"},
           {"subject ieq 'ABC'", R"(subject ieq "abc")"},
           {"note iprefix 'ABC'", R"(note iprefix "abc")"},
           {"created_at < now()", "created_at < now()"},
           {"level = $level", "level = $level"},
           {"level in ($levels, 'low')", R"(level in ($levels, "low"))"},
           {"custom.region = 'eu'", R"(custom.region = "eu")"},
           {"custom.'a b'.c > 3", R"(custom."a b".c > 3)"},
           {"custom.vip = true", "custom.vip = true"},
           {"custom.rate in (1.5, 2.0)", "custom.rate in (1.5, 2.0)"},
           {"custom.x is null", "custom.x is null"},
           {"custom.list contains 'x'", R"(custom.list contains "x")"},
           {"custom = '{ \"b\":1 ,\"a\":2}'", R"(custom = "{\"a\":2,\"b\":1}")"},
           {"not (open = true or count is null)", "not (open = true or count is null)"},
           {"crew in (select id from exercise_crews where name prefix 'A' and name != 'AB')",
            R"(crew in (select id from exercise_crews where name prefix "A" and name != "AB"))"},
           {"crew not in (select id from exercise_crews)",
            "crew not in (select id from exercise_crews)"},
       }) {
    const Predicate predicate = read(text);
    CHECK(predicate.to_text() == written);
    CHECK(read(written) == predicate);
    const Json json = predicate.to_json();
    CAPTURE(json.dump());
    const auto again = Predicate::from_json(items(), json, &catalog());
    if (!again) FAIL_CHECK(again.error().message);
    CHECK(*again == predicate);
  }
}

TEST_CASE("the JSON form") {
  CHECK(read("open = true and not (level in ('low') or custom.a.b < 3)").to_json().dump() ==
        R"({"and":[{"column":"open","op":"=","value":true},{"not":{"or":[)"
        R"({"column":"level","op":"in","values":["low"]},)"
        R"({"column":"custom","op":"<","path":["a","b"],"value":3}]}}]})");
  CHECK(read("crew in (select id from exercise_crews where name = $n) or created_at < now()")
            .to_json()
            .dump() ==
        R"({"or":[{"column":"crew","op":"in","select":{"column":"id","table":"exercise_crews",)"
        R"("where":{"column":"name","op":"=","value":{"variable":"n"}}}},)"
        R"({"column":"created_at","op":"<","value":{"now":true}}]})");
  CHECK(Predicate().to_json().dump() == "true");
  CHECK(Predicate::never().to_json().dump() == "false");
}

TEST_CASE("a mistake is shown by its column and what was expected there") {
  CHECK(refusal("") == "column 1: expected a column, 'not' or '(', found the end");
  CHECK(refusal("open = )") == "column 8: expected a value after '=', found ')'");
  CHECK(refusal("subject = 'ä' and count = ") ==
        "column 27: expected a value after '=', found the end");
  CHECK(refusal("open = true count = 1") ==
        "column 13: expected 'and', 'or' or the end, found 'count'");
  CHECK(refusal("(open = true") == "column 13: expected 'and', 'or' or ')', found the end");
  CHECK(refusal("open = true)") == "column 12: expected 'and', 'or' or the end, found ')'");
  CHECK(refusal("open") ==
        "column 5: expected =, !=, <, <=, >, >=, in, not in, is, prefix, contains, ieq, iprefix or "
        "icontains, found the end");
  CHECK(refusal("subject like 'a%'") ==
        "column 9: expected =, !=, <, <=, >, >=, in, not in, is, prefix, contains, ieq, iprefix or "
        "icontains, found 'like'");
  CHECK(refusal("open = 'true'") == "column 8: expected true or false after '=', found 'true'");
  CHECK(refusal("count = '3'") == "column 9: expected a 64-bit integer after '=', found '3'");
  CHECK(refusal("count = 3.0") == "column 9: expected a 64-bit integer after '=', found '3.0'");
  CHECK(refusal("count = 9223372036854775808") ==
        "column 9: '9223372036854775808' does not fit 64 bits");
  CHECK(refusal("score = 1e999") == "column 9: '1e999' is beyond the range of a real");
  CHECK(refusal("subject = refund") ==
        "column 11: expected a text in quotes after '=', found 'refund'");
  CHECK(refusal("level = high") ==
        "column 9: expected one of low, medium, high, critical in quotes after '=', found 'high'");
  CHECK(refusal("level >= 'urgent'") ==
        "column 10: level: \"urgent\" is not one of low, medium, high, critical");
  CHECK(refusal("effort < 5") ==
        "column 10: expected a duration such as 90s, 5m or 1d12h after '<', found '5'");
  CHECK(refusal("effort < 5x").find("column 10: expected a duration") == 0);
  CHECK(refusal("crew = 'tkt_0000000000011'").find("column 8: crew: id") == 0);
  CHECK(refusal("created_at < 'soon'").find("column 14: created_at: time 'soon'") == 0);
  CHECK(refusal("created_at < now").find("column 17: expected '(' after 'now'") == 0);
  CHECK(refusal("count < now()") ==
        "column 9: now() can only be compared with a timestamp; count is of type integer");
  CHECK(refusal("closed_at = null") ==
        "column 13: no comparison with null is ever true; write 'is null'");
  CHECK(refusal("closed_at is 3") ==
        "column 14: expected 'null' or 'not null' after 'is', found '3'");
  CHECK(refusal("level in 'low'") == "column 10: expected '(' after 'in', found 'low'");
  CHECK(refusal("level in ('low' 'high')") == "column 17: expected ',' or ')', found 'high'");
  CHECK(refusal("level in ('low',)") == "column 17: expected a value in the list, found ')'");
  CHECK(refusal("count prefix 'a'") == "column 7: count is of type integer; prefix needs text");
  CHECK(refusal("count contains 'a'") ==
        "column 7: count is of type integer; contains needs text or a JSON list");
  CHECK(refusal("phone icontains 'a'") ==
        "column 7: phone is not declared folded, which 'icontains' needs");
  CHECK(refusal("tags < '[]'") ==
        "column 6: tags is JSON, which has no order; compare a member of it");
  CHECK(refusal("tags = '[1'").find("column 8: tags: JSON, byte") == 0);
  CHECK(refusal("count.x = 1") == "column 7: count is of type integer and has no members");
  CHECK(refusal("custom. = 1") == "column 9: expected a member's name after '.', found '='");
  CHECK(refusal("custom.'a\\\"b' = 1").find("column 8: custom has a path with a member") == 0);
  CHECK(refusal("custom.x in (1, 'a')") == "column 17: values of two types in one list");
  CHECK(refusal("custom.x = 5m") ==
        "column 12: expected a text, a number, true or false after '=', found '5m'");
  CHECK(refusal("subject = 'abc") == "column 11: a string without its closing quote");
  CHECK(refusal("subject = 'a\\qb'") ==
        "column 13: an unknown escape; \\\\ stands for a backslash");
  CHECK(refusal("subject = '\\u0000'") ==
        "column 12: an escape that stands for no character of a text");
  CHECK(refusal("subject = '\\ud800'") ==
        "column 12: an escape that stands for no character of a text");
  CHECK(refusal("count = 12abc_").find("column 9: expected a 64-bit integer") == 0);
  CHECK(refusal("count = 1.2.3") == "column 9: a number with something behind it that is no digit");
  CHECK(refusal("count = %") == "column 9: '%' means nothing here");
  CHECK(refusal("count = ä") == "column 9: 'ä' means nothing here");
  CHECK(refusal("count = $") == "column 10: expected a name after '$'");
  CHECK(refusal(std::string_view("count\0= 1", 9)) ==
        "the predicate is not valid UTF-8 without NUL");
  CHECK(refusal("subject = '\xFF'") == "the predicate is not valid UTF-8 without NUL");
}

TEST_CASE("an unknown name gets the nearest ones, a secret one gets no answer") {
  CHECK(refusal("subjct = 'a'") ==
        "column 1: table 'exercise_items' has no column 'subjct'; the nearest are subject");
  CHECK(refusal("open = true and c = 1").find("the nearest are crew, count, custom") !=
        std::string::npos);
  CHECK(refusal("zzzzzzzz = 1").find("its columns are id, version, subject") != std::string::npos);
  CHECK(refusal("zzzzzzzz = 1").find("password") == std::string::npos);
  CHECK(refusal("password prefix 'a'") ==
        "column 1: password is secret; nothing may be asked about it");
  CHECK(refusal("subject_folded = 'a'").find("has no column 'subject_folded'") !=
        std::string::npos);
  CHECK(refusal("crew in (select id from exercise_crew)") ==
        "column 25: there is no table 'exercise_crew'; the nearest are exercise_crews, "
        "exercise_items");
  CHECK(refusal("phone in (select password from exercise_items)")
            .find("column 18: password is secret") == 0);
  CHECK(json_refusal(R"({"column":"password","op":"=","value":"x"})") ==
        "column: password is secret; nothing may be asked about it");
}

TEST_CASE("sub-selects must have the column's type, and a catalog") {
  CHECK(refusal("crew in (select name from exercise_crews)") ==
        "column 10: crew and exercise_crews.name are of different types");
  CHECK(refusal("crew in (select id from exercise_items)") ==
        "column 10: crew and exercise_items.id are of different types");
  CHECK(refusal("crew in (select id from exercise_crews where naem = 'a')")
            .find("column 46: table 'exercise_crews' has no column 'naem'; the nearest are name") ==
        0);
  CHECK(refusal("custom.x in (select name from exercise_crews)").find("is JSON") !=
        std::string::npos);
  CHECK(refusal("crew in (select id)") == "column 19: expected 'from', found ')'");
  CHECK(read("subject in (select name from exercise_crews where id in (select crew from "
             "exercise_items where "
             "level = 'low')) and open = true")
            .reads() == std::vector<const TableInfo*>{&bureau::table_of<Crew>(), &items()});
  const auto without = Predicate::parse(items(), "crew in (select id from exercise_crews)");
  REQUIRE_FALSE(without);
  CHECK(without.error().message == "column 25: sub-selects are not possible here");
}

TEST_CASE("size and depth are limited") {
  const std::string many(32, '('), closing(32, ')');
  CHECK(read(many + "open = true" + closing) == read("open = true"));
  CHECK(refusal("(" + many + "open = true" + closing + ")") == "column 33: nested too deeply");
  std::string nots;
  for (int i = 0; i < 33; ++i) nots += "not ";
  CHECK(refusal(nots + "open = true").find("nested too deeply") != std::string::npos);
  // A long chain is wide, not deep.
  std::string chain = "count = 0";
  for (int i = 0; i < 1000; ++i) chain += " or count = 1";
  CHECK(read(chain).root()->children.size() == 1001);
  CHECK(refusal(std::string(16 * 1024, ' ') + "open = true") ==
        "the predicate has 16395 bytes; at most 16384 are allowed");
  Json values = Json::array();
  for (int i = 0; i < 10'001; ++i) values.push_back(i);
  const Json big = Json::object({{"column", "count"}, {"op", "in"}, {"values", values}});
  CHECK(Predicate::from_json(items(), big).error().message.find("more than 10000") !=
        std::string::npos);
}

TEST_CASE("a mistake in the JSON form is shown by its place") {
  CHECK(json_refusal("3") == "expected true, false or an object");
  CHECK(json_refusal(R"({"and":[true,{"or":[{"column":"open","op":"=","value":3}]}]})") ==
        "and[1].or[0].value: open: \"3\" is not true or false");
  CHECK(json_refusal(R"({"and":{}})") == "and: expected a list of predicates");
  CHECK(json_refusal(R"({"and":[],"or":[]})") == "the member 'or' does not belong here");
  CHECK(json_refusal(R"({"op":"=","value":3})") == "column: expected a column's name");
  CHECK(json_refusal(R"({"column":"open","op":"~","value":3})").find("op: expected one of =") == 0);
  CHECK(json_refusal(R"({"column":"open","op":"="})") == "open = takes 1 value, not 0");
  CHECK(json_refusal(R"({"column":"open","op":"is null","value":true})") ==
        "open is null takes 0 values, not 1");
  CHECK(json_refusal(R"({"column":"open","op":"in","value":true})") == "values: expected a list");
  CHECK(json_refusal(R"({"column":"open","op":"=","value":null})").find("is null") !=
        std::string::npos);
  CHECK(json_refusal(R"({"column":"open","op":"=","value":{"x":1}})").find("value: expected") == 0);
  CHECK(json_refusal(R"({"column":"open","op":"=","value":{"variable":"a b"}})")
            .find("value: expected") == 0);
  CHECK(json_refusal(R"({"column":"open","op":"=","value":true,"why":1})") ==
        "the member 'why' does not belong here");
  CHECK(json_refusal(R"({"column":"custom","op":"=","path":[],"value":1})") ==
        "path: expected a list of members' names");
  CHECK(json_refusal(R"({"column":"custom","op":"=","path":["a"],"value":[1]})") ==
        "value: expected a text, a number, true or false");
  CHECK(json_refusal(R"({"column":"custom","op":"=","value":{"a":1}})").find("value: expected") ==
        0);
  CHECK(json_refusal(
            R"({"column":"crew","op":"in","select":{"table":"exercise_crews","column":"nam"}})") ==
        "select.column: table 'exercise_crews' has no column 'nam'; the nearest are name");
}

TEST_CASE("variables keep their place and are folded with their column") {
  const auto text = [](std::string s) { return OwnedValue::text(std::move(s)); };
  const Predicate p = read("subject ieq $who and custom.region in ($regions)");
  CHECK(p.has_variables());
  const auto bound =
      p.bind(Bindings{{"who", {text("ABC")}}, {"regions", {text("eu"), text("us")}}});
  REQUIRE(bound);
  CHECK(*bound == read("subject ieq 'abc' and custom.region in ('eu', 'us')"));
  const auto number =
      read("custom.n = $n").bind(Bindings{{"n", {OwnedValue(bureau::Value::integer(3))}}});
  REQUIRE(number);
  CHECK(*number == read("custom.n = 3"));
  CHECK_FALSE(p.bind(Bindings{{"who", {text("a")}},
                              {"regions", {text("eu"), OwnedValue(bureau::Value::integer(3))}}}));
}

TEST_CASE("any predicate survives its text and its JSON") {
  CHECK(rc::check("round trip", [] {
    bureau::SeededRandom random(*rc::gen::arbitrary<std::uint64_t>());
    const Predicate predicate = sample::any_predicate(random, 4, true);
    const auto text = Predicate::parse(items(), predicate.to_text(), &catalog());
    if (!text) RC_FAIL(predicate.to_text() + " : " + text.error().message);
    RC_ASSERT(*text == predicate);
    const auto json = Json::parse(predicate.to_json().dump());
    RC_ASSERT(json.has_value());
    const auto again = Predicate::from_json(items(), *json, &catalog());
    if (!again) RC_FAIL(json->dump() + " : " + again.error().message);
    RC_ASSERT(*again == predicate);
  }));
}

TEST_CASE("no bytes crash the parser, and what it reads it can write") {
  static constexpr std::string_view pieces[] = {
      "open",  "=",        "true",   "(",     ")",
      "and",   "or",       "not",    "in",    "level",
      "'low'", ",",        "custom", ".",     "is",
      "null",  "$a",       "now",    "5m",    "1.5",
      "-3",    "select",   "from",   "where", "exercise_crews",
      "id",    "\"",       "\\u12",  "ieq",   "subject",
      "\xFF",  "\xC3\xA4", " "};
  CHECK(rc::check("random pieces", [] {
    const auto picks = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::inRange<std::size_t>(0, std::size(pieces) + 1));
    const auto bytes = *rc::gen::arbitrary<std::string>();
    std::string text;
    for (const std::size_t i : picks) {
      text += i < std::size(pieces) ? std::string(pieces[i]) : bytes;
      if (i % 3 != 0) text += ' ';
    }
    const auto predicate = Predicate::parse(items(), text, &catalog());
    if (!predicate) {
      RC_ASSERT(predicate.error().code == Code::invalid);
      return;
    }
    const auto again = Predicate::parse(items(), predicate->to_text(), &catalog());
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == *predicate);
  }));
}

TEST_CASE("laws of Kleene logic hold for any predicate and row") {
  CHECK(rc::check("negation and De Morgan", [] {
    bureau::SeededRandom random(*rc::gen::arbitrary<std::uint64_t>());
    const Predicate p = sample::any_predicate(random, 3, false);
    const Predicate q = sample::any_predicate(random, 3, false);
    const Item item = sample::any_item(random);
    std::vector<bureau::Value> row(items().width());
    bureau::detail::Scratch scratch;
    bureau::to_values(item, row, scratch);
    const auto of = [&](const Predicate& predicate) {
      const auto truth = bureau::evaluate(predicate, row);
      if (!truth) RC_FAIL(predicate.to_text() + " : " + truth.error().message);
      return *truth;
    };
    // Built by hand: the combinators would undo the double negation before it is evaluated.
    const auto negation = [](const Predicate& inner) {
      auto node = std::make_shared<Predicate::Node>();
      node->op = Predicate::Op::negation;
      node->children.push_back(inner.node() == nullptr ? std::make_shared<Predicate::Node>()
                                                       : inner.node());
      return Predicate(Predicate::NodePtr(std::move(node)));
    };
    RC_ASSERT(of(negation(negation(p))) == of(p));
    RC_ASSERT(of(negation(p && q)) == of(negation(p) || negation(q)));
    RC_ASSERT(of(negation(p || q)) == of(negation(p) && negation(q)));
    RC_ASSERT(of(p && q) == of(q && p));
  }));
}
