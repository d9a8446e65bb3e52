#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE

struct Order {
  const ColumnInfo* column = nullptr;
  bool descending = false;
};

/// Which rows of one table, in which order. Whole rows: the columns are always all of the table's.
struct Select {
  const TableInfo* table = nullptr;
  Predicate where = {};
  /// Nulls first when ascending. The id is always the last order, ascending unless it is named, so
  /// that pages are stable.
  std::vector<Order> order = {};
  std::optional<std::uint64_t> limit = {};
  /// Keyset: only rows that come after the row with these values, one for each entry of `order` and
  /// then the id (left out when `order` ends in the id).
  std::vector<OwnedValue> after = {};
  /// Where several connections may write at a time: pass over rows that another holds.
  bool skip_locked = false;
};

/// A chain for typed code: select<Ticket>().where(...).order_by(&Ticket::rank).limit(10).
template <Entity T>
class SelectBuilder {
 public:
  SelectBuilder() { select_.table = &table_of<T>(); }
  SelectBuilder&& where(const Predicate& p) && {
    select_.where = select_.where && p;
    return std::move(*this);
  }
  template <class M>
  SelectBuilder&& order_by(Column<T, M> column, bool descending = false) && {
    select_.order.push_back({&column.info(), descending});
    return std::move(*this);
  }
  SelectBuilder&& limit(std::uint64_t rows) && {
    select_.limit = rows;
    return std::move(*this);
  }
  operator Select() && { return std::move(select_); }  // NOLINT(google-explicit-constructor)

 private:
  Select select_;
};
template <Entity T>
[[nodiscard]] SelectBuilder<T> select() {
  return {};
}

/// Figures over groups of rows. Result rows: the group's values, then one value a measure. Without
/// group_by there is exactly one row, also over no rows.
struct Aggregate {
  enum class Function : std::uint8_t {
    count,    ///< of rows; `column` null
    sum,      ///< integer or real as the column; null over nothing; `exhausted` when it overflows
    minimum,  ///< null over nothing
    maximum,
    average,  ///< real; null over nothing
  };
  struct Measure {
    Function function = Function::count;
    const ColumnInfo* column = nullptr;
  };
  const TableInfo* table = nullptr;
  Predicate where;
  std::vector<const ColumnInfo*> group_by;  ///< groups come in the order of these columns
  std::vector<Measure> measures;
};

/// column = value, or column = column + value (integers; `exhausted` on overflow).
struct Assignment {
  const ColumnInfo* column = nullptr;
  Value value;
  bool add = false;
};

struct Update {
  Select which;
  std::vector<Assignment> set = {};
};

BUREAU_END_NAMESPACE
