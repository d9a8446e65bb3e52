// Merging tickets, and splitting one.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "access/library_rows.hpp"
#include "store/row_values.hpp"
#include "support/ticket_rules.hpp"
#include "support/trigger_runs.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::name_of;
using detail::RowValues;

namespace detail {

Result<Ticket> standing_for(Unit& unit, Ticket ticket) {
  // No circle: merge() never leads to a ticket that comes back here.
  while (ticket.state == TicketState::merged && ticket.merged_into) {
    BUREAU_TRY(ticket, stored_row(unit, *ticket.merged_into));
  }
  return ticket;
}

}  // namespace detail

namespace {

std::optional<Timestamp> earlier(std::optional<Timestamp> a, std::optional<Timestamp> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

Result<void> check_merge(const Ticket& source, const Ticket& named, const Ticket& target) {
  const auto refuse = [](Code code, const char* field, std::string rule) {
    return fail(code, std::string(field) + ": " + rule, field);
  };
  if (source.id == named.id) {
    return refuse(Code::invalid, "target",
                  fmt::format("ticket {} cannot be merged into itself", source.number));
  }
  if (source.id == target.id) {
    return refuse(Code::conflict, "target",
                  fmt::format("ticket {} is merged into ticket {}; merging goes in no circle",
                              named.number, source.number));
  }
  if (!is_open(source.state)) {
    return refuse(Code::conflict, "status",
                  fmt::format("ticket {} is {}; only an open one is merged", source.number,
                              name_of(source.state)));
  }
  if (target.state == TicketState::closed) {
    return refuse(Code::conflict, "status",
                  fmt::format("ticket {} is closed; nothing is merged into it", target.number));
  }
  if (source.customer != target.customer) {
    return refuse(Code::invalid, "target",
                  fmt::format("ticket {} is another customer's than ticket {}, who would see "
                              "what is not his; link them instead",
                              target.number, source.number));
  }
  return {};
}

/// The messages of one ticket to the end of another's conversation.
Result<void> move_messages(Unit& unit, const Ticket& from, const Ticket& to) {
  const TableInfo& table = table_of<Message>();
  static const ColumnInfo *const ticket = table.find("ticket"),
                                 *const sequence = table.find("sequence"),
                                 *const version = table.find("version"),
                                 *const updated_at = table.find("updated_at");
  // Messages are not younger than their ticket's last change, even if the clock stepped back.
  const Timestamp now = std::max(unit.now(), from.updated_at);
  BUREAU_TRY(const auto moved,
             unit.transaction().update({select<Message>().where(col(&Message::ticket) == from.id),
                                        {{ticket, Value::integer(to.id.value), false},
                                         {sequence, Value::integer(to.message_count), true},
                                         {version, Value::integer(1), true},
                                         {updated_at, Value::integer(now.micros()), false}}}));
  if (moved == static_cast<std::uint64_t>(from.message_count)) return {};
  return fail(Code::corrupt, fmt::format("messages: ticket {} counts {}, but there are {}",
                                         from.number, from.message_count, moved));
}

/// An answered ticket is no new one.
Result<void> open_if_answered(Unit& unit, Ticket& ticket) {
  if (ticket.state != TicketState::fresh || !ticket.first_response_at) return {};
  BUREAU_TRY(const TicketStatus open,
             detail::initial_status(unit.transaction().reader(), unit.session().principal().tenant,
                                    TicketState::open));
  return detail::enter(ticket, open, unit.now());
}

Result<Ticket> merge_in(Unit& unit, const Ticket& source, const Ticket& target) {
  BUREAU_TRY(const TicketStatus merged, detail::initial_status(unit.transaction().reader(),
                                                               source.tenant, TicketState::merged));
  Ticket ended = source;
  BUREAU_TRY_VOID(detail::enter(ended, merged, unit.now()));
  ended.merged_into = target.id;
  ended.message_count = 1;
  Ticket grown = target;
  grown.message_count += source.message_count + 1;
  grown.first_response_at = earlier(grown.first_response_at, source.first_response_at);
  BUREAU_TRY_VOID(open_if_answered(unit, grown));
  BUREAU_TRY_VOID(detail::save(unit, source, ended));
  BUREAU_TRY(grown, detail::save(unit, target, std::move(grown)));
  BUREAU_TRY_VOID(move_messages(unit, source, target));
  BUREAU_TRY_VOID(detail::move_links(unit, source.id, target.id));
  BUREAU_TRY_VOID(detail::write_history(unit, ended,
                                        fmt::format("Merged into ticket {}, with {} messages.",
                                                    target.number, source.message_count)));
  BUREAU_TRY_VOID(detail::write_history(
      unit, grown,
      fmt::format("Ticket {} was merged into this one: messages {} to {}.", source.number,
                  target.message_count + 1, target.message_count + source.message_count)));
  return grown;
}

}  // namespace

Result<Ticket> Tickets::merge(Id<Ticket> source, Id<Ticket> target) const {
  return tickets_.rows().scope().write([&](Unit& unit) -> Result<Ticket> {
    BUREAU_TRY(const Ticket from, detail::stored_row(unit, source));
    BUREAU_TRY(const Ticket named, detail::stored_row(unit, target));
    BUREAU_TRY(const Ticket into, detail::standing_for(unit, named));
    BUREAU_TRY_VOID(check_merge(from, named, into));
    BUREAU_TRY(Ticket grown, merge_in(unit, from, into));
    BUREAU_TRY_VOID(detail::run_triggers(unit, from.id, TicketEvent::updated, nullptr));
    return detail::told(unit, std::move(grown), TicketEvent::updated);
  });
}

// Splitting ------------------------------------------------------------------------------------

namespace {

Result<std::vector<Message>> messages_of(Reader& reader, Id<Ticket> ticket) {
  std::vector<Message> messages;
  BUREAU_TRY_VOID(reader.scan(
      select<Message>().where(col(&Message::ticket) == ticket).order_by(col(&Message::sequence)),
      [&](std::span<const Value> row) -> Result<bool> {
        from_values(row, messages.emplace_back());
        return true;
      }));
  return messages;
}

struct Parts {
  std::vector<Message> gone, kept;
};

Result<Parts> take_apart(Unit& unit, const Ticket& ticket, std::span<const Id<Message>> chosen) {
  const Repository<Message> visible{Scope(unit)};
  std::set<std::int64_t> ids;
  for (const Id<Message> id : chosen) {
    BUREAU_TRY(const Message message, visible.find(id));
    ids.insert(id.value);
    if (message.ticket == ticket.id) continue;
    return fail(Code::not_found,
                fmt::format("messages: {} is none of ticket {}",
                            id::to_text(schema<Message>.prefix, id.value), ticket.number),
                "messages");
  }
  BUREAU_TRY(auto all, messages_of(unit.transaction().reader(), ticket.id));
  Parts parts;
  for (Message& message : all) {
    (ids.contains(message.id.value) ? parts.gone : parts.kept).push_back(std::move(message));
  }
  const auto refuse = [](std::string rule) {
    return fail(Code::invalid, "messages: " + rule, "messages");
  };
  if (parts.gone.empty()) return refuse("none is given; a new ticket has at least one");
  if (parts.kept.empty()) {
    return refuse(fmt::format("these are all of ticket {}; one must stay", ticket.number));
  }
  const Message& first = parts.gone.front();
  if (first.sender != Sender::customer || first.kind != MessageKind::visible) {
    return refuse(
        fmt::format("the first of them, number {}, is not a public one of the "
                    "customer's; a ticket begins with what he says",
                    first.sequence));
  }
  return parts;
}

std::optional<Timestamp> first_response_in(const std::vector<Message>& messages) {
  std::optional<Timestamp> first;
  for (const Message& message : messages) {
    if (message.sender == Sender::customer || message.kind != MessageKind::visible) continue;
    first = earlier(first, message.created_at);
  }
  return first;
}

/// Numbers the messages from 1, in the ticket. In order, so that no number is taken twice on the
/// way: each goes down, or to a ticket that has none.
Result<void> renumber(Unit& unit, const std::vector<Message>& messages, Id<Ticket> ticket) {
  std::int64_t sequence = 0;
  for (const Message& before : messages) {
    ++sequence;
    if (before.sequence == sequence && before.ticket == ticket) continue;
    Message after = before;
    after.ticket = ticket;
    after.sequence = sequence;
    ++after.version;
    after.updated_at = std::max(unit.now(), before.created_at);
    BUREAU_TRY_VOID(unit.transaction().replace(table_of<Message>(), RowValues(before).values(),
                                               RowValues(after).values()));
  }
  return {};
}

Result<Ticket> insert_part(Unit& unit, const Ticket& source, const SplitTicket& split,
                           const std::vector<Message>& messages) {
  Ticket made;
  BUREAU_TRY(const TicketStatus fresh, detail::initial_status(unit.transaction().reader(),
                                                              source.tenant, TicketState::fresh));
  BUREAU_TRY(made.number, detail::draw_numbers(unit, 1));
  made.subject = split.subject.empty() ? detail::subject_of(messages.front().body) : split.subject;
  made.customer = source.customer;
  made.status = fresh.name;
  made.state = fresh.state;
  made.priority = source.priority;
  made.source = source.source;
  made.custom = Json::object();
  made.team = source.team;
  made.assignee = source.assignee;
  made.message_count = static_cast<std::int64_t>(messages.size()) + 1;
  made.first_response_at = first_response_in(messages);
  BUREAU_TRY_VOID(open_if_answered(unit, made));
  BUREAU_TRY(made, detail::insert_taking_over(Scope(unit), std::move(made),
                                              {"customer", "team", "assignee"}));
  BUREAU_TRY_VOID(detail::follow_workload(unit, nullptr, made));
  return made;
}

}  // namespace

Result<Ticket> Tickets::split(Id<Ticket> source, const SplitTicket& split) const {
  BUREAU_TRY_VOID(detail::check_subject(split.subject));
  return tickets_.rows().scope().write([&](Unit& unit) -> Result<Ticket> {
    BUREAU_TRY(const Ticket before, detail::stored_row(unit, source));
    BUREAU_TRY_VOID(detail::refuse_ended(before, "nothing is taken out of it"));
    BUREAU_TRY(const Parts parts, take_apart(unit, before, split.messages));
    Ticket after = before;
    after.message_count = static_cast<std::int64_t>(parts.kept.size()) + 1;
    after.first_response_at = first_response_in(parts.kept);
    BUREAU_TRY(after, detail::save(unit, before, std::move(after)));
    BUREAU_TRY(Ticket made, insert_part(unit, before, split, parts.gone));
    BUREAU_TRY_VOID(renumber(unit, parts.gone, made.id));
    BUREAU_TRY_VOID(renumber(unit, parts.kept, before.id));
    BUREAU_TRY_VOID(detail::write_link(unit, made.id, LinkType::related, before.id));
    BUREAU_TRY_VOID(detail::write_history(
        unit, after,
        fmt::format("{} messages were split off: ticket {}.", parts.gone.size(), made.number)));
    BUREAU_TRY_VOID(
        detail::write_history(unit, made, fmt::format("Split off from ticket {}.", before.number)));
    BUREAU_TRY_VOID(detail::run_triggers(unit, before.id, TicketEvent::updated, nullptr));
    return detail::told(unit, std::move(made), TicketEvent::created);
  });
}

BUREAU_END_NAMESPACE
