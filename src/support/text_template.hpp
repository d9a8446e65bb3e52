#pragma once

// Texts with {variables}: reply templates, canned replies, the messages of macros and triggers.

#include "bureau/access/repository.hpp"
#include "bureau/support/canned_reply.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// `invalid` for a {variable} that is none of text_variables(). A { that begins no name is text.
[[nodiscard]] Result<void> check_template(std::string_view field, std::string_view body);
/// The text with its variables replaced by what `value` says; what it knows nothing of stays.
[[nodiscard]] std::string fill_template(
    std::string_view body, FunctionRef<std::optional<std::string>(std::string_view)> value);
/// The text about a ticket, as who acts sees the ticket and its people.
[[nodiscard]] Result<std::string> render_for(const Scope& scope, Id<Ticket> ticket,
                                             std::string_view body);

}  // namespace detail
BUREAU_END_NAMESPACE
