#include "bureau/support/tickets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::name_of;

namespace {

/// Reads the ticket, lets `change(Ticket&, Unit&)` change it, and writes it with the principal's
/// rights.
template <class F>
Result<Ticket> change_ticket(const Scope& scope, Id<Ticket> id, F&& change) {
  return scope.write([&](Unit& unit) -> Result<Ticket> {
    BUREAU_TRY(const Ticket before, detail::stored_ticket(unit, id));
    Ticket after = before;
    BUREAU_TRY_VOID(change(after, unit));
    BUREAU_TRY(Ticket saved, detail::save(unit, before, std::move(after)));
    if (!unit.hides(table_of<Ticket>())) return saved;
    // Out of sight now, as a ticket that was handed on may be, it is told by its id alone.
    auto seen = Repository<Ticket>{Scope(unit)}.find(id);
    if (seen) return seen;
    saved = Ticket();
    saved.id = id;
    return saved;
  });
}

/// An external id that is taken says so, whoever asks: it is unique within the tenant.
Result<void> refuse_known(Unit& unit, const std::optional<std::string>& external_id) {
  if (!external_id) return {};
  bool known = false;
  const Select which = select<Message>()
                           .where(col(&Message::tenant) == unit.session().principal().tenant &&
                                  col(&Message::external_id) == *external_id)
                           .limit(1);
  BUREAU_TRY_VOID(
      unit.transaction().reader().scan(which, [&](std::span<const Value>) -> Result<bool> {
        known = true;
        return false;
      }));
  if (!known) return {};
  return fail(Code::exists,
              fmt::format("external_id: \"{}\" is taken by another message",
                          detail::shortened(*external_id, 80)),
              "external_id");
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
    for (const NewTicket& ticket : given) BUREAU_TRY_VOID(refuse_known(unit, ticket.external_id));
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
    return rows;
  });
}

Result<std::optional<Ticket>> Tickets::by_number(std::int64_t number) const {
  return tickets_.first(col(&Ticket::number) == number);
}

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

// Messages -------------------------------------------------------------------------------------

namespace {

/// What a message does to its ticket.
Result<void> apply_message(Ticket& ticket, const Message& message, Unit& unit) {
  ++ticket.message_count;
  if (message.kind != MessageKind::visible) return {};
  bool opens = false;
  if (message.sender == Sender::customer) {
    opens =
        ticket.state == TicketState::waiting_on_customer || ticket.state == TicketState::resolved;
  } else {
    if (!ticket.first_response_at) ticket.first_response_at = unit.now();
    opens = ticket.state == TicketState::fresh;
  }
  if (!opens) return {};
  BUREAU_TRY(const TicketStatus status,
             detail::initial_status(unit.transaction().reader(), ticket.tenant, TicketState::open));
  return detail::enter(ticket, status, unit.now());
}

/// Decides about a suggestion before it is written; none: it is proposed.
using Decide = FunctionRef<Result<Review>(const Message&)>;

Result<Message> append_message(Unit& unit, Id<Ticket> id, const NewMessage& given, Decide decide) {
  BUREAU_TRY(const Ticket before, detail::stored_ticket(unit, id));
  BUREAU_TRY_VOID(detail::refuse_ended(before, "nothing can be added to its conversation"));
  BUREAU_TRY_VOID(refuse_known(unit, given.external_id));
  Message message;
  message.ticket = id;
  message.customer = before.customer;
  message.sequence = before.message_count + 1;
  message.sender = given.sender;
  message.kind = given.kind;
  message.author = given.author;
  const Id<User> actor = unit.session().principal().user;
  const bool of_person = given.sender == Sender::customer || given.sender == Sender::agent;
  if (!message.author && actor && of_person) message.author = actor;
  message.body = given.body;
  message.confidence = given.confidence;
  message.external_id = given.external_id;
  if (given.kind == MessageKind::suggestion) {
    BUREAU_TRY(message.review, decide(message));
  }
  Ticket after = before;
  BUREAU_TRY_VOID(apply_message(after, message, unit));
  BUREAU_TRY(message, Repository<Message>{Scope(unit)}.insert(std::move(message)));
  BUREAU_TRY_VOID(detail::save_consequence(unit, before, std::move(after)));
  return message;
}

Result<Review> propose(const Message&) { return Review::proposed; }

Result<Message> append(const Scope& scope, Id<Ticket> id, const NewMessage& given,
                       Decide decide = propose) {
  BUREAU_TRY_VOID(detail::check_new_message(given));
  return scope.write([&](Unit& unit) { return append_message(unit, id, given, decide); });
}

Sender staff(const Session& session) {
  switch (session.principal().kind()) {
    case PrincipalKind::system:
      return Sender::system;
    case PrincipalKind::agent:
      return Sender::ai;
    case PrincipalKind::user:
      break;
  }
  return Sender::agent;
}

}  // namespace

