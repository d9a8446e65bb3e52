#include "store/sqlite/sql_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

constexpr std::array<std::string_view, 8> open_tables{
    "sqlite_schema",  "sqlite_master", "bureau_meta", "bureau_catalog",
    "bureau_commits", "json_each",     "json_tree",   "sqlite_sequence"};

std::string text_at(const Statement& statement, int column) {
  const auto* const text =
      reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), column));
  return text == nullptr ? std::string() : text;
}

/// A table of the file as far as a program's cursor on it may read.
struct Readable {
  std::string name;
  std::vector<std::string> columns;  ///< in the order of the file; without a name: the row's id
  std::vector<bool> open;            ///< whether each may be read
  [[nodiscard]] bool is_all_open() const {
    return std::find(open.begin(), open.end(), false) == open.end();
  }
};

class Inspection {
 public:
  Inspection(Connection& connection, const Catalog& catalog)
      : connection_(connection), catalog_(catalog) {}

  Result<std::string> of(std::string_view text) {
    const std::string explained = fmt::format("EXPLAIN {}", text);
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(connection_.handle(), explained.data(),
                                        static_cast<int>(explained.size()), 0, &made, nullptr);
    const Statement program(made, nullptr);
    if (code != SQLITE_OK) return fail(connection_.error(code, "an SQL statement"));
    for (;;) {
      const int step = program.step();
      if (step == SQLITE_DONE) return std::string();
      if (step != SQLITE_ROW) return fail(connection_.error(step, "an SQL statement"));
      BUREAU_TRY(
          std::string objection,
          to_step(text_at(program, 1), sqlite3_column_int64(program.get(), 2),
                  sqlite3_column_int64(program.get(), 3), sqlite3_column_int64(program.get(), 4)));
      if (!objection.empty()) return objection;
    }
  }

 private:
  Result<std::string> to_step(std::string_view opcode, std::int64_t p1, std::int64_t p2,
                              std::int64_t p3) {
    if (opcode == "OpenRead" || opcode == "ReopenIdx" || opcode == "OpenWrite") {
      return to_open(p1, p2, p3);
    }
    if (opcode != "Column" && opcode != "RowData") return std::string();
    const auto found = cursors_.find(p1);
    if (found == cursors_.end()) return std::string();  // of what the statement itself made
    const Readable& table = found->second;
    if (opcode == "RowData") return table.is_all_open() ? std::string() : whole(table);
    const auto column = static_cast<std::size_t>(p2);
    if (column < table.open.size() && table.open[column]) return std::string();
    return fmt::format("{}.{}: a secret column is never read", table.name,
                       column < table.columns.size() ? table.columns[column] : "?");
  }

  static std::string whole(const Readable& table) {
    return fmt::format("{}: a secret column is never read, nor a row as a whole", table.name);
  }

  /// What a cursor stands on, by the number of its first page. An index whose keys hold a secret is
  /// not used at all: to look something up in it is to compare.
  Result<std::string> to_open(std::int64_t cursor, std::int64_t page, std::int64_t database) {
    cursors_.erase(cursor);
    if (page == 1) return std::string();  // the schema
    if (database != 0) return std::string("another file: only the office's own is read");
    BUREAU_TRY(auto find, connection_.prepare(
                              "SELECT type,name,tbl_name FROM sqlite_schema WHERE rootpage=?"));
    find.bind(1, Value::integer(page));
    const bool there = find.step() == SQLITE_ROW;
    const std::string type = there ? text_at(find, 0) : "";
    const std::string name = there ? text_at(find, 1) : "";
    const std::string table = there ? text_at(find, 2) : "";
    find.reset();
    if (is_open_table(table)) return std::string();
    const TableInfo* const info = catalog_.find(table);
    if (info == nullptr) {
      return fmt::format("{}: no table of this program's; what is secret in it is not known",
                         table);
    }
    BUREAU_TRY(Readable readable, columns_of(*info, type == "index", name));
    if (type == "index") return readable.is_all_open() ? std::string() : whole(readable);
    cursors_.emplace(cursor, std::move(readable));
    return std::string();
  }

  Result<Readable> columns_of(const TableInfo& info, bool index, const std::string& name) {
    Readable readable{std::string(info.name), {}, {}};
    BUREAU_TRY(auto list, connection_.prepare(index ? "SELECT name,cid FROM pragma_index_xinfo(?)"
                                                    : "SELECT name,cid FROM pragma_table_info(?)"));
    list.bind(1, Value::text(name));
    int code = SQLITE_ROW;
    while ((code = list.step()) == SQLITE_ROW) {
      const std::string column = text_at(list, 0);
      const bool row_id = column.empty() && sqlite3_column_int64(list.get(), 1) == -1;
      const ColumnInfo* const described = info.find(column);
      readable.columns.push_back(column);
      readable.open.push_back(row_id || (described != nullptr && !described->secret));
    }
    if (code != SQLITE_DONE) return fail(connection_.error(code, "an SQL statement"));
    return readable;
  }

  Connection& connection_;
  const Catalog& catalog_;
  std::map<std::int64_t, Readable> cursors_;
};

}  // namespace

bool is_open_table(std::string_view name) {
  return std::find(open_tables.begin(), open_tables.end(), name) != open_tables.end();
}

Result<std::string> objection_to(Connection& connection, const Catalog& catalog,
                                 std::string_view text) {
  return Inspection(connection, catalog).of(text);
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
