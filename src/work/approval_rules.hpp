#pragma once

// What a run and those who decide share of an approval.

#include "bureau/work/approval.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// BLAKE2b-256 of the canonical text, in hexadecimal digits.
[[nodiscard]] std::string digest_of(const Json& subject);
/// `invalid` names the field.
[[nodiscard]] Result<void> check_request(const ApprovalRequest& request);
/// Whether the record that it is about is as it was; true when it is about none.
[[nodiscard]] Result<bool> is_current(Transaction& transaction, const Approval& approval);
[[nodiscard]] Result<Approval> approval_of(Reader& reader, Id<Approval> id);
/// What time has made of an open approval: expired, or escalated. Writes it.
[[nodiscard]] Result<void> age(Transaction& transaction, Approval& approval);
/// The RowRule of approvals: legal edges only, and what is decided stays.
[[nodiscard]] Result<void> check_approval_row(std::span<const Value> before,
                                              std::span<const Value> after);

}  // namespace detail
BUREAU_END_NAMESPACE
