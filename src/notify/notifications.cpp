#include "bureau/notify/notifications.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/notify/delivery_agent.hpp"
#include "bureau/work/tasks.hpp"
#include "notify/notify_rows.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace notify::inside;

namespace {

/// What is to happen over one channel.
struct Planned {
  NotificationChannel channel;
  std::optional<Skip> skip;
};

Result<std::vector<NotificationChannel>> channels_of(Reader& reader, const NewNotification& given) {
  BUREAU_TRY(const auto known, known_channels(reader));
  std::vector<std::string> wanted = given.channels;
  if (wanted.empty()) wanted.emplace_back(in_app_channel);
  std::vector<NotificationChannel> out;
  for (const std::string& name : wanted) {
    BUREAU_TRY(auto channel, channel_named(known, "channels", name));
    if (name == webhook_channel) {
      return fail(Code::invalid,
                  "channels: \"webhook\" carries to webhooks, not to users; publish() does it",
                  "channels");
    }
    for (const NotificationChannel& other : out) {
      if (other.name != name) continue;
      return fail(Code::invalid, fmt::format("channels: {} is named twice", quoted(name)),
                  "channels");
    }
    out.push_back(std::move(channel));
  }
  return out;
}

Result<std::vector<Planned>> plan(Reader& reader, const Notification& notification,
                                  const std::vector<NotificationChannel>& channels) {
  std::vector<Planned> planned;
  for (const NotificationChannel& channel : channels) {
    BUREAU_TRY(auto skip, skip_of(reader, notification, channel.name));
    planned.push_back({channel, std::move(skip)});
  }
  return planned;
}

/// As the deliveries that are about to be there will have it.
void take_status(Notification& notification, const std::vector<Planned>& planned) {
  std::vector<NotificationDelivery> deliveries(planned.size());
  for (std::size_t i = 0; i < planned.size(); ++i) {
    if (planned[i].skip) {
      deliveries[i].status = DeliveryStatus::skipped;
    } else if (planned[i].channel.name == in_app_channel) {
      deliveries[i].status = DeliveryStatus::delivered;
    }
  }
  notification.status = status_of(deliveries);
  if (notification.status == NotificationStatus::skipped) {
    notification.reason = fitted(planned.front().skip->reason, max_reason);
  }
}

Result<void> put_into_inbox(Unit& unit, const Notification& notification) {
  InboxItem item;
  item.user = *notification.user;
  item.notification = notification.id;
  item.event = notification.event;
  item.title = notification.title;
  item.body = notification.body;
  item.data = notification.data;
  item.actor = notification.actor;
  BUREAU_TRY_VOID(insert_row(unit, std::move(item)));
  return {};
}

/// The effect of a kind is fixed, so that there are two.
Result<Task> enqueue_delivery(Unit& unit, const NotificationDelivery& delivery, bool takes_key) {
  const DeliveryPayload payload{delivery.id, delivery.channel};
  const Tasks tasks{Scope(unit)};
  return takes_key ? tasks.enqueue(deliver_keyed, payload) : tasks.enqueue(deliver_once, payload);
}

/// The delivery, and what carries it: the inbox's row, or a task.
Result<void> deliver_over(Unit& unit, const Notification& notification, const Planned& planned) {
  NotificationDelivery delivery;
  BUREAU_TRY(delivery.id.value, unit.transaction().next_id());
  delivery.notification = notification.id;
  delivery.channel = planned.channel.name;
  if (planned.skip) {
    delivery.status = DeliveryStatus::skipped;
    delivery.skip_reason = planned.skip->why;
    delivery.reason = fitted(planned.skip->reason, max_reason);
  } else if (delivery.channel == in_app_channel) {
    delivery.status = DeliveryStatus::delivered;
    delivery.sent_at = delivery.delivered_at = unit.now();
    BUREAU_TRY_VOID(put_into_inbox(unit, notification));
  } else {
    BUREAU_TRY(const Task task, enqueue_delivery(unit, delivery, planned.channel.takes_key));
    delivery.task = task.id;
  }
  BUREAU_TRY_VOID(insert_row(unit, std::move(delivery)));
  return {};
}

/// The one that is there already; whoever may make none learns nothing of it.
Result<std::optional<Notified>> present(Unit& unit, const Predicate& recipient,
                                        const std::string& event, const std::string& key) {
  Reader& reader = unit.transaction().reader();
  BUREAU_TRY(const Predicate may,
             unit.session().rule(reader, table_of<Notification>(), Command::insert));
  if (may.is_never()) return std::optional<Notified>();  // the insert will say so
  BUREAU_TRY(
      const auto found,
      rows_of<Notification>(
          reader,
          select<Notification>()
              .where(col(&Notification::tenant) == unit.session().principal().tenant && recipient &&
                     col(&Notification::event) == event && col(&Notification::key) == key)
              .limit(1)));
  if (found.empty()) return std::optional<Notified>();
  return std::optional<Notified>({found.front().id, false, found.front().status});
}

std::optional<Id<User>> actor_of(Unit& unit) {
  const Principal& who = unit.session().principal();
  return who.user ? std::optional(who.user) : std::nullopt;
}

Result<Notified> notify_in(Unit& unit, const NewNotification& given) {
  Reader& reader = unit.transaction().reader();
  BUREAU_TRY(const auto channels, channels_of(reader, given));
  BUREAU_TRY(auto there,
             present(unit, col(&Notification::user) == given.user, given.event, given.key));
  if (there) return *there;
  Notification row;
  row.tenant = unit.session().principal().tenant;
  row.event = given.event;
  row.user = given.user;
  row.key = given.key;
  row.critical = given.critical;
  row.title = given.title;
  row.body = given.body;
  row.data = given.data;
  row.actor = actor_of(unit);
  BUREAU_TRY(const auto planned, plan(reader, row, channels));
  take_status(row, planned);
  BUREAU_TRY(const Notification made, Repository<Notification>{Scope(unit)}.insert(std::move(row)));
  for (const Planned& one : planned) BUREAU_TRY_VOID(deliver_over(unit, made, one));
  return Notified{made.id, true, made.status};
}

/// Whoever publishes need not see the webhooks: rows that name them are the library's. Whether he
/// may make notifications is asked all the same.
Result<void> check_may_publish(Unit& unit, const Notification& row) {
  BUREAU_TRY(const Predicate may, unit.session().rule(unit.transaction().reader(),
                                                      table_of<Notification>(), Command::insert));
  bool allowed = !may.is_never();
  if (allowed && !may.has_select()) {
    BUREAU_TRY(const Truth truth, evaluate(may, bureau::detail::RowValues(row).values()));
    allowed = truth == Truth::yes;
  }
  if (allowed) return {};
  return fail(Code::forbidden, "notifications: insert is not allowed by any policy");
}

Result<Notified> publish_to(Unit& unit, const NewEvent& given, const Webhook& webhook,
                            const NotificationChannel& channel) {
  BUREAU_TRY(auto there,
             present(unit, col(&Notification::webhook) == webhook.id, given.event, given.key));
  if (there) return *there;
  Notification row;
  row.tenant = webhook.tenant;
  row.event = given.event;
  row.webhook = webhook.id;
  row.key = given.key;
  row.title = given.title;
  row.body = given.body;
  row.data = given.data;
  row.actor = actor_of(unit);
  BUREAU_TRY_VOID(check_may_publish(unit, row));
  BUREAU_TRY(const auto planned, plan(unit.transaction().reader(), row, {channel}));
  take_status(row, planned);
  BUREAU_TRY(const Notification made, insert_row(unit, std::move(row)));
  BUREAU_TRY_VOID(deliver_over(unit, made, planned.front()));
  return Notified{made.id, true, made.status};
}

Result<std::vector<Notified>> publish_in(Unit& unit, const NewEvent& given) {
  Reader& reader = unit.transaction().reader();
  BUREAU_TRY(const auto known, known_channels(reader));
  BUREAU_TRY(const auto channel, channel_named(known, "channels", webhook_channel));
  Notification any;  // whether he may at all, also when no webhook wants it
  any.tenant = unit.session().principal().tenant;
  BUREAU_TRY_VOID(check_may_publish(unit, any));
  BUREAU_TRY(
      const auto webhooks,
      rows_of<Webhook>(reader, select<Webhook>().where(
                                   col(&Webhook::tenant) == unit.session().principal().tenant &&
                                   (col(&Webhook::events).contains(given.event) ||
                                    col(&Webhook::events).contains("*")))));
  std::vector<Notified> out;
  for (const Webhook& webhook : webhooks) {
    BUREAU_TRY(out.emplace_back(), publish_to(unit, given, webhook, channel));
  }
  return out;
}

}  // namespace

