// What a desk works with beside its tickets: who has one before him, texts and lists under a name,
// and what is done to tickets together or by itself.

#include "bureau/support/automation.hpp"
#include "bureau/support/presence.hpp"
#include "bureau/support/saved_view.hpp"
#include "bureau/support/tickets.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

/// name, scope and team: of a view, a macro or a canned reply.
template <class Made>
void take_name(Given& given, Made& made) {
  made.name = given.text("name");
  made.scope = given.choice("scope", made.scope);
  made.team = given.maybe_id<Team>("team");
}

std::vector<TicketAction> actions_of(Given& given) {
  return unwrap(actions_from_json(given.json("actions")));
}

template <class Domain, class Row>
void remove(const ScopePtr& scope, const py::object& row, const char* name) {
  const auto id = id_of<Row>(row, name);
  unwrap(scope->with_write([&](const Scope& in, Engine&) { return Domain(in).remove(id); }));
}
template <class Domain>
py::object named(const ScopePtr& scope, const std::string& name) {
  return row_of(from_domain<Domain>(scope, [&](const Domain& d) { return d.named(name); }));
}

// Presence -------------------------------------------------------------------------------------

py::object heartbeat(const ScopePtr& scope, const py::object& ticket, const py::dict& fields) {
  const auto id = id_of<Ticket>(ticket, "ticket");
  Given given("presence.heartbeat", fields);
  const Doing doing = given.choice("doing", Doing::looking);
  given.done();
  return row_of(
      in_domain<Presences>(scope, [&](const Presences& p) { return p.heartbeat(id, doing); }));
}

void init_presence(ScopeClass& scope) {
  scope.def("presence_heartbeat", heartbeat)
      .def("presence_on",
           [](const ScopePtr& self, const py::object& ticket) {
             const auto id = id_of<Ticket>(ticket, "ticket");
             return rows_of(
                 from_domain<Presences>(self, [&](const Presences& p) { return p.on(id); }));
           })
      .def("presence_leave", [](const ScopePtr& self, const py::object& ticket) {
        const auto id = id_of<Ticket>(ticket, "ticket");
        unwrap(self->with_write([&](const Scope& in, Engine&) { return Presences(in).leave(id); }));
      });
}

// Canned replies, saved views ------------------------------------------------------------------

py::object save_reply(const ScopePtr& scope, const py::dict& fields) {
  Given given("canned_replies.save", fields);
  NewCannedReply made;
  take_name(given, made);
  made.body = given.text("body");
  given.done();
  return row_of(
      in_domain<CannedReplies>(scope, [&](const CannedReplies& c) { return c.save(made); }));
}

/// As a view keeps it: "priority desc, created_at".
std::string order_text(PyObject* order) {
  std::string text;
  for (const Order& one : order_from_python(table_of<Ticket>(), order)) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", one.column->name,
                        one.descending ? " desc" : "");
  }
  return text;
}

py::object save_view(const ScopePtr& scope, const py::dict& fields) {
  Given given("views.save", fields);
  NewView made;
  take_name(given, made);
  made.condition = given.text("where");
  made.sort = order_text(given.at("order"));
  made.columns = given.texts("columns");
  given.done();
  return row_of(in_domain<SavedViews>(scope, [&](const SavedViews& v) { return v.save(made); }));
}

py::tuple show_view(const ScopePtr& scope, const py::object& view, const py::dict& fields) {
  const auto id = id_of<SavedView>(view, "view");
  Given given("tickets.view", fields);
  const std::uint64_t limit = given.limit("limit", 100);
  const std::string after = given.text("after");
  given.done();
  const auto page =
      from_domain<Tickets>(scope, [&](const Tickets& t) { return t.view(id, limit, after); });
  return py::make_tuple(rows_of(page.items), page.next);
}

// Macros, triggers, bulk changes ---------------------------------------------------------------

py::object save_macro(const ScopePtr& scope, const py::dict& fields) {
  Given given("macros.save", fields);
  NewMacro made;
  take_name(given, made);
  made.actions = actions_of(given);
  given.done();
  return row_of(in_domain<Macros>(scope, [&](const Macros& m) { return m.save(made); }));
}

std::vector<TicketEvent> events_of(Given& given) {
  std::vector<TicketEvent> out;
  PyObject* const list = given.at("events");
  if (list == nullptr) return out;
  for (const py::handle one : py::iterable(py::reinterpret_borrow<py::object>(list))) {
    py::dict event;
    event["events"] = one;
    out.push_back(Given("triggers.save", event).choice("events", TicketEvent::created));
  }
  return out;
}

