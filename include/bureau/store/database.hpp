#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bureau/core/clock.hpp"
#include "bureau/core/id.hpp"
#include "bureau/core/log.hpp"
#include "bureau/core/random.hpp"
#include "bureau/core/typed_slots.hpp"
#include "bureau/store/journal.hpp"
#include "bureau/store/migration.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

class Database;
class KeyRing;
class PrometheusText;
namespace detail {
struct AsyncWriteJob;
}  // namespace detail

/// On whose behalf a transaction changes rows; the journal keeps it with every record.
struct Attribution {
  std::int64_t tenant = 0;  ///< 0: rows of no tenant
  std::int64_t actor = 0;   ///< the user's id; 0: the system
  std::int64_t task = 0;    ///< the task that made the change; 0: none
};

/// One write in progress: a writer whose changes of journalled tables enter the journal. Belongs to
/// the closure that was given it. Reads see its own writes.
class Transaction {
 public:
  [[nodiscard]] Reader& reader() { return writer_; }
  /// Writes that the journal must not see: leases, progress, caches.
  [[nodiscard]] Writer& unjournalled() { return writer_; }
  [[nodiscard]] Database& database() { return database_; }

  /// The time of this transaction: one moment for all that it writes.
  [[nodiscard]] Timestamp now() const { return now_; }
  [[nodiscard]] Result<std::int64_t> next_id();

  Result<void> insert(const TableInfo& table, std::span<const Value> rows);
  /// As Writer::update, and journals each row. `returning` sees the rows as they became.
  Result<std::uint64_t> update(const Update& update, RowSink returning);
  Result<std::uint64_t> update(const Update& update);
  /// Writes the whole row `after` over the row `before` that the caller has just read in this
  /// transaction. REQUIRES: the same id.
  Result<void> replace(const TableInfo& table, std::span<const Value> before,
                       std::span<const Value> after);
  /// The same for several rows, one after the other in either.
  Result<void> replace_all(const TableInfo& table, std::span<const Value> before,
                           std::span<const Value> after);
  Result<std::uint64_t> remove(const Select& which);

  [[nodiscard]] Attribution& attribution() { return attribution_; }
  /// Whether it has changed a table that rights depend on (Database::watch_rights()).
  [[nodiscard]] bool changed_rights() const { return recorder_.touched_rights(); }
  /// What a layer above keeps for as long as this transaction: gone with it, also when its closure
  /// is run again.
  [[nodiscard]] detail::TypedSlots& typed_slots() { return slots_; }

 private:
  friend class Database;
  Transaction(Database& database, Writer& writer, Timestamp now)
      : database_(database), writer_(writer), now_(now), recorder_(database, *this) {}

  Database& database_;
  Writer& writer_;
  Timestamp now_;
  Attribution attribution_;
  detail::Recorder recorder_;
  detail::TypedSlots slots_;
};

struct DatabaseOptions {
  std::shared_ptr<Storage> storage;  ///< required
  Catalog catalog;                   ///< the tables above this layer; the library's own are added
  Clock* clock = nullptr;            ///< not owned; null: Clock::system()
  Random* random = nullptr;          ///< not owned; null: Random::system()
  LogSink log;
  std::shared_ptr<const KeyRing> keys = {};  ///< of what rests encrypted; null: nothing does
  std::size_t async_writes_max = 65'536;     ///< that wait at a time; a further one is `busy`
  std::vector<Migration> migrations = {};    ///< of the tables above this layer
  OnOpen on_open = OnOpen::expand;           ///< what becomes of those that are not applied
};

/// The layer that gives every storage the same meaning: ids, the journal, the tables of the
/// library. Thread-safe.
class Database {
 public:
  /// Brings the storage's tables to what the catalog and the migrations say; errors as Migrator's
  /// and Storage::migrate()'s. The node for ids is taken at the first write.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(DatabaseOptions options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<void> read(Monotonic deadline, ReadClosure closure);
  /// As Storage::write: the closure may run more than once. Its journal records are written when it
  /// returns, in its transaction.
  Result<void> write(const WriteOptions& options, const Attribution& attribution,
                     FunctionRef<Result<void>(Transaction&)> closure);

  /// One of several writes that are made together.
  struct Write {
    WriteOptions options;
    Attribution attribution;
    FunctionRef<Result<void>(Transaction&)> closure;
    Result<void> result = {};  ///< set by write_all(): what write() would have returned
  };
  /// Makes several writes, in order, as Storage::write_all(): they may share a commit, and one that
  /// fails undoes nothing of the others.
  void write_all(std::span<Write> writes);

  using AsyncClosure = std::function<Result<void>(Transaction&)>;
  using AsyncDone = std::function<void(Result<void>)>;
  /// Begins a write and returns: it never waits for the storage, and `closure` and `done` are never
  /// called inside it. Writes are made in the order in which they were begun, by whoever calls
  /// run_async_writes() (the engine's scheduler, or poll()), on that thread; several may share a
  /// commit. `done` is called exactly once, in the same order, on the same thread, when the write
  /// is durable or its failure is known: with what write() would have returned, or `cancelled` when
  /// the write was dropped before it was begun. It may do what it likes, begin or make further
  /// writes too; while it runs, the next are not told of. The deadline counts from the call. `busy`
  /// when too many wait, `unavailable` once finished; then `done` is not called.
  Result<void> write_async(const WriteOptions& options, const Attribution& attribution,
                           AsyncClosure closure, AsyncDone done);
  /// Makes writes that were begun, and tells of them. True when there is more to do at once; false
  /// also when another thread is at it.
  bool run_async_writes();
  /// Begun and not told of.
  [[nodiscard]] std::size_t pending_async_writes() const;
  /// `wake` is called, from any thread, when there is something for run_async_writes(); it must not
  /// block.
  void on_async_write(std::function<void()> wake);
  /// Makes all that were begun, those that callbacks begin meanwhile too, then takes no more.
  /// `deadline` when some were left at that moment: they are dropped, or another thread (or the
  /// caller itself) is inside a callback.
  Result<void> finish_async_writes(Monotonic deadline);
  /// Takes no more, and drops what was not begun. The destructor does the same.
  void drop_async_writes();

