#pragma once

#include "bureau/store/table.hpp"
#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// "bure", in the file's header: whose file it is.
inline constexpr std::int64_t application_id = 0x62757265;
/// Raised when an older library could misread the file; also the oldest format that can read it.
inline constexpr std::int64_t format_version = 1;

/// The last commit that anybody made: its number, who made it, the last journal number drawn.
inline constexpr std::string_view newest_commit_sql =
    "SELECT id,writer,sequence FROM bureau_commits ORDER BY id DESC LIMIT 1";

/// That the file is empty or a bureau's (`corrupt` otherwise), and of a format we know. Reads only.
/// True when it is empty.
Result<bool> check_file(Connection& connection);

/// The same, and prepares what concerns the file; makes an empty one ours. `first`: no other
/// storage has it open, so what a dead one left in its log is made durable before anything is built
/// on it. REQUIRES: the lock file is held.
Result<void> prepare_file(Connection& connection, bool first);

/// That no newer program has changed the file meanwhile so that this one may not use it any more
/// (`upgraded`). REQUIRES: a transaction is open.
Result<void> check_upgrade(Connection& connection);

/// Storage::migrate() on an open connection. REQUIRES: a write transaction is open.
Result<void> migrate_tables(Connection& connection, const Catalog& catalog);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
