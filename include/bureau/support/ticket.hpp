#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/identity.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a ticket's status means to the library. Offices name their statuses as they like (rows of
/// TicketStatus); each belongs to one of these, and the transitions below are between these. The
/// order is frozen: up to waiting_on_customer a ticket is open.
enum class TicketState {
  fresh,
  open,
  pending,
  on_hold,
  waiting_on_customer,
  resolved,
  closed,
  merged
};
template <>
inline constexpr auto names<TicketState> = enum_names("new", "open", "pending", "on_hold",
                                                      "waiting_on_customer", "resolved", "closed",
                                                      "merged");

[[nodiscard]] constexpr bool is_open(TicketState s) {
  return s <= TicketState::waiting_on_customer;
}

struct TicketTransition {
  TicketState from, to;
};
/// Every legal edge between different states (docs/tickets.md has the picture, made from this); any
/// other is `conflict`. Between statuses of one state a ticket moves freely. Only Tickets::merge()
/// goes to merged, and from closed to open a way leads only within the office's reopen window.
inline constexpr std::array ticket_transitions{
    TicketTransition{TicketState::fresh, TicketState::open},
    TicketTransition{TicketState::fresh, TicketState::resolved},
    TicketTransition{TicketState::fresh, TicketState::merged},
    TicketTransition{TicketState::open, TicketState::pending},
    TicketTransition{TicketState::open, TicketState::on_hold},
    TicketTransition{TicketState::open, TicketState::waiting_on_customer},
    TicketTransition{TicketState::open, TicketState::resolved},
    TicketTransition{TicketState::open, TicketState::merged},
    TicketTransition{TicketState::pending, TicketState::open},
    TicketTransition{TicketState::pending, TicketState::resolved},
    TicketTransition{TicketState::pending, TicketState::merged},
    TicketTransition{TicketState::on_hold, TicketState::open},
    TicketTransition{TicketState::on_hold, TicketState::resolved},
    TicketTransition{TicketState::on_hold, TicketState::merged},
    TicketTransition{TicketState::waiting_on_customer, TicketState::open},
    TicketTransition{TicketState::waiting_on_customer, TicketState::resolved},
    TicketTransition{TicketState::waiting_on_customer, TicketState::merged},
    TicketTransition{TicketState::resolved, TicketState::open},
    TicketTransition{TicketState::resolved, TicketState::closed},
    TicketTransition{TicketState::closed, TicketState::open},
};

