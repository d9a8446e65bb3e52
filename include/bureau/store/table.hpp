#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/result.hpp"
#include "bureau/store/value.hpp"

BUREAU_BEGIN_NAMESPACE

class Json;

/// What the journal keeps of a table's changes.
namespace journal {
enum class Mode : std::uint8_t { none, after, full };
inline constexpr Mode none = Mode::none;    ///< nothing: liveness, caches, the journal itself
inline constexpr Mode after = Mode::after;  ///< the row as it became
inline constexpr Mode full = Mode::full;    ///< that, and what it was before
}  // namespace journal

/// One column, as storages, the command line and JSON see it. Made from schema<T>; lives as long as
/// the process.
struct ColumnInfo {
  std::string_view name;
  Type type = Type::integer;
  bool nullable = false;
  bool secret = false;      ///< never in feed, JSON, logs, command line; the journal says "changed"
  bool personal = false;    ///< journal values are sealed with a key that erasure destroys
  bool searchable = false;  ///< full-text search covers it
  bool folded = false;      ///< has a companion column with the case-folded text
  bool immutable = false;   ///< stays as it was inserted, for all but the system
  bool hidden = false;      ///< such a companion: written by the library, in no JSON
  std::uint32_t max_length = std::numeric_limits<std::uint32_t>::max();  ///< code points
  std::span<const std::string_view> names;                               ///< of an enumeration
  std::string_view references;     ///< for ids: the table's name
  std::string_view id_prefix;      ///< for ids: the prefix of their text form
  std::uint16_t index = 0;         ///< position in the table's rows
  std::uint16_t folded_index = 0;  ///< position of the companion when `folded`
};

struct IndexInfo {
  std::string_view name;
  std::vector<std::uint16_t> columns;
  bool unique = false;
  std::string_view where;  ///< partial: covers only rows for which this predicate text is true
};

/// One table. Columns named id (first, required), tenant, version, created_at and updated_at are
/// kept by the library where they exist.
struct TableInfo {
  static constexpr int absent = -1;
  std::string_view name;
  std::string_view prefix;  ///< of the text form of its ids
  journal::Mode journal = journal::Mode::none;
  std::vector<ColumnInfo> columns;
  std::vector<IndexInfo> indexes;
  std::vector<OwnedValue> defaults;  ///< what a row's columns hold before anybody sets them
  int tenant = absent, version = absent, created_at = absent, updated_at = absent;  ///< positions
  int personal_subject = absent;  ///< the id column whose row the personal columns are about
  bool has_sealed = false;        ///< some column is secret or personal
  bool by_month = false;          ///< kept by the month of its ids (schema.hpp)
  std::string error;              ///< what finish_table found wrong; Catalog::add reports it

  [[nodiscard]] const ColumnInfo* find(std::string_view column) const;
  [[nodiscard]] std::size_t width() const { return columns.size(); }
};

/// The tables of a program: bureau's own and the host's. A plain value; it points to the tables.
class Catalog {
 public:
  /// `invalid` for a name or prefix that is taken, reserved ("bureau_", "sqlite_", "pg_", an SQL
  /// keyword) or not [a-z][a-z0-9_]*, a missing id column, two columns of one name, an index on
  /// what is not there or whose predicate does not parse, a table by month with a journal or a
  /// unique index.
  Result<void> add(const TableInfo& table);
  /// Adds one of the library's own tables, which alone may use the prefix "bureau_".
  Result<void> add_internal(const TableInfo& table);
  [[nodiscard]] const TableInfo* find(std::string_view name) const;
  [[nodiscard]] std::span<const TableInfo* const> tables() const { return tables_; }

 private:
  Result<void> add(const TableInfo& table, bool internal);
  std::vector<const TableInfo*> tables_;
};

/// One value as JSON (ids with their prefix, times in RFC 3339, enumerations by name) and back. The
/// reverse checks type, range, length and name, and names the column in its error.
[[nodiscard]] Json to_json(const ColumnInfo& column, const Value& value);
[[nodiscard]] Result<OwnedValue> from_json(const ColumnInfo& column, const Json& json);
/// One value as a person reads it in a table or CSV, and back ("" is null where null may be).
[[nodiscard]] std::string to_text(const ColumnInfo& column, const Value& value);
[[nodiscard]] Result<OwnedValue> from_text(const ColumnInfo& column, std::string_view text);
/// A whole row as a JSON object, without hidden and secret columns.
[[nodiscard]] Json row_to_json(const TableInfo& table, std::span<const Value> row);

/// Checks a row against its table, as every storage must before it writes: kind, null, UTF-8
/// without NUL, length, enumeration range, finite reals, id > 0. `invalid` names the column, the
/// value (shortened; never of secret or personal columns) and the rule.
[[nodiscard]] Result<void> check_row(const TableInfo& table, std::span<const Value> row);
[[nodiscard]] Result<void> check_value(const TableInfo& table, const ColumnInfo& column,
                                       const Value& value);

/// The case-folded form that `folded` columns keep beside them: simple folding of ASCII, Latin-1,
/// Latin Extended-A, Greek and Cyrillic. The rule is frozen: it is stored.
[[nodiscard]] std::string fold_case(std::string_view text);

BUREAU_END_NAMESPACE
