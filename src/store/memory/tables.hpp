#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bureau/store/predicate.hpp"
#include "bureau/store/stored_catalog.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

/// A row that never changes; writers put another in its place, so who has the pointer has a copy.
struct Row {
  explicit Row(std::span<const Value> from);
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  [[nodiscard]] std::int64_t id() const { return values[0].as_integer(); }

  std::vector<OwnedValue> owned;
  std::vector<Value> values;  ///< views of `owned`
};
using RowPtr = std::shared_ptr<const Row>;

struct KeyLess {
  bool operator()(const std::vector<Value>& a, const std::vector<Value>& b) const;
};

/// The rows of one table and the keys of its unique indexes. Keeps nothing of what it was told to
/// refuse.
class Table {
 public:
  /// REQUIRES: a table that a catalog took.
  explicit Table(const TableInfo& info);

  [[nodiscard]] const TableInfo& info() const { return *info_; }
  [[nodiscard]] const std::map<std::int64_t, RowPtr>& rows() const { return rows_; }
  [[nodiscard]] RowPtr find(std::int64_t id) const;

  /// Puts `row` (null: nothing) in the place of the row with that id and returns what was there.
  /// `exists` when a unique index has its value already.
  Result<RowPtr> put(std::int64_t id, RowPtr row);

 private:
  struct Unique {
    const IndexInfo* index;
    Predicate condition;
    std::map<std::vector<Value>, std::int64_t, KeyLess> keys;
  };
  [[nodiscard]] static std::optional<std::vector<Value>> key_of(const Unique& unique,
                                                                const Row& row);

  const TableInfo* info_;
  std::map<std::int64_t, RowPtr> rows_;
  std::vector<Unique> uniques_;
};

/// All tables, the journal's counter, and how to undo what a transaction did to them.
class Database {
 public:
  [[nodiscard]] Table* find(std::string_view name);
  [[nodiscard]] std::vector<StoredTable> stored() const;
  /// Brings the tables to what the catalog says; changes nothing when it fails.
  Result<void> migrate(const Catalog& catalog);

  Result<void> put(Table& table, std::int64_t id, RowPtr row);
  Result<std::int64_t> draw(std::int64_t count);

  /// A point to go back to.
  [[nodiscard]] std::size_t mark() const { return undo_.size(); }
  void roll_back(std::size_t mark);
  void commit() { undo_.clear(); }

 private:
  struct Undo {
    Table* table;  ///< null: the counter was `sequence`
    std::int64_t id = 0;
    RowPtr before;
    std::int64_t sequence = 0;
  };
  std::map<std::string, std::unique_ptr<Table>, std::less<>> tables_;
  std::int64_t sequence_ = 0;
  std::vector<Undo> undo_;
};

}  // namespace detail::memory

BUREAU_END_NAMESPACE
