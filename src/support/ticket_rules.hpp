#pragma once

// What a ticket and its messages must obey, and what is kept beside them: the inside of support/.

#include <functional>

#include "access/active_user.hpp"
#include "access/library_rows.hpp"
#include "access/rights.hpp"
#include "bureau/support/canned_reply.hpp"
#include "bureau/support/tickets.hpp"
#include "core/text.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

// Input, before anything is written: `invalid` names the field, the value and the rule.
[[nodiscard]] Result<void> check_body(std::string_view field, std::string_view text,
                                      std::size_t max_code_points);
/// Empty is fine.
[[nodiscard]] Result<void> check_subject(std::string_view subject);
[[nodiscard]] Result<void> check_confidence(double confidence);
[[nodiscard]] Result<void> check_external_id(const std::optional<std::string>& external_id);
/// The RowRule of tickets: a writer that does not come through Tickets is held to the same.
[[nodiscard]] Result<void> check_ticket_row(std::span<const Value> before,
                                            std::span<const Value> after);
[[nodiscard]] Result<void> check_new_ticket(const NewTicket& ticket);
[[nodiscard]] Result<void> check_new_message(const NewMessage& message);
/// Without repeats, in the order given.
[[nodiscard]] Result<std::vector<std::string>> check_tags(std::vector<std::string> tags);
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

/// `invalid` when the assignee is not active, or not in the ticket's team. REQUIRES: there is one.
[[nodiscard]] Result<void> check_assignee(Reader& reader, const Ticket& ticket);

/// Writes a change that a principal asked for: his rights to change the ticket decide.
[[nodiscard]] Result<Ticket> save(Unit& unit, const Ticket& before, const Ticket& after);
/// Writes what follows from something that he was allowed to do.
[[nodiscard]] Result<Ticket> save_consequence(Unit& unit, const Ticket& before, Ticket after);

/// The ticket that stands for this one: itself, or what it was merged into in the end. `not_found`
/// when the principal does not see that.
[[nodiscard]] Result<Ticket> standing_for(Unit& unit, Ticket ticket);
/// `closed` may be opened again: the office's reopen window has not passed.
[[nodiscard]] Result<bool> may_reopen(Unit& unit, const Ticket& closed);

/// What the table of transitions cannot say about a move that somebody asks for.
[[nodiscard]] Result<void> may_move(Unit& unit, const Ticket& ticket, const TicketStatus& to);

/// An external id that is taken says so, whoever asks: it is unique within the tenant.
[[nodiscard]] Result<void> refuse_known(Unit& unit, const std::optional<std::string>& external_id);
/// Decides about a suggestion before it is written.
using Decide = FunctionRef<Result<Review>(const Message&)>;
/// What Tickets::add_message() does, of input that was checked.
[[nodiscard]] Result<Message> append_message(Unit& unit, Id<Ticket> id, const NewMessage& given,
                                             Decide decide);
/// How a principal speaks who is not the customer.
[[nodiscard]] Sender staff(const Session& session);
/// A line of a ticket's history: an internal note of the system, with the number that
/// `message_count` gives it.
[[nodiscard]] Result<void> write_history(Unit& unit, const Ticket& ticket, std::string body);
/// A link that follows from something else, whatever the principal may link; one that is there
/// stays.
[[nodiscard]] Result<void> write_link(Unit& unit, Id<Ticket> a, LinkType type, Id<Ticket> b);
/// Hangs the links of one ticket on another: without those between the two, and without repeats.
/// `conflict` when parents would go in a circle.
[[nodiscard]] Result<void> move_links(Unit& unit, Id<Ticket> from, Id<Ticket> to);

/// Removes a row that the principal sees and that `rule` (insert or update) allows him: what one
/// may make one may take away, though his role deletes nothing else. `forbidden` otherwise.
[[nodiscard]] Result<void> remove_own_row(Unit& unit, const TableInfo& table, std::int64_t id,
                                          RuleKind rule);

/// Where route() would put the ticket; says nothing when there is no team for it.
struct Place {
  std::optional<Id<Team>> team;
  std::optional<Id<User>> assignee;
};
[[nodiscard]] Result<Place> find_place(Reader& reader, const Ticket& ticket);

}  // namespace detail
BUREAU_END_NAMESPACE
