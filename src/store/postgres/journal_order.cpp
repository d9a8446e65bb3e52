#include "store/postgres/journal_order.hpp"

#include <fmt/format.h>

#include <algorithm>

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

void JournalOrder::ask(Connection& connection) const {
  Sql sql(schema_);
  sql << "SELECT horizon,newest FROM ";
  sql.function("bureau_horizon");
  sql << "(";
  sql.parameter(Value::integer(office_));
  sql << ")";
  connection.add(sql);
}

Horizon JournalOrder::learn(const PGresult* answer, std::uint64_t asked_at) {
  const Horizon horizon = value_at(answer, 0, 0).as_integer();
  const Horizon newest = value_at(answer, 0, 1).as_integer();
  Horizon known = known_.load();
  while (known < horizon && !known_.compare_exchange_weak(known, horizon)) {
  }
  holds_back_.store(horizon < newest, std::memory_order_release);
  learnt_at_.store(asked_at, std::memory_order_release);
  return std::max(known, horizon);
}

Sql JournalOrder::draw(std::int64_t count, bool first) const {
  Sql sql(schema_);
  sql << "SELECT ";
  sql.function("bureau_draw");
  sql << "(";
  sql.parameter(Value::integer(office_));
  sql << ",";
  sql.parameter(Value::integer(count));
  sql << (first ? ",TRUE)" : ",FALSE)");
  return sql;
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
