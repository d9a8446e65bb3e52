#pragma once

// What the calls of the domains share.

#include <fmt/format.h>

#include "bridge.hpp"
#include "given.hpp"

namespace bureau_python {

using ScopePtr = std::shared_ptr<PyScope>;
using ScopeClass = py::class_<PyScope, ScopePtr>;

template <class T>
py::object row_of(const T& row) {
  const TableInfo& table = table_of<T>();
  std::vector<Value> values(table.width());
  detail::Scratch scratch;
  to_values(row, values, scratch);
  return make_row(table, values);
}
template <class T>
py::list rows_of(const std::vector<T>& rows) {
  py::list out;
  for (const T& row : rows) out.append(row_of(row));
  return out;
}

/// Calls `f(Domain&)` without the GIL.
template <class Domain, class F>
auto in_domain(const ScopePtr& scope, F&& f) {
  return unwrap(scope->with_write([&](const Scope& in, Engine&) {
    const Domain domain{in};
    return f(domain);
  }));
}

/// The same for what only reads.
template <class Domain, class F>
auto from_domain(const ScopePtr& scope, F&& f) {
  return unwrap(scope->with([&](const Scope& in, Engine&) {
    const Domain domain{in};
    return f(domain);
  }));
}

void init_units(py::module_& module, ScopeClass& scope);
void init_ticket_links(ScopeClass& scope);
void init_schedules(ScopeClass& scope);
void init_notifications(ScopeClass& scope);
void init_rewards(ScopeClass& scope);

}  // namespace bureau_python
