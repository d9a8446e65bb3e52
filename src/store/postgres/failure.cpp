#include "store/postgres/failure.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "store/postgres/months.hpp"
#include "store/postgres/sql.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

struct Rule {
  std::string_view state;  ///< of five characters, or a class of two
  Code code;
  std::string_view words;
};

/// The first that fits decides.
constexpr Rule rules[] = {
    {"40001", Code::busy, "another transaction changed what it read"},
    {"40P01", Code::busy, "it and another transaction waited for each other"},
    {"55P03", Code::busy, "another transaction holds a lock on it"},
    {"57014", Code::deadline, "it was cancelled"},
    {"28P01", Code::unavailable, "the password is wrong"},
    {"28", Code::unavailable, "the server does not let this user in"},
    {"3D000", Code::unavailable, "there is no such database; create it first"},
    {"42501", Code::unavailable, "the user lacks a right; grant it, or name another user"},
    {"25006", Code::unavailable, "the server is read-only, as a standby is"},
    {"53100", Code::unavailable, "the server's disk is full; make room and try again"},
    {"53200", Code::unavailable, "the server is out of memory"},
    {"53300", Code::unavailable, "the server has no connection left; allow more, or use fewer"},
    {"53", Code::unavailable, "the server has run out of something"},
    {"57P03", Code::unavailable, "the server is starting or stopping"},
    {"57P", Code::unavailable, "the server ended the connection"},
    {"58", Code::unavailable, "the server's system failed it"},
    {"08", Code::unavailable, "the connection failed"},
    {"25P03", Code::unavailable, "the server ended a transaction that stood still"},
    {"XX001", Code::corrupt, "the data is damaged; restore a backup"},
    {"XX002", Code::corrupt, "an index is damaged; restore a backup, or rebuild it"},
    {"2BP01", Code::conflict,
     "something on the server depends on it, such as row-level security that was written for the "
     "version before; write that anew first"},
    {"42P01", Code::invalid, "there is no such table; migrate() makes what a catalog describes"},
    {"42703", Code::invalid, "there is no such column; migrate() makes what a catalog describes"},
    {"54", Code::exhausted, "a limit of the server's was reached"},
    {"22003", Code::exhausted, "a number does not fit"},
    {"22", Code::invalid, "the server refused a value"},
};

const Rule* rule_of(std::string_view state) {
  const auto* const found = std::find_if(std::begin(rules), std::end(rules), [&](const Rule& rule) {
    return state.starts_with(rule.state);
  });
  return found == std::end(rules) ? nullptr : found;
}

/// The index that holds a value twice, by the name of its constraint.
Error taken(const Failure& failure, const TableInfo* table) {
  std::string columns = fmt::format("{}.id", partitioned_name(failure.table));
  std::string field = "id";
  if (table != nullptr && failure.table == table->name) {
    for (const IndexInfo& index : table->indexes) {
      if (index_name(*table, index.name) != failure.constraint) continue;
      columns.clear();
      for (const std::uint16_t column : index.columns) {
        if (!columns.empty()) columns += ", ";
        columns += fmt::format("{}.{}", table->name, table->columns[column].name);
      }
      columns = without_companions(columns);
      field = columns.substr(columns.rfind('.') + 1);
    }
  }
  return {Code::exists, fmt::format("{}: this value is taken, and must be unique", columns),
          std::move(field)};
}

Error too_large(const Doing& doing) {
  if (doing.added_to.size() == 1 && doing.added_to[0]->type != Type::real) {
    return does_not_fit(*doing.added_to[0]);
  }
  std::string names;
  for (const ColumnInfo* column : doing.added_to) {
    if (!names.empty()) names += ", ";
    names += column->name;
  }
  return {Code::exhausted, fmt::format("{}: the sum is too large", names),
          std::string(doing.added_to[0]->name)};
}

}  // namespace

bool Failure::is_conflict() const {
  // The last: a row for the default partition, whose month was made meanwhile. No table of ours has
  // another constraint that is checked.
  return state == "40001" || state == "40P01" || state == "23514";
}

bool Failure::is_read_only() const {
  // The latter: a standby knows no serializable transactions. Nothing else of ours is refused so.
  return state == "25006" || state == "0A000";
}

Error does_not_fit(const ColumnInfo& column) {
  return {Code::exhausted, fmt::format("{}: the sum does not fit 64 bits", column.name),
          std::string(column.name)};
}

Error to_error(const Failure& failure, std::string_view where, const Doing& doing) {
  if (failure.kind == Failure::Kind::late) {
    return {Code::deadline, fmt::format("{}: the deadline passed during {}", where, doing.what)};
  }
  if (failure.kind == Failure::Kind::server) {
    if (failure.state == "23505") return taken(failure, doing.table);
    if (failure.state == "22003" && !doing.added_to.empty()) return too_large(doing);
  }
  const Rule* const rule = rule_of(failure.state);
  const bool lost = failure.kind == Failure::Kind::lost;
  const Code code = lost ? Code::unavailable : rule == nullptr ? Code::internal : rule->code;
  const std::string_view words = rule != nullptr ? rule->words
                                 : lost          ? std::string_view("the connection was lost")
                                                 : std::string_view();
  const std::string said =
      failure.state.empty() ? failure.message : failure.state + ": " + failure.message;
  if (words.empty()) {
    return {code, fmt::format("{}: {} failed (PostgreSQL {})", where, doing.what, said)};
  }
  return {code, fmt::format("{}: {} failed: {} (PostgreSQL {})", where, doing.what, words, said)};
}

bool dooms(Code code) {
  return code == Code::unavailable || code == Code::unknown_outcome || code == Code::corrupt;
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
