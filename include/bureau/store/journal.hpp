#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "bureau/core/timestamp.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

class Database;
class Transaction;
namespace detail {
class JournalDecoder;
}

enum class ChangeKind : std::uint8_t { insert, update, remove };
[[nodiscard]] std::string_view to_string(ChangeKind kind) noexcept;

/// What happened to one row. Rows are whole, in the order of the table's columns as this program
/// declares them (columns that the record did not know are null); secret values are null.
struct Change {
  std::int64_t sequence = 0;
  ChangeKind kind = ChangeKind::insert;
  std::span<const Value> before;  ///< empty for an insert, and where the table's journal is `after`
  std::span<const Value> after;   ///< empty for a removal
  /// For an update: which columns changed, secret ones included. Empty otherwise.
  std::span<const std::uint16_t> changed;
};

/// One record: the changes that one statement (or several alike, one after the other) of a
/// transaction made to one table. Owns what its changes point to; movable.
class JournalRecord {
 public:
  JournalRecord() = default;
  JournalRecord(JournalRecord&&) = default;
  JournalRecord& operator=(JournalRecord&&) = default;
  JournalRecord(const JournalRecord&) = delete;  // the changes point into it
  JournalRecord& operator=(const JournalRecord&) = delete;

  [[nodiscard]] const TableInfo& table() const { return *table_; }
  [[nodiscard]] std::int64_t tenant() const { return tenant_; }
  [[nodiscard]] std::int64_t actor() const { return actor_; }
  [[nodiscard]] std::int64_t task() const { return task_; }
  [[nodiscard]] Timestamp at() const { return at_; }
  [[nodiscard]] std::span<const Change> changes() const { return changes_; }
  [[nodiscard]] std::int64_t first_sequence() const { return changes_.front().sequence; }
  [[nodiscard]] std::int64_t last_sequence() const { return changes_.back().sequence; }
  /// Roughly what it holds in memory.
  [[nodiscard]] std::size_t bytes() const {
    return sizeof(*this) + body_.size() * 2 + values_.size() * sizeof(Value) +
           changes_.size() * sizeof(Change) + changed_.size() * sizeof(std::uint16_t);
  }

 private:
  friend class Database;
  friend class detail::JournalDecoder;
  const TableInfo* table_ = nullptr;
  std::int64_t tenant_ = 0, actor_ = 0, task_ = 0;
  Timestamp at_;
  std::vector<Change> changes_;
  std::vector<Value> values_;
  std::vector<std::uint16_t> changed_;
  std::vector<char> body_;          // not a string: a move must not move its bytes
  std::deque<std::string> opened_;  // personal values, unsealed
};

namespace detail {

/// Collects a transaction's changes and writes them as records when its closure has returned.
class Recorder {
 public:
  Recorder(Database& database, Transaction& transaction)
      : database_(database), transaction_(transaction) {}
  Result<void> inserted(const TableInfo& table, std::span<const Value> rows);
  Result<void> updated(const TableInfo& table, std::span<const Value> before,
                       std::span<const Value> after);
  Result<void> removed(const TableInfo& table, std::span<const Value> before);
  Result<void> flush();
  /// A key that this transaction made; remembered for later ones once it has committed.
  struct NewKey {
    std::int64_t subject;
    std::string key;
  };
  [[nodiscard]] std::vector<NewKey>& new_keys() { return new_keys_; }
  [[nodiscard]] bool touched_rights() const { return rights_touched_; }
  /// How many erasures this transaction sees; -1 when it had no need to know.
  [[nodiscard]] std::int64_t seen_erasures() const { return erasures_; }

 private:
  struct Pending {
    const TableInfo* table;
    ChangeKind kind;
    std::int64_t tenant;
    std::int64_t count;
    std::string body;
  };
  Pending& open(const TableInfo& table, ChangeKind kind, std::int64_t tenant);
  Result<void> append_row(const TableInfo& table, std::span<const Value> row, std::string& out);
  Result<void> append_value(const TableInfo& table, const ColumnInfo& column, const Value& value,
                            std::span<const Value> row, std::string& out);
  [[nodiscard]] std::int64_t tenant_of(const TableInfo& table, std::span<const Value> row) const;
  Result<std::string> key_for(std::int64_t subject);
  Result<std::int64_t> erasures();
  Result<void> bump_rights();

  Database& database_;
  Transaction& transaction_;
  std::vector<Pending> pending_;
  std::vector<NewKey> new_keys_;
  std::vector<std::int64_t> touched_rights_;  // the tenants
  bool rights_touched_ = false;
  std::int64_t erasures_ = -1;
};

}  // namespace detail

BUREAU_END_NAMESPACE
