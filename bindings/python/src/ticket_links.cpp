// What tickets have to do with each other: links, merges, splits.

#include "bureau/support/tickets.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

py::object link(const ScopePtr& scope, const py::object& a, const py::dict& fields) {
  Given given("tickets.link", fields);
  const auto from = id_of<Ticket>(a, "ticket");
  const auto to = given.maybe_id<Ticket>("other");
  if (!to) raise(Code::invalid, "other: it is required", "other");
  const LinkType type = given.choice("type", LinkType::related);
  given.done();
  return row_of(
      in_domain<Tickets>(scope, [&](const Tickets& t) { return t.link(from, type, *to); }));
}

py::object split(const ScopePtr& scope, const py::object& ticket, const py::list& messages,
                 const std::string& subject) {
  const auto id = id_of<Ticket>(ticket, "ticket");
  SplitTicket wanted;
  wanted.subject = subject;
  for (const py::handle one : messages) {
    wanted.messages.emplace_back(id_from_python(schema<Message>.prefix, one.ptr(), "messages"));
  }
  return row_of(in_domain<Tickets>(scope, [&](const Tickets& t) { return t.split(id, wanted); }));
}

}  // namespace

void init_ticket_links(ScopeClass& scope) {
  scope.def("ticket_link", link)
      .def("ticket_unlink",
           [](const ScopePtr& self, const py::object& link_row) {
             const auto id = id_of<TicketLink>(link_row, "link");
             unwrap(self->with_write(
                 [&](const Scope& in, Engine&) { return Tickets(in).unlink(id); }));
           })
      .def("ticket_links",
           [](const ScopePtr& self, const py::object& ticket) {
             const auto id = id_of<Ticket>(ticket, "ticket");
             return rows_of(
                 from_domain<Tickets>(self, [&](const Tickets& t) { return t.links(id); }));
           })
      .def("ticket_merge",
           [](const ScopePtr& self, const py::object& source, const py::object& target) {
             const auto from = id_of<Ticket>(source, "source");
             const auto into = id_of<Ticket>(target, "target");
             return row_of(
                 in_domain<Tickets>(self, [&](const Tickets& t) { return t.merge(from, into); }));
           })
      .def("ticket_split", split);
}

}  // namespace bureau_python
