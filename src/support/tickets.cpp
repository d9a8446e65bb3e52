#include "bureau/support/tickets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "support/ticket_rules.hpp"
#include "support/trigger_runs.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::name_of;

namespace {

/// Reads the ticket, lets `change(Ticket&, Unit&)` change it, and writes it with the principal's
/// rights.
template <class F>
Result<Ticket> change_ticket(const Scope& scope, Id<Ticket> id, F&& change) {
  return scope.write([&](Unit& unit) -> Result<Ticket> {
    BUREAU_TRY(const Ticket before, detail::stored_row(unit, id));
    Ticket after = before;
    BUREAU_TRY_VOID(change(after, unit));
    BUREAU_TRY(Ticket saved, detail::save(unit, before, std::move(after)));
    return detail::told(unit, std::move(saved), TicketEvent::updated);
  });
}

Ticket new_ticket(const NewTicket& given, const TicketStatus& status, std::int64_t number) {
  Ticket ticket;
  ticket.number = number;
  ticket.subject = given.subject.empty() ? detail::subject_of(given.body) : given.subject;
  ticket.customer = given.customer;
  ticket.status = status.name;
  ticket.state = status.state;
  ticket.priority = given.priority;
  ticket.source = given.source;
  ticket.custom = given.custom.is_null() ? Json::object() : given.custom;
  ticket.message_count = 1;
  return ticket;
}

Message first_message(const NewTicket& given, const Ticket& ticket) {
  Message message;
  message.ticket = ticket.id;
  message.customer = ticket.customer;
  message.sequence = 1;
  message.sender = Sender::customer;
  message.author = ticket.customer;
  message.body = given.body;
  message.external_id = given.external_id;
  return message;
}

}  // namespace

Result<Ticket> Tickets::open(const NewTicket& ticket) const {
  BUREAU_TRY(auto opened, open_all(std::span(&ticket, 1)));
  return std::move(opened.front());
}

Result<std::vector<Ticket>> Tickets::open_all(std::span<const NewTicket> given) const {
  for (const NewTicket& ticket : given) BUREAU_TRY_VOID(detail::check_new_ticket(ticket));
  if (given.empty()) return std::vector<Ticket>();
  return tickets_.rows().scope().write([&](Unit& unit) -> Result<std::vector<Ticket>> {
    for (const NewTicket& ticket : given)
      BUREAU_TRY_VOID(detail::refuse_known(unit, ticket.external_id));
    BUREAU_TRY(const TicketStatus status,
               detail::initial_status(unit.transaction().reader(),
                                      unit.session().principal().tenant, TicketState::fresh));
    BUREAU_TRY(std::int64_t number,
               detail::draw_numbers(unit, static_cast<std::int64_t>(given.size())));
    std::vector<Ticket> rows;
    rows.reserve(given.size());
    for (const NewTicket& ticket : given) rows.push_back(new_ticket(ticket, status, number++));
    BUREAU_TRY(rows, Repository<Ticket>{Scope(unit)}.insert_all(std::move(rows)));
    std::vector<Message> messages;
    messages.reserve(given.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
      messages.push_back(first_message(given[i], rows[i]));
    }
    BUREAU_TRY_VOID(Repository<Message>{Scope(unit)}.insert_all(std::move(messages)));
    for (Ticket& ticket : rows) {
      BUREAU_TRY(ticket, detail::told(unit, std::move(ticket), TicketEvent::created));
    }
    return rows;
  });
}

Result<Ticket> Tickets::find(Id<Ticket> id) const { return tickets_.find(id); }

Result<std::optional<Ticket>> Tickets::by_number(std::int64_t number) const {
  return tickets_.first(col(&Ticket::number) == number);
}

Result<std::vector<Ticket>> Tickets::list(const Query& query) const { return tickets_.list(query); }

Result<std::uint64_t> Tickets::count(const Predicate& where) const { return tickets_.count(where); }

Result<std::vector<Message>> Tickets::conversation(Id<Ticket> id, std::int64_t after,
                                                   std::uint64_t limit) const {
  std::vector<Message> messages;
  BUREAU_TRY_VOID(tickets_.find(id));
  Query query;
  query.where = col(&Message::ticket) == id && col(&Message::sequence) > after;
  query.order = {{&col(&Message::sequence).info(), false}};
  query.limit = limit;
  return messages_.list(query);
}

// Tickets --------------------------------------------------------------------------------------

Result<Ticket> Tickets::move(Id<Ticket> id, std::string_view status) const {
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit& unit) -> Result<void> {
    BUREAU_TRY(const TicketStatus to,
               detail::status_named(unit.transaction().reader(), t.tenant, status));
    BUREAU_TRY_VOID(detail::may_move(unit, t, to));
    return detail::enter(t, to, unit.now());
  });
}

Result<Ticket> Tickets::assign(Id<Ticket> id, std::optional<Id<Team>> team,
                               std::optional<Id<User>> assignee) const {
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(detail::refuse_ended(t, "it is given to nobody any more"));
    t.team = team;
    t.assignee = assignee;
    if (!assignee) return {};
    return detail::check_assignee(unit.transaction().reader(), t);
  });
}

Result<Ticket> Tickets::prioritize(Id<Ticket> id, Priority priority) const {
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit&) -> Result<void> {
    t.priority = priority;
    return {};
  });
}

Result<Ticket> Tickets::tag(Id<Ticket> id, std::vector<std::string> tags) const {
  BUREAU_TRY(tags, detail::check_tags(std::move(tags)));
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit&) -> Result<void> {
    t.tags = tags;
    return {};
  });
}

namespace {

Result<void> refuse_not_open(const Ticket& ticket) {
  if (is_open(ticket.state)) return {};
  return fail(
      Code::conflict,
      fmt::format("status: ticket {} is {}, not open", ticket.number, name_of(ticket.state)),
      "status");
}

}  // namespace

Result<Ticket> Tickets::classify(Id<Ticket> id, std::string_view category, double confidence,
                                 Priority priority) const {
  constexpr std::size_t max_category = 100;
  BUREAU_TRY_VOID(detail::check_confidence(confidence));
  if (!category.empty()) {
    BUREAU_TRY_VOID(detail::check_body("category", category, max_category));
  }
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(refuse_not_open(t));
    t.category.reset();
    if (!category.empty()) t.category = std::string(category);
    t.confidence = confidence;
    t.priority = priority;
    t.triaged_at = unit.now();
    if (t.state != TicketState::fresh) return {};
    BUREAU_TRY(const TicketStatus open,
               detail::initial_status(unit.transaction().reader(), t.tenant, TicketState::open));
    return detail::enter(t, open, unit.now());
  });
}

Result<Ticket> Tickets::route(Id<Ticket> id) const {
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(refuse_not_open(t));
    BUREAU_TRY(const auto place, detail::find_place(unit.transaction().reader(), t));
    t.team = place.team;
    t.assignee = place.assignee;
    t.routed_at = unit.now();
    return {};
  });
}

BUREAU_END_NAMESPACE
