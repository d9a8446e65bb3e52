#include "bureau/store/memory_storage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <exception>
#include <list>
#include <mutex>
#include <thread>

#include "bureau/core/id.hpp"
#include "bureau/store/statement.hpp"
#include "store/memory/query.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::memory::ColumnBits;
using detail::memory::Database;
using detail::memory::Moment;
using detail::memory::Row;
using detail::memory::RowPtr;
using detail::memory::Slot;
using detail::memory::Table;

/// Many readers or one writer; a writer that waits goes before new readers. Waits on the injected
/// clock, and knows which thread holds it, so that a nested call is an error and not a deadlock.
class Lock {
 public:
  explicit Lock(Clock& clock) : clock_(clock) {}

  Result<void> begin_read(Monotonic deadline) {
    std::unique_lock lock(mutex_);
    const auto self = std::this_thread::get_id();
    if (writer_ == self) return nested("a read inside a write: read through the Writer");
    if (std::find(readers_.begin(), readers_.end(), self) == readers_.end())
      BUREAU_TRY_VOID(wait(lock, deadline, [this] { return writer_ == nobody && waiting_ == 0; }));
    readers_.push_back(self);
    return {};
  }
  void end_read() {
    const std::lock_guard lock(mutex_);
    readers_.erase(std::find(readers_.begin(), readers_.end(), std::this_thread::get_id()));
    changed_.notify_all();
  }

  Result<void> begin_write(Monotonic deadline) {
    std::unique_lock lock(mutex_);
    const auto self = std::this_thread::get_id();
    if (writer_ == self) return nested("a write inside a write");
    if (std::find(readers_.begin(), readers_.end(), self) != readers_.end())
      return nested("a write inside a read");
    ++waiting_;
    auto waited = wait(lock, deadline, [this] { return writer_ == nobody && readers_.empty(); });
    --waiting_;
    if (waited) {
      writer_ = self;
    } else {
      changed_.notify_all();  // readers may have waited for this writer
    }
    return waited;
  }
  void end_write() {
    const std::lock_guard lock(mutex_);
    writer_ = nobody;
    changed_.notify_all();
  }

 private:
  inline static const std::thread::id nobody{};

  static tl::unexpected<Error> nested(const char* what) {
    return fail(Code::invalid, fmt::format("{}, on the same thread", what));
  }

  template <class Ready>
  Result<void> wait(std::unique_lock<std::mutex>& lock, Monotonic deadline, Ready ready) {
    while (!ready())
      if (!clock_.wait_until(lock, changed_, deadline) && !ready())
        return fail(Code::deadline, "another transaction held the storage until the deadline");
    return {};
  }

  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread::id> readers_;
  std::thread::id writer_;
  int waiting_ = 0;
};

/// Who wants to hear of commits.
class Hints {
 public:
  using Entry = std::list<std::function<void()>>::iterator;

  Entry add(std::function<void()> hint) {
    const std::lock_guard lock(mutex_);
    return hints_.insert(hints_.end(), std::move(hint));
  }
  void remove(Entry entry) {
    const std::lock_guard lock(mutex_);
    hints_.erase(entry);
  }
  void call() {
    const std::lock_guard lock(mutex_);
    for (const auto& hint : hints_) hint();
  }

 private:
  std::mutex mutex_;
  std::list<std::function<void()>> hints_;
};

/// One transaction; also the reader of one that only reads.
class Transaction final : public Writer {
 public:
  Transaction(Database& database, Moment moment) : database_(database), moment_(moment) {}

  Result<void> scan(const Select& select, RowSink sink) override {
    BUREAU_TRY(const auto rows, select_rows(database_, select, moment_));
    return show(rows, select.table->width(), sink);
  }

