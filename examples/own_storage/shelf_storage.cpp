#include "shelf_storage.hpp"

#include <bitset>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <thread>

#include "bureau/store/statement.hpp"
#include "shelf_query.hpp"

namespace shelf {

using namespace bureau;

namespace {

Result<void> show(const std::vector<Row>& rows, RowSink sink) {
  for (const Row& row : rows) {
    BUREAU_TRY(const bool more, sink(values_of(row)));
    if (!more) break;
  }
  return {};
}

/// A transaction on a state of its own; one that only reads is given no other part of it.
class Transaction final : public Writer {
 public:
  Transaction(State& state, Moment moment) : state_(state), moment_(moment) {}

  Result<void> scan(const Select& select, RowSink sink) override {
    BUREAU_TRY(const auto rows, select_rows(state_, select, moment_));
    return show(rows, sink);
  }

  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
    return aggregate_rows(state_, aggregate, moment_, sink);
  }

  Result<bool> find(const TableInfo& info, std::int64_t id, RowSink sink) override {
    BUREAU_TRY(const Table* table, state_.find(info));
    BUREAU_TRY_VOID(moment_.check());
    const Row row = table->find(id);
    if (row != nullptr) BUREAU_TRY_VOID(sink(values_of(row)));
    return row != nullptr;
  }

  Result<void> insert(const TableInfo& info, std::span<const Value> rows) override {
    if (rows.size() % info.width() != 0) {
      return fail(Code::invalid, "table '" + std::string(info.name) + "': not whole rows");
    }
    return statement(info, [&](Table& table) -> Result<void> {
      for (std::size_t at = 0; at < rows.size(); at += info.width()) {
        const auto row = rows.subspan(at, info.width());
        BUREAU_TRY_VOID(check_row(info, row));
        const std::int64_t id = row[0].as_integer();
        if (table.find(id) != nullptr) {
          return fail(Code::exists, std::string(info.name) + ".id: it is there already", "id");
        }
        BUREAU_TRY_VOID(put(table, id, row_of(row)));
      }
      return {};
    });
  }

  Result<std::uint64_t> update(const Update& asked, RowSink returning) override {
    Update update = asked;
    update.which.where = asked.which.where.at(moment_.clock.now());
    BUREAU_TRY_VOID(check_update(update));
    BUREAU_TRY(auto rows, select_rows(state_, update.which, moment_));
    BUREAU_TRY_VOID(statement(*update.which.table, [&](Table& table) -> Result<void> {
      for (Row& row : rows) {
        BUREAU_TRY(row, assigned(row, update.set));
        BUREAU_TRY_VOID(put(table, row->front().view().as_integer(), row));
      }
      return show(rows, returning);
    }));
    return rows.size();
  }
  Result<std::uint64_t> update(const Update& update) override {
    return this->update(update, [](std::span<const Value>) -> Result<bool> { return false; });
  }

  Result<std::uint64_t> remove(const Select& which, RowSink removed) override {
    BUREAU_TRY(const auto rows, select_rows(state_, which, moment_));
    BUREAU_TRY_VOID(statement(*which.table, [&](Table& table) -> Result<void> {
      for (const Row& row : rows) {
        BUREAU_TRY_VOID(put(table, row->front().view().as_integer(), nullptr));
      }
      return show(rows, removed);
    }));
    return rows.size();
  }

  Result<std::int64_t> draw_sequence(std::int64_t count) override {
    if (count < 1 || state_.sequence > INT64_MAX - count) {
      return fail(count < 1 ? Code::invalid : Code::exhausted, "no such number can be drawn",
                  "count");
    }
    return state_.sequence += count;
  }

  [[nodiscard]] bool has_changed() const { return !undo_.empty(); }

 private:
  struct Undo {
    const TableInfo* table;
    std::int64_t id;
    Row before;
  };

  /// Wholly or not at all; what the sink of a statement wrote goes with it.
  template <class Body>
  Result<void> statement(const TableInfo& info, Body body) {
    BUREAU_TRY_VOID(moment_.check());
    BUREAU_TRY(Table* const table, state_.change(info));
    const std::size_t mark = undo_.size();
    const std::int64_t sequence = state_.sequence;
    Result<void> done = body(*table);
    if (done) return done;
    for (; undo_.size() > mark; undo_.pop_back()) {
      // It was there, and nothing that came after it still is: it fits.
      static_cast<void>(
          (*state_.change(*undo_.back().table))->put(undo_.back().id, undo_.back().before));
    }
    state_.sequence = sequence;
    return done;
  }

  Result<void> put(Table& table, std::int64_t id, const Row& row) {
    Undo undo{&table.info(), id, table.find(id)};
    BUREAU_TRY_VOID(table.put(id, row));
    undo_.push_back(std::move(undo));
    return {};
  }

