#pragma once

#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

// A sync that fails may have lost what it was to make durable: the kernel shows it until the power
// goes, and calls it clean, so that later syncs succeed without it. What SQLite believes to be on
// the disk is then not there: frames of the log, or pages that earlier, partial checkpoints moved
// into the database without a sync. The log holds all of them, as it reads now; so it is written
// over itself and synced, and what was moved counts as not moved.

/// Writes the log's part in use over itself and syncs it; the next checkpoint moves everything
/// anew. Other connections may be at work: they find the bytes that were there. `busy` when another
/// program writes or makes a checkpoint. `doing` is what it is a part of, for its errors. REQUIRES:
/// the lock file is held, no transaction is open.
Result<void> repair_log(Connection& connection, std::string_view doing);

/// A field of the shared memory's header that SQLite leaves alone (bytes 132 to 135, "reserved for
/// future expansion"): zero when the memory is made. Null when there is no log. Lives as long as
/// the connection.
[[nodiscard]] Result<std::uint32_t*> log_mark(Connection& connection, std::string_view doing);

/// How many bytes of the log are in use, as the shared memory with this mark has it.
[[nodiscard]] std::int64_t log_bytes_in_use(const std::uint32_t* mark);

/// Whether there is nothing in the log.
[[nodiscard]] bool log_is_empty(Connection& connection);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
