#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/store/select.hpp"
#include "store/sql_text.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// What a parameter is to the server. Arrays are values of one type that a comparison or an insert
/// takes together.
enum class ParameterType : std::uint8_t { integer, real, text, bytes };

/// A parameter: one value, or an array of them.
struct Parameter {
  ParameterType type = ParameterType::integer;
  bool is_array = false;
  Value value;                ///< when it is no array
  std::vector<Value> values;  ///< when it is one
};

/// A text, which must outlive it.
[[nodiscard]] Parameter text_parameter(std::string_view text);

[[nodiscard]] ParameterType parameter_type(Value::Kind kind);
/// As in "$1::bigint[]" and in CREATE TABLE.
[[nodiscard]] std::string_view type_name(ParameterType type);
[[nodiscard]] std::string_view type_name(const ColumnInfo& column);

/// What a column is in CREATE TABLE. No NOT NULL: check_row() holds that rule, and a column may
/// later be allowed to be null.
[[nodiscard]] std::string column_type(const ColumnInfo& column);

/// A name that the server takes: one too long is cut, and ends in a hash of the whole.
[[nodiscard]] std::string short_name(std::string whole);
/// Of an index, which is one in its whole schema.
[[nodiscard]] std::string index_name(const TableInfo& table, std::string_view index);

/// A statement in the making: its text, and its parameters in order. Their values point into the
/// predicate (and so on) that it was made from, and into `made`.
struct Sql : SqlText {
  explicit Sql(std::string_view in_schema) : schema(in_schema) {}

  std::string_view schema;  ///< in quotes: that of the tables
  std::vector<Parameter> parameters;

  /// With its schema: no connection's search path is relied upon.
  void table(std::string_view name);
  /// A function of ours (functions.hpp).
  void function(std::string_view name);
  void literal(const Value& value);
  /// REQUIRES: not null.
  void parameter(const Value& value);
  /// Null, or a value of that type.
  void parameter(const Value& value, Type type);
  /// REQUIRES: not empty; all of one kind, or null.
  void parameter(std::vector<Value> values, ParameterType type);
};

/// Appends the predicate, with the meaning of docs/predicates.md. REQUIRES: check_predicate().
void append_predicate(Sql& sql, const Predicate& predicate);
/// The same with each operand as a literal in the text: for the condition of an index.
void append_predicate_literal(Sql& sql, const Predicate& predicate);

/// What the predicate of a policy leaves open, as SQL that the server works out for whoever asks
/// it.
struct PolicyTerms {
  /// What $name is: one value; for $teams, an array.
  std::function<std::string(std::string_view name)> variable;
  /// Whether the column is among what a sub-select yields: true, false or null. Empty: sub-selects
  /// read with the rights of whoever asks.
  std::function<std::string(const ColumnInfo& column, const Predicate::SubSelect&)> among = {};
};
/// The same with variables and sub-selects as `terms` has them. REQUIRES: Rule::resolve().
void append_policy_predicate(Sql& sql, const Predicate& predicate, const PolicyTerms& terms);

/// Rows of the journal are seen up to this number only; others are not asked about it.
using Horizon = std::int64_t;
inline constexpr Horizon no_horizon = INT64_MAX;

// Each checks what it is given (`invalid`), and appends. REQUIRES: now() is fixed.

[[nodiscard]] Result<void> append_select(Sql& sql, const Select& select,
                                         Horizon horizon = no_horizon);
/// Sums of integers come as texts: the server's have any number of digits.
[[nodiscard]] Result<void> append_aggregate(Sql& sql, const Aggregate& aggregate,
                                            Horizon horizon = no_horizon);
[[nodiscard]] Result<void> append_update(Sql& sql, const Update& update, bool returning);
[[nodiscard]] Result<void> append_remove(Sql& sql, const Select& which);
void append_find(Sql& sql, const TableInfo& table, std::int64_t id);
/// REQUIRES: one at least.
void append_find_all(Sql& sql, const TableInfo& table, std::span<const std::int64_t> ids);
enum class IfGone {
  counts,  ///< the answer tells how many rows there were
  fails,   ///< the statement does when one of them is not there
};
/// Writer::update_rows(). REQUIRES: one row at least, whose values were checked.
void append_row_updates(Sql& sql, const TableInfo& table,
                        std::span<const ColumnInfo* const> columns, std::span<const Value> rows,
                        IfGone if_gone);
/// Writer::insert_numbered(); `draw` is the statement that draws. REQUIRES: as append_insert().
void append_numbered_insert(Sql& sql, const TableInfo& table, std::span<const Value> rows,
                            std::int64_t count, const Sql& draw);
/// REQUIRES: whole rows that check_row() let through, one at least.
void append_insert(Sql& sql, const TableInfo& table, std::span<const Value> rows);
/// For what copy_data() makes.
void append_copy(Sql& sql, const TableInfo& table);

/// Whether a measure's value is to be read out of a text (append_aggregate).
[[nodiscard]] bool is_summed_as_text(const Aggregate::Measure& measure);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
