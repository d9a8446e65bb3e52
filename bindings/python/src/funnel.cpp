// How deals go through a pipeline, and what is done about them.

#include "bureau/sales/deals.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

py::object share(std::optional<std::int64_t> basis_points) {
  if (!basis_points) return py::none();
  return py::float_(static_cast<double>(*basis_points) / 1e4);
}

py::tuple sum_of(const DealSum& sum) { return py::make_tuple(sum.count, sum.value.minor); }

py::tuple funnel(const ScopePtr& scope, const std::string& pipeline) {
  const Funnel made = from_domain<Deals>(scope, [&](const Deals& d) { return d.funnel(pipeline); });
  py::list out;
  for (const FunnelOf& of : made.currencies) {
    py::list steps;
    for (const FunnelStep& step : of.steps) {
      steps.append(py::make_tuple(text_of(step.stage), step.name, name_of(step.category),
                                  sum_of(step.entered), sum_of(step.reached),
                                  share(step.conversion_bp)));
    }
    out.append(py::make_tuple(std::string(of.currency.code()), of.currency.digits(), steps,
                              sum_of(of.won), sum_of(of.lost), share(of.win_rate_bp)));
  }
  return py::make_tuple(text_of(made.pipeline), out);
}

py::object add_activity(const ScopePtr& scope, const py::object& deal, const py::dict& fields) {
  const auto id = id_of<Deal>(deal, "deal");
  Given given("deals.add_activity", fields);
  NewActivity made;
  made.kind = given.choice("kind", made.kind);
  made.body = given.text("body");
  made.contact = given.maybe_id<Contact>("contact");
  made.due_at = given.maybe_time("due_at");
  given.done();
  return row_of(in_domain<Deals>(scope, [&](const Deals& d) { return d.add_activity(id, made); }));
}

py::object end_activity(const ScopePtr& scope, const py::object& activity, const py::dict& fields) {
  const auto id = id_of<DealActivity>(activity, "activity");
  Given given("deals.end_activity", fields);
  const ActivityStatus status = given.choice("status", ActivityStatus::open);
  given.done();
  return row_of(
      in_domain<Deals>(scope, [&](const Deals& d) { return d.end_activity(id, status); }));
}

}  // namespace

void init_funnel(ScopeClass& scope) {
  scope.def("deal_funnel", funnel)
      .def("deal_activity_add", add_activity)
      .def("deal_activity_end", end_activity)
      .def("deals_rotting", [](const ScopePtr& self, const py::dict& fields) {
        Given given("deals.rotting", fields);
        const std::uint64_t limit = given.limit("limit", 100);
        given.done();
        return rows_of(from_domain<Deals>(self, [&](const Deals& d) { return d.rotting(limit); }));
      });
}

}  // namespace bureau_python
