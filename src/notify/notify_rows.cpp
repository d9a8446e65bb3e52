#include "notify/notify_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/work/tasks.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace notify::inside {

// Input ----------------------------------------------------------------------------------------

std::string quoted(std::string_view text) { return bureau::detail::shown_text(ColumnInfo{}, text); }

std::string fitted(std::string_view text, std::size_t max_code_points) {
  if (!is_valid_text(text)) return "(the text was not valid UTF-8)";
  if (count_code_points(text) <= max_code_points) return std::string(text);
  std::size_t end = max_code_points;  // bytes: never more code points than that
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

Result<void> check_text(std::string_view field, std::string_view text,
                        std::size_t max_code_points) {
  const auto refuse = [&](std::string rule) {
    return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
  };
  if (!is_valid_text(text)) {
    return refuse(fmt::format("{} bytes that are not valid UTF-8 without NUL", text.size()));
  }
  if (const std::size_t size = count_code_points(text); size > max_code_points) {
    return refuse(fmt::format("{} characters, the limit is {}", size, max_code_points));
  }
  if (text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos) {
    return refuse("it is empty; it must say something");
  }
  return {};
}

Result<void> check_event(std::string_view event) {
  BUREAU_TRY_VOID(check_text("event", event, max_event));
  if (event != "*") return {};
  return fail(Code::invalid, "event: \"*\" stands for every event; name one", "event");
}

Result<void> check_content(std::string_view title, std::string_view body, const Json& data) {
  BUREAU_TRY_VOID(check_text("title", title, max_title));
  if (!body.empty()) BUREAU_TRY_VOID(check_text("body", body, max_body));
  if (data.is_null()) return {};
  if (data.as_object() == nullptr) {
    return fail(Code::invalid, fmt::format("data: {} is not an object", quoted(data.dump())),
                "data");
  }
  if (const std::size_t size = data.dump().size(); size > max_data_bytes) {
    return fail(Code::invalid,
                fmt::format("data: {} bytes of JSON, the limit is {}", size, max_data_bytes),
                "data");
  }
  return {};
}

// Channels and preferences ---------------------------------------------------------------------

Result<std::vector<NotificationChannel>> known_channels(Reader& reader) {
  BUREAU_TRY(auto channels,
             rows_of<NotificationChannel>(reader, bureau::select<NotificationChannel>()));
  NotificationChannel inbox;
  inbox.name = in_app_channel;
  inbox.identity = "bureau-inbox/1";
  inbox.takes_key = true;
  channels.push_back(std::move(inbox));
  std::sort(channels.begin(), channels.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return channels;
}

Result<NotificationChannel> channel_named(const std::vector<NotificationChannel>& channels,
                                          std::string_view field, std::string_view name) {
  std::string there;
  for (const NotificationChannel& channel : channels) {
    if (channel.name == name) return channel;
    there += (there.empty() ? "" : ", ") + channel.name;
  }
  return fail(
      Code::invalid,
      fmt::format("{}: {} is no channel of this office; there are {}", field, quoted(name), there),
      std::string(field));
}

namespace {

/// The higher, the more exact.
int exactness(const NotificationPreference& preference) {
  return (preference.event != "*" ? 2 : 0) + (preference.channel != "*" ? 1 : 0);
}

Result<std::optional<Skip>> skip_of_user(Reader& reader, const Notification& notification,
                                         std::string_view channel) {
  BUREAU_TRY(const auto user, find_row(reader, notification.tenant, *notification.user));
  if (!user || user->status == UserStatus::disabled || user->status == UserStatus::erased) {
    return std::optional<Skip>(
        {SkipReason::recipient_inactive,
         fmt::format("user: {} has no active account", shown(*notification.user))});
  }
  if (notification.critical) return std::optional<Skip>();
  const std::vector<std::string> events = {notification.event, "*"};
  const std::vector<std::string> places = {std::string(channel), "*"};
  BUREAU_TRY(const auto preferences,
             rows_of<NotificationPreference>(
                 reader, bureau::select<NotificationPreference>().where(
                             col(&NotificationPreference::tenant) == notification.tenant &&
                             col(&NotificationPreference::user) == *notification.user &&
                             col(&NotificationPreference::event).in(events) &&
                             col(&NotificationPreference::channel).in(places))));
  const auto best =
      std::max_element(preferences.begin(), preferences.end(),
                       [](const auto& a, const auto& b) { return exactness(a) < exactness(b); });
  if (best == preferences.end() || best->enabled) return std::optional<Skip>();
  return std::optional<Skip>(
      {SkipReason::preference_off,
       fmt::format("the recipient's preference for event {} on channel {} is off",
                   quoted(best->event), quoted(best->channel))});
}

}  // namespace

Result<std::optional<Skip>> skip_of(Reader& reader, const Notification& notification,
                                    std::string_view channel) {
  if (notification.user) return skip_of_user(reader, notification, channel);
  if (!notification.webhook) {
    return fail(Code::corrupt,
                fmt::format("notification {}: it has no recipient", shown(notification.id)));
  }
  BUREAU_TRY(const auto webhook, find_row(reader, notification.tenant, *notification.webhook));
  if (webhook && webhook->enabled) return std::optional<Skip>();
  return std::optional<Skip>(
      {SkipReason::webhook_disabled,
       webhook ? fmt::format("the webhook {} is disabled: {}", quoted(webhook->name),
                             webhook->disabled_reason.value_or("no reason was given"))
               : fmt::format("the webhook {} is gone", shown(*notification.webhook))});
}

// Keeping in step ------------------------------------------------------------------------------

NotificationStatus status_of(const std::vector<NotificationDelivery>& deliveries) {
  std::size_t open = 0, good = 0, bad = 0;
  for (const NotificationDelivery& delivery : deliveries) {
    switch (delivery.status) {
      case DeliveryStatus::queued:
      case DeliveryStatus::in_doubt:
        ++open;
        break;
      case DeliveryStatus::sent:
      case DeliveryStatus::delivered:
      case DeliveryStatus::read:
        ++good;
        break;
      case DeliveryStatus::cancelled:
      case DeliveryStatus::failed:
      case DeliveryStatus::bounced:
        ++bad;
        break;
      case DeliveryStatus::skipped:
        break;
    }
  }
  if (open > 0) {
    return good + bad > 0 ? NotificationStatus::processing : NotificationStatus::queued;
  }
  if (good > 0) return NotificationStatus::completed;
  return bad > 0 ? NotificationStatus::failed : NotificationStatus::skipped;
}

Result<void> follow_deliveries(Unit& unit, Id<Notification> id) {
  Reader& reader = unit.transaction().reader();
  BUREAU_TRY(const auto before, find_row(reader, unit.session().principal().tenant, id));
  if (!before) return {};  // it was removed; its deliveries end for themselves
  BUREAU_TRY(
      const auto deliveries,
      rows_of<NotificationDelivery>(reader, bureau::select<NotificationDelivery>().where(
                                                col(&NotificationDelivery::notification) == id)));
  Notification after = *before;
  after.status = status_of(deliveries);
  after.reason.reset();
  if (after.status == NotificationStatus::failed || after.status == NotificationStatus::skipped) {
    for (const NotificationDelivery& delivery : deliveries) {
      if (delivery.reason && !after.reason) after.reason = delivery.reason;
    }
  }
  if (after.status == before->status && after.reason == before->reason) return {};
  BUREAU_TRY_VOID(replace_row(unit, *before, std::move(after)));
  return {};
}

namespace {

DeliveryStatus status_of(ReceiptStatus receipt) {
  switch (receipt) {
    case ReceiptStatus::none:
      return DeliveryStatus::queued;
    case ReceiptStatus::sent:
      return DeliveryStatus::sent;
    case ReceiptStatus::delivered:
      return DeliveryStatus::delivered;
    case ReceiptStatus::read:
      return DeliveryStatus::read;
    case ReceiptStatus::bounced:
      return DeliveryStatus::bounced;
    case ReceiptStatus::failed:
      return DeliveryStatus::failed;
  }
  return DeliveryStatus::queued;
}

/// The first moment that was told of stays.
void note(std::optional<Timestamp>& moment, Timestamp at) {
  if (!moment || at < *moment) moment = at;
}

}  // namespace

Result<NotificationDelivery> with_receipt(const NotificationDelivery& before,
                                          const Receipt& receipt, Timestamp at, bool own_attempt) {
  if (before.status == DeliveryStatus::skipped) {
    return fail(Code::conflict,
                fmt::format("status: delivery {} was skipped; nothing was sent", shown(before.id)),
                "status");
  }
  NotificationDelivery after = before;
  const DeliveryStatus says = status_of(receipt.status);
  const bool bad = says == DeliveryStatus::failed || says == DeliveryStatus::bounced;
  if (!receipt.external_id.empty()) after.external_id = receipt.external_id;
  if (says > after.status || (own_attempt && before.status == DeliveryStatus::failed)) {
    after.status = says;
    after.reason.reset();
    if (bad) after.reason = fitted(receipt.reason, max_reason);
  }
  if (says == DeliveryStatus::sent) note(after.sent_at, at);
  if (says == DeliveryStatus::delivered) note(after.delivered_at, at);
  if (says == DeliveryStatus::read) note(after.read_at, at);
  if (bad) note(after.failed_at, at);
  return after;
}

NotificationDelivery with_task(const NotificationDelivery& before, const Task& task,
                               Timestamp now) {
  NotificationDelivery after = before;
  const bool open =
      before.status == DeliveryStatus::queued || before.status == DeliveryStatus::in_doubt;
  if (!open) return after;
  const auto become = [&](DeliveryStatus status) {
    if (after.status == status) return;
    after.status = status;
    after.reason = task.error ? std::optional(fitted(*task.error, max_reason)) : std::nullopt;
  };
  switch (task.status) {
    case TaskStatus::in_doubt:
      become(DeliveryStatus::in_doubt);
      break;
    case TaskStatus::dead:
      become(DeliveryStatus::failed);
      note(after.failed_at, now);
      break;
    case TaskStatus::cancelled:
      become(DeliveryStatus::cancelled);
      break;
    case TaskStatus::completed:  // somebody who knew has said so
      become(DeliveryStatus::sent);
      note(after.sent_at, now);
      break;
    case TaskStatus::scheduled:
    case TaskStatus::ready:
    case TaskStatus::running:
    case TaskStatus::waiting:
      become(DeliveryStatus::queued);
      break;
  }
  return after;
}

Result<void> end_doubt(Unit& unit, const NotificationDelivery& delivery, std::string_view reason) {
  if (!delivery.task || delivery.status < DeliveryStatus::sent) return {};
  BUREAU_TRY(const auto task,
             find_row(unit.transaction().reader(), delivery.tenant, *delivery.task));
  if (!task || task->status != TaskStatus::in_doubt) return {};
  BUREAU_TRY_VOID(Tasks{Scope(unit)}.resolve(task->id, TaskStatus::completed, reason));
  return {};
}

}  // namespace notify::inside
BUREAU_END_NAMESPACE
