#pragma once

// The newest changes as the feed keeps them for all subscribers.

#include <deque>
#include <mutex>
#include <span>
#include <unordered_map>

#include "access/feed_filter.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// How many records are read in one look.
inline constexpr std::size_t records_a_look = 512;

/// The newest changes, decoded once for all subscribers, and when each table last changed.
class FeedRing {
 public:
  FeedRing(Database& database, std::size_t bytes_max)
      : database_(database), bytes_max_(bytes_max) {}

  void start(std::int64_t head) {
    const std::lock_guard lock(mutex_);
    restart(head);
  }
  /// Reads on, one look's worth. Returns the number through which changes are known, at most
  /// `head`.
  Result<std::int64_t> advance(Reader& reader, std::int64_t head);
  /// Gives the records after `position` up to `limit`; false when they are not all here. The sink
  /// returns false to stop.
  Result<bool> give(std::int64_t position, std::int64_t limit,
                    FunctionRef<Result<bool>(const RecordPtr&)> sink);
  /// Whether one of the tables may have changed after number `after`.
  bool changed(std::span<const TableInfo* const> tables, std::int64_t tenant, std::int64_t after);

 private:
  using Key = std::pair<const TableInfo*, std::int64_t>;
  struct KeyHash {
    std::size_t operator()(const Key& k) const {
      return std::hash<const void*>{}(k.first) ^ std::hash<std::int64_t>{}(k.second);
    }
  };
  static Key key(const TableInfo& table, std::int64_t tenant) {
    return {&table, table.tenant == TableInfo::absent ? 0 : tenant};
  }

  void forget();
  void restart(std::int64_t head);
  void add(JournalRecord&& record);

  Database& database_;
  std::size_t bytes_max_;
  std::mutex mutex_;
  std::deque<RecordPtr> records_;
  std::size_t bytes_ = 0;
  std::int64_t after_ = 0;          // the records after this number are here
  std::int64_t through_ = 0;        // up to this one
  std::int64_t unknown_until_ = 0;  // of changes up to here, `changes_` knows nothing
  std::unordered_map<Key, std::int64_t, KeyHash> changes_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
