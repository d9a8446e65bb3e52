#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bureau/core/clock.hpp"
#include "bureau/core/function_ref.hpp"
#include "bureau/core/result.hpp"
#include "bureau/store/select.hpp"
#include "bureau/store/sql.hpp"

BUREAU_BEGIN_NAMESPACE

struct Alteration;  // bureau/store/alteration.hpp

/// Receives rows, one at a time; returns false to stop. The values live until it returns.
using RowSink = FunctionRef<Result<bool>(std::span<const Value>)>;

/// One of several scans that are asked for together.
struct Scan {
  const Select* select = nullptr;  ///< to live as long as the call
  RowSink sink;
};

/// A snapshot: all it answers is from one moment. Belongs to the closure that was given it, on that
/// closure's thread; not to be kept.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual Result<void> scan(const Select& select, RowSink sink) = 0;
  virtual Result<void> aggregate(const Aggregate& aggregate, RowSink sink) = 0;
  /// Makes several scans, in order, until one fails. A storage that each question costs a turn of a
  /// network asks them in one; this default calls scan() for each.
  virtual Result<void> scan_all(std::span<const Scan> scans);
  /// The row with that id. True when there was one (the sink has seen it). A storage may answer it
  /// faster than the scan that this default makes.
  virtual Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink);
  /// The rows with these ids, each once and in any order. A storage that each question costs a turn
  /// of a network asks once; this default calls find() for each.
  virtual Result<void> find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                                RowSink sink);
};

/// A reader that sees its own writes, and writes. Each call is one statement: it succeeds wholly or
/// changes nothing, except that an error of unavailable, unknown_outcome or corrupt dooms the whole
/// transaction.
class Writer : public Reader {
 public:
  /// Whole rows, one after the other (a multiple of table.width() values). `exists` when an id or a
  /// unique index's value is taken (the field is the index's last column); `invalid` by check_row.
  virtual Result<void> insert(const TableInfo& table, std::span<const Value> rows) = 0;
  /// How many rows were changed; `returning` sees each as it became. The id cannot be assigned.
  /// In which order rows are returned is open. A sink that stops early does not stop the change;
  /// one that fails undoes it, and what the sink wrote.
  virtual Result<std::uint64_t> update(const Update& update, RowSink returning) = 0;
  virtual Result<std::uint64_t> update(const Update& update) = 0;
  /// Gives several rows values of their own: `rows` has for each its id and then a value for each
  /// of `columns`. `not_found` when one of them is not there. A storage may make one statement of
  /// it, and where each costs a turn of a network, send that with what comes next; this default
  /// calls update() for each. So, other than the rest, it may have changed some when it fails: the
  /// closure must then fail too. REQUIRES: no id twice.
  virtual Result<void> update_rows(const TableInfo& table,
                                   std::span<const ColumnInfo* const> columns,
                                   std::span<const Value> rows);
  /// How many rows were removed; `removed` sees each as it was.
  virtual Result<std::uint64_t> remove(const Select& which, RowSink removed) = 0;
  /// Draws `count` consecutive journal numbers and returns the last. They are ids for rows of the
  /// table bureau_journal, which appear in their order: a read sees such a row only when all
  /// smaller ones are seen or will never be. A storage may hold back a row until then; it calls the
  /// hints of on_commit() when more can be seen. The first number ever drawn is 1; numbers of a
  /// write that fails may be drawn again, or never.
  virtual Result<std::int64_t> draw_sequence(std::int64_t count) = 0;
  /// Draws `count` journal numbers and inserts rows under them: the ids in `rows` count from one,
  /// within them. As draw_sequence() and insert(), which this default calls; a storage may do both
  /// in one turn.
  virtual Result<void> insert_numbered(const TableInfo& table, std::span<const Value> rows,
                                       std::int64_t count);
  /// Changes a table's form, in this transaction: what migrations are made of. REQUIRES: no scan of
  /// this writer is under way. An error dooms the whole transaction: `invalid` with the name of a
  /// table or column that is not there, `exists` with that of a column that is, `busy` when others
  /// hold the table for long. This default is `invalid` with field "storage": the storage has
  /// additions (Storage::migrate()) only.
  virtual Result<void> alter(const Alteration& alteration);
};

struct Capabilities {
  bool durable = false;             ///< what was acknowledged survives the process
  bool shared = false;              ///< several processes may open it at a time
  bool concurrent_writers = false;  ///< several write closures may run at a time
  bool sql = false;                 ///< it has SQL of its own
  bool remote = false;              ///< each question costs a turn of a network: ask several in one
};

/// Where a call was made, for the log (std::source_location is not in Clang 14).
struct CodeLocation {
  const char* file = "";
  int line = 0;
  const char* function = "";
  [[nodiscard]] static constexpr CodeLocation current(const char* f = __builtin_FILE(),
                                                      int l = __builtin_LINE(),
                                                      const char* name = __builtin_FUNCTION()) {
    return {f, l, name};
  }
};

