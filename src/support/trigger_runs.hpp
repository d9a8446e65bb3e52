#pragma once

#include "bureau/support/automation.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Lets the tenant's triggers follow what has just happened to a ticket; `message` is the one that
/// was added. Where there are none it costs one look at the tenant's epoch of rights a transaction.
[[nodiscard]] Result<void> run_triggers(Unit& unit, Id<Ticket> ticket, TicketEvent event,
                                        const Message* message);
/// The same for a ticket that was written, which is given on as who acts may see it afterwards.
[[nodiscard]] Result<Ticket> told(Unit& unit, Ticket saved, TicketEvent event);

/// A condition about one row alone; `invalid` names the field and what is wrong.
[[nodiscard]] Result<Predicate> row_condition(const TableInfo& table, const Catalog& catalog,
                                              std::string_view field, std::string_view text);

}  // namespace detail
BUREAU_END_NAMESPACE
