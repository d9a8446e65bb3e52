#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/notify/notification.hpp"

BUREAU_BEGIN_NAMESPACE

/// The channel that is always there: the inbox in the office's own file.
inline constexpr std::string_view in_app_channel = "in_app";
/// The channel that carries to webhooks, when a program has a notifier for it.
inline constexpr std::string_view webhook_channel = "webhook";

struct NewNotification {
  std::string event = {};
  Id<User> user = {};
  /// What makes it the one it is: the same user, event and key again is the same notification.
  std::string key = {};
  std::string title = {};
  std::string body = {};                   ///< may be empty
  Json data = {};                          ///< null or an object
  std::vector<std::string> channels = {};  ///< empty: the inbox
  bool critical = false;                   ///< preferences do not hold it up
};

/// An event for webhooks.
struct NewEvent {
  std::string event = {};
  std::string key = {};  ///< as above, for each webhook
  std::string title = {};
  std::string body = {};
  Json data = {};
};

/// What became of a call: `made` is false when the notification was there already.
struct Notified {
  Id<Notification> id;
  bool made = true;
  NotificationStatus status = NotificationStatus::queued;
};

/// What a channel says later of a message that it took.
struct LaterReceipt {
  std::string channel = {};
  std::string external_id = {};
  std::string status = {};           ///< "sent", "delivered", "read", "bounced" or "failed"
  std::optional<Timestamp> at = {};  ///< none: now
  std::string reason = {};
};

/// The notifications of a tenant, with a session's rights. On a unit, rows and tasks commit with
/// the unit's other changes: what did not happen is told to nobody.
///
/// Bad input is `invalid` and names field, value and rule; nothing is written then.
class Notifications {
 public:
  explicit Notifications(Scope scope) : notifications_(scope), deliveries_(scope) {}

  /// Puts it into the inbox, or hands it to the other channels' tasks, as far as the recipient
  /// wants it; writes why for each channel that is passed over. `forbidden` when the principal may
  /// not insert notifications; `not_found` for a user whom he does not see; `invalid` for a channel
  /// that is not there.
  Result<Notified> notify(const NewNotification& notification) const;
  /// One notification for each webhook that wants the event, disabled ones too (skipped).
  Result<std::vector<Notified>> publish(const NewEvent& event) const;

  Result<Notification> find(Id<Notification> id) const;
  Result<std::vector<Notification>> list(const Query& query) const;
  /// By channel. `not_found` for a notification that the principal does not see.
  Result<std::vector<NotificationDelivery>> deliveries(Id<Notification> id) const;

  /// Later news of a channel. It may come twice, in any order, and before the delivery is known to
  /// be sent: what is known already is not an error and changes nothing. `not_found` for a message
  /// that is unknown; `conflict` for one that was skipped. For the system and admins.
  Result<NotificationDelivery> receipt(const LaterReceipt& receipt) const;
  /// What a person found out about a delivery in doubt, or decides about one that has failed: sent,
  /// failed, or queued (send it, or send it again). Settles its task in the same commit. `conflict`
  /// when it is neither. For the system and admins.
  Result<NotificationDelivery> resolve(Id<NotificationDelivery> id, DeliveryStatus outcome,
                                       std::string_view reason) const;
  /// Writes into deliveries what became of their tasks elsewhere: given up, cancelled or in doubt
  /// because a process died, or settled through Tasks. At most `limit`; returns how many changed.
  /// A DeliveryAgent does it from time to time. For the system and admins.
  Result<std::uint64_t> settle(std::uint64_t limit = 1000) const;

  [[nodiscard]] const Repository<Notification>& repository() const { return notifications_; }

 private:
  Repository<Notification> notifications_;
  Repository<NotificationDelivery> deliveries_;
};

/// What a user wants to be told of. The most exact preference counts: event and channel, then the
/// event on every channel, then the channel for every event, then everything; without any he is
/// told. A critical notification asks no preference.
class Preferences {
 public:
  /// Those of the session's own user; `forbidden` for the system and agents, which have none.
  explicit Preferences(Scope scope) : scope_(std::move(scope)) {}
  /// Of that user: for the system; `forbidden` for anybody but himself.
  Preferences(Scope scope, Id<User> user) : scope_(std::move(scope)), user_(user) {}

  /// "*" stands for every event, or every channel. `invalid` for a channel that is not there.
  Result<NotificationPreference> set(std::string_view event, std::string_view channel,
                                     bool enabled) const;
  /// Back to what the next more general one says. Not an error: there was none.
  Result<void> clear(std::string_view event, std::string_view channel) const;
  Result<std::vector<NotificationPreference>> list() const;

 private:
  Scope scope_;
  std::optional<Id<User>> user_;
};

namespace notify {

/// The channels that there are, by name: the inbox, and those that some program of the office has
/// had a notifier for.
[[nodiscard]] Result<std::vector<NotificationChannel>> channels(const Scope& scope);

/// The tables of notify/, for a catalog.
Result<void> add_tables(Catalog& catalog);
/// Who may see what: everybody his own inbox, notifications and preferences, and nobody else's;
/// managers and admins all notifications and deliveries, and they keep webhooks. Agents, managers
/// and admins notify. Inboxes, deliveries and preferences are written by the library alone.
Result<void> add_policies(Policies& policies);

}  // namespace notify

BUREAU_END_NAMESPACE
