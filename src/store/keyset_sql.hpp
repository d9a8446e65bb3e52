#pragma once

#include <vector>

#include "bureau/store/select.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Writes the rows that come after a given one: (a after x) or (a is x and ((b after y) or ...)).
/// With a bound on the first column in front, which an index can begin at. `Sql` is the statement
/// in the making of one of the databases.
template <class Sql>
class KeysetWriter {
 public:
  KeysetWriter(Sql& sql, const std::vector<Order>& order, const std::vector<OwnedValue>& after)
      : sql_(sql), order_(order), after_(after) {}

  void write() {
    const Value first = value(0);
    const bool plain = !order_[0].descending || !order_[0].column->nullable;
    if (order_.size() > 1 && !first.is_null() && plain) {
      sql_.name(order_[0].column->name);
      sql_ << (order_[0].descending ? "<=" : ">=");
      sql_.parameter(first);
      sql_ << " AND ";
    }
    from(0);
  }

 private:
  [[nodiscard]] Value value(std::size_t i) const { return after_[i].view(); }

  void from(std::size_t i) {
    if (i + 1 == order_.size()) return beyond(i);
    sql_ << "(";
    beyond(i);
    sql_ << " OR (";
    same(i);
    sql_ << " AND ";
    from(i + 1);
    sql_ << "))";
  }

  /// Nulls are first when ascending, last when descending.
  void beyond(std::size_t i) {
    const Order& order = order_[i];
    if (value(i).is_null()) {
      if (order.descending) {
        sql_ << "FALSE";
      } else {
        sql_.name(order.column->name);
        sql_ << " IS NOT NULL";
      }
      return;
    }
    const bool or_null = order.descending && order.column->nullable;
    if (or_null) sql_ << "(";
    sql_.name(order.column->name);
    sql_ << (order.descending ? "<" : ">");
    sql_.parameter(value(i));
    if (or_null) {
      sql_ << " OR ";
      sql_.name(order.column->name);
      sql_ << " IS NULL)";
    }
  }

  void same(std::size_t i) {
    sql_.name(order_[i].column->name);
    if (value(i).is_null()) {
      sql_ << " IS NULL";
    } else {
      sql_ << "=";
      sql_.parameter(value(i));
    }
  }

  Sql& sql_;
  const std::vector<Order>& order_;
  const std::vector<OwnedValue>& after_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
