// The conversations of tickets.

#include <fmt/format.h>

#include "access/library_rows.hpp"
#include "store/row_values.hpp"
#include "support/ticket_rules.hpp"
#include "support/trigger_runs.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::name_of;

namespace detail {

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
  return fail(
      Code::exists,
      fmt::format("external_id: \"{}\" is taken by another message", shortened(*external_id, 80)),
      "external_id");
}

namespace {

/// What a message does to its ticket.
Result<void> apply_message(Ticket& ticket, const Message& message, Unit& unit) {
  ++ticket.message_count;
  if (message.kind != MessageKind::visible) return {};
  bool opens = false;
  if (message.sender == Sender::customer) {
    opens = ticket.state == TicketState::waiting_on_customer ||
            ticket.state == TicketState::resolved || ticket.state == TicketState::closed;
  } else {
    if (!ticket.first_response_at) ticket.first_response_at = unit.now();
    opens = ticket.state == TicketState::fresh;
  }
  if (!opens) return {};
  BUREAU_TRY(const TicketStatus status,
             initial_status(unit.transaction().reader(), ticket.tenant, TicketState::open));
  return enter(ticket, status, unit.now());
}

/// What a customer writes to a ticket that was closed too long ago: the first message of a new one.
Result<Message> follow_up(Unit& unit, const Ticket& closed, const NewMessage& given) {
  NewTicket ticket;
  ticket.subject = closed.subject;
  ticket.body = given.body;
  ticket.customer = closed.customer;
  ticket.source = closed.source;
  ticket.external_id = given.external_id;
  BUREAU_TRY(const Ticket opened, Tickets{unit}.open(ticket));
  BUREAU_TRY_VOID(write_link(unit, opened.id, LinkType::related, closed.id));
  const Repository<Message> messages{Scope(unit)};
  BUREAU_TRY(auto first,
             messages.first(col(&Message::ticket) == opened.id && col(&Message::sequence) == 1));
  if (first) return std::move(*first);
  return fail(Code::not_found, "messages: the new ticket's first message is not in sight", "id");
}

}  // namespace

Result<Message> append_message(Unit& unit, Id<Ticket> id, const NewMessage& given, Decide decide) {
  BUREAU_TRY(Ticket named, stored_row(unit, id));
  BUREAU_TRY(const Ticket before, standing_for(unit, std::move(named)));
  BUREAU_TRY_VOID(refuse_known(unit, given.external_id));
  if (before.state == TicketState::closed && given.sender == Sender::customer) {
    BUREAU_TRY(const bool opens, may_reopen(unit, before));
    if (!opens) return follow_up(unit, before, given);
  } else {
    BUREAU_TRY_VOID(refuse_ended(before, "nothing can be added to its conversation"));
  }
  Message message;
  message.ticket = before.id;
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
  // The customer may have been removed since; the conversation about what he wanted goes on.
  BUREAU_TRY(message, insert_taking_over(Scope(unit), std::move(message), {"customer"}));
  BUREAU_TRY_VOID(save_consequence(unit, before, std::move(after)));
  BUREAU_TRY_VOID(run_triggers(unit, before.id, TicketEvent::message_added, &message));
  return message;
}

Result<void> write_history(Unit& unit, const Ticket& ticket, std::string body) {
  Message note;
  BUREAU_TRY(note.id.value, unit.transaction().next_id());
  note.tenant = ticket.tenant;
  note.ticket = ticket.id;
  note.customer = ticket.customer;
  note.sequence = ticket.message_count;
  note.sender = Sender::system;
  note.kind = MessageKind::internal_note;
  note.body = std::move(body);
  note.version = 1;
  note.created_at = note.updated_at = unit.now();
  return unit.transaction().insert(table_of<Message>(), RowValues(note).values());
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

}  // namespace detail

namespace {

Result<Review> propose(const Message&) { return Review::proposed; }

Result<Message> append(const Scope& scope, Id<Ticket> id, const NewMessage& given,
                       detail::Decide decide = propose) {
  BUREAU_TRY_VOID(detail::check_new_message(given));
  return scope.write([&](Unit& unit) { return detail::append_message(unit, id, given, decide); });
}

}  // namespace

Result<Message> Tickets::add_message(Id<Ticket> id, const NewMessage& message) const {
  return append(tickets_.rows().scope(), id, message);
}

Result<Message> Tickets::reply(Id<Ticket> id, std::string body) const {
  return tickets_.rows().scope().write([&](Unit& unit) -> Result<Message> {
    BUREAU_TRY(const Ticket ticket, detail::stored_row(unit, id));
    const Id<User> actor = unit.session().principal().user;
    const bool own = actor && actor == ticket.customer;
    const NewMessage message{own ? Sender::customer : detail::staff(unit.session()),
                             MessageKind::visible, body};
    return append(Scope(unit), id, message);
  });
}

Result<Message> Tickets::note(Id<Ticket> id, std::string body) const {
  const Scope& scope = tickets_.rows().scope();
  return append(scope, id,
                {detail::staff(scope.session()), MessageKind::internal_note, std::move(body)});
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

BUREAU_END_NAMESPACE