Result<Message> Tickets::add_message(Id<Ticket> id, const NewMessage& message) const {
  return append(tickets_.rows().scope(), id, message);
}

Result<Message> Tickets::reply(Id<Ticket> id, std::string body) const {
  return tickets_.rows().scope().write([&](Unit& unit) -> Result<Message> {
    BUREAU_TRY(const Ticket ticket, Repository<Ticket>{Scope(unit)}.find(id));
    const Id<User> actor = unit.session().principal().user;
    const bool own = actor && actor == ticket.customer;
    const NewMessage message{own ? Sender::customer : staff(unit.session()), MessageKind::visible,
                             body};
    return append(Scope(unit), id, message);
  });
}

Result<Message> Tickets::note(Id<Ticket> id, std::string body) const {
  const Scope& scope = tickets_.rows().scope();
  return append(scope, id, {staff(scope.session()), MessageKind::internal_note, std::move(body)});
}

namespace {

NewMessage suggestion(const Session& session, std::string body, double confidence) {
  const bool person = session.principal().kind() == PrincipalKind::user;
  const Sender sender = person ? Sender::agent : Sender::ai;
  return {sender, MessageKind::suggestion, std::move(body), {}, confidence};
}

}  // namespace

Result<Message> Tickets::suggest(Id<Ticket> id, std::string body, double confidence) const {
  const Scope& scope = tickets_.rows().scope();
  return append(scope, id, suggestion(scope.session(), std::move(body), confidence));
}

Result<Message> Tickets::suggest(Id<Ticket> id, std::string body, double confidence,
                                 const Predicate& accept) const {
  const Scope& scope = tickets_.rows().scope();
  auto decide = [&](const Message& message) -> Result<Review> {
    std::vector<Value> row(table_of<Message>().width());
    detail::Scratch scratch;
    to_values(message, row, scratch);
    BUREAU_TRY(const Truth truth, evaluate(accept, row));
    return truth == Truth::yes ? Review::accepted : Review::left_for_person;
  };
  return append(scope, id, suggestion(scope.session(), std::move(body), confidence), decide);
}

Result<Message> Tickets::review(Id<Message> suggestion, Review verdict) const {
  if (verdict == Review::none || verdict == Review::proposed) {
    return fail(Code::invalid,
                fmt::format("review: \"{}\" is no verdict; one is accepted, left_for_person or "
                            "rejected",
                            name_of(verdict)),
                "review");
  }
  return messages_.change(suggestion, [&](Message& message) -> Result<void> {
    if (message.review != Review::proposed && message.review != Review::left_for_person) {
      return fail(
          Code::conflict,
          fmt::format("review: it is \"{}\"; only a suggestion that is proposed or left for "
                      "a person is decided on",
                      name_of(message.review)),
          "review");
    }
    message.review = verdict;
    return {};
  });
}

// Tickets --------------------------------------------------------------------------------------

Result<Ticket> Tickets::move(Id<Ticket> id, std::string_view status) const {
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit& unit) -> Result<void> {
    BUREAU_TRY(const TicketStatus to,
               detail::status_named(unit.transaction().reader(), t.tenant, status));
    return detail::enter(t, to, unit.now());
  });
}

namespace {

Result<void> check_assignee(Reader& reader, const Ticket& ticket) {
  BUREAU_TRY(const bool active, detail::is_active_user(reader, ticket.tenant, *ticket.assignee));
  const std::string name = id::to_text(schema<User>.prefix, ticket.assignee->value);
  if (!active) {
    return fail(Code::invalid, fmt::format("assignee: {} is no active user", name), "assignee");
  }
  if (!ticket.team) return {};
  bool member = false;
  BUREAU_TRY_VOID(reader.scan(select<Membership>()
                                  .where(col(&Membership::team) == *ticket.team &&
                                         col(&Membership::user) == *ticket.assignee)
                                  .limit(1),
                              [&](std::span<const Value>) -> Result<bool> {
                                member = true;
                                return false;
                              }));
  if (member) return {};
  return fail(Code::invalid, fmt::format("assignee: {} is not in the ticket's team", name),
              "assignee");
}

}  // namespace

Result<Ticket> Tickets::assign(Id<Ticket> id, std::optional<Id<Team>> team,
                               std::optional<Id<User>> assignee) const {
  return change_ticket(tickets_.rows().scope(), id, [&](Ticket& t, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(detail::refuse_ended(t, "it is given to nobody any more"));
    t.team = team;
    t.assignee = assignee;
    if (!assignee) return {};
    return check_assignee(unit.transaction().reader(), t);
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