Result<Notified> Notifications::notify(const NewNotification& given) const {
  BUREAU_TRY_VOID(check_event(given.event));
  BUREAU_TRY_VOID(check_text("key", given.key, max_key));
  BUREAU_TRY_VOID(check_content(given.title, given.body, given.data));
  if (!given.user) {
    return fail(Code::invalid, "user: there is none; a notification has a recipient", "user");
  }
  return notifications_.rows().scope().write([&](Unit& unit) { return notify_in(unit, given); });
}

Result<std::vector<Notified>> Notifications::publish(const NewEvent& given) const {
  BUREAU_TRY_VOID(check_event(given.event));
  BUREAU_TRY_VOID(check_text("key", given.key, max_key));
  BUREAU_TRY_VOID(check_content(given.title, given.body, given.data));
  return notifications_.rows().scope().write([&](Unit& unit) { return publish_in(unit, given); });
}

Result<Notification> Notifications::find(Id<Notification> id) const {
  return notifications_.find(id);
}

Result<std::vector<Notification>> Notifications::list(const Query& query) const {
  return notifications_.list(query);
}

Result<std::vector<NotificationDelivery>> Notifications::deliveries(Id<Notification> id) const {
  BUREAU_TRY_VOID(notifications_.find(id));
  Query query;
  query.where = col(&NotificationDelivery::notification) == id;
  query.order = {{&col(&NotificationDelivery::channel).info(), false}};
  return deliveries_.list(query);
}

