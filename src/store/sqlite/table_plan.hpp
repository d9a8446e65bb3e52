#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bureau/store/predicate.hpp"

struct sqlite3_stmt;

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

class Connection;

/// What a connection keeps for a table: its names as SQL, and the statements so frequent that not
/// even their text should be made again.
struct TablePlan {
  std::string name;
  std::size_t width = 0;
  const ColumnInfo* first_column = nullptr;
  sqlite3_stmt* find = nullptr;
  sqlite3_stmt* insert = nullptr;
  bool find_in_use = false;
  bool insert_in_use = false;
  std::vector<Value> row;  ///< where find() puts what it read

  TablePlan() = default;
  TablePlan(const TablePlan&) = delete;
  TablePlan& operator=(const TablePlan&) = delete;
  ~TablePlan();
  /// A program may free a TableInfo and make another at the same address.
  [[nodiscard]] bool is_of(const TableInfo& table) const {
    return width == table.width() && first_column == table.columns.data() && name == table.name;
  }
};

[[nodiscard]] Result<std::unique_ptr<TablePlan>> make_plan(Connection& connection,
                                                           const TableInfo& table);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
