#pragma once

#include <memory>
#include <string>

#include "bureau/core/log.hpp"
#include "bureau/core/random.hpp"
#include "bureau/store/durability.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

struct PostgresOptions {
  /// Where the server is, as libpq reads it: "host=db user=desk dbname=office" or a URI
  /// ("postgresql://desk@db/office"). What it leaves out comes from libpq's environment and files
  /// (PGHOST, ~/.pgpass, ...). Its password appears in no message and in no log. How soon each end
  /// notices that the other is gone without a word is keepalives_idle (10 s), keepalives_interval
  /// (5 s), keepalives_count (3) and tcp_user_timeout (20 s). Of several hosts ("host=one,two") the
  /// one that takes writes is used, unless target_session_attrs says otherwise; they are asked in
  /// turn, beginning with the one that was found last.
  std::string connection = {};
  /// The schema that holds the office; created when it is not there. [a-z][a-z0-9_]*.
  std::string schema = "bureau";
  /// The most connections at a time, besides one that listens; more are waited for. A quarter of
  /// them is kept for reads, so that a closure that writes can always read. At least 2.
  int connections = 8;
  Durability durability = Durability::power_safe;  ///< relaxed: synchronous_commit is off
  /// Whether statements are prepared once and kept. Not through a pooler (see `direct`).
  bool prepared = true;
  /// Where the server itself is, when `connection` leads to a pooler that may give each transaction
  /// another session of the server's (PgBouncer in transaction mode): one connection goes there,
  /// which hears of commits and holds nodes. Empty: as `connection`. Through a pooler statements
  /// are not prepared; what else is lost is in docs/storages.md.
  std::string direct = {};
  /// That a pooler at `connection` leaves each client its session until it goes (PgBouncer in
  /// session mode): then it is as good as the server itself.
  bool pooler_keeps_sessions = false;
  Duration connect_timeout = std::chrono::seconds(10);  ///< of one attempt, at one host
  /// A write in which nothing is asked for so long (a program that was stopped, a machine that is
  /// gone) is undone by the server, because others wait for it; zero: never. At most 24 days.
  Duration idle_in_transaction = std::chrono::minutes(1);
  Clock* clock = nullptr;    ///< not owned; null: Clock::system()
  Random* random = nullptr;  ///< not owned; null: Random::system()
  LogSink log = {};
  /// A write whose transaction took longer is named in the log.
  Duration slow_write = std::chrono::milliseconds(50);
};

/// An office in one schema of a PostgreSQL database (13 or newer, UTF-8), which many processes on
/// many machines may use at a time (docs/storages.md).
///
/// Several closures write at a time, each in a serializable transaction of its own. Where two of
/// them cannot both be right, one is undone and run again, until its deadline: with a deadline of
/// never, until it succeeds. Journal numbers of several writers are drawn in one order and may be
/// committed in another; a read sees the journal (the table bureau_journal) only up to a number
/// below which nothing can come any more. What a read did not see for that reason is hinted at when
/// it can be seen; after a process died in the midst of a write, by maintain().
///
/// A read that comes to the journal after another table sees of it what this process knew to be
/// committed when the read began: a commit of another process counts from its notification on.
///
/// What may be lost in a power cut (Durability::relaxed, WriteOptions::may_be_lost) may also be
/// lost in a crash of the server, as may be what a standby lacks that takes over. Journal numbers
/// then go on far beyond those that were given out, so that none has two meanings. A commit whose
/// answer was lost is looked up; it is `unknown_outcome` when the server has crashed since, when
/// another has taken over, or when nobody can be asked.
///
/// wake_fd() is one descriptor for as long as the storage lives, whatever becomes of the
/// connection. A host that does not use an Engine calls drain_wake() when it is readable and
/// maintain() as often as that asks: they also connect anew after the server was away.
///
/// Errors of open: `unavailable` (no server, no such database, wrong password, a missing right, too
/// many connections), `invalid` with a field (an option; a server older than 13, one whose encoding
/// is not UTF-8; field "direct": a pooler where a session is needed, or another database),
/// `corrupt` (the schema belongs to another program), `upgraded` with field "format" (made for
/// newer bureaus only). Values in an index are limited to about 2,700 bytes: `exhausted`.
/// Thread-safe. After fork() a child must open its own.
[[nodiscard]] Result<std::shared_ptr<Storage>> open_postgres(PostgresOptions options);

BUREAU_END_NAMESPACE
