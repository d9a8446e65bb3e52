#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bureau/core/clock.hpp"
#include "bureau/core/result.hpp"
#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE

class Database;
class Reader;
struct TableInfo;

/// How long the journal is kept where nobody says otherwise: as far back as a recovery, a feed or a
/// report of what changed can reach.
inline constexpr Duration journal_retention = std::chrono::hours(24 * 30);

/// Forgets the changes before the first that was made at that moment or later, in steps between
/// which others write; the newest record always stays. Whoever has not read them gets `gone`: no
/// JournalReader is asked. Returns how many records went. Any thread.
[[nodiscard]] Result<std::uint64_t> trim_journal_before(Database& database, Timestamp moment);

/// Who reads the journal from numbers that it keeps in rows, one a tenant or one in all. What it
/// has not read is not forgotten (JournalKeeper).
struct JournalReader {
  std::string name;                  ///< for the log
  const TableInfo* table = nullptr;  ///< of its cursors
  std::string position;              ///< their column: the number through which all is read
  /// The tables of which a tenant's changes concern it, of those after a number. Where only others
  /// changed, its cursor is moved over them. Empty: every change concerns it.
  std::function<Result<std::vector<const TableInfo*>>(Reader&, std::int64_t tenant,
                                                      std::int64_t after)>
      concerns = {};
};

struct JournalKeeping {
  Duration keep = journal_retention;               ///< Duration::max(): for ever
  Duration every = std::chrono::hours(1);          ///< it is looked at
  Duration patience = std::chrono::hours(24);      ///< beyond `keep`, until the log names who
                                                   ///< still has to read what is kept for him
  std::uint64_t batch = 500;                       ///< records that one write removes
  Duration pause = std::chrono::milliseconds(50);  ///< between two of them
};

/// How far back the journal goes, and who keeps it from being forgotten.
struct JournalReach {
  std::int64_t oldest = 0;                   ///< number of the oldest change; 0: there is none
  std::optional<Timestamp> since = {};       ///< when it was made
  std::string held_by = {};                  ///< the reader that is furthest behind of those for
                                             ///< whom more is kept than `keep`; empty: none
  std::int64_t read_through = 0;             ///< the number through which that one has read
  std::optional<Timestamp> held_since = {};  ///< when the first that it has not read was made
};

/// Forgets what is older than `keep`, but nothing that a JournalReader has still to read. The
/// journal is the office's, not a tenant's: of several processes whoever comes first does it, once
/// in `every`. Thread-safe. Engine has one.
class JournalKeeper {
 public:
  /// `database` outlives it.
  JournalKeeper(Database& database, JournalKeeping keeping);
  /// `invalid`: its table has no such column. Before the first step.
  Result<void> add(JournalReader reader);
  /// Does what is due, one short write at most. Returns how long until it wants the next call.
  Result<Duration> step();
  /// Reads only. REQUIRES: no add() meanwhile.
  [[nodiscard]] Result<JournalReach> reach(Monotonic deadline);
  [[nodiscard]] const JournalKeeping& keeping() const { return keeping_; }

 private:
  struct Held;
  Result<Duration> look();
  Result<Duration> trim();
  Result<bool> take_turn(Timestamp now);
  Result<std::int64_t> unread_by_none(std::int64_t through);
  Result<std::int64_t> read_through(const JournalReader& reader, std::int64_t through);
  Result<void> tell_of(const Held& held);

  Database& database_;
  JournalKeeping keeping_;
  std::vector<JournalReader> readers_;
  std::mutex mutex_;
  Monotonic next_{};                     ///< look
  std::optional<std::int64_t> through_;  ///< a trim is under way
  std::uint64_t removed_ = 0;            ///< in this turn
  bool goes_on_ = false;                 ///< there is more of it than one look has seen
};

BUREAU_END_NAMESPACE