// Later ----------------------------------------------------------------------------------------

namespace {

/// Writes a delivery with the principal's rights, and what follows from it.
Result<NotificationDelivery> save(Unit& unit, NotificationDelivery after) {
  BUREAU_TRY(const NotificationDelivery written,
             Repository<NotificationDelivery>{Scope(unit)}.update(std::move(after)));
  BUREAU_TRY_VOID(follow_deliveries(unit, written.notification));
  return written;
}

Result<Receipt> receipt_of(const LaterReceipt& given) {
  BUREAU_TRY_VOID(check_text("channel", given.channel, 64));
  BUREAU_TRY_VOID(check_text("external_id", given.external_id, max_external_id));
  const auto& known = names<ReceiptStatus>;
  const auto at = std::find(known.begin() + 1, known.end(), given.status);
  if (at == known.end()) {
    return fail(Code::invalid,
                fmt::format("status: {} is no receipt; one is sent, delivered, read, bounced or "
                            "failed",
                            quoted(given.status)),
                "status");
  }
  return Receipt{static_cast<ReceiptStatus>(at - known.begin()), {}, given.reason};
}

bool same(const NotificationDelivery& a, const NotificationDelivery& b) {
  return a.status == b.status && a.reason == b.reason && a.external_id == b.external_id &&
         a.sent_at == b.sent_at && a.delivered_at == b.delivered_at && a.read_at == b.read_at &&
         a.failed_at == b.failed_at;
}

}  // namespace

Result<NotificationDelivery> Notifications::receipt(const LaterReceipt& given) const {
  BUREAU_TRY(const Receipt news, receipt_of(given));
  return deliveries_.rows().scope().write([&](Unit& unit) -> Result<NotificationDelivery> {
    const Repository<NotificationDelivery> deliveries{Scope(unit)};
    BUREAU_TRY(const auto before,
               deliveries.first(col(&NotificationDelivery::channel) == given.channel &&
                                col(&NotificationDelivery::external_id) == given.external_id));
    if (!before) {
      return fail(Code::not_found,
                  fmt::format("external_id: no message {} on channel {}", quoted(given.external_id),
                              quoted(given.channel)),
                  "external_id");
    }
    BUREAU_TRY(NotificationDelivery after,
               with_receipt(*before, news, given.at.value_or(unit.now()), false));
    if (same(*before, after)) return after;
    BUREAU_TRY(const auto written, save(unit, std::move(after)));
    BUREAU_TRY_VOID(end_doubt(unit, written, "its receipt came"));
    return written;
  });
}

