#pragma once

#include <span>

#include "bureau/store/migration.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

using OperationKind = Migration::Operation::Kind;

/// The operations as a record holds them.
[[nodiscard]] Json operations_json(const Migration& migration);

/// That the list is in order and its end is what the catalog describes: `invalid`, with field
/// "migrations".
[[nodiscard]] Result<void> check_migrations(const Catalog& catalog,
                                            std::span<const Migration> migrations);

/// What a column of the time of a migration has become in those after it, as the catalog describes
/// it; null when it is gone since.
[[nodiscard]] const ColumnInfo* described_later(const Catalog& catalog,
                                                std::span<const Migration> after,
                                                std::string_view table, std::string_view column);

/// 0: an empty list.
[[nodiscard]] std::int64_t version_of(std::span<const Migration> migrations);

}  // namespace detail
BUREAU_END_NAMESPACE