py::object save_trigger(const ScopePtr& scope, const py::dict& fields) {
  Given given("triggers.save", fields);
  NewTrigger made;
  made.name = given.text("name");
  made.events = events_of(given);
  made.condition = given.text("where");
  made.message_condition = given.text("message_where");
  made.actions = actions_of(given);
  made.position = given.maybe_integer("position").value_or(made.position);
  made.active = given.flag("active", made.active);
  given.done();
  return row_of(in_domain<Triggers>(scope, [&](const Triggers& t) { return t.save(made); }));
}

BulkMode mode_of(Given& given) {
  const auto name = given.maybe_text("mode").value_or("all_or_none");
  if (name == "each") return BulkMode::each;
  if (name == "all_or_none") return BulkMode::all_or_none;
  raise(Code::invalid, fmt::format("mode: \"{}\" is none of all_or_none, each", name), "mode");
}

std::vector<Id<Ticket>> tickets_of(const py::iterable& tickets) {
  std::vector<Id<Ticket>> out;
  for (const py::handle one : tickets) {
    out.emplace_back(id_from_python(schema<Ticket>.prefix, one.ptr(), "tickets"));
  }
  return out;
}

/// (how many changed, [(ticket, error), ...])
py::tuple told(const BulkReport& report) {
  py::list refused;
  for (const BulkReport::Refused& one : report.refused) {
    refused.append(py::make_tuple(id::to_text(schema<Ticket>.prefix, one.ticket.value),
                                  error_object(one.error)));
  }
  return py::make_tuple(report.changed, refused);
}

py::tuple apply(const ScopePtr& scope, const py::object& macro, const py::iterable& tickets,
                const py::dict& fields) {
  const auto id = id_of<Macro>(macro, "macro");
  const auto ids = tickets_of(tickets);
  Given given("macros.apply", fields);
  const BulkMode mode = mode_of(given);
  given.done();
  return told(in_domain<Macros>(scope, [&](const Macros& m) { return m.apply(id, ids, mode); }));
}

py::tuple change_all(const ScopePtr& scope, const py::iterable& tickets, const py::dict& fields) {
  const auto ids = tickets_of(tickets);
  Given given("tickets.change_all", fields);
  const auto actions = actions_of(given);
  const BulkMode mode = mode_of(given);
  given.done();
  return told(in_domain<Tickets>(
      scope, [&](const Tickets& t) { return t.change_all(ids, actions, mode); }));
}

py::tuple change_where(const ScopePtr& scope, const py::object& where, const py::dict& values,
                       const py::dict& fields) {
  const Predicate which =
      predicate_from_python(table_of<Ticket>(), catalog_of(scope), where.ptr(), values.ptr());
  Given given("tickets.change_where", fields);
  const auto actions = actions_of(given);
  const BulkMode mode = mode_of(given);
  given.done();
  return told(in_domain<Tickets>(
      scope, [&](const Tickets& t) { return t.change_where(which, actions, mode); }));
}

}  // namespace

void init_desk(ScopeClass& scope) {
  init_presence(scope);
  scope.def("canned_reply_save", save_reply)
      .def("canned_reply_named", named<CannedReplies>)
      .def("canned_reply_render",
           [](const ScopePtr& self, const py::object& reply, const py::object& ticket) {
             const auto which = id_of<CannedReply>(reply, "reply");
             const auto to = id_of<Ticket>(ticket, "ticket");
             return from_domain<CannedReplies>(
                 self, [&](const CannedReplies& c) { return c.render(which, to); });
           })
      .def("canned_reply_remove",
           [](const ScopePtr& self, const py::object& reply) {
             remove<CannedReplies, CannedReply>(self, reply, "reply");
           })
      .def("view_save", save_view)
      .def("view_named", named<SavedViews>)
      .def("view_show", show_view)
      .def("view_remove", [](const ScopePtr& self, const py::object& view) {
        remove<SavedViews, SavedView>(self, view, "view");
      });
  scope.def("macro_save", save_macro)
      .def("macro_named", named<Macros>)
      .def("macro_apply", apply)
      .def("macro_remove",
           [](const ScopePtr& self, const py::object& macro) {
             remove<Macros, Macro>(self, macro, "macro");
           })
      .def("trigger_save", save_trigger)
      .def("trigger_remove",
           [](const ScopePtr& self, const py::object& trigger) {
             remove<Triggers, Trigger>(self, trigger, "trigger");
           })
      .def("tickets_change_all", change_all)
      .def("tickets_change_where", change_where);
}

}  // namespace bureau_python