  static Result<Row> assigned(const Row& row, const std::vector<Assignment>& set) {
    std::vector<OwnedValue> values = *row;
    for (const Assignment& one : set) {
      OwnedValue& value = values[one.column->index];
      if (!one.add) {
        value = OwnedValue(one.value);
      } else if (!value.view().is_null()) {
        std::int64_t sum = 0;
        if (__builtin_add_overflow(value.view().as_integer(), one.value.as_integer(), &sum)) {
          const std::string name(one.column->name);
          return fail(Code::exhausted, name + ": the sum does not fit 64 bits", name);
        }
        value = OwnedValue(Value::integer(sum));
      }
    }
    return std::make_shared<const std::vector<OwnedValue>>(std::move(values));
  }

  State& state_;
  Moment moment_;
  std::vector<Undo> undo_;
};

/// A host's closure; what it throws is its defect, and must not leave a lock held.
template <class Body>
auto guarded(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& thrown) {
    return fail(Code::internal, std::string("a closure threw: ") + thrown.what());
  } catch (...) {
    return fail(Code::internal, "a closure threw");
  }
}

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

class Shelf final : public Storage {
 public:
  explicit Shelf(Clock& clock) : clock_(clock) {}

  [[nodiscard]] std::string_view name() const override { return "shelf"; }
  /// Nothing survives, nobody shares, one writes at a time, and there is no SQL.
  [[nodiscard]] Capabilities capabilities() const override { return {}; }

  Result<void> read(Monotonic deadline, ReadClosure closure) override {
    State snapshot = current();
    Transaction transaction(snapshot, {clock_, deadline});
    return guarded([&] { return closure(transaction); });
  }

  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    return change(options.deadline, [&](State& next) -> Result<bool> {
      const std::int64_t drawn = next.sequence;
      Transaction transaction(next, {clock_, options.deadline});
      BUREAU_TRY_VOID(closure(transaction));
      return transaction.has_changed() || next.sequence != drawn;
    });
  }

  Result<void> migrate(const Catalog& catalog) override {
    return change(Monotonic::never(), [&](State& next) -> Result<bool> {
      BUREAU_TRY_VOID(next.migrate(catalog));
      return true;
    });
  }

  Result<Subscription> on_commit(std::function<void()> hint) override {
    const auto entry = hints_->add(std::move(hint));
    return Subscription(
        std::shared_ptr<void>(nullptr, [hints = hints_, entry](void*) { hints->remove(entry); }));
  }

  Result<bool> hold_node(int node) override {
    BUREAU_TRY_VOID(check_node(node));
    const std::lock_guard lock(mutex_);
    if (nodes_[static_cast<std::size_t>(node)]) return false;
    nodes_[static_cast<std::size_t>(node)] = true;
    return true;
  }
  void release_node(int node) override {
    if (!check_node(node)) return;
    const std::lock_guard lock(mutex_);
    nodes_[static_cast<std::size_t>(node)] = false;
  }
  Result<bool> node_is_alive(int node) override {
    BUREAU_TRY_VOID(check_node(node));
    const std::lock_guard lock(mutex_);
    return nodes_[static_cast<std::size_t>(node)];
  }

 private:
  static constexpr std::size_t places = 1024;

  static Result<void> check_node(int node) {
    if (node >= 0 && node < static_cast<int>(places)) return {};
    return fail(Code::invalid, "nodes are 0 to 1023", "node");
  }

  [[nodiscard]] State current() {
    const std::lock_guard lock(mutex_);
    return state_;
  }

  /// Changes what will be there; it is there when the body has succeeded. The body says whether
  /// anything is other than before: of nothing nobody is told.
  template <class Body>
  Result<void> change(Monotonic deadline, Body body) {
    BUREAU_TRY_VOID(begin(deadline));
    State next = current().next();
    Result<bool> changed = guarded([&] { return body(next); });
    {
      const std::lock_guard lock(mutex_);
      if (changed && *changed) state_ = std::move(next);
      writer_ = std::thread::id();
    }
    ended_.notify_one();
    BUREAU_TRY(const bool some, std::move(changed));
    if (some) hints_->call();
    return {};
  }

  /// Waits for its turn to write.
  Result<void> begin(Monotonic deadline) {
    std::unique_lock lock(mutex_);
    if (writer_ == std::this_thread::get_id()) {
      return fail(Code::invalid, "a write inside a write, on the same thread");
    }
    while (writer_ != std::thread::id()) {
      if (!clock_.wait_until(lock, ended_, deadline) && writer_ != std::thread::id()) {
        return fail(Code::deadline, "another write did not end in time");
      }
    }
    writer_ = std::this_thread::get_id();
    return {};
  }

  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::thread::id writer_;  ///< none: nobody writes
  State state_;
  std::bitset<places> nodes_;
  std::shared_ptr<Hints> hints_ = std::make_shared<Hints>();
};

}  // namespace

std::shared_ptr<Storage> make_shelf(Clock& clock) { return std::make_shared<Shelf>(clock); }

}  // namespace shelf