namespace {

Error not_settled(const NotificationDelivery& delivery, DeliveryStatus outcome) {
  return {Code::conflict,
          fmt::format("status: a delivery that is {} cannot be made {}; one in doubt can, or one "
                      "that has failed",
                      name_of(delivery.status), name_of(outcome)),
          "status"};
}

/// The task of a delivery in doubt, or of one that has failed, in one commit with it.
Result<void> settle_task(Unit& unit, NotificationDelivery& delivery, const Task& task,
                         DeliveryStatus outcome, std::string_view reason) {
  const Tasks tasks{Scope(unit)};
  if (task.status == TaskStatus::in_doubt) {
    const TaskStatus becomes = outcome == DeliveryStatus::sent     ? TaskStatus::completed
                               : outcome == DeliveryStatus::queued ? TaskStatus::ready
                                                                   : TaskStatus::dead;
    BUREAU_TRY_VOID(tasks.resolve(task.id, becomes, reason));
  } else if (outcome == DeliveryStatus::queued && task.status == TaskStatus::dead) {
    BUREAU_TRY_VOID(tasks.redrive(task.id));
  } else if (outcome == DeliveryStatus::queued) {
    // It has ended well, and the channel gave the message up later: another one sends it again.
    BUREAU_TRY(const auto known, known_channels(unit.transaction().reader()));
    BUREAU_TRY(const auto channel, channel_named(known, "channel", delivery.channel));
    BUREAU_TRY(const Task again, enqueue_delivery(unit, delivery, channel.takes_key));
    delivery.task = again.id;
  }
  return {};
}

Result<NotificationDelivery> resolve_in(Unit& unit, Id<NotificationDelivery> id,
                                        DeliveryStatus outcome, std::string_view reason) {
  BUREAU_TRY(const auto stored, Repository<NotificationDelivery>{Scope(unit)}.find(id));
  if (!stored.task) return fail(not_settled(stored, outcome));
  BUREAU_TRY(const auto task, find_row(unit.transaction().reader(), stored.tenant, *stored.task));
  if (!task) return fail(Code::not_found, fmt::format("task: no row {}", shown(*stored.task)));
  NotificationDelivery after = with_task(stored, *task, unit.now());
  const bool doubt = after.status == DeliveryStatus::in_doubt;
  const bool failed = after.status == DeliveryStatus::failed && outcome != DeliveryStatus::failed;
  if (!doubt && !failed) return fail(not_settled(after, outcome));
  BUREAU_TRY_VOID(settle_task(unit, after, *task, outcome, reason));
  after.status = outcome;
  after.reason = fitted(reason, max_reason);
  if (outcome == DeliveryStatus::sent) after.sent_at = after.sent_at.value_or(unit.now());
  if (outcome == DeliveryStatus::failed) after.failed_at = after.failed_at.value_or(unit.now());
  return save(unit, std::move(after));
}

}  // namespace

Result<NotificationDelivery> Notifications::resolve(Id<NotificationDelivery> id,
                                                    DeliveryStatus outcome,
                                                    std::string_view reason) const {
  if (outcome != DeliveryStatus::sent && outcome != DeliveryStatus::failed &&
      outcome != DeliveryStatus::queued) {
    return fail(Code::invalid,
                fmt::format("outcome: {} is none; one is sent, failed or queued", name_of(outcome)),
                "outcome");
  }
  BUREAU_TRY_VOID(check_text("reason", reason, max_reason));
  return deliveries_.rows().scope().write(
      [&](Unit& unit) { return resolve_in(unit, id, outcome, reason); });
}

namespace {

Result<bool> settle_one(Unit& unit, Id<NotificationDelivery> id) {
  BUREAU_TRY(const auto before, Repository<NotificationDelivery>{Scope(unit)}.find(id));
  if (!before.task) return false;
  BUREAU_TRY(const auto task, find_row(unit.transaction().reader(), before.tenant, *before.task));
  if (!task) return false;
  NotificationDelivery after = with_task(before, *task, unit.now());
  if (after.status == before.status) return false;
  BUREAU_TRY_VOID(save(unit, std::move(after)));
  return true;
}

/// Deliveries whose task says something else than they do: read without holding up writers.
Result<std::vector<Id<NotificationDelivery>>> unsettled(const Repository<NotificationDelivery>& in,
                                                        std::uint64_t limit) {
  std::vector<Id<NotificationDelivery>> out;
  Query query;
  query.where = col(&NotificationDelivery::status) < DeliveryStatus::skipped;
  query.limit = 500;
  do {
    BUREAU_TRY(auto page, in.page(query));
    BUREAU_TRY_VOID(in.rows().scope().read([&](Reader& reader) -> Result<void> {
      for (const NotificationDelivery& delivery : page.items) {
        if (!delivery.task) continue;
        BUREAU_TRY(const auto task, find_row(reader, delivery.tenant, *delivery.task));
        if (!task || out.size() == limit) continue;
        if (with_task(delivery, *task, {}).status != delivery.status) out.push_back(delivery.id);
      }
      return {};
    }));
    query.cursor = std::move(page.next);
  } while (!query.cursor.empty() && out.size() < limit);
  return out;
}

}  // namespace

Result<std::uint64_t> Notifications::settle(std::uint64_t limit) const {
  BUREAU_TRY(const auto which, unsettled(deliveries_, limit));
  if (which.empty()) return std::uint64_t{0};
  return deliveries_.rows().scope().write([&](Unit& unit) -> Result<std::uint64_t> {
    std::uint64_t changed = 0;
    for (const Id<NotificationDelivery> id : which) {
      BUREAU_TRY(const bool did, settle_one(unit, id));
      if (did) ++changed;
    }
    return changed;
  });
}

BUREAU_END_NAMESPACE
