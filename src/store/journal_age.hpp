#pragma once

#include <optional>

#include "bureau/store/database.hpp"
#include "store/internal_tables.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The number of the newest change in the journal; 0: there is none.
[[nodiscard]] Result<std::int64_t> newest_change(Reader& reader);
/// The number of the last change before the first that was made at that moment or later, or `until`
/// when none of those up to it was. Looks at what is older, one record after the other.
[[nodiscard]] Result<std::int64_t> changes_before(Reader& reader, Timestamp moment,
                                                  std::int64_t until);
/// When the first record after that number was made; nothing when there is none.
[[nodiscard]] Result<std::optional<Timestamp>> made_after(Reader& reader, std::int64_t number);

}  // namespace detail
BUREAU_END_NAMESPACE