[[nodiscard]] constexpr bool may_become(TicketState from, TicketState to) {
  for (const auto& t : ticket_transitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

enum class TicketSource { web, email, chat, phone, api };
template <>
inline constexpr auto names<TicketSource> = enum_names("web", "email", "chat", "phone", "api");

/// A status as an office names it.
struct TicketStatus {
  Id<TicketStatus> id;
  Id<Tenant> tenant;
  std::string name;
  TicketState state = TicketState::open;
  bool initial = false;  ///< where its state is entered without a name given; one for each state
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// One customer's concern.
struct Ticket {
  Id<Ticket> id;
  Id<Tenant> tenant;
  std::int64_t number = 0;  ///< 1, 2, 3, ... within the tenant
  std::string subject;
  Id<User> customer;
  std::string status;                      ///< the name of a TicketStatus
  TicketState state = TicketState::fresh;  ///< what that status means; kept with it
  Priority priority = Priority::normal;
  TicketSource source = TicketSource::api;
  std::optional<std::string> category;  ///< what it is about, once triaged
  std::optional<double> confidence;     ///< of the category, 0 to 1
  std::vector<std::string> tags;
  Json custom;  ///< the office's own fields
  std::optional<Id<Team>> team;
  std::optional<Id<User>> assignee;
  std::optional<Timestamp> first_response_at;  ///< of a public message that is not the customer's
  std::optional<Timestamp> triaged_at, routed_at;
  std::optional<Timestamp> resolved_at, closed_at;
  std::int64_t reopen_count = 0;
  std::int64_t message_count = 0;
  std::optional<Id<Ticket>> merged_into;  ///< set if and only if the state is merged
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

enum class Sender { customer, agent, ai, system };
template <>
inline constexpr auto names<Sender> = enum_names("customer", "agent", "ai", "system");

enum class MessageKind { visible, internal_note, suggestion };
template <>
inline constexpr auto names<MessageKind> = enum_names("public", "internal_note", "suggestion");

/// What became of a suggestion. Nothing is sent by accepting it.
enum class Review { none, proposed, accepted, left_for_person, rejected };
template <>
inline constexpr auto names<Review> = enum_names("none", "proposed", "accepted", "left_for_person",
                                                 "rejected");

/// One entry of a ticket's conversation. Internal notes and suggestions never reach the customer.
struct Message {
  Id<Message> id;
  Id<Tenant> tenant;
  Id<Ticket> ticket;
  Id<User> customer;          ///< the ticket's: whom the text is about
  std::int64_t sequence = 0;  ///< 1, 2, 3, ... within the ticket
  Sender sender = Sender::customer;
  MessageKind kind = MessageKind::visible;
  std::optional<Id<User>> author;  ///< none for AI and system
  std::string body;
  std::optional<double> confidence;  ///< of a suggestion, 0 to 1
  Review review = Review::none;
  std::optional<std::string> external_id;  ///< of the message where it came from; unique per tenant
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// How many open tickets a person has, in all teams together. Derived: changed in the same commit
/// as the tickets it follows from, so that routing need not count them. The id is the user's.
struct Workload {
  Id<Workload> id;
  Id<Tenant> tenant;
  std::int64_t open_tickets = 0;
};

/// The last ticket number that was given in a tenant. The id is the tenant's.
struct TicketCounter {
  Id<TicketCounter> id;
  Id<Tenant> tenant;
  std::int64_t last_number = 0;
};

template <>
inline constexpr auto schema<TicketStatus> = table(
    "ticket_statuses", "tks", journal::full, column("id", &TicketStatus::id),
    column("tenant", &TicketStatus::tenant), column("name", &TicketStatus::name, max_length(64)),
    column("state", &TicketStatus::state), column("initial", &TicketStatus::initial),
    column("version", &TicketStatus::version), column("created_at", &TicketStatus::created_at),
    column("updated_at", &TicketStatus::updated_at), unique_index("name", "tenant", "name"));
template <>
inline constexpr auto schema<Ticket> = table(
    "tickets", "tkt", journal::full, column("id", &Ticket::id), column("tenant", &Ticket::tenant),
    column("number", &Ticket::number),
    column("subject", &Ticket::subject, max_length(500), searchable),
    column("customer", &Ticket::customer, personal_subject),
    column("status", &Ticket::status, max_length(64)), column("state", &Ticket::state),
    column("priority", &Ticket::priority), column("source", &Ticket::source),
    column("category", &Ticket::category, max_length(100)),
    column("confidence", &Ticket::confidence), column("tags", &Ticket::tags),
    column("custom", &Ticket::custom), column("team", &Ticket::team),
    column("assignee", &Ticket::assignee), column("first_response_at", &Ticket::first_response_at),
    column("triaged_at", &Ticket::triaged_at), column("routed_at", &Ticket::routed_at),
    column("resolved_at", &Ticket::resolved_at), column("closed_at", &Ticket::closed_at),
    column("reopen_count", &Ticket::reopen_count), column("message_count", &Ticket::message_count),
    column("merged_into", &Ticket::merged_into), column("version", &Ticket::version),
    column("created_at", &Ticket::created_at), column("updated_at", &Ticket::updated_at),
    unique_index("number", "tenant", "number"), index("customer", "customer"),
    index("team", "team", "state"), index("assignee", "assignee", "state"),
    index("tenant", "tenant"));
template <>
inline constexpr auto schema<Message> = table(
    "messages", "msg", journal::after, column("id", &Message::id),
    column("tenant", &Message::tenant), column("ticket", &Message::ticket),
    column("customer", &Message::customer, personal_subject),
    column("sequence", &Message::sequence), column("sender", &Message::sender),
    column("kind", &Message::kind), column("author", &Message::author),
    column("body", &Message::body, max_length(100'000), personal, searchable),
    column("confidence", &Message::confidence), column("review", &Message::review),
    column("external_id", &Message::external_id, max_length(200)),
    column("version", &Message::version), column("created_at", &Message::created_at),
    column("updated_at", &Message::updated_at), unique_index("sequence", "ticket", "sequence"),
    unique_index("external_id", "tenant", "external_id").where("external_id is not null"));

template <>
inline constexpr auto schema<Workload> = table("workloads", "wkl", journal::none,
                                               column("id", &Workload::id),
                                               column("tenant", &Workload::tenant),
                                               column("open_tickets", &Workload::open_tickets));
template <>
inline constexpr auto schema<TicketCounter> = table(
    "ticket_counters", "tkc", journal::after, column("id", &TicketCounter::id),
    column("tenant", &TicketCounter::tenant), column("last_number", &TicketCounter::last_number));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::TicketStatus);
BUREAU_DECLARE_ENTITY(bureau::Ticket);
BUREAU_DECLARE_ENTITY(bureau::Message);
BUREAU_DECLARE_ENTITY(bureau::Workload);
BUREAU_DECLARE_ENTITY(bureau::TicketCounter);