  Result<bool> find(const TableInfo& info, std::int64_t id, RowSink sink) override {
    BUREAU_TRY_VOID(check());
    BUREAU_TRY(const Table* table, stored_table(database_, info));
    const Slot* const slot = table->find(id);
    if (slot == nullptr) return false;
    const RowPtr row = slot->second;  // whatever the sink does
    BUREAU_TRY_VOID(sink(row->values().first(info.width())));
    return true;
  }

  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
    return aggregate_rows(database_, aggregate, moment_, sink);
  }

  Result<void> insert(const TableInfo& info, std::span<const Value> rows) override {
    BUREAU_TRY(Table * table, stored_table(database_, info));
    if (rows.size() % info.width() != 0)
      return fail(Code::invalid, fmt::format("{} values are not whole rows of table '{}'",
                                             rows.size(), info.name));
    return statement([&]() -> Result<void> {
      for (std::size_t i = 0; i < rows.size(); i += info.width())
        BUREAU_TRY_VOID(insert_row(*table, info, rows.subspan(i, info.width())));
      return {};
    });
  }

  Result<std::uint64_t> update(const Update& update, RowSink returning) override {
    Update fixed = update;
    fixed.which.where = update.which.where.at(moment_.clock.now());
    BUREAU_TRY_VOID(check_update(fixed));
    BUREAU_TRY(Table * table, stored_table(database_, *fixed.which.table));
    BUREAU_TRY(auto rows, select_rows(database_, fixed.which, moment_));
    BUREAU_TRY_VOID(statement([&]() -> Result<void> {
      const ColumnBits changed = table->changed_by(fixed.set);
      for (RowPtr& row : rows) {
        BUREAU_TRY(row, assigned(*table, *row, fixed.set));
        BUREAU_TRY_VOID(database_.replace(*table, *table->find(row->id()), row, changed));
      }
      return show(rows, fixed.which.table->width(), returning);
    }));
    return rows.size();
  }

  Result<std::uint64_t> update(const Update& update) override {
    return this->update(update, [](std::span<const Value>) -> Result<bool> { return false; });
  }

  Result<void> update_rows(const TableInfo& info, std::span<const ColumnInfo* const> columns,
                           std::span<const Value> rows) override {
    BUREAU_TRY_VOID(check_row_updates(info, columns, rows));
    BUREAU_TRY(Table * table, stored_table(database_, info));
    std::vector<Assignment> set;
    for (const ColumnInfo* column : columns) set.push_back({column, {}, false});
    const ColumnBits changed = table->changed_by(set);
    return statement([&]() -> Result<void> {
      for (std::size_t at = 0; at < rows.size(); at += columns.size() + 1) {
        for (std::size_t i = 0; i < columns.size(); ++i) set[i].value = rows[at + 1 + i];
        Slot* const slot = table->find(rows[at].as_integer());
        if (slot == nullptr) return fail(row_is_gone(info));
        BUREAU_TRY(RowPtr next, assigned(*table, *slot->second, set));
        BUREAU_TRY_VOID(database_.replace(*table, *slot, std::move(next), changed));
      }
      return {};
    });
  }

  Result<std::uint64_t> remove(const Select& which, RowSink removed) override {
    BUREAU_TRY(const auto rows, select_rows(database_, which, moment_));
    BUREAU_TRY(Table * table, stored_table(database_, *which.table));
    BUREAU_TRY_VOID(statement([&]() -> Result<void> {
      for (const RowPtr& row : rows) database_.remove(*table, row->id());
      return show(rows, which.table->width(), removed);
    }));
    return rows.size();
  }

  Result<std::int64_t> draw_sequence(std::int64_t count) override { return database_.draw(count); }

  Result<void> alter(const Alteration& alteration) override {
    BUREAU_TRY_VOID(check());
    auto altered = database_.alter(alteration);
    if (!altered) doom_ = altered.error();
    return altered;
  }
  /// An error that leaves nothing of the transaction.
  [[nodiscard]] const std::optional<Error>& doom() const { return doom_; }

 private:
  /// Wholly or not at all.
  template <class Body>
  Result<void> statement(Body body) {
    BUREAU_TRY_VOID(check());
    const std::size_t mark = database_.mark();
    Result<void> done = body();
    if (!done) database_.roll_back(mark);
    return done;
  }

  [[nodiscard]] Result<void> check() const {
    if (doom_) return fail(*doom_);
    return moment_.check();
  }

  /// The columns that the program knows: the first `width`.
  static Result<void> show(const std::vector<RowPtr>& rows, std::size_t width, RowSink sink) {
    for (const RowPtr& row : rows) {
      BUREAU_TRY(const bool more, sink(row->values().first(width)));
      if (!more) break;
    }
    return {};
  }

  Result<void> insert_row(Table& table, const TableInfo& info, std::span<const Value> values) {
    BUREAU_TRY_VOID(check_row(info, values));
    const std::int64_t id = values[0].as_integer();
    if (table.find(id) != nullptr)
      return fail(Code::exists,
                  fmt::format("{}.id: {} is there already", table.info().name,
                              id::to_text(table.info().prefix, id)),
                  "id");
    if (!table.has_upkeep(values.size())) {
      return database_.insert(table, id, std::make_shared<const Row>(values));
    }
    return database_.insert(table, id, std::make_shared<const Row>(table.completed(values)));
  }

  Result<RowPtr> assigned(const Table& table, const Row& row, const std::vector<Assignment>& set) {
    std::vector<Value>& values = assigned_;
    values.assign(row.values().begin(), row.values().end());
    for (const Assignment& assignment : set) {
      Value& value = values[assignment.column->index];
      if (!assignment.add) {
        value = assignment.value;
        continue;
      }
      if (value.is_null()) continue;
      std::int64_t sum = 0;
      if (__builtin_add_overflow(value.as_integer(), assignment.value.as_integer(), &sum))
        return fail(Code::exhausted,
                    fmt::format("{}: {} and {} do not fit 64 bits", assignment.column->name,
                                value.as_integer(), assignment.value.as_integer()),
                    std::string(assignment.column->name));
      value = Value::integer(sum);
    }
    table.follow(set, values);
    return RowPtr(std::make_shared<const Row>(values));
  }

  Database& database_;
  Moment moment_;
  std::vector<Value> assigned_;  // of one row at a time
  std::optional<Error> doom_;
};

