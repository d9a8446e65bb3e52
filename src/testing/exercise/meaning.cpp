#include "testing/exercise/meaning.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

Item row(std::int64_t id, std::string subject, Level level) {
  Item made = item(id, std::move(subject));
  made.level = level;
  return made;
}

Json custom(std::string_view text) { return Json::parse(text).value_or(Json()); }

}  // namespace

const std::vector<Item>& meaning_items() {
  static const std::vector<Item> items = [] {
    Item a = row(1, "Refund", Level::low);
    a.note = "a%b";
    a.count = 0;
    a.score = 0.5;
    a.closed_at = Timestamp::from_micros(0);
    a.effort = std::chrono::minutes(5);
    a.crew = Id<Crew>(1);
    a.tags = {"vip", "eu"};
    a.custom =
        custom(R"({"region":"eu","n":1,"x":1.5,"ok":true,"in":{"a b":"deep"},"list":["k",1]})");
    a.digest = Bytes{std::string("\0\xFF", 2)};

    Item b = row(2, "refund", Level::medium);
    b.note = "a_b";
    b.wish = Level::high;
    b.open = false;
    b.count = -1;
    b.score = -0.5;
    b.closed_at = Timestamp::from_micros(1);
    b.effort = std::chrono::hours(-1);
    b.crew = Id<Crew>(2);
    b.tags = {"vi"};
    b.custom = custom(R"({"region":"EU","n":"1","x":1,"ok":false,"in":"flat","list":"k"})");
    b.digest = Bytes{""};

    Item c = row(3, "REFUNDS", Level::high);
    c.note = "ÄÖ";
    c.wish = Level::low;
    c.count = INT64_MAX;
    c.score = 1e300;
    c.crew = Id<Crew>(9);
    c.custom = custom(R"({"region":null,"n":9223372036854775807,"x":-1.5,"ok":1,"list":[]})");

    Item d = row(4, "", Level::critical);
    d.note = "";
    d.count = INT64_MIN;
    d.closed_at = Timestamp::from_micros(INT64_MAX);
    d.tags = {"", "a\"b"};
    d.custom = custom("[\"vip\"]");

    Item e = row(5, "Ärger", Level::low);  // all that may be null is
    return std::vector<Item>{a, b, c, d, e};
  }();
  return items;
}

const std::vector<Crew>& meaning_crews() {
  static const std::vector<Crew> crews = [] {
    Crew one = crew(1, "Refund");
    one.code = 0;
    Crew two = crew(2, "two");
    return std::vector<Crew>{one, two};
  }();
  return crews;
}

