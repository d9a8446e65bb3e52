#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bureau/core/function_ref.hpp"
#include "bureau/store/alteration.hpp"
#include "bureau/store/select.hpp"
#include "bureau/store/stored_catalog.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

/// A row that never changes; writers put another in its place, so who has the pointer has a copy.
class Row {
 public:
  explicit Row(std::span<const Value> from);
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  [[nodiscard]] std::span<const Value> values() const { return {values_, width_}; }
  [[nodiscard]] const Value& operator[](std::size_t column) const { return values_[column]; }
  [[nodiscard]] std::int64_t id() const { return values_[0].as_integer(); }

 private:
  std::size_t width_;
  std::unique_ptr<std::byte[]> block_;  ///< the values, and what their texts and bytes point to
  const Value* values_;
};
using RowPtr = std::shared_ptr<const Row>;
using Rows = std::map<std::int64_t, RowPtr>;
/// Where a table keeps the row with an id, for as long as there is one.
using Slot = Rows::value_type;

/// Columns of a table, a bit for each; beyond the 64th some share one, which only costs.
using ColumnBits = std::uint64_t;
inline ColumnBits bit_of(std::size_t column) { return ColumnBits{1} << (column % 64); }

struct KeyLess {
  bool operator()(const std::vector<Value>& a, const std::vector<Value>& b) const;
};

/// The rows that an index covers, by the values of its columns and then their ids.
class Index {
 public:
  /// REQUIRES: an index of a table that a catalog took.
  Index(const TableInfo& table, const IndexInfo& info);

  [[nodiscard]] const IndexInfo& info() const { return *info_; }
  /// The id of another row that has the same values, none of them null, as an index has it that is
  /// unique.
  [[nodiscard]] std::optional<std::int64_t> holder(const Row& row) const;
  /// The columns that say where a row stands, if at all.
  [[nodiscard]] ColumnBits decisive() const { return decisive_; }
  void add(const Slot& slot);
  void remove(const Row& row);
  /// What was `before` is what the slot holds now.
  void replace(const Row& before, const Slot& slot);

  /// Rows one after the other: at least all of which some predicate can be true.
  struct Range {
    const Index* index = nullptr;
    std::vector<Value> from;    ///< the first is not less than this, as far as it goes
    std::vector<Value> prefix;  ///< all begin with these
    std::optional<Value> last;  ///< and go no further than this behind them
    bool ordered = false;       ///< they come in the order that was asked for
    [[nodiscard]] std::size_t fixed() const { return prefix.size() * 2 + (last ? 1U : 0U); }
  };
  /// Nothing when the predicate, of which these must all be true, may be true of rows that are not
  /// covered. `after` is a position in `order`, or empty.
  [[nodiscard]] std::optional<Range> range(const std::vector<Predicate>& conditions,
                                           const std::vector<Order>& order,
                                           const std::vector<OwnedValue>& after) const;
  /// `visit` returns false to stop.
  void each(const Range& range, FunctionRef<bool(const RowPtr&)> visit) const;

 private:
  [[nodiscard]] bool covers(const Row& row) const;

  const TableInfo* table_;
  const IndexInfo* info_;
  Predicate condition_;
  std::vector<Predicate> conditions_;  ///< which together are `condition_`
  ColumnBits decisive_ = 0;
  std::map<std::string, const Slot*, std::less<>> rows_;  ///< by key, as key.hpp has it
};

/// What must all be true for the predicate to be.
[[nodiscard]] std::vector<Predicate> conditions_of(const Predicate& where);

/// What a table gives columns that a write has not named: by their names, as Alteration says it.
struct Upkeep {
  std::vector<std::pair<std::string, std::string>> mirrors;
  std::map<std::string, OwnedValue, std::less<>> stand_ins;
  std::map<std::string, OwnedValue, std::less<>> defaults;
};

/// The rows of one table and its indexes. Keeps nothing of what it was told to refuse.
class Table {
 public:
  /// REQUIRES: a table that a catalog took.
  explicit Table(const TableInfo& info, Upkeep upkeep = {});

  [[nodiscard]] const TableInfo& info() const { return *info_; }
  [[nodiscard]] const Upkeep& upkeep() const { return upkeep_; }
  /// Whether an insert of so many values needs completed().
  [[nodiscard]] bool has_upkeep(std::size_t given) const {
    return given != info_->width() || !upkeep_.stand_ins.empty() || !upkeep_.mirrors.empty();
  }
  /// A whole row of what an insert gives: its first columns.
  [[nodiscard]] std::vector<Value> completed(std::span<const Value> given) const;
  /// Gives the columns that are in step with assigned ones their values.
  void follow(const std::vector<Assignment>& set, std::vector<Value>& row) const;
  [[nodiscard]] const Rows& rows() const { return rows_; }
  [[nodiscard]] Slot* find(std::int64_t id);
  [[nodiscard]] const Slot* find(std::int64_t id) const;
  /// What those assignments may change.
  [[nodiscard]] ColumnBits changed_by(const std::vector<Assignment>& set) const;
  /// The shortest way to all rows of which the predicate can be true; nothing: to look at each.
  [[nodiscard]] std::optional<Index::Range> range(const Predicate& where,
                                                  const std::vector<Order>& order,
                                                  const std::vector<OwnedValue>& after) const;

  /// `exists` when a unique index has its value already. REQUIRES: there is no row with that id.
  Result<void> insert(std::int64_t id, RowPtr row);
  /// Puts the row in the place of the one that is there, which comes back. Columns that are not
  /// named are the same in both. `exists` as above.
  Result<RowPtr> replace(Slot& slot, RowPtr row, ColumnBits changed);
  /// What was there; null: nothing was.
  RowPtr remove(std::int64_t id);

 private:
  [[nodiscard]] Result<void> check_unique(const Row& row, ColumnBits changed) const;

  const TableInfo* info_;
  Upkeep upkeep_;
  Rows rows_;
  std::vector<Index> indexes_;
};

/// All tables, the journal's counter, and how to undo what a transaction did to them.
class Database {
 public:
  [[nodiscard]] Table* find(std::string_view name);
  [[nodiscard]] std::vector<StoredTable> stored() const;
  /// Brings the tables to what the catalog says; changes nothing when it fails.
  Result<void> migrate(const Catalog& catalog);

  /// Writer::alter().
  Result<void> alter(const Alteration& alteration);

  /// As Table has them; `remove` of a row that is there.
  Result<void> insert(Table& table, std::int64_t id, RowPtr row);
  Result<void> replace(Table& table, Slot& slot, RowPtr row, ColumnBits changed);
  void remove(Table& table, std::int64_t id);
  Result<std::int64_t> draw(std::int64_t count);

  /// A point to go back to.
  [[nodiscard]] std::size_t mark() const { return undo_.size(); }
  void roll_back(std::size_t mark);
  /// Whether anything has changed.
  bool commit() { return !std::exchange(undo_, {}).empty(); }

 private:
  /// A table as it was before it was altered.
  struct Altered {
    std::string name;
    std::unique_ptr<Table> table;
  };
  struct Undo {
    Table* table;            ///< null: the counter, or `altered`
    std::int64_t value = 0;  ///< the row's id, or what the counter was
    RowPtr before = {};
    std::unique_ptr<Altered> altered = {};
  };
  static void put_back(Table& table, std::int64_t id, RowPtr before);

  std::map<std::string, std::unique_ptr<Table>, std::less<>> tables_;
  std::int64_t sequence_ = 0;
  std::vector<Undo> undo_;
};

}  // namespace detail::memory

BUREAU_END_NAMESPACE
