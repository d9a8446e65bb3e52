#pragma once

// Storages that are wrong in one way each. exercise_storage must find every one of them.

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "bureau/store/alteration.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/testing/transaction_wrapper.hpp"

namespace broken {

using bureau::Aggregate;
using bureau::Catalog;
using bureau::Code;
using bureau::Monotonic;
using bureau::OwnedValue;
using bureau::Predicate;
using bureau::Reader;
using bureau::Result;
using bureau::RowSink;
using bureau::Select;
using bureau::Storage;
using bureau::StorageWrapper;
using bureau::TableInfo;
using bureau::Update;
using bureau::Value;
using bureau::WriteOptions;
using bureau::Writer;
using bureau::testing::ReaderWrapper;
using bureau::testing::WriterWrapper;

/// A batch is one transaction: one that fails takes the others with it.
class SharesFate final : public StorageWrapper {
 public:
  SharesFate() : StorageWrapper(bureau::make_memory_storage()) {}
  void write_all(std::span<bureau::BatchedWrite> writes) override {
    const auto outcome = inner().write({}, [&](Writer& writer) -> Result<void> {
      for (auto& one : writes) BUREAU_TRY_VOID(one.closure(writer));
      return {};
    });
    for (auto& one : writes) one.result = outcome;
  }
};

/// The last of a batch is made first.
class BackToFront final : public StorageWrapper {
 public:
  BackToFront() : StorageWrapper(bureau::make_memory_storage()) {}
  void write_all(std::span<bureau::BatchedWrite> writes) override {
    for (std::size_t i = writes.size(); i > 0; --i) {
      writes[i - 1].result = inner().write(writes[i - 1].options, writes[i - 1].closure);
    }
  }
};

/// Memory storage whose selects are changed on their way in.
class ChangedSelects : public StorageWrapper {
 public:
  ChangedSelects() : StorageWrapper(bureau::make_memory_storage()) {}

  Result<void> read(Monotonic deadline, bureau::ReadClosure closure) override {
    return inner().read(deadline, [&](Reader& reader) {
      OneReader one(reader, *this);
      return closure(one);
    });
  }
  Result<void> write(const WriteOptions& options, bureau::WriteClosure closure) override {
    return inner().write(options, [&](Writer& writer) {
      OneWriter one(writer, *this);
      return closure(one);
    });
  }

 protected:
  virtual Result<void> scan(Reader& reader, const Select& select, RowSink sink) = 0;

 private:
  class OneReader final : public ReaderWrapper {
   public:
    OneReader(Reader& inner, ChangedSelects& storage)
        : ReaderWrapper(inner), reader_(inner), storage_(storage) {}
    Result<void> scan(const Select& select, RowSink sink) override {
      return storage_.scan(reader_, select, sink);
    }

   private:
    Reader& reader_;
    ChangedSelects& storage_;
  };
  class OneWriter final : public WriterWrapper {
   public:
    OneWriter(Writer& inner, ChangedSelects& storage) : WriterWrapper(inner), storage_(storage) {}
    Result<void> scan(const Select& select, RowSink sink) override {
      return storage_.scan(inner(), select, sink);
    }

   private:
    ChangedSelects& storage_;
  };
};

class ForgetsLimit final : public ChangedSelects {
  Result<void> scan(Reader& reader, const Select& select, RowSink sink) override {
    Select changed = select;
    changed.limit.reset();
    return reader.scan(changed, sink);
  }
};

/// Where a page begins with the last row of the one before.
class RepeatsTheKey final : public ChangedSelects {
  Result<void> scan(Reader& reader, const Select& select, RowSink sink) override {
    bool skip = !select.after.empty();
    Select changed = select;
    if (skip && changed.limit) ++*changed.limit;
    return reader.scan(changed, [&](std::span<const Value> row) -> Result<bool> {
      if (std::exchange(skip, false)) return true;
      return sink(row);
    });
  }
};

class NullsLast final : public ChangedSelects {
  Result<void> scan(Reader& reader, const Select& select, RowSink sink) override {
    if (select.order.empty() || select.order[0].descending || !select.order[0].column->nullable)
      return reader.scan(select, sink);
    const std::uint16_t column = select.order[0].column->index;
    std::vector<std::vector<OwnedValue>> rows;
    BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> row) -> Result<bool> {
      rows.emplace_back(row.begin(), row.end());
      return true;
    }));
    std::stable_partition(rows.begin(), rows.end(),
                          [&](const auto& row) { return !row[column].view().is_null(); });
    for (const auto& row : rows) {
      std::vector<Value> views;
      for (const OwnedValue& value : row) views.push_back(value.view());
      BUREAU_TRY(const bool more, sink(views));
      if (!more) break;
    }
    return {};
  }
};

