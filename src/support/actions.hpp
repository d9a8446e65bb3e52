#pragma once

// What macros, triggers and bulk changes do to a ticket.

#include "bureau/support/ticket_action.hpp"
#include "bureau/support/tickets.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The actions with what they name looked up: teams and people by their ids. `invalid` and
/// `not_found` name the action.
[[nodiscard]] Result<std::vector<TicketAction>> prepare_actions(const Scope& scope,
                                                                std::vector<TicketAction> actions);

/// What becomes of an action that the ticket does not admit; an error ends the whole.
using OnRefused = FunctionRef<Result<void>(const TicketAction&, const Error&)>;

/// Does prepared actions to a ticket, with the rights of the unit. What changes columns is written
/// together, before the next message.
[[nodiscard]] Result<void> do_actions(Unit& unit, Id<Ticket> ticket,
                                      std::span<const TicketAction> actions, OnRefused on_refused);

}  // namespace detail
BUREAU_END_NAMESPACE