struct WriteOptions {
  Monotonic deadline = Monotonic::never();
  /// The closure is quick and may run on any thread that is writing, while the one that called
  /// write() waits: nobody need be woken for it. Otherwise it runs on the thread that called.
  bool portable = false;
  /// A power cut may take the write, though never one that was acknowledged after it and not this
  /// one: for liveness, such as leases, which a dead machine does not hold. The end of the process
  /// takes nothing. What draws journal numbers is kept as any other write.
  bool may_be_lost = false;
  /// Of the writes with the same number, which is not 0, a storage that lets several run at a time
  /// runs one at a time, in all processes: for those that would only get in each other's way.
  std::uint32_t lane = 0;
  CodeLocation where = CodeLocation::current();
};

/// What a storage is busy with. What it does not know stays empty.
struct StorageState {
  struct Writer {
    bool here = true;      ///< this process; else another, as far as that said who it is
    std::int64_t pid = 0;  ///< 0: not known
    std::string file;      ///< where its write was called; empty: not known
    int line = 0;
    std::string function;
    Duration held{};  ///< since it took the lock; zero when that is not known
  };
  std::optional<Writer> writer;     ///< who holds the write lock
  std::size_t waiting_writers = 0;  ///< of this process
  std::size_t readers = 0;          ///< that run in this process
  Duration longest_reader{};        ///< since its snapshot was taken
  std::int64_t file_bytes = 0;      ///< of the database
  std::int64_t log_bytes = 0;       ///< of the log that are in use
  std::int64_t log_file_bytes = 0;  ///< of the log's file
};

struct BackupOptions;  // bureau/store/backup.hpp
struct BackupReport;
struct StoredTable;  // bureau/store/stored_catalog.hpp

/// Ends with the object.
class Subscription {
 public:
  Subscription() = default;
  explicit Subscription(std::shared_ptr<void> token) : token_(std::move(token)) {}

 private:
  std::shared_ptr<void> token_;
};

using ReadClosure = FunctionRef<Result<void>(Reader&)>;
using WriteClosure = FunctionRef<Result<void>(Writer&)>;

/// One of several writes that are made together.
struct BatchedWrite {
  WriteOptions options;
  WriteClosure closure;
  Result<void> result = {};  ///< set by write_all(): what write() would have returned
};

/// What a host implements to keep rows elsewhere. All calls from any thread.
/// `bureau::testing::exercise_storage` says whether an implementation is right.
class Storage {
 public:
  virtual ~Storage() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;  ///< "sqlite", "memory", ...
  [[nodiscard]] virtual Capabilities capabilities() const = 0;

  /// Runs the closure on a snapshot. `deadline` when none could be had by then, or when a statement
  /// was still running.
  virtual Result<void> read(Monotonic deadline, ReadClosure closure) = 0;
  /// Runs the closure in a transaction, and commits when it returns success. It may run more than
  /// once, and so must have no effect but through its Writer; a write inside a write (same thread)
  /// is `invalid`. Success: the change is there and, on a durable storage, stays there.
  /// unknown_outcome: it may be there. Any other error: it is not there.
  virtual Result<void> write(const WriteOptions& options, WriteClosure closure) = 0;

  /// Makes several writes, in order, and sets the result of each as write() would have returned it:
  /// one that fails undoes nothing of the others, and each sees those before it. Closures run on
  /// the calling thread unless they are portable. A storage may let them share a commit; this
  /// default calls write() for each.
  virtual void write_all(std::span<BatchedWrite> writes);

  /// Makes the tables and indexes of the catalog, or adds what is missing to those that exist
  /// (new tables, new columns that may be null or have a natural zero, indexes). `conflict` when a
  /// change would lose data; `corrupt` when the file belongs to another program; `upgraded` with
  /// field "format" when it was written by a newer bureau. Atomic.
  virtual Result<void> migrate(const Catalog& catalog) = 0;

  /// The tables that are there, as migrate() left them: those of other programs too, and by name.
  /// This default is `invalid` with field "storage".
  virtual Result<std::vector<StoredTable>> stored_tables();

  /// `hint` is called soon after every commit, by whichever thread; after those of other processes,
  /// by drain_wake(). It may be called too often, but not after a write that changed nothing: who
  /// looks when it is called, in a write, would look for ever. It must not block or call back into
  /// the storage.
  virtual Result<Subscription> on_commit(std::function<void()> hint) = 0;

  /// Runs a statement that only reads, in the storage's own SQL, past all policies: it sees all
  /// tenants. Columns of the catalog that are secret, and tables that it does not have, cannot be
  /// read. Errors: `invalid` (no SQL statement, or a storage without SQL, field "storage"),
  /// `forbidden` (it would write, or read what is secret), `deadline`, those of the sink.
  virtual Result<SqlSummary> sql(const Catalog& catalog, const SqlQuery& query, SqlSink sink);

