// Tasks that recur.

#include "bureau/work/schedule.hpp"
#include "domains.hpp"
#include "kinds.hpp"

namespace bureau_python {

namespace {

py::object save(const ScopePtr& scope, const std::shared_ptr<Kind>& kind, const py::object& payload,
                const py::dict& fields) {
  Given given("schedules.save", fields);
  NewSchedule schedule;
  schedule.name = given.text("name");
  schedule.expression = given.text("expression");
  schedule.zone = given.maybe_text("zone");
  schedule.catch_up = given.choice("catch_up", schedule.catch_up);
  schedule.overlap = given.choice("overlap", schedule.overlap);
  schedule.priority = given.choice("priority", schedule.priority);
  schedule.days = given.choice("days", schedule.days);
  given.done();
  const Json json = json_from_python(payload.ptr());
  return row_of(in_domain<Schedules>(
      scope, [&](const Schedules& s) { return s.save_json(schedule, kind->info, json); }));
}

py::object change(const ScopePtr& scope, const std::string& verb, const py::object& schedule) {
  const auto id = id_of<Schedule>(schedule, "schedule");
  return row_of(in_domain<Schedules>(
      scope, [&](const Schedules& s) { return verb == "pause" ? s.pause(id) : s.resume(id); }));
}

py::list upcoming(const ScopePtr& scope, const py::object& schedule, std::size_t count) {
  const auto id = id_of<Schedule>(schedule, "schedule");
  py::list out;
  for (const Timestamp at :
       from_domain<Schedules>(scope, [&](const Schedules& s) { return s.upcoming(id, count); })) {
    auto made = py::reinterpret_steal<py::object>(timestamp_to_python(at));
    if (!made) throw py::error_already_set();
    out.append(std::move(made));
  }
  return out;
}

}  // namespace

void init_schedules(ScopeClass& scope) {
  scope.def("schedule_save", save)
      .def("schedule_change", change)
      .def("schedule_upcoming", upcoming)
      .def("schedule_named",
           [](const ScopePtr& self, const std::string& name) {
             return row_of(
                 from_domain<Schedules>(self, [&](const Schedules& s) { return s.named(name); }));
           })
      .def("schedule_history",
           [](const ScopePtr& self, const py::object& schedule, std::uint64_t limit) {
             const auto id = id_of<Schedule>(schedule, "schedule");
             return rows_of(from_domain<Schedules>(
                 self, [&](const Schedules& s) { return s.history(id, limit); }));
           })
      .def("schedule_run_now",
           [](const ScopePtr& self, const py::object& schedule) {
             const auto id = id_of<Schedule>(schedule, "schedule");
             const auto task =
                 in_domain<Schedules>(self, [&](const Schedules& s) { return s.run_now(id); });
             return id::to_text(schema<Task>.prefix, task.value);
           })
      .def("schedule_remove", [](const ScopePtr& self, const py::object& schedule) {
        const auto id = id_of<Schedule>(schedule, "schedule");
        unwrap(
            self->with_write([&](const Scope& in, Engine&) { return Schedules(in).remove(id); }));
      });
}

}  // namespace bureau_python