class MemoryStorage final : public Storage {
 public:
  explicit MemoryStorage(Clock& clock) : clock_(clock), lock_(clock) {}

  [[nodiscard]] std::string_view name() const override { return "memory"; }
  [[nodiscard]] Capabilities capabilities() const override { return {}; }

  Result<void> read(Monotonic deadline, ReadClosure closure) override {
    BUREAU_TRY_VOID(lock_.begin_read(deadline));
    Transaction transaction(database_, {clock_, deadline});
    Result<void> done = guarded([&] { return closure(transaction); });
    lock_.end_read();
    return done;
  }

  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    BUREAU_TRY_VOID(lock_.begin_write(options.deadline));
    Transaction transaction(database_, {clock_, options.deadline});
    Result<void> done = guarded([&] { return closure(transaction); });
    if (done && transaction.doom()) done = fail(*transaction.doom());
    bool changed = false;
    if (done) {
      changed = database_.commit();
    } else {
      database_.roll_back(0);
    }
    lock_.end_write();
    if (changed) hints_->call();
    return done;
  }

  Result<void> migrate(const Catalog& catalog) override {
    BUREAU_TRY_VOID(lock_.begin_write(Monotonic::never()));
    Result<void> done = guarded([&] { return database_.migrate(catalog); });
    lock_.end_write();
    if (done) hints_->call();
    return done;
  }

  Result<std::vector<StoredTable>> stored_tables() override {
    BUREAU_TRY_VOID(lock_.begin_read(Monotonic::never()));
    auto all = database_.stored();
    lock_.end_read();
    return all;
  }
  Result<Subscription> on_commit(std::function<void()> hint) override {
    const auto entry = hints_->add(std::move(hint));
    return Subscription(
        std::shared_ptr<void>(nullptr, [hints = hints_, entry](void*) { hints->remove(entry); }));
  }

  Result<bool> hold_node(int node) override {
    BUREAU_TRY_VOID(check_node(node));
    const std::lock_guard lock(nodes_mutex_);
    if (nodes_[static_cast<std::size_t>(node)]) return false;
    nodes_[static_cast<std::size_t>(node)] = true;
    return true;
  }
  void release_node(int node) override {
    if (!check_node(node)) return;
    const std::lock_guard lock(nodes_mutex_);
    nodes_[static_cast<std::size_t>(node)] = false;
  }
  Result<bool> node_is_alive(int node) override {
    BUREAU_TRY_VOID(check_node(node));
    const std::lock_guard lock(nodes_mutex_);
    return nodes_[static_cast<std::size_t>(node)];
  }

 private:
  static Result<void> check_node(int node) {
    if (node >= 0 && node < id::node_count) return {};
    return fail(Code::invalid, fmt::format("there is no node {}; nodes are 0 to 1023", node),
                "node");
  }

  /// An exception of the closure is its defect, and must not leave the lock held.
  template <class Body>
  static Result<void> guarded(Body body) {
    try {
      return body();
    } catch (const std::exception& error) {
      return fail(Code::internal, fmt::format("an exception in a closure: {}", error.what()));
    } catch (...) {
      return fail(Code::internal, "an exception in a closure");
    }
  }

  Clock& clock_;
  Lock lock_;
  Database database_;
  std::shared_ptr<Hints> hints_ = std::make_shared<Hints>();
  std::mutex nodes_mutex_;
  std::bitset<id::node_count> nodes_;
};

}  // namespace

std::shared_ptr<Storage> make_memory_storage(Clock& clock) {
  return std::make_shared<MemoryStorage>(clock);
}

BUREAU_END_NAMESPACE
