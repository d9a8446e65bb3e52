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

/// A member of an enumeration by its name.
template <class E>
std::string name_of(E value) {
  return std::string(names<E>[static_cast<std::size_t>(value)]);
}
/// A moment as a datetime; none is None.
inline py::object moment_of(std::optional<Timestamp> moment) {
  if (!moment) return py::none();
  auto made = py::reinterpret_steal<py::object>(timestamp_to_python(*moment));
  if (!made) throw py::error_already_set();
  return made;
}
template <class T>
std::string text_of(Id<T> id) {
  return id::to_text(schema<T>.prefix, id.value);
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

/// The tables of the office. They live as long as its engine; whoever uses them holds the office or
/// a scope of it.
const Catalog& catalog_of(const std::shared_ptr<Office>& office);
const Catalog& catalog_of(const ScopePtr& scope);

void init_units(py::module_& module, ScopeClass& scope);
void init_funnel(ScopeClass& scope);
void init_tasks(ScopeClass& scope);
void init_flow(ScopeClass& scope);
void init_ticket_links(ScopeClass& scope);
void init_schedules(ScopeClass& scope);
void init_notifications(ScopeClass& scope);
void init_inbox(ScopeClass& scope);
void init_desk(ScopeClass& scope);
void init_network(ScopeClass& scope);
void init_desk_agents(py::module_& module, ScopeClass& scope);
void init_housekeeping(py::module_& module, ScopeClass& scope);
void init_workflows(py::module_& module, ScopeClass& scope);
void init_rewards(ScopeClass& scope);

}  // namespace bureau_python