  /// How long this process's writes took, from the call until they were durable; how many failed.
  void write_metrics(PrometheusText& text) const;

  [[nodiscard]] Storage& storage();
  [[nodiscard]] const Catalog& catalog() const;
  [[nodiscard]] Clock& clock() const;
  [[nodiscard]] Random& random() const;
  /// Null when the program was given none.
  [[nodiscard]] const KeyRing* keys() const;
  [[nodiscard]] const LogSink& log() const;
  /// A key of 32 bytes that this database keeps, for authenticating cursors.
  [[nodiscard]] std::string_view cursor_key() const;
  /// The node of this process, taken at the first write (or now): its number and generation. A
  /// generation is never used twice for one node.
  struct Node {
    int number = -1;
    std::int64_t generation = 0;
  };
  Result<Node> node();

  /// Counts changes of tables that rights depend on, per tenant: a session whose number is old
  /// reads its rights anew. `tables` are set once, before the first write.
  struct RightsTable {
    const TableInfo* table = nullptr;
    bool inserts = true;  ///< false: a new row changes nobody's rights
    bool epoch = true;    ///< false: policies read it; it counts in rights_commits() alone
  };
  void watch_rights(std::vector<RightsTable> tables);
  [[nodiscard]] Result<std::int64_t> rights_epoch(Reader& reader, std::int64_t tenant);
  /// Counts the commits of this process that changed such tables, of any tenant: a cheap way to see
  /// that something may have happened.
  [[nodiscard]] std::uint64_t rights_commits() const;

  // The journal.
  /// The number of the newest change that this snapshot sees; 0 when there is none.
  [[nodiscard]] Result<std::int64_t> journal_head(Reader& reader);
  /// The number of the oldest change that is still kept; head + 1 when none is.
  [[nodiscard]] Result<std::int64_t> journal_tail(Reader& reader);
  /// Gives the records after number `after`, in order, at most `limit` of them; the sink returns
  /// false to stop. Returns the number through which it has read (records of tables that are not in
  /// the catalog are passed over); `after` when there is nothing more. `gone` when numbers after
  /// `after` are no longer kept.
  Result<std::int64_t> read_journal(Reader& reader, std::int64_t after, std::size_t limit,
                                    FunctionRef<Result<bool>(JournalRecord&&)> sink);
  /// Of these tables and this tenant alone (0: of all): other records are passed over unread.
  struct JournalFilter {
    std::span<const TableInfo* const> tables;
    std::int64_t tenant = 0;
  };
  Result<std::int64_t> read_journal(Reader& reader, std::int64_t after, std::size_t limit,
                                    const JournalFilter& filter,
                                    FunctionRef<Result<bool>(JournalRecord&&)> sink);
  /// Which tables changed after number `after`, by tenant (0: none). Looks at every record after
  /// it, but not at what it says.
  struct ChangedTable {
    const TableInfo* table = nullptr;
    std::int64_t tenant = 0;
    std::int64_t last = 0;  ///< the number of the newest such change
  };
  [[nodiscard]] Result<std::vector<ChangedTable>> changed_tables(Reader& reader,
                                                                 std::int64_t after);
  /// The number of the newest change after `after` of one of these tables: of the tenant, or of any
  /// for a table that has none; inserts only where they count. `after` when there was none. Looks
  /// at every record after `after`.
  [[nodiscard]] Result<std::int64_t> last_change(Reader& reader,
                                                 std::span<const RightsTable> tables,
                                                 std::int64_t tenant, std::int64_t after);
  /// Forgets the changes up to and including `through`, except that the newest record always stays
  /// (it holds the place of the numbers). Returns how many records went.
  Result<std::uint64_t> trim_journal(std::int64_t through);
  /// The same in one write, of at most so many records.
  Result<std::uint64_t> trim_journal(std::int64_t through, std::uint64_t records);
  /// Destroys the key under which personal values about the row with id `subject` are sealed: what
  /// the journal holds of them cannot be read again. The live rows are the caller's to erase.
  Result<void> erase_personal_history(std::int64_t subject);

 private:
  friend class Transaction;
  friend class detail::Recorder;
  friend class detail::JournalDecoder;
  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  /// What is left to do once a write is committed.
  struct Afterwards {
    std::vector<detail::Recorder::NewKey> new_keys;
    std::int64_t erasures = 0;
    bool rights = false;
  };
  Result<void> run_closure(Writer& writer, const Attribution& attribution,
                           FunctionRef<Result<void>(Transaction&)> closure, Afterwards& after);
  void committed(const Afterwards& after);
  Result<std::int64_t> give_records(Reader& reader, std::int64_t after, std::size_t limit,
                                    const Predicate& which,
                                    FunctionRef<Result<bool>(JournalRecord&&)> sink,
                                    std::size_t* found = nullptr);
  std::vector<Result<void>> make_writes(std::span<const detail::AsyncWriteJob> jobs);
  std::unique_ptr<Impl> impl_;
};

BUREAU_END_NAMESPACE
