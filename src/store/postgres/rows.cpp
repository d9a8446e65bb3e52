#include "store/postgres/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

Result<Value> checked_figure(const Aggregate::Measure& measure, const Value& value) {
  if (value.kind() == Value::Kind::real && !std::isfinite(value.as_real())) {
    return fail(Code::exhausted,
                fmt::format("{}: the sum of its reals is too large", measure.column->name),
                std::string(measure.column->name));
  }
  if (!is_summed_as_text(measure) || value.is_null()) return value;
  const std::string_view digits = value.as_text();
  std::int64_t sum = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), sum);
  if (read.ec != std::errc()) return fail(does_not_fit(*measure.column));
  return Value::integer(sum);
}

}  // namespace

Result<void> give_rows(const PGresult* result, RowSink sink) {
  std::vector<Value> row(static_cast<std::size_t>(PQnfields(result)));
  const int rows = PQntuples(result);
  for (int i = 0; i < rows; ++i) {
    read_row(result, i, row);
    BUREAU_TRY(const bool more, sink(row));
    if (!more) break;
  }
  return {};
}

Result<void> give_figures(const PGresult* result, const Aggregate& aggregate, RowSink sink) {
  const std::size_t groups = aggregate.group_by.size();
  std::vector<Value> figures;
  return give_rows(result, [&](std::span<const Value> row) -> Result<bool> {
    figures.assign(row.begin(), row.end());
    for (std::size_t i = groups; i < figures.size(); ++i) {
      BUREAU_TRY(figures[i], checked_figure(aggregate.measures[i - groups], row[i]));
    }
    return sink(figures);
  });
}

std::vector<const ColumnInfo*> summed_columns(const Aggregate& aggregate) {
  std::vector<const ColumnInfo*> columns;
  for (const auto& measure : aggregate.measures) {
    const bool sums = measure.function == Aggregate::Function::sum ||
                      measure.function == Aggregate::Function::average;
    if (sums && measure.column->type == Type::real) columns.push_back(measure.column);
  }
  return columns;
}

std::vector<const ColumnInfo*> added_columns(const Update& update) {
  std::vector<const ColumnInfo*> columns;
  for (const Assignment& one : update.set) {
    if (one.add) columns.push_back(one.column);
  }
  return columns;
}

Result<void> check_deadline(const Clock& clock, Monotonic deadline, std::string_view where) {
  if (deadline == Monotonic::never() || clock.monotonic() < deadline) return {};
  return fail(Code::deadline, fmt::format("{}: the deadline has passed", where));
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
