#include "store/postgres/functions.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "bureau/store/table.hpp"
#include "store/journal_leap.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// The type json, not jsonb: it keeps 1.0 and 1 what they were. -> with a text follows members of
/// objects only.
constexpr std::string_view json_at_function = R"(
CREATE OR REPLACE FUNCTION {0}.bureau_json_at(document text, path text[]) RETURNS json
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  place json := document::json;
  member text;
BEGIN
  FOREACH member IN ARRAY path LOOP
    place := place -> member;
  END LOOP;
  RETURN place;
END $$)";

/// A function for what a path leads to as a value of one type, null when it is of another.
struct JsonGetter {
  std::string_view name, returned, condition, value;
};

/// Canonical text tells an integer from a real: a real has a point or an exponent.
constexpr std::array<JsonGetter, 4> json_getters = {{
    {"boolean", "int8", "json_typeof(found) = 'boolean'",
     "CASE found::text WHEN 'true' THEN 1 ELSE 0 END"},
    {"integer", "int8", "json_typeof(found) = 'number' AND found::text !~ '[.eE]'",
     "found::text::int8"},
    {"real", "float8", "json_typeof(found) = 'number' AND found::text ~ '[.eE]'",
     "found::text::float8"},
    {"text", "text", "json_typeof(found) = 'string'", "found #>> '{}'"},
}};

constexpr std::string_view json_getter_function = R"(
CREATE OR REPLACE FUNCTION {0}.bureau_json_{1}(document text, path text[]) RETURNS {2}
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  found json := {0}.bureau_json_at(document, path);
BEGIN
  IF {3} THEN
    RETURN {4};
  END IF;
  RETURN NULL;
END $$)";

constexpr std::string_view json_exists_function = R"(
CREATE OR REPLACE FUNCTION {0}.bureau_json_exists(document text, path text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN CASE WHEN json_typeof({0}.bureau_json_at(document, path)) <> 'null' THEN TRUE END;
END $$)";

/// Of an array whose text has no escapes and does not have the element's, no more need be known.
constexpr std::string_view json_has_function = R"(
CREATE OR REPLACE FUNCTION {0}.bureau_json_has(document text, element text, path text[])
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  found json;
BEGIN
  IF cardinality(path) = 0 AND starts_with(document, '[') AND strpos(document, E'\\') = 0
     AND strpos(document, element) = 0 THEN
    RETURN FALSE;
  END IF;
  found := {0}.bureau_json_at(document, path);
  IF json_typeof(found) = 'array' THEN
    RETURN EXISTS (SELECT FROM json_array_elements(found) AS item
                   WHERE json_typeof(item) = 'string' AND item #>> '{{}}' = element);
  END IF;
  RETURN NULL;
END $$)";

/// What tells whether numbers have leapt since the last recovery, which empties what is not logged.
/// An office that is made has lost nothing.
constexpr std::string_view leapt_table = R"(
DO $$ BEGIN
  IF to_regclass('{0}.bureau_leapt') IS NULL THEN
    CREATE UNLOGGED TABLE {0}.bureau_leapt(yes boolean PRIMARY KEY);
    INSERT INTO {0}.bureau_leapt VALUES (TRUE);
  END IF;
END $$)";

/// The first to draw after a recovery goes on with numbers that nobody has heard of; all others who
/// draw wait until it is seen.
///
/// The lock under which a transaction draws tells a lower bound of what it draws, and is held until
/// its commit can be seen. A draw of several keeps out all others for the moment that it takes.
constexpr std::string_view draw_function = R"(
CREATE OR REPLACE FUNCTION {0}.bureau_draw(office int8, wanted int8, is_first boolean)
RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
  newest int8;
  door int8 := (office << 32) | 65536;
BEGIN
  IF is_first THEN
    IF NOT EXISTS (SELECT FROM {0}.bureau_leapt) THEN
      INSERT INTO {0}.bureau_leapt VALUES (TRUE) ON CONFLICT DO NOTHING;
      PERFORM {0}.bureau_draw(office, {1}, FALSE);
    END IF;
    newest := coalesce(pg_sequence_last_value('{0}.bureau_sequence'), 0);
    PERFORM pg_advisory_xact_lock_shared(
        (((office + 2147483648) & 4294967295) - 2147483648)::int4,
        (((newest + 2147483648) & 4294967295) - 2147483648)::int4);
  END IF;
  IF wanted = 1 THEN
    PERFORM pg_advisory_lock_shared(door);
    newest := nextval('{0}.bureau_sequence');
    PERFORM pg_advisory_unlock_shared(door);
  ELSE
    PERFORM pg_advisory_lock(door);
    newest := nextval('{0}.bureau_sequence') + wanted - 1;
    PERFORM setval('{0}.bureau_sequence', newest);
    PERFORM pg_advisory_unlock(door);
  END IF;
  RETURN newest;
END $$)";

/// The newest number first, then the locks: whoever drew at or below it before has one, or has
/// ended. Locks hold the low 32 bits of a bound; a bound beyond the newest number says nothing.
constexpr std::string_view horizon_function = R"(
CREATE OR REPLACE FUNCTION {0}.bureau_horizon(office int8, OUT horizon int8, OUT newest int8)
LANGUAGE plpgsql AS $$
BEGIN
  newest := coalesce(pg_sequence_last_value('{0}.bureau_sequence'), 0);
  SELECT min(newest - behind) INTO horizon
  FROM (SELECT (newest - objid::int8) & 4294967295 AS behind FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2 AND classid::int8 = office
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       ) AS bounds
  WHERE behind < 2147483648;
  horizon := least(newest, coalesce(horizon, newest));
END $$)";

constexpr std::uint32_t lane_tables = 8;

std::string utf8_of(unsigned point) {
  if (point < 0x80) return {static_cast<char>(point)};
  return {static_cast<char>(0xC0U | (point >> 6U)), static_cast<char>(0x80U | (point & 0x3FU))};
}

}  // namespace

std::vector<std::string> function_statements(const std::string& schema) {
  std::vector<std::string> statements = {fmt::format(json_at_function, schema)};
  for (const JsonGetter& one : json_getters) {
    statements.push_back(fmt::format(json_getter_function, schema, one.name, one.returned,
                                     one.condition, one.value));
  }
  for (const std::string_view text :
       {json_exists_function, json_has_function, leapt_table, draw_function, horizon_function}) {
    statements.push_back(fmt::format(fmt::runtime(text), schema, journal_leap));
  }
  statements.push_back(fmt::format("CREATE TABLE IF NOT EXISTS {}.{}()", schema, gate_table));
  for (std::uint32_t lane = 0; lane < lane_tables; ++lane) {
    statements.push_back(
        fmt::format("CREATE TABLE IF NOT EXISTS {}.{}()", schema, lane_table(lane)));
  }
  return statements;
}

std::string lane_table(std::uint32_t lane) {
  return fmt::format("bureau_lane_{}", lane % lane_tables);
}

std::string folded_sql(const std::string& text) {
  // From the one function that knows the rule, which maps code points of one or two bytes.
  std::string from, to;
  for (unsigned point = 1; point < 0x800; ++point) {
    const std::string one = utf8_of(point);
    const std::string folded = fold_case(one);
    if (folded == one) continue;
    from += one;
    to += folded;
  }
  return fmt::format("translate({},'{}','{}')", text, from, to);
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
