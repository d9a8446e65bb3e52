#include "access/feed_filter.hpp"

#include <fmt/format.h>

#include <algorithm>

BUREAU_BEGIN_NAMESPACE

std::string_view to_string(FeedKind kind) noexcept {
  switch (kind) {
    case FeedKind::insert:
      return "insert";
    case FeedKind::update:
      return "update";
    case FeedKind::remove:
      return "remove";
    case FeedKind::resync:
      return "resync";
    case FeedKind::gone:
      return "gone";
  }
  return "resync";
}

namespace detail {

namespace {

void collect_columns(const Predicate::NodePtr& node, std::vector<std::uint16_t>& out) {
  if (node == nullptr) return;
  if (node->column != nullptr) out.push_back(node->column->index);
  for (const auto& child : node->children) collect_columns(child, out);
}

bool one_of(std::span<const std::uint16_t> changed, const std::vector<std::uint16_t>& columns) {
  return std::any_of(changed.begin(), changed.end(), [&](std::uint16_t column) {
    return std::find(columns.begin(), columns.end(), column) != columns.end();
  });
}

bool names_secret(const Predicate::NodePtr& node) {
  if (node == nullptr) return false;
  return (node->column != nullptr && node->column->secret) ||
         std::any_of(node->children.begin(), node->children.end(), names_secret);
}

}  // namespace

Result<void> FeedFilter::check() const {
  if (table_.journal == journal::Mode::none) {
    return fail(
        Code::invalid,
        fmt::format("{}: the table has no journal, so that nothing can be told of it", table_.name),
        "table");
  }
  if (where_.uses_now()) {
    return fail(Code::invalid, "now(): rows would come into sight without a change", "where");
  }
  if (names_secret(where_.node())) {
    return fail(Code::forbidden, "where: a secret column cannot be compared", "where");
  }
  return {};
}

Result<bool> FeedFilter::refresh(Reader& reader) {
  auto rights = session_.state().live->as_of(reader);
  if (!rights && rights.error().code != Code::forbidden && rights.error().code != Code::not_found) {
    return fail(std::move(rights).error());
  }
  std::shared_ptr<const Rights> now = rights ? *rights : nullptr;
  denied_ = rights ? std::nullopt : std::optional<Error>(rights.error());
  if (!fresh_ && now == rights_) return false;
  Predicate predicate = Predicate::never();
  visible_ = nullptr;
  if (now) {
    BUREAU_TRY(visible_, now->rule(table_, RuleKind::select));
    auto asked = now->admit(where_, Timestamp());
    // Once a column is hidden that he asked about, he hears nothing more.
    if (!asked && (fresh_ || asked.error().code != Code::forbidden)) {
      return fail(std::move(asked).error());
    }
    if (asked) predicate = visible_->predicate && *asked;
  }
  std::string text = predicate.to_text();
  if (now) {
    for (const ColumnInfo& column : table_.columns) {
      if (now->hides(column)) text.append(" hidden ").append(column.name);
    }
  }
  const bool other = !fresh_ && text != rule_.text;
  fresh_ = false;
  rights_ = std::move(now);
  rule_ = BoundRule{predicate, predicate.is_never(), false, predicate.reads(), std::move(text)};
  rule_.selects = !rule_.reads.empty();
  columns_.clear();
  visible_columns_.clear();
  collect_columns(predicate.node(), columns_);
  if (visible_ != nullptr) collect_columns(visible_->predicate.node(), visible_columns_);
  return other;
}

Result<bool> FeedFilter::sees(Reader& reader, std::span<const Value> row) const {
  if (row.empty()) return false;
  return satisfies(rule_, reader, row);
}

Result<std::optional<FeedKind>> FeedFilter::heard_of(Reader& reader, const Change& change) const {
  BUREAU_TRY(const bool now, sees(reader, change.after));
  if (now) return FeedKind::insert;
  // He may see the row, and only did not ask for it as it is now: to name it tells nothing.
  BUREAU_TRY(const bool visible, satisfies(*visible_, reader, change.after));
  if (visible) return FeedKind::remove;
  if (one_of(change.changed, visible_columns_)) return FeedKind::resync;
  return std::nullopt;  // as little in sight before as now
}

Result<void> FeedFilter::judge(Reader& reader, const RecordPtr& record, std::int64_t after,
                               std::vector<JudgedEvent>& out) const {
  if (&record->table() != &table_ || rule_.never) return {};
  if (table_.tenant != TableInfo::absent && record->tenant() != tenant()) return {};
  for (const Change& change : record->changes()) {
    if (change.sequence <= after) continue;
    // An update of a table whose journal is `after` does not say what was.
    const bool unknown = change.kind == ChangeKind::update && change.before.empty();
    if (unknown && one_of(change.changed, columns_)) {
      BUREAU_TRY(const auto heard, heard_of(reader, change));
      if (!heard) continue;
      if (*heard != FeedKind::resync) {
        out.push_back({*heard, change.sequence, record, &change});
      } else if (out.empty() || out.back().kind != FeedKind::resync) {
        out.push_back({FeedKind::resync, change.sequence, nullptr, nullptr});
      } else {
        out.back().sequence = change.sequence;
      }
      continue;
    }
    BUREAU_TRY(const bool now, sees(reader, change.after));
    bool before = now;
    if (!unknown) {
      BUREAU_TRY(before, sees(reader, change.before));
    }
    if (!before && !now) continue;
    const FeedKind kind = before && now ? FeedKind::update
                          : now         ? FeedKind::insert
                                        : FeedKind::remove;
    out.push_back({kind, change.sequence, record, &change});
  }
  return {};
}

Result<bool> FeedFilter::changed_since(Reader& reader, std::int64_t after) const {
  std::vector<Database::RightsTable> tables;
  if (!session_.principal().system) tables = identity_tables();
  for (const TableInfo* table : rule_.reads) tables.push_back({table, true, false});
  BUREAU_TRY(const std::int64_t last,
             session_.database().last_change(reader, tables, tenant(), after));
  return last > after;
}

std::span<const Value> FeedFilter::shown(std::span<const Value> row,
                                         std::vector<Value>& scratch) const {
  scratch.assign(row.begin(), row.end());
  for (const ColumnInfo& column : table_.columns) {
    if (column.index < scratch.size() && rights_->hides(column)) scratch[column.index] = Value();
  }
  return scratch;
}

FeedEvent FeedFilter::event(const JudgedEvent& judged, Scratch& scratch) const {
  FeedEvent event;
  event.kind = judged.kind;
  event.sequence = judged.sequence;
  if (judged.change == nullptr) return event;
  const Change& change = *judged.change;
  event.table = &table_;
  const auto row = change.after.empty() ? change.before : change.after;
  event.id = row[0].as_integer();
  event.at = judged.record->at();
  if (session_.principal().system) event.actor = judged.record->actor();
  if (judged.kind == FeedKind::remove) return event;
  const bool hides = rights_ != nullptr && rights_->hides_some(table_);
  event.after = hides ? shown(change.after, scratch.after) : change.after;
  if (judged.kind == FeedKind::insert) return event;
  event.before = hides ? shown(change.before, scratch.before) : change.before;
  event.changed = change.changed;
  if (!hides && !has_secrets(table_)) return event;
  scratch.changed.clear();
  for (const std::uint16_t place : change.changed) {
    const ColumnInfo& column = table_.columns[place];
    if (!column.secret && !(hides && rights_->hides(column))) scratch.changed.push_back(place);
  }
  event.changed = scratch.changed;
  return event;
}

}  // namespace detail
BUREAU_END_NAMESPACE
