#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/identity.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

struct Webhook;

/// What became of a notification as a whole; kept with its deliveries. The order is frozen.
enum class NotificationStatus {
  queued,      ///< all that is to be sent is still to be sent
  processing,  ///< some of it
  completed,   ///< every channel has ended, one at least with success
  skipped,     ///< nothing was to be sent: `reason` says why
  failed,      ///< every channel has ended, none with success
};
template <>
inline constexpr auto names<NotificationStatus> = enum_names("queued", "processing", "completed",
                                                             "skipped", "failed");

struct NotificationTransition {
  NotificationStatus from, to;
};
/// Every edge there is (docs/notifications.md has the picture). Back from an end leads a delivery
/// that is tried again, or news that came late.
inline constexpr std::array notification_transitions{
    NotificationTransition{NotificationStatus::queued, NotificationStatus::processing},
    NotificationTransition{NotificationStatus::queued, NotificationStatus::completed},
    NotificationTransition{NotificationStatus::queued, NotificationStatus::skipped},
    NotificationTransition{NotificationStatus::queued, NotificationStatus::failed},
    NotificationTransition{NotificationStatus::processing, NotificationStatus::queued},
    NotificationTransition{NotificationStatus::processing, NotificationStatus::completed},
    NotificationTransition{NotificationStatus::processing, NotificationStatus::failed},
    NotificationTransition{NotificationStatus::completed, NotificationStatus::failed},
    NotificationTransition{NotificationStatus::failed, NotificationStatus::queued},
    NotificationTransition{NotificationStatus::failed, NotificationStatus::processing},
    NotificationTransition{NotificationStatus::failed, NotificationStatus::completed},
};

/// What is known of one message over one channel. The order is frozen, and is that of the evidence:
/// news may only lead forward in it, so that it may come twice and in any order.
enum class DeliveryStatus {
  queued,
  in_doubt,   ///< it may have been sent; nobody knows
  skipped,    ///< `skip_reason` says why
  cancelled,  ///< its task was
  sent,       ///< the channel has taken it
  failed,     ///< the channel refused it, or gave up
  bounced,
  delivered,
  read,
};
template <>
inline constexpr auto names<DeliveryStatus> = enum_names("queued", "in_doubt", "skipped",
                                                         "cancelled", "sent", "failed", "bounced",
                                                         "delivered", "read");

/// Why nothing was sent over a channel.
enum class SkipReason {
  preference_off,      ///< the recipient does not want it there
  recipient_inactive,  ///< he has no active account
  webhook_disabled,    ///< by a person, or after too many failures
};
template <>
inline constexpr auto names<SkipReason> = enum_names("preference_off", "recipient_inactive",
                                                     "webhook_disabled");

