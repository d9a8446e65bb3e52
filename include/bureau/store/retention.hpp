#pragma once

#include <cstdint>

#include "bureau/core/result.hpp"
#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE

class Database;

/// How long the journal is kept where nobody says otherwise: as far back as a recovery, a feed or a
/// report of what changed can reach.
inline constexpr Duration journal_retention = std::chrono::hours(24 * 30);

/// Forgets the changes before the first that was made at that moment or later, in steps between
/// which others write; the newest record always stays. Whoever has not read them gets `gone`.
/// Returns how many records went. Any thread.
[[nodiscard]] Result<std::uint64_t> trim_journal_before(Database& database, Timestamp moment);

BUREAU_END_NAMESPACE