/// As SQL's LIKE does it: without regard to case.
class FoldsPrefixes final : public ChangedSelects {
  Result<void> scan(Reader& reader, const Select& select, RowSink sink) override {
    Select changed = select;
    changed.where = Predicate(fold(*select.table, select.where.node()));
    return reader.scan(changed, sink);
  }
  static Predicate::NodePtr fold(const TableInfo& table, const Predicate::NodePtr& node) {
    if (node == nullptr) return node;
    auto copy = std::make_shared<Predicate::Node>(*node);
    for (auto& child : copy->children) child = fold(table, child);
    if (copy->op == Predicate::Op::prefix && copy->column->folded) {
      copy->column = &table.columns[copy->column->folded_index];
      copy->operands[0].value =
          OwnedValue::text(bureau::fold_case(copy->operands[0].value.view().as_text()));
    }
    return copy;
  }
};

/// Memory storage whose writes are changed.
class ChangedWrites : public StorageWrapper {
 public:
  ChangedWrites() : StorageWrapper(bureau::make_memory_storage()) {}
};

/// Months go whatever is in them.
class DropsWhatStays final : public ChangedWrites {
  Result<std::uint64_t> drop_months(const TableInfo& table, std::int64_t below,
                                    const Predicate&) override {
    std::uint64_t went = 0;
    BUREAU_TRY_VOID(inner().write({}, [&](Writer& writer) -> Result<void> {
      Select old{&table};
      old.where = bureau::detail::compare_column(table.columns[0], Predicate::Op::less,
                                                 {OwnedValue(Value::integer(below))});
      BUREAU_TRY(went,
                 writer.remove(old, [](std::span<const Value>) -> Result<bool> { return true; }));
      return {};
    }));
    return went;
  }
};

class CommitsFailures final : public ChangedWrites {
  Result<void> write(const WriteOptions& options, bureau::WriteClosure closure) override {
    Result<void> said;
    BUREAU_TRY_VOID(inner().write(options, [&](Writer& writer) -> Result<void> {
      said = closure(writer);
      return {};
    }));
    return said;
  }
};

/// Every seventh write that it acknowledges is not there.
class LosesWrites final : public ChangedWrites {
  std::atomic<int> writes_{0};
  Result<void> write(const WriteOptions& options, bureau::WriteClosure closure) override {
    if (++writes_ % 7 != 0) return inner().write(options, closure);
    bool good = false;
    Result<void> done = inner().write(options, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(closure(writer));
      good = true;
      return bureau::fail(Code::conflict, "lost");
    });
    return good ? Result<void>() : done;
  }
};

/// Each statement of a read sees what is committed by then.
class NoSnapshots final : public ChangedWrites {
  struct Loose final : Reader {
    explicit Loose(Storage& s, Monotonic d) : storage(s), deadline(d) {}
    Storage& storage;
    Monotonic deadline;
    Result<void> scan(const Select& select, RowSink sink) override {
      return storage.read(deadline, [&](Reader& reader) { return reader.scan(select, sink); });
    }
    Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
      return storage.read(deadline,
                          [&](Reader& reader) { return reader.aggregate(aggregate, sink); });
    }
  };
  Result<void> read(Monotonic deadline, bureau::ReadClosure closure) override {
    Loose loose(inner(), deadline);
    return closure(loose);
  }
};

template <class OneWriter>
class WithWriter : public ChangedWrites {
  Result<void> write(const WriteOptions& options, bureau::WriteClosure closure) override {
    return inner().write(options, [&](Writer& writer) {
      OneWriter one(writer);
      return closure(one);
    });
  }
};

