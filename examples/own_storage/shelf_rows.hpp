#pragma once

// The rows of the shelf: tables as maps, kept by value.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bureau/store/predicate.hpp"
#include "bureau/store/select.hpp"

namespace shelf {

/// A row that never changes: who has the pointer has a copy.
using Row = std::shared_ptr<const std::vector<bureau::OwnedValue>>;

[[nodiscard]] std::vector<bureau::Value> values_of(const Row& row);
[[nodiscard]] Row row_of(std::span<const bureau::Value> values);

struct ByValue {
  bool operator()(const std::vector<bureau::OwnedValue>& a,
                  const std::vector<bureau::OwnedValue>& b) const;
};

/// A table's rows by id, and the keys of its unique indexes.
class Table {
 public:
  explicit Table(const bureau::TableInfo& info);

  [[nodiscard]] const bureau::TableInfo& info() const { return *info_; }
  [[nodiscard]] const std::map<std::int64_t, Row>& rows() const { return rows_; }
  [[nodiscard]] Row find(std::int64_t id) const;

  /// Puts the row (null: nothing) where the one with that id is; `exists` when a unique index has
  /// its values already, and then nothing is changed.
  bureau::Result<void> put(std::int64_t id, const Row& row);

 private:
  using Key = std::vector<bureau::OwnedValue>;
  struct Unique {
    const bureau::IndexInfo* index;
    bureau::Predicate condition;
    std::map<Key, std::int64_t, ByValue> keys;
  };
  [[nodiscard]] static std::optional<Key> key_of(const Unique& unique, const Row& row);

  const bureau::TableInfo* info_;
  std::map<std::int64_t, Row> rows_;
  std::vector<Unique> uniques_;
};

/// All there is at one moment.
class State {
 public:
  /// One to be changed, which shares its tables with this one until it changes them.
  [[nodiscard]] State next() const;
  /// `invalid` when it was not migrated, or with other columns.
  [[nodiscard]] bureau::Result<const Table*> find(const bureau::TableInfo& info) const;
  [[nodiscard]] bureau::Result<Table*> change(const bureau::TableInfo& info);
  /// Makes the tables what the catalog says. `conflict`: something would be lost.
  bureau::Result<void> migrate(const bureau::Catalog& catalog);

  std::int64_t sequence = 0;  ///< the last number of the journal that was drawn

 private:
  std::map<std::string, std::shared_ptr<Table>, std::less<>> tables_;
  std::set<std::string_view> own_;  ///< the tables that were copied to be changed
};

}  // namespace shelf
