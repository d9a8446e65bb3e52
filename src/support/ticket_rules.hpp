#pragma once

// What a ticket and its messages must obey, and what is kept beside them: the inside of support/.

#include <functional>

#include "access/active_user.hpp"
#include "bureau/support/tickets.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

// Input, before anything is written: `invalid` names the field, the value and the rule.
[[nodiscard]] Result<void> check_body(std::string_view field, std::string_view text,
                                      std::size_t max_code_points);
[[nodiscard]] Result<void> check_confidence(double confidence);
[[nodiscard]] Result<void> check_external_id(const std::optional<std::string>& external_id);
[[nodiscard]] Result<void> check_new_ticket(const NewTicket& ticket);
[[nodiscard]] Result<void> check_new_message(const NewMessage& message);
/// Without repeats, in the order given.
[[nodiscard]] Result<std::vector<std::string>> check_tags(std::vector<std::string> tags);
/// At most `bytes` of it for an error's text, cut between characters, with an ellipsis.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t bytes = 40);
/// The first line of a body, at most 120 bytes of it.
[[nodiscard]] std::string subject_of(std::string_view body);

template <class E>
[[nodiscard]] std::string_view name_of(E value) {
  return names<E>[static_cast<std::size_t>(value)];
}

/// Puts a ticket into a status: times, count of reopenings. `conflict` for an illegal transition.
[[nodiscard]] Result<void> enter(Ticket& ticket, const TicketStatus& status, Timestamp now);
[[nodiscard]] Result<void> refuse_ended(const Ticket& ticket, std::string_view what);

// Rows that are the system's business, whoever acts.
/// By name within the tenant; `not_found`.
[[nodiscard]] Result<TicketStatus> status_named(Reader& reader, Id<Tenant> tenant,
                                                std::string_view name);
/// The initial one of a state; `not_found` says how to make them.
[[nodiscard]] Result<TicketStatus> initial_status(Reader& reader, Id<Tenant> tenant,
                                                  TicketState state);
/// Draws `count` numbers and gives the first.
[[nodiscard]] Result<std::int64_t> draw_numbers(Unit& unit, std::int64_t count);
/// Follows a ticket from one person and state to others; `before` is null for a new one.
[[nodiscard]] Result<void> follow_workload(Unit& unit, const Ticket* before, const Ticket& after);
[[nodiscard]] Result<std::int64_t> open_tickets_of(Reader& reader, Id<User> user);

/// The ticket as it is stored, when the principal sees it: what follows from a change is worked out
/// from all its columns, whichever are hidden from him.
[[nodiscard]] Result<Ticket> stored_ticket(Unit& unit, Id<Ticket> id);
/// Writes a change that a principal asked for: his rights to change the ticket decide.
[[nodiscard]] Result<Ticket> save(Unit& unit, const Ticket& before, Ticket after);
/// Writes what follows from something that he was allowed to do.
[[nodiscard]] Result<Ticket> save_consequence(Unit& unit, const Ticket& before, Ticket after);

/// Where route() would put the ticket; says nothing when there is no team for it.
struct Place {
  std::optional<Id<Team>> team;
  std::optional<Id<User>> assignee;
};
[[nodiscard]] Result<Place> find_place(Reader& reader, const Ticket& ticket);

}  // namespace detail
BUREAU_END_NAMESPACE