/// Rows one by one: those before a failure stay.
struct HalfInsertWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> insert(const TableInfo& table, std::span<const Value> rows) override {
    for (; rows.size() >= table.width(); rows = rows.subspan(table.width()))
      BUREAU_TRY_VOID(inner().insert(table, rows.first(table.width())));
    return inner().insert(table, rows);
  }
};
struct SameSequenceWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  std::int64_t last = 0;
  Result<std::int64_t> draw_sequence(std::int64_t count) override {
    if (count < 1) return inner().draw_sequence(count);
    return last += count;
  }
};
/// Each row once for each time that it was asked for.
struct RepeatingLookUpWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                        RowSink sink) override {
    for (const std::int64_t id : ids) BUREAU_TRY_VOID(find(table, id, sink));
    return {};
  }
};
/// Several statements for many rows, which know nothing of each other.
struct PiecewiseWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                        RowSink sink) override {
    const std::size_t piece = std::min<std::size_t>(ids.size(), 256);
    BUREAU_TRY_VOID(inner().find_all(table, ids.first(piece), sink));
    if (piece == ids.size()) return {};
    return find_all(table, ids.subspan(piece), sink);
  }
};
/// The first scan's rows for all.
struct OneScanWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> scan_all(std::span<const bureau::Scan> scans) override {
    for (const bureau::Scan& one : scans) BUREAU_TRY_VOID(scan(*scans[0].select, one.sink));
    return {};
  }
};
/// The first row's values for all.
struct OneValueWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> update_rows(const TableInfo& table,
                           std::span<const bureau::ColumnInfo* const> columns,
                           std::span<const Value> rows) override {
    std::vector<Value> same(rows.begin(), rows.end());
    const std::size_t width = columns.size() + 1;
    for (std::size_t at = 0; at < same.size(); ++at) {
      if (at % width != 0) same[at] = same[at % width];
    }
    return WriterWrapper::update_rows(table, columns, same);
  }
};
/// Rows that are not there are passed over.
struct IndifferentWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> update_rows(const TableInfo& table,
                           std::span<const bureau::ColumnInfo* const> columns,
                           std::span<const Value> rows) override {
    auto updated = WriterWrapper::update_rows(table, columns, rows);
    if (!updated && updated.error().code == bureau::Code::not_found) return {};
    return updated;
  }
};
/// A number too many for each insert.
struct LateNumberWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> insert_numbered(const TableInfo& table, std::span<const Value> rows,
                               std::int64_t count) override {
    return WriterWrapper::insert_numbered(table, rows, count + 1);
  }
};
struct UnlimitedUpdateWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<std::uint64_t> update(const Update& update, RowSink returning) override {
    Update changed = update;
    if (changed.which.limit != 0U) changed.which.limit.reset();
    return inner().update(changed, returning);
  }
  Result<std::uint64_t> update(const Update& update) override {
    return this->update(update, [](std::span<const Value>) -> Result<bool> { return true; });
  }
};
/// Additions that do not fit are left out instead of refused.
struct SilentOverflowWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<std::uint64_t> update(const Update& update) override {
    auto done = inner().update(update);
    if (!done && done.error().code == Code::exhausted) return std::uint64_t{0};
    return done;
  }
};
/// Says what overflowed only in words.
struct NamelessOverflowWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<std::uint64_t> update(const Update& update) override {
    auto done = inner().update(update);
    if (!done) done.error().field.clear();
    return done;
  }
};
/// What a sink refused stays.
struct DeafToSinksWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<std::uint64_t> update(const Update& update, RowSink returning) override {
    std::optional<bureau::Error> refused;
    BUREAU_TRY(const std::uint64_t changed,
               inner().update(update, [&](std::span<const Value> row) -> Result<bool> {
                 auto more = returning(row);
                 if (more) return more;
                 refused = more.error();
                 return false;
               }));
    if (refused) return bureau::fail(*refused);
    return changed;
  }
};
/// Silently shortens what is too long, as some databases do.
struct TruncatingWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> insert(const TableInfo& table, std::span<const Value> rows) override {
    std::vector<Value> changed(rows.begin(), rows.end());
    for (std::size_t i = 0; i < changed.size(); ++i) {
      const bureau::ColumnInfo& column = table.columns[i % table.width()];
      if (changed[i].kind() == Value::Kind::text && column.type == bureau::Type::text &&
          changed[i].as_text().size() > column.max_length &&
          bureau::is_valid_text(changed[i].as_text()) &&
          bureau::count_code_points(changed[i].as_text()) > column.max_length)
        changed[i] = Value::text(changed[i].as_text().substr(0, column.max_length));
    }
    return inner().insert(table, changed);
  }
};
struct SeesOldRowsWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<std::uint64_t> remove(const Select& which, RowSink removed) override {
    return inner().remove(which, removed);
  }
  /// Finds what the transaction itself removed.
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override {
    BUREAU_TRY(const bool found, inner().find(table, id, sink));
    return found || id == 1;
  }
};