const std::vector<Meaning>& meanings() {
  static const std::vector<Meaning> table = {
      {"true", {1, 2, 3, 4, 5}, {}},
      {"false", {}, {}},
      // Numbers, and nulls beside them.
      {"count = 0", {1}, {5}},
      {"count != 0", {2, 3, 4}, {5}},
      {"count < 0", {2, 4}, {5}},
      {"count <= 0", {1, 2, 4}, {5}},
      {"count > -1", {1, 3}, {5}},
      {"count >= 9223372036854775807", {3}, {5}},
      {"count = -9223372036854775808", {4}, {5}},
      {"score > 0", {1, 3}, {4, 5}},
      {"score = 0.5", {1}, {4, 5}},
      {"score < -0.25", {2}, {4, 5}},
      {"open = true", {1, 3, 4, 5}, {}},
      {"open != true", {2}, {}},
      // Enumerations by their declared order, not by their names.
      {"level >= 'high'", {3, 4}, {}},
      {"level < 'medium'", {1, 5}, {}},
      {"wish = 'low'", {3}, {1, 4, 5}},
      {"wish != 'low'", {2}, {1, 4, 5}},
      {"level in ('critical', 'low')", {1, 4, 5}, {}},
      // Time.
      {"closed_at = '1970-01-01'", {1}, {3, 5}},
      {"closed_at > '1970-01-01T00:00:00.000000Z'", {2, 4}, {3, 5}},
      {"closed_at < '1970-01-01T01:00:00+01:00'", {}, {3, 5}},
      {"closed_at < now()", {1, 2}, {3, 5}},
      {"effort >= 5m", {1}, {3, 4, 5}},
      {"effort < 0s", {2}, {3, 4, 5}},
      // Null and lists.
      {"count is null", {5}, {}},
      {"count is not null", {1, 2, 3, 4}, {}},
      {"count in ()", {}, {}},
      {"count not in ()", {1, 2, 3, 4, 5}, {}},
      {"count in (0, -1)", {1, 2}, {5}},
      {"count not in (0, -1)", {3, 4}, {5}},
      {"wish in ('high')", {2}, {1, 4, 5}},
      // Text bytewise, with no pattern in it.
      {"subject = 'Refund'", {1}, {}},
      {"subject != 'Refund'", {2, 3, 4, 5}, {}},
      {"subject < 'a'", {1, 3, 4}, {}},
      {"subject > 'z'", {5}, {}},
      {"subject > 'REFUND'", {1, 2, 3, 5}, {}},
      {"subject = ''", {4}, {}},
      {"subject prefix 'Ref'", {1}, {}},
      {"subject prefix 'ref'", {2}, {}},
      {"subject prefix 'REFUND'", {3}, {}},
      {"subject prefix 'Refunds'", {}, {}},
      {"subject prefix ''", {1, 2, 3, 4, 5}, {}},
      {"subject prefix 'Ä'", {5}, {}},
      {"note prefix 'a%'", {1}, {5}},
      {"note prefix 'a_'", {2}, {5}},
      {"note prefix ''", {1, 2, 3, 4}, {5}},
      {"subject contains 'fun'", {1, 2}, {}},
      {"subject contains 'FUN'", {3}, {}},
      {"subject contains ''", {1, 2, 3, 4, 5}, {}},
      {"note contains '%'", {1}, {5}},
      {"note contains '_'", {2}, {5}},
      {"note contains 'ö'", {}, {5}},
      // Case-insensitive where the column is folded.
      {"subject ieq 'REFUND'", {1, 2}, {}},
      {"subject iprefix 'refund'", {1, 2, 3}, {}},
      {"subject icontains 'FUND'", {1, 2, 3}, {}},
      {"subject ieq 'äRGER'", {5}, {}},
      {"note icontains 'äö'", {3}, {5}},
      {"note ieq 'A%B'", {1}, {5}},
      // Ids, bytes, sub-selects.
      {"crew = 'xcr_0000000000001'", {1}, {4, 5}},
      {"crew in ('xcr_0000000000002', 'xcr_0000000000009')", {2, 3}, {4, 5}},
      {"digest = 'AP8='", {1}, {3, 4, 5}},
      {"digest = ''", {2}, {3, 4, 5}},
      {"crew in (select id from exercise_crews)", {1, 2}, {4, 5}},
      {"crew not in (select id from exercise_crews)", {3}, {4, 5}},
      {"crew in (select id from exercise_crews where name = 'none')", {}, {}},
      {"crew not in (select id from exercise_crews where name = 'none')", {1, 2, 3, 4, 5}, {}},
      {"count in (select code from exercise_crews)", {1}, {2, 3, 4, 5}},
      {"count not in (select code from exercise_crews)", {}, {2, 3, 4, 5}},
      {"count in (select code from exercise_crews where code is not null)", {1}, {5}},
      {"subject in (select name from exercise_crews where id in "
       "(select crew from exercise_items where level = 'low'))",
       {1},
       {}},
      // Lists of texts: elements, whole.
      {"tags contains 'vip'", {1}, {}},
      {"tags contains 'vi'", {2}, {}},
      {"tags contains ''", {4}, {}},
      {"tags contains 'a\\\"b'", {4}, {}},
      {"tags = '[]'", {3, 5}, {}},
      {"tags = '[\"vip\", \"eu\"]'", {1}, {}},
      {"tags != '[]'", {1, 2, 4}, {}},
      {"custom contains 'vip'", {4}, {1, 2, 3, 5}},
      {"custom is null", {5}, {}},
      // Paths: what leads to another type is absent.
      {"custom.region = 'eu'", {1}, {3, 4, 5}},
      {"custom.region != 'eu'", {2}, {3, 4, 5}},
      {"custom.region prefix 'E'", {2}, {3, 4, 5}},
      {"custom.region in ('eu', 'EU')", {1, 2}, {3, 4, 5}},
      {"custom.region is null", {3, 4, 5}, {}},
      {"custom.n is not null", {1, 2, 3}, {}},
      {"custom.n = 1", {1}, {2, 4, 5}},
      {"custom.n > 0", {1, 3}, {2, 4, 5}},
      {"custom.n = '1'", {2}, {1, 3, 4, 5}},
      {"custom.n = 1.0", {}, {1, 2, 3, 4, 5}},
      {"custom.x > 0.0", {1}, {2, 4, 5}},
      {"custom.x = 1", {2}, {1, 3, 4, 5}},
      {"custom.ok = true", {1}, {3, 4, 5}},
      {"custom.ok != true", {2}, {3, 4, 5}},
      {"custom.in.'a b' = 'deep'", {1}, {2, 3, 4, 5}},
      {"custom.in.'a b' is null", {2, 3, 4, 5}, {}},
      {"custom.list contains 'k'", {1}, {2, 4, 5}},
      {"custom.list contains '1'", {}, {2, 4, 5}},
      // Kleene.
      {"not count = 0", {2, 3, 4}, {5}},
      {"count = 0 or count is null", {1, 5}, {}},
      {"count = 0 and wish = 'low'", {}, {1, 5}},
      {"count = 0 or wish = 'low'", {1, 3}, {4, 5}},
      {"not (count = 0 and wish = 'low')", {2, 3, 4}, {1, 5}},
      {"count = 0 and open = false", {}, {}},
      {"count = 0 or open = true", {1, 3, 4, 5}, {}},
  };
  return table;
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