/// One fact that one recipient is told of, once: unique by recipient, event and key.
struct Notification {
  Id<Notification> id;
  Id<Tenant> tenant;
  std::string event;                   ///< such as "ticket.assigned"
  std::optional<Id<User>> user;        ///< the recipient: a user,
  std::optional<Id<Webhook>> webhook;  ///< or a webhook
  std::string key;                     ///< the idempotency key that the caller gave
  NotificationStatus status = NotificationStatus::queued;
  std::optional<std::string> reason;  ///< why it was skipped or has failed
  bool critical = false;              ///< preferences do not hold it up
  std::string title;
  std::string body;
  Json data;                      ///< null or an object
  std::optional<Id<User>> actor;  ///< who did what it tells of; none: an agent or the system
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// The message of one notification over one channel. Written by the library alone.
struct NotificationDelivery {
  Id<NotificationDelivery> id;
  Id<Tenant> tenant;
  Id<Notification> notification;
  std::string channel;
  DeliveryStatus status = DeliveryStatus::queued;
  std::optional<SkipReason> skip_reason;
  std::optional<std::string> reason;       ///< of a skip, a failure or a doubt, for people
  std::optional<Id<Task>> task;            ///< that sends it; none for the inbox, and when skipped
  std::int64_t attempts = 0;               ///< that failed
  std::optional<std::string> external_id;  ///< the channel's own name for the message
  std::optional<Timestamp> sent_at, delivered_at, read_at, failed_at;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// A channel that some program of this office has a notifier for. Of no tenant; written when a
/// DeliveryAgent is registered.
struct NotificationChannel {
  Id<NotificationChannel> id;
  std::string name;
  std::string identity;    ///< of its notifier; another one is refused
  bool takes_key = false;  ///< the same key twice is one message
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// What a user wants to be told of, and where. "*" stands for every event, or every channel.
struct NotificationPreference {
  Id<NotificationPreference> id;
  Id<Tenant> tenant;
  Id<User> user;
  std::string event;
  std::string channel;
  bool enabled = true;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// Where an item of an inbox is. The order is frozen.
enum class InboxState { unseen, seen, read, archived };
template <>
inline constexpr auto names<InboxState> = enum_names("unseen", "seen", "read", "archived");

struct InboxTransition {
  InboxState from, to;
};
/// Every legal edge; any other is `conflict`. What is read or archived has been seen.
inline constexpr std::array inbox_transitions{
    InboxTransition{InboxState::unseen, InboxState::seen},
    InboxTransition{InboxState::unseen, InboxState::read},
    InboxTransition{InboxState::unseen, InboxState::archived},
    InboxTransition{InboxState::seen, InboxState::read},
    InboxTransition{InboxState::seen, InboxState::archived},
    InboxTransition{InboxState::read, InboxState::seen},  // marked unread
    InboxTransition{InboxState::read, InboxState::archived},
    InboxTransition{InboxState::archived, InboxState::seen},  // taken out again
    InboxTransition{InboxState::archived, InboxState::read},
};
[[nodiscard]] constexpr bool may_become(InboxState from, InboxState to) {
  for (const auto& t : inbox_transitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

/// A notification in a user's inbox. Written by the library alone: see Inbox.
struct InboxItem {
  Id<InboxItem> id;
  Id<Tenant> tenant;
  Id<User> user;
  Id<Notification> notification;
  std::string event;
  std::string title;
  std::string body;
  Json data;
  std::optional<Id<User>> actor;
  InboxState state = InboxState::unseen;
  std::optional<Timestamp> seen_at, read_at, archived_at;
  std::optional<Timestamp> snoozed_until;  ///< out of sight until then
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// An address outside the office that is told of events over HTTP.
struct Webhook {
  Id<Webhook> id;
  Id<Tenant> tenant;
  std::string name;
  std::string url;
  std::string secret;               ///< signs what it is sent
  std::vector<std::string> events;  ///< "*" stands for every one
  bool enabled = true;
  std::int64_t failures = 0;                   ///< attempts in a row
  std::optional<std::string> disabled_reason;  ///< none: it is enabled
  std::optional<Timestamp> last_success_at;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<Webhook> = table(
    "webhooks", "whk", journal::full, column("id", &Webhook::id),
    column("tenant", &Webhook::tenant), column("name", &Webhook::name, max_length(100)),
    column("url", &Webhook::url, max_length(2000)),
    column("secret", &Webhook::secret, max_length(200), secret), column("events", &Webhook::events),
    column("enabled", &Webhook::enabled), column("failures", &Webhook::failures),
    column("disabled_reason", &Webhook::disabled_reason, max_length(1000)),
    column("last_success_at", &Webhook::last_success_at), column("version", &Webhook::version),
    column("created_at", &Webhook::created_at), column("updated_at", &Webhook::updated_at),
    unique_index("name", "tenant", "name"));
template <>
inline constexpr auto schema<Notification> = table(
    "notifications", "ntf", journal::full, column("id", &Notification::id),
    column("tenant", &Notification::tenant),
    column("event", &Notification::event, max_length(100), immutable),
    column("user", &Notification::user, personal_subject, immutable),
    column("webhook", &Notification::webhook, immutable),
    column("key", &Notification::key, max_length(200), immutable),
    column("status", &Notification::status),
    column("reason", &Notification::reason, max_length(1000)),
    column("critical", &Notification::critical, immutable),
    column("title", &Notification::title, max_length(500), personal, immutable),
    column("body", &Notification::body, max_length(20'000), personal, immutable),
    column("data", &Notification::data, personal, immutable),
    column("actor", &Notification::actor, immutable), column("version", &Notification::version),
    column("created_at", &Notification::created_at),
    column("updated_at", &Notification::updated_at),
    unique_index("user_key", "tenant", "user", "event", "key").where("user is not null"),
    unique_index("webhook_key", "tenant", "webhook", "event", "key").where("webhook is not null"));
template <>
inline constexpr auto schema<NotificationDelivery> = table(
    "notification_deliveries", "ndl", journal::full, column("id", &NotificationDelivery::id),
    column("tenant", &NotificationDelivery::tenant),
    column("notification", &NotificationDelivery::notification, immutable),
    column("channel", &NotificationDelivery::channel, max_length(64), immutable),
    column("status", &NotificationDelivery::status),
    column("skip_reason", &NotificationDelivery::skip_reason),
    column("reason", &NotificationDelivery::reason, max_length(1000)),
    column("task", &NotificationDelivery::task),
    column("attempts", &NotificationDelivery::attempts),
    column("external_id", &NotificationDelivery::external_id, max_length(200)),
    column("sent_at", &NotificationDelivery::sent_at),
    column("delivered_at", &NotificationDelivery::delivered_at),
    column("read_at", &NotificationDelivery::read_at),
    column("failed_at", &NotificationDelivery::failed_at),
    column("version", &NotificationDelivery::version),
    column("created_at", &NotificationDelivery::created_at),
    column("updated_at", &NotificationDelivery::updated_at),
    unique_index("channel", "notification", "channel"),
    index("open", "tenant", "status").where("status < \"skipped\""),
    index("external_id", "tenant", "channel", "external_id").where("external_id is not null"));
template <>
inline constexpr auto schema<NotificationChannel> =
    table("notification_channels", "nch", journal::none, column("id", &NotificationChannel::id),
          column("name", &NotificationChannel::name, max_length(64)),
          column("identity", &NotificationChannel::identity, max_length(200)),
          column("takes_key", &NotificationChannel::takes_key),
          column("version", &NotificationChannel::version),
          column("created_at", &NotificationChannel::created_at),
          column("updated_at", &NotificationChannel::updated_at), unique_index("name", "name"));
template <>
inline constexpr auto schema<NotificationPreference> = table(
    "notification_preferences", "npr", journal::full, column("id", &NotificationPreference::id),
    column("tenant", &NotificationPreference::tenant),
    column("user", &NotificationPreference::user, immutable),
    column("event", &NotificationPreference::event, max_length(100), immutable),
    column("channel", &NotificationPreference::channel, max_length(64), immutable),
    column("enabled", &NotificationPreference::enabled),
    column("version", &NotificationPreference::version),
    column("created_at", &NotificationPreference::created_at),
    column("updated_at", &NotificationPreference::updated_at),
    unique_index("place", "user", "event", "channel"));
template <>
inline constexpr auto schema<InboxItem> = table(
    "inbox_items", "inb", journal::full, column("id", &InboxItem::id),
    column("tenant", &InboxItem::tenant),
    column("user", &InboxItem::user, personal_subject, immutable),
    column("notification", &InboxItem::notification, immutable),
    column("event", &InboxItem::event, max_length(100), immutable),
    column("title", &InboxItem::title, max_length(500), personal, searchable, immutable),
    column("body", &InboxItem::body, max_length(20'000), personal, searchable, immutable),
    column("data", &InboxItem::data, personal, immutable),
    column("actor", &InboxItem::actor, immutable), column("state", &InboxItem::state),
    column("seen_at", &InboxItem::seen_at), column("read_at", &InboxItem::read_at),
    column("archived_at", &InboxItem::archived_at),
    column("snoozed_until", &InboxItem::snoozed_until), column("version", &InboxItem::version),
    column("created_at", &InboxItem::created_at), column("updated_at", &InboxItem::updated_at),
    unique_index("notification", "notification"), index("user", "user"),
    index("unread", "user").where("state < \"read\""));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Webhook);
BUREAU_DECLARE_ENTITY(bureau::Notification);
BUREAU_DECLARE_ENTITY(bureau::NotificationDelivery);
BUREAU_DECLARE_ENTITY(bureau::NotificationChannel);
BUREAU_DECLARE_ENTITY(bureau::NotificationPreference);
BUREAU_DECLARE_ENTITY(bureau::InboxItem);
