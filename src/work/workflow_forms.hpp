#pragma once

#include "bureau/store/database.hpp"
#include "bureau/work/workflow.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The RowRule of forms: what is not open stays.
[[nodiscard]] Result<void> check_form_row(std::span<const Value> before,
                                          std::span<const Value> after);
/// Nobody need answer any more what the run has asked.
[[nodiscard]] Result<void> withdraw_forms(Transaction& transaction, Id<Task> task);

}  // namespace detail
BUREAU_END_NAMESPACE
