#include "bureau/core/csv.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/generators.hpp"

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

using Fields = std::vector<std::string>;
using Records = std::vector<Fields>;

/// All records, with errors as one field "! message".
Records read_all(std::string_view text, CsvReader::Limits limits = {}) {
  CsvReader reader(text, limits);
  CsvReader::Record record;
  Records out;
  for (;;) {
    const auto more = reader.next(record);
    if (!more) {
      out.push_back({"! " + more.error().message});
    } else if (*more) {
      out.push_back(record.fields);
    } else {
      return out;
    }
  }
}

bool begins_as_formula(std::string_view text) {
  for (const std::string_view begin :
       {"=", "+", "-", "@", "\t", "\r", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"}) {
    if (text.starts_with(begin)) return true;
  }
  return false;
}

std::string field(std::string_view text) {
  std::string out = "x,";
  append_csv_field(out, text);
  return out.substr(2);
}

}  // namespace

TEST_CASE("csv: records") {
  CHECK(read_all("").empty());
  CHECK(read_all("\n\r\n\n").empty());
  CHECK(read_all("a,b\n1,2\n") == Records{{"a", "b"}, {"1", "2"}});
  CHECK(read_all("a,b\r\n1,2") == Records{{"a", "b"}, {"1", "2"}});
  CHECK(read_all("\xEF\xBB\xBF"
                 "a,b\n") == Records{{"a", "b"}});
  CHECK(read_all("a\n\n\r\nb\n") == Records{{"a"}, {"b"}});
  CHECK(read_all("a,\n,\n,a") == Records{{"a", ""}, {"", ""}, {"", "a"}});
  CHECK(read_all("a,") == Records{{"a", ""}});
  CHECK(read_all("\"\"\n") == Records{{""}});
  CHECK(read_all(R"("a,b","say ""hi""","")") == Records{{"a,b", "say \"hi\"", ""}});
  CHECK(read_all("\"two\nlines\r\n\",x\r\ny,z") == Records{{"two\nlines\r\n", "x"}, {"y", "z"}});
  CHECK(read_all(" a , b ") == Records{{" a ", " b "}});
  // A CR that no LF follows is a character.
  CHECK(read_all("a\rb,c\r") == Records{{"a\rb", "c\r"}});
}

TEST_CASE("csv: a record knows the line on which it begins") {
  CsvReader reader("\na,\"x\ny\nz\"\n\nb,c\n");
  CsvReader::Record record;
  REQUIRE(reader.next(record).value());
  CHECK(record.line == 2);
  REQUIRE(reader.next(record).value());
  CHECK(record.line == 6);
  CHECK_FALSE(reader.next(record).value());
  CHECK_FALSE(reader.next(record).value());
}

TEST_CASE("csv: a shorter record after a longer one leaves nothing behind") {
  CHECK(read_all("aaa,bbb,ccc\nd\ne,,\n") == Records{{"aaa", "bbb", "ccc"}, {"d"}, {"e", "", ""}});
}

TEST_CASE("csv: each fault names line, field and rule, and the good rows go on") {
  const std::string nul("x\0y", 3);
  CHECK(read_all("a\nb,c\"d,e\nf\n") ==
        Records{{"a"}, {"! line 2, field 2: a quote inside an unquoted field"}, {"f"}});
  CHECK(read_all("a\n\"b\"c,d\ne\n") ==
        Records{{"a"}, {"! line 2, field 1: text after a closing quote"}, {"e"}});
  CHECK(read_all("a\nb,\xFF\nc\n") == Records{{"a"}, {"! line 2, field 2: invalid UTF-8"}, {"c"}});
  CHECK(read_all("a\n" + nul + "\nc\n") == Records{{"a"}, {"! line 2, field 1: a NUL"}, {"c"}});
  CHECK(read_all("a\nb,\"c\nd,e\nf") ==
        Records{{"a"}, {"! line 2, field 2: quoted field is not closed"}, {"d", "e"}, {"f"}});
  CHECK(read_all("\"") == Records{{"! line 1, field 1: quoted field is not closed"}});

  CsvReader reader("a\nb\"\n");
  CsvReader::Record record;
  REQUIRE(reader.next(record));
  const auto refused = reader.next(record);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::invalid);
  CHECK(refused.error().field == "line 2");
}

TEST_CASE("csv: after a fault the next record is found") {
  // What a field holds does not hide where its record ends, even over several lines ...
  CHECK(read_all("\"\xFF\nstill it\",x\ngood\n") ==
        Records{{"! line 1, field 1: invalid UTF-8"}, {"good"}});
  // ... wrong quotes do: then the next line it is, though the quote of line 1 "ended" on line 2.
  CHECK(read_all("a,\"b\nc,\"d\"\ne\n") ==
        Records{{"! line 1, field 2: text after a closing quote"}, {"c", "d"}, {"e"}});
  // Lines are still counted right.
  CHECK(read_all("\"x\ny\"\n\"a\nb\nc\"\"\nd\"e\n") ==
        Records{{"x\ny"},
                {"! line 3, field 1: text after a closing quote"},
                {"b"},
                {"! line 5, field 1: a quote inside an unquoted field"},
                {"! line 6, field 1: a quote inside an unquoted field"}});
}

TEST_CASE("csv: limits") {
  const CsvReader::Limits limits{.field_bytes = 4, .fields = 2};
  CHECK(read_all("1234,\"1234\"\n", limits) == Records{{"1234", "1234"}});
  CHECK(read_all("12345\na\n", limits) ==
        Records{{"! line 1, field 1: longer than 4 bytes"}, {"a"}});
  CHECK(read_all("x,\"12\"\"\n45\"\na\n", limits) ==
        Records{{"! line 1, field 2: longer than 4 bytes"}, {"a"}});
  CHECK(read_all("1,2,3\na\n", limits) ==
        Records{{"! line 1, field 3: more than 2 fields"}, {"a"}});

  const std::string huge(10 << 20, 'x');
  CsvReader reader(huge);
  CsvReader::Record record;
  const auto refused = reader.next(record);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::exhausted);
  CHECK(refused.error().message == "line 1, field 1: longer than 1048576 bytes");
  CHECK_FALSE(reader.next(record).value());
  // An unclosed quote is named as such, though what it swallowed is too long.
  CHECK(read_all("a\n\"" + huge) ==
        Records{{"a"}, {"! line 2, field 1: quoted field is not closed"}});
}

TEST_CASE("csv: fields are quoted when they must be") {
  CHECK(field("plain") == "plain");
  CHECK(field("") == "");
  CHECK(field("a b") == "a b");
  CHECK(field("a,b") == "\"a,b\"");
  CHECK(field("say \"hi\"") == "\"say \"\"hi\"\"\"");
  CHECK(field("\"") == "\"\"\"\"");
  CHECK(field("two\nlines") == "\"two\nlines\"");
  CHECK(field("\r") == "\"'\r\"");
  // Where a comma is the decimal point, spreadsheets separate at these.
  CHECK(field("a;=1+1") == "\"a;=1+1\"");
  CHECK(field("a\t=1+1") == "\"a\t=1+1\"");
  CHECK(field("=1;\"2\"") == "\"'=1;\"\"2\"\"\"");
}

TEST_CASE("csv: formulas are disarmed, numbers are not touched") {
  for (const char* text :
       {"=1+1", "+cmd", "-1+1", "@SUM(A1)", "-", "+", "-.", "+1e", "-1e5x", "+49 30 1234", "--1",
        "-1.2.3", "\uFF1D1+1", "\uFF0B1", "\uFF0D1", "\uFF20SUM(A1)"})
    CHECK(field(text) == "'" + std::string(text));
  CHECK(field("\tx") == "\"'\tx\"");
  // Neighbours of the full-width signs, and what only begins with the same bytes.
  for (const char* text : {"\uFF1C1", "\uFF0C1", "\uFF0E1", "\uFF21", "\uFF1A"})
    CHECK(field(text) == text);
  for (const char* text : {"-1", "+1", "-1.5", "-.5", "+5.", "-1e5", "-1E-5", "1+1", "a=b", "'=1"})
    CHECK(field(text) == text);
  CHECK(field("=\"a\",b") == "\"'=\"\"a\"\",b\"");
}

TEST_CASE("csv: an empty or marked first field survives") {
  for (const std::string text : {"", "\xEF\xBB\xBFx"}) {
    std::string out;
    append_csv_field(out, text);
    out += "\n";
    append_csv_field(out, text);
    CHECK(read_all(out) == Records{{text}, {text}});
  }
}

TEST_CASE("csv: properties") {
  CHECK(rc::check("what is written is read back", [] {
    const auto one = rc::gen::suchThat(
        rc::gen::oneOf(gen::text(), rc::gen::container<std::string>(rc::gen::element<char>(
                                        '"', ',', ';', '\t', '\n', '\r', 'a', ' '))),
        [](const std::string& text) { return !begins_as_formula(text); });
    const auto records = *rc::gen::resize(
        12, rc::gen::container<Records>(rc::gen::nonEmpty(rc::gen::container<Fields>(one))));
    const std::string end = *rc::gen::element<std::string>("\n", "\r\n");
    std::string text;
    for (const auto& fields : records) {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (i > 0) text += ',';
        append_csv_field(text, fields[i]);
      }
      text += end;
    }
    RC_ASSERT(read_all(text) == records);
  }));

  CHECK(rc::check("any bytes: it ends, lines rise, good fields are good text", [] {
    const std::string text = *gen::bytes("\"\",,\n\n\r a\xC3\xA9");
    const std::vector<char> exact(text.begin(), text.end());
    CsvReader reader({exact.data(), exact.size()}, {.field_bytes = 8, .fields = 4});
    CsvReader::Record record;
    std::size_t line = 0;
    std::size_t steps = 0;
    for (;;) {
      const auto more = reader.next(record);
      if (more && !*more) break;
      RC_ASSERT(record.line > line);
      line = record.line;
      RC_ASSERT(++steps <= text.size());
      if (!more) continue;
      RC_ASSERT(!record.fields.empty() && record.fields.size() <= 4);
      for (const auto& each : record.fields) RC_ASSERT(each.size() <= 8 && is_valid_text(each));
    }
  }));
}