  /// Removes months at a time of a table that is kept by month (TableInfo::by_month): those that
  /// end at or before the id `below`, and of whose rows each is `going`. How many rows went. A
  /// month that others use at this moment stays, so that nobody is held up, and a snapshot that
  /// was taken before may miss what went. This default keeps no months apart and removes nothing:
  /// what is left over is for Writer::remove(). REQUIRES: no now() in `going`.
  virtual Result<std::uint64_t> drop_months(const TableInfo& table, std::int64_t below,
                                            const Predicate& going);

  /// Writes a copy of one moment into a file of its own, while others read and write on: see
  /// bureau/store/backup.hpp. This default is `invalid` with field "storage".
  virtual Result<BackupReport> back_up(const std::string& path, const BackupOptions& options);
  /// Looks through all that holds the rows for damage: `corrupt`, and what it found. May take long;
  /// nobody waits for it. This default finds nothing.
  virtual Result<void> check_integrity();

  /// What the storage does at this moment. Costs some system calls.
  [[nodiscard]] virtual Result<StorageState> state() { return StorageState{}; }
  /// Called by the engine every few seconds, also while a write hangs: whoever holds the lock for
  /// long may leave word of it for other processes. And the net under wake_fd(): of a commit of
  /// another process that died before it could tell, it calls the hints of on_commit().
  virtual void observe() {}
  /// Grows when commits that were seen here may be gone (a server crashed, or another took over
  /// that lacks the last ones), before anything is shown of what there is instead: what was kept of
  /// what was read is to be read anew. 0 where nothing is lost as long as the storage is open.
  [[nodiscard]] virtual std::uint64_t losses() const { return 0; }

  /// Which places a node should try first; the others come after. Two files of which one was copied
  /// from the other have different ones, so that their ids differ.
  struct NodeRange {
    int first = 0;
    int count = 1024;
  };
  [[nodiscard]] virtual NodeRange node_range() const { return {}; }
  /// Takes one of the 1,024 places of a node, so that nobody else has it until release or the end
  /// of this process. False when a live process (or another Storage object) has it.
  virtual Result<bool> hold_node(int node) = 0;
  virtual void release_node(int node) = 0;
  /// Whether somebody holds it now. False is certain; true may be late where only time can tell.
  virtual Result<bool> node_is_alive(int node) = 0;

  /// A descriptor that becomes readable when another process has committed, or -1. Belongs to the
  /// storage.
  [[nodiscard]] virtual int wake_fd() const { return -1; }
  /// Makes wake_fd() unreadable again; true when another process has committed since the last call:
  /// then it has called the hints of on_commit().
  virtual bool drain_wake() { return false; }

  /// Work that a storage puts off, such as checkpoints. Returns how long until it wants the next
  /// call; the engine calls earlier when there were commits, at most ten times a second.
  /// Duration::max(): never.
  virtual Result<Duration> maintain() { return Duration::max(); }
};

/// Forwards everything; derive from it to watch or disturb a storage. Only write_all() is made of
/// calls of write(), so that whoever overrides that sees every write.
class StorageWrapper : public Storage {
 public:
  explicit StorageWrapper(std::shared_ptr<Storage> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] std::string_view name() const override { return inner_->name(); }
  [[nodiscard]] Capabilities capabilities() const override { return inner_->capabilities(); }
  Result<void> read(Monotonic deadline, ReadClosure closure) override {
    return inner_->read(deadline, closure);
  }
  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    return inner_->write(options, closure);
  }
  Result<void> migrate(const Catalog& catalog) override { return inner_->migrate(catalog); }
  Result<std::vector<StoredTable>> stored_tables() override;
  Result<std::uint64_t> drop_months(const TableInfo& table, std::int64_t below,
                                    const Predicate& going) override;
  Result<BackupReport> back_up(const std::string& path, const BackupOptions& options) override;
  Result<void> check_integrity() override;
  Result<Subscription> on_commit(std::function<void()> hint) override {
    return inner_->on_commit(std::move(hint));
  }
  Result<SqlSummary> sql(const Catalog& catalog, const SqlQuery& query, SqlSink sink) override {
    return inner_->sql(catalog, query, sink);
  }
  [[nodiscard]] Result<StorageState> state() override { return inner_->state(); }
  void observe() override { inner_->observe(); }
  [[nodiscard]] std::uint64_t losses() const override { return inner_->losses(); }
  [[nodiscard]] NodeRange node_range() const override { return inner_->node_range(); }
  Result<bool> hold_node(int node) override { return inner_->hold_node(node); }
  void release_node(int node) override { inner_->release_node(node); }
  Result<bool> node_is_alive(int node) override { return inner_->node_is_alive(node); }
  [[nodiscard]] int wake_fd() const override { return inner_->wake_fd(); }
  bool drain_wake() override { return inner_->drain_wake(); }
  Result<Duration> maintain() override { return inner_->maintain(); }

 protected:
  [[nodiscard]] Storage& inner() { return *inner_; }

 private:
  std::shared_ptr<Storage> inner_;
};

BUREAU_END_NAMESPACE
