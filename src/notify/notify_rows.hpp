#pragma once

// What a notification must obey, and how its rows are kept in step: the inside of notify/.

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/notify/notifications.hpp"
#include "bureau/notify/notifier.hpp"
#include "store/row_values.hpp"

BUREAU_BEGIN_NAMESPACE
namespace notify::inside {

inline constexpr std::size_t max_event = 100, max_key = 200, max_title = 500, max_body = 20'000,
                             max_reason = 1000, max_external_id = 200;
inline constexpr std::size_t max_data_bytes = 64 * 1024;

/// In quotes, shortened, without control characters: for an error.
[[nodiscard]] std::string quoted(std::string_view text);
/// Cut to what a column takes; what is not valid text becomes a note that it was not.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t max_code_points);

// Input, before anything is written: `invalid` names the field, the value and the rule.
/// Valid text of at most so many code points that says something.
[[nodiscard]] Result<void> check_text(std::string_view field, std::string_view text,
                                      std::size_t max_code_points);
/// The name of an event: not "*".
[[nodiscard]] Result<void> check_event(std::string_view event);
[[nodiscard]] Result<void> check_content(std::string_view title, std::string_view body,
                                         const Json& data);

template <Entity T>
[[nodiscard]] std::string shown(Id<T> id) {
  return id::to_text(schema<T>.prefix, id.value);
}
template <class E>
[[nodiscard]] std::string_view name_of(E value) {
  return names<E>[static_cast<std::size_t>(value)];
}

// Rows that are the library's business, whoever acts.
template <Entity T>
[[nodiscard]] Result<std::vector<T>> rows_of(Reader& reader, const Select& which) {
  std::vector<T> rows;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> values) -> Result<bool> {
    from_values(values, rows.emplace_back());
    return true;
  }));
  return rows;
}
/// The tenant's row of that id.
template <Entity T>
[[nodiscard]] Result<std::optional<T>> find_row(Reader& reader, Id<Tenant> tenant, Id<T> id) {
  BUREAU_TRY(
      auto rows,
      rows_of<T>(
          reader,
          bureau::select<T>().where(col(&T::id) == id && col(&T::tenant) == tenant).limit(1)));
  if (rows.empty()) return std::optional<T>();
  return std::optional<T>(std::move(rows.front()));
}
template <Entity T>
[[nodiscard]] Result<T> insert_row(Unit& unit, T row) {
  if (!row.id) {
    BUREAU_TRY(row.id.value, unit.transaction().next_id());
  }
  row.tenant = unit.session().principal().tenant;
  row.version = 1;
  row.created_at = row.updated_at = unit.now();
  BUREAU_TRY_VOID(
      unit.transaction().insert(table_of<T>(), bureau::detail::RowValues(row).values()));
  return row;
}
template <Entity T>
[[nodiscard]] Result<T> replace_row(Unit& unit, const T& before, T after) {
  after.version = before.version + 1;
  after.updated_at = std::max(unit.now(), before.created_at);  // the clock may have stepped back
  BUREAU_TRY_VOID(unit.transaction().replace(table_of<T>(),
                                             bureau::detail::RowValues(before).values(),
                                             bureau::detail::RowValues(after).values()));
  return after;
}

/// The inbox and the announced channels, by name.
[[nodiscard]] Result<std::vector<NotificationChannel>> known_channels(Reader& reader);
/// `invalid` names the field, the channel and those that there are.
[[nodiscard]] Result<NotificationChannel> channel_named(
    const std::vector<NotificationChannel>& channels, std::string_view field,
    std::string_view name);

struct Skip {
  SkipReason why = SkipReason::preference_off;
  std::string reason;
};
/// Whether the recipient is not to be told over this channel, and why.
[[nodiscard]] Result<std::optional<Skip>> skip_of(Reader& reader, const Notification& notification,
                                                  std::string_view channel);

/// Brings a notification up to what its deliveries say.
[[nodiscard]] Result<void> follow_deliveries(Unit& unit, Id<Notification> id);
[[nodiscard]] NotificationStatus status_of(const std::vector<NotificationDelivery>& deliveries);

/// The row as the news leaves it; the same when it says nothing new. `conflict` for a message that
/// was skipped. `own_attempt`: it is the answer to the attempt after the failure that is recorded.
[[nodiscard]] Result<NotificationDelivery> with_receipt(const NotificationDelivery& before,
                                                        const Receipt& receipt, Timestamp at,
                                                        bool own_attempt);
/// The row as its task leaves it; the same when that says nothing.
[[nodiscard]] NotificationDelivery with_task(const NotificationDelivery& before, const Task& task,
                                             Timestamp now);
/// Ends a task in doubt whose message is known to have been taken.
[[nodiscard]] Result<void> end_doubt(Unit& unit, const NotificationDelivery& delivery,
                                     std::string_view reason);

}  // namespace notify::inside
BUREAU_END_NAMESPACE