/// Makes the column of another name, and leaves it alone.
struct ForgetsMirrorsWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> alter(const bureau::Alteration& asked) override {
    BUREAU_TRY_VOID(inner().alter(asked));
    if (asked.kind != bureau::Alteration::Kind::mirror) return {};
    bureau::Alteration end = asked;
    end.kind = bureau::Alteration::Kind::end_mirror;
    return inner().alter(end);
  }
};
/// Adds columns without what they are to hold.
struct ForgetsDefaultsWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> alter(const bureau::Alteration& asked) override {
    bureau::Alteration changed = asked;
    changed.value = {};
    return inner().alter(changed);
  }
};
/// Says that no row lacks a value.
struct RequiresBlindlyWriter final : WriterWrapper {
  using WriterWrapper::WriterWrapper;
  Result<void> alter(const bureau::Alteration& asked) override {
    if (asked.kind == bureau::Alteration::Kind::require) return {};
    return inner().alter(asked);
  }
};

/// Knows unique indexes only as indexes.
class ForgetsUnique final : public ChangedWrites {
  std::deque<TableInfo> tables_;
  Result<void> migrate(const Catalog& catalog) override {
    Catalog changed;
    for (const TableInfo* table : catalog.tables()) {
      TableInfo& copy = tables_.emplace_back(*table);
      for (auto& index : copy.indexes) index.unique = false;
      BUREAU_TRY_VOID(changed.add(copy));
    }
    return inner().migrate(changed);
  }
};
/// Partial unique indexes cover all rows.
class ForgetsConditions final : public ChangedWrites {
  std::deque<TableInfo> tables_;
  Result<void> migrate(const Catalog& catalog) override {
    Catalog changed;
    for (const TableInfo* table : catalog.tables()) {
      TableInfo& copy = tables_.emplace_back(*table);
      for (auto& index : copy.indexes) index.where = {};
      BUREAU_TRY_VOID(changed.add(copy));
    }
    return inner().migrate(changed);
  }
};
class AcceptsAnyMigration final : public ChangedWrites {
  Result<void> migrate(const Catalog& catalog) override {
    static_cast<void>(inner().migrate(catalog));
    return {};
  }
};
class NullabilityIsForever final : public ChangedWrites {
  std::map<std::string, bool> nullable_;
  Result<void> migrate(const Catalog& catalog) override {
    for (const TableInfo* table : catalog.tables()) {
      for (const bureau::ColumnInfo& column : table->columns) {
        const std::string name = std::string(table->name) + "." + std::string(column.name);
        const auto known = nullable_.emplace(name, column.nullable).first;
        if (known->second != column.nullable)
          return bureau::fail(Code::conflict, name, std::string(column.name));
      }
    }
    return inner().migrate(catalog);
  }
};
/// Tells of commits, and not of migrations.
class MigratesSilently final : public ChangedWrites {
  std::shared_ptr<std::atomic<bool>> migrating_ = std::make_shared<std::atomic<bool>>(false);
  Result<void> migrate(const Catalog& catalog) override {
    *migrating_ = true;
    auto done = inner().migrate(catalog);
    *migrating_ = false;
    return done;
  }
  Result<bureau::Subscription> on_commit(std::function<void()> hint) override {
    return inner().on_commit([hint, migrating = migrating_] {
      if (!*migrating) hint();
    });
  }
};
class NeverHints final : public ChangedWrites {
  Result<bureau::Subscription> on_commit(std::function<void()>) override {
    return bureau::Subscription();
  }
};
/// An idle worker, which looks for work in a write, would be called by its own look.
class HintsAtNothing final : public ChangedWrites {
  std::shared_ptr<std::function<void()>> hint_ = std::make_shared<std::function<void()>>();
  Result<bureau::Subscription> on_commit(std::function<void()> hint) override {
    *hint_ = std::move(hint);
    return bureau::Subscription(
        std::shared_ptr<void>(nullptr, [hint = hint_](void*) { *hint = nullptr; }));
  }
  Result<void> write(const WriteOptions& options, bureau::WriteClosure closure) override {
    auto done = inner().write(options, closure);
    if (done && *hint_) (*hint_)();
    return done;
  }
};
class NeverForgetsHints final : public ChangedWrites {
  std::vector<bureau::Subscription> kept_;
  Result<bureau::Subscription> on_commit(std::function<void()> hint) override {
    BUREAU_TRY(kept_.emplace_back(), inner().on_commit(std::move(hint)));
    return bureau::Subscription();
  }
};
class SharesNodes final : public ChangedWrites {
  Result<bool> hold_node(int node) override {
    BUREAU_TRY_VOID(inner().hold_node(node));
    return true;
  }
};
class IgnoresDeadlines final : public ChangedWrites {
  Result<void> read(Monotonic, bureau::ReadClosure closure) override {
    return inner().read(Monotonic::never(), closure);
  }
};

}  // namespace broken
