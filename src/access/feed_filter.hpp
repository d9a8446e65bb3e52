#pragma once

// Which changes a subscriber hears of: the judging half of the feed.

#include "access/rights.hpp"
#include "bureau/access/feed.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

using RecordPtr = std::shared_ptr<const JournalRecord>;

/// One event on its way to a subscriber.
struct JudgedEvent {
  FeedKind kind = FeedKind::resync;
  std::int64_t sequence = 0;
  RecordPtr record;  // null for resync and gone
  const Change* change = nullptr;
};

/// What a session may see of a table and has asked for.
class FeedFilter {
 public:
  FeedFilter(const Session& session, const TableInfo& table, Predicate where)
      : session_(session), table_(table), where_(std::move(where)) {}

  /// `invalid` for what cannot be subscribed to.
  [[nodiscard]] Result<void> check() const;
  /// Takes the rights as the snapshot has them; a principal that may do nothing sees nothing. True
  /// when other rows than before may be in sight.
  [[nodiscard]] Result<bool> refresh(Reader& reader);
  /// Whether rights are denied altogether, and why.
  [[nodiscard]] const std::optional<Error>& denied() const { return denied_; }
  /// Adds what the subscriber hears of the record's changes after number `after`.
  [[nodiscard]] Result<void> judge(Reader& reader, const RecordPtr& record, std::int64_t after,
                                   std::vector<JudgedEvent>& out) const;
  /// The tables on whose rows it depends which rows are in sight.
  [[nodiscard]] std::span<const TableInfo* const> reads() const { return rule_.reads; }
  [[nodiscard]] std::int64_t tenant() const { return session_.principal().tenant.value; }
  /// Whether rights, or what the rule reads, have changed after number `after`: what the journal
  /// says, for one who was away.
  [[nodiscard]] Result<bool> changed_since(Reader& reader, std::int64_t after) const;

  /// What an event points to besides its record.
  struct Scratch {
    std::vector<std::uint16_t> changed;
    std::vector<Value> before, after;
  };
  [[nodiscard]] FeedEvent event(const JudgedEvent& judged, Scratch& scratch) const;

 private:
  [[nodiscard]] Result<bool> sees(Reader& reader, std::span<const Value> row) const;
  [[nodiscard]] std::span<const Value> shown(std::span<const Value> row,
                                             std::vector<Value>& scratch) const;
  /// What is heard of an update that may have brought a row into sight, or taken it out of it, when
  /// the journal does not say what was. None: nothing.
  [[nodiscard]] Result<std::optional<FeedKind>> heard_of(Reader& reader,
                                                         const Change& change) const;

  Session session_;
  const TableInfo& table_;
  Predicate where_;
  bool fresh_ = true;
  std::shared_ptr<const Rights> rights_;  // null: denied
  std::optional<Error> denied_;
  const BoundRule* visible_ = nullptr;                    // what rights_ lets be seen
  BoundRule rule_;                                        // that, and where_
  std::vector<std::uint16_t> visible_columns_, columns_;  // that each is about
};

}  // namespace detail
BUREAU_END_NAMESPACE
