// Which agents an office means to have and which of them work; and what it does for itself.

#include "bureau/work/housekeeping.hpp"

#include "bureau/work/agent_registry.hpp"
#include "bureau/work/agent_roster.hpp"
#include "domains.hpp"
#include "opening.hpp"

namespace bureau_python {

namespace {

// The roster -----------------------------------------------------------------------------------

py::tuple save_roster(const ScopePtr& scope, const py::object& given) {
  const bool is_text = PyUnicode_Check(given.ptr()) != 0;
  const auto entries = unwrap(parse_roster(is_text ? text_from_python(given.ptr(), "entries")
                                                   : json_from_python(given.ptr()).dump()));
  const RosterReport made = unwrap(scope->with_write(
      [&](const Scope& in, Engine&) { return import_roster(in.session(), entries); }));
  return py::make_tuple(made.added, made.changed, made.unchanged);
}

py::list roster_agents(const ScopePtr& scope) {
  const Id<Tenant> tenant = scope->session().principal().tenant;
  py::list out;
  for (const AgentInfo& one : unwrap(scope->with(
           [&](const Scope&, Engine& engine) { return list_agents(engine.database(), tenant); }))) {
    py::list kinds;
    for (const auto& kind : one.kinds) kinds.append(kind);
    out.append(py::make_tuple(one.name, one.squad, one.role, one.configured, py::tuple(kinds),
                              one.nodes, one.running, one.completed, one.dead));
  }
  return out;
}

// Housekeeping ---------------------------------------------------------------------------------

void add_housekeeping(const std::shared_ptr<Office>& office, const std::string& volume) {
  in_office(office, [&](Engine& engine) {
    return engine.add(std::make_shared<HousekeepingAgent>(
        engine.access(), HousekeepingOptions{.machine = make_machine(volume)}));
  });
}

py::list switch_on(const ScopePtr& scope, const py::dict& fields) {
  Given given("housekeeping.on", fields);
  HousekeepingPlan plan;
  plan.heartbeat = given.text("heartbeat");
  plan.metrics = given.text("metrics");
  plan.processor = given.text("processor");
  plan.cleanup = given.text("cleanup");
  plan.looks.gap_minutes = given.maybe_integer("gap_minutes").value_or(plan.looks.gap_minutes);
  plan.keep.days = given.maybe_integer("days").value_or(plan.keep.days);
  plan.keep.dead_days = given.maybe_integer("dead_days");
  plan.keep.kinds = given.json("kinds");
  given.done();
  return rows_of(unwrap(scope->with_write(
      [&](const Scope& in, Engine&) { return switch_on_housekeeping(in, plan); })));
}

}  // namespace

void init_housekeeping(py::module_& module, ScopeClass& scope) {
  module.def("_add_housekeeping", add_housekeeping);
  scope.def("roster_save", save_roster)
      .def("roster_agents", roster_agents)
      .def("housekeeping_on", switch_on)
      .def("housekeeping_off", [](const ScopePtr& self) {
        return unwrap(
            self->with_write([](const Scope& in, Engine&) { return switch_off_housekeeping(in); }));
      });
}

}  // namespace bureau_python
