#include "store/postgres/journal_order.hpp"

#include <fmt/format.h>

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

template <class Number>
void raise(std::atomic<Number>& least, Number to) {
  Number was = least.load();
  while (was < to && !least.compare_exchange_weak(was, to)) {
  }
}

}  // namespace

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
  // Answers may be learnt in another order than they were given.
  raise(newest_, newest);
  raise(known_, horizon);
  if (horizon < newest) owes_hint_.store(true);
  raise(learnt_at_, asked_at);
  return horizon;
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
