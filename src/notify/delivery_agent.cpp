#include "bureau/notify/delivery_agent.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/notify/webhooks.hpp"
#include "notify/notify_rows.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace notify::inside;

/// What a delivery is about, as one snapshot has it.
struct DeliveryAgent::Message {
  NotificationDelivery delivery;
  Notification notification;
  std::optional<User> user;
  std::optional<Skip> skip;
};

DeliveryAgent::DeliveryAgent(Access& access, std::vector<std::shared_ptr<Notifier>> notifiers,
                             DeliveryOptions options)
    : access_(access), notifiers_(std::move(notifiers)), options_(options) {}

std::vector<KindInfo> DeliveryAgent::capabilities() const { return {deliver_once, deliver_keyed}; }

// Channels -------------------------------------------------------------------------------------

namespace {

bool is_channel_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name.size() <= 64 && name.front() >= 'a' && name.front() <= 'z' &&
         name != in_app_channel && std::all_of(name.begin(), name.end(), good);
}

Result<void> check_notifiers(const std::vector<std::shared_ptr<Notifier>>& notifiers) {
  for (std::size_t i = 0; i < notifiers.size(); ++i) {
    if (notifiers[i] == nullptr) {
      return fail(Code::invalid, "notifiers: one of them is null", "notifiers");
    }
    const std::string_view name = notifiers[i]->channel();
    if (!is_channel_name(name)) {
      return fail(Code::invalid,
                  fmt::format("channel: {} is not [a-z][a-z0-9_]* of at most 64 bytes other than "
                              "\"in_app\"",
                              quoted(name)),
                  "channel");
    }
    BUREAU_TRY_VOID(check_text("identity", notifiers[i]->identity(), 200));
    for (std::size_t j = 0; j < i; ++j) {
      if (notifiers[j]->channel() != name) continue;
      return fail(Code::invalid, fmt::format("channel: {} has two notifiers", quoted(name)),
                  "channel");
    }
  }
  return {};
}

Result<void> announce(Transaction& tx, const Notifier& notifier, bool replace) {
  const std::string name(notifier.channel());
  BUREAU_TRY(const auto stored, rows_of<NotificationChannel>(
                                    tx.reader(), select<NotificationChannel>().where(
                                                     col(&NotificationChannel::name) == name)));
  NotificationChannel row = stored.empty() ? NotificationChannel{} : stored.front();
  if (!stored.empty() && row.identity == notifier.identity() &&
      row.takes_key == notifier.takes_key()) {
    return {};
  }
  if (!stored.empty() && !replace) {
    return fail(
        Code::conflict,
        fmt::format("identity: channel {} has the notifier {} ({}), not {} ({}); "
                    "DeliveryOptions::replace gives it another",
                    quoted(name), quoted(row.identity),
                    row.takes_key ? "takes a key" : "takes no key", quoted(notifier.identity()),
                    notifier.takes_key() ? "takes a key" : "takes no key"),
        "identity");
  }
  row.name = name;
  row.identity = notifier.identity();
  row.takes_key = notifier.takes_key();
  row.updated_at = tx.now();
  ++row.version;
  if (!stored.empty()) {
    return tx.replace(table_of<NotificationChannel>(), detail::RowValues(stored.front()).values(),
                      detail::RowValues(row).values());
  }
  BUREAU_TRY(row.id.value, tx.next_id());
  row.created_at = tx.now();
  return tx.insert(table_of<NotificationChannel>(), detail::RowValues(row).values());
}

}  // namespace

Result<void> DeliveryAgent::on_initialize() {
  BUREAU_TRY_VOID(check_notifiers(notifiers_));
  return access_.database().write({}, {}, [&](Transaction& tx) -> Result<void> {
    for (const auto& notifier : notifiers_) {
      BUREAU_TRY_VOID(announce(tx, *notifier, options_.replace));
    }
    return {};
  });
}

bool DeliveryAgent::can_process(const Task& task) const {
  const Json* channel = task.payload.find("channel");
  const std::string* name = channel == nullptr ? nullptr : channel->as_string();
  if (name == nullptr) return true;  // validate() will say what is wrong
  return std::any_of(notifiers_.begin(), notifiers_.end(),
                     [&](const auto& notifier) { return notifier->channel() == *name; });
}

Result<void> DeliveryAgent::validate(const Task& task) const {
  BUREAU_TRY_VOID(record_from_json<DeliveryPayload>(task.payload));
  return {};
}

// Delivering -----------------------------------------------------------------------------------

namespace {

/// The answer; what is none may have been sent.
Result<Receipt> ask(Notifier& notifier, const Delivery& delivery) {
  const auto unknown = [&](std::string what) {
    return fail(Code::unknown_outcome,
                fmt::format("notifier {}: {}", quoted(notifier.identity()), what));
  };
  try {
    auto answer = notifier.deliver(delivery);
    if (!answer) {
      Error error = std::move(answer).error();
      if (error.message.empty()) error.message = "it gave no reason";
      return fail(error.code, fmt::format("notifier {}: {}", quoted(notifier.identity()),
                                          fitted(error.message, max_reason)));
    }
    if (answer->status == ReceiptStatus::none) return unknown("it answered nothing");
    if (!is_valid_text(answer->external_id) || answer->external_id.size() > max_external_id) {
      answer->external_id.clear();  // no news could name it
    }
    return answer;
  } catch (const std::exception& e) {
    return unknown(fmt::format("it threw: {}", fitted(e.what(), max_reason)));
  } catch (...) {
    return unknown("it threw what is no std::exception");
  }
}

Delivery delivery_of(const Run& run, const NotificationDelivery& row,
                     const Notification& notification, const std::optional<User>& user) {
  Delivery delivery;
  delivery.key = shown(row.id);
  delivery.attempt = run.task().attempt;
  delivery.tenant = row.tenant;
  delivery.notification = notification.id;
  delivery.event = notification.event;
  delivery.user = notification.user;
  if (user) {
    delivery.name = user->name;
    delivery.email = user->email;
  }
  delivery.webhook = notification.webhook;
  delivery.title = notification.title;
  delivery.body = notification.body;
  delivery.data = notification.data;
  delivery.created_at = notification.created_at;
  delivery.stop_requested = [&run] { return run.stop_requested(); };
  return delivery;
}

/// What a task's life makes of an error: refused for good, of unknown outcome, or to be tried.
Code code_for_task(Code code) {
  switch (code) {
    case Code::invalid:
    case Code::not_found:
    case Code::forbidden:
    case Code::gone:
      return Code::invalid;
    case Code::busy:
    case Code::deadline:
    case Code::cancelled:
    case Code::unavailable:
    case Code::exhausted:
      return code;
    default:
      return Code::unknown_outcome;
  }
}

Result<void> count_webhook(Unit& unit, const Notification& notification,
                           const std::optional<std::string>& failure) {
  if (!notification.webhook) return {};
  BUREAU_TRY(const auto before,
             find_row(unit.transaction().reader(), notification.tenant, *notification.webhook));
  if (!before) return {};
  Webhook after = *before;
  if (!failure) {
    after.failures = 0;
    after.last_success_at = unit.now();
  } else if (++after.failures >= webhook_failures_max && after.enabled) {
    after.enabled = false;
    after.disabled_reason = fitted(
        fmt::format("{} attempts in a row have failed; the last: {}", after.failures, *failure),
        max_reason);
  }
  BUREAU_TRY_VOID(replace_row(unit, *before, std::move(after)));
  return {};
}

/// The row as it is now, whatever this attempt read before.
Result<NotificationDelivery> current(Unit& unit, const NotificationDelivery& row) {
  BUREAU_TRY(const auto now, find_row(unit.transaction().reader(), row.tenant, row.id));
  if (now) return *now;
  return fail(Code::not_found, fmt::format("delivery: no row {}", shown(row.id)), "delivery");
}

Result<DeliveryStatus> write_receipt(Unit& unit, const NotificationDelivery& read,
                                     const Notification& notification, const Receipt& receipt) {
  BUREAU_TRY(const auto before, current(unit, read));
  BUREAU_TRY(NotificationDelivery after,
             with_receipt(before, receipt, unit.now(), before.version == read.version));
  BUREAU_TRY(const auto written, replace_row(unit, before, std::move(after)));
  BUREAU_TRY_VOID(count_webhook(unit, notification, std::nullopt));
  BUREAU_TRY_VOID(follow_deliveries(unit, notification.id));
  return written.status;
}

}  // namespace

Result<DeliveryAgent::Message> DeliveryAgent::load(Run& run,
                                                   Id<NotificationDelivery> delivery) const {
  const Id<Tenant> tenant = run.task().tenant;
  return run.read([&](View& view) -> Result<Message> {
    BUREAU_TRY(auto row, find_row(view.reader(), tenant, delivery));
    if (!row) {
      return fail(Code::invalid, fmt::format("delivery: no row {}", shown(delivery)), "delivery");
    }
    BUREAU_TRY(auto notification, find_row(view.reader(), tenant, row->notification));
    if (!notification) {
      return fail(Code::invalid, fmt::format("notification: no row {}", shown(row->notification)),
                  "notification");
    }
    Message message{std::move(*row), std::move(*notification), {}, {}};
    if (message.notification.user) {
      BUREAU_TRY(message.user, find_row(view.reader(), tenant, *message.notification.user));
    }
    BUREAU_TRY(message.skip,
               skip_of(view.reader(), message.notification, message.delivery.channel));
    return message;
  });
}

Result<Json> DeliveryAgent::execute(Run& run, const Task& task) {
  settle(task.tenant);
  BUREAU_TRY(const auto payload, record_from_json<DeliveryPayload>(task.payload));
  BUREAU_TRY(const Message message, load(run, payload.delivery));
  const DeliveryStatus status = message.delivery.status;
  const bool open = status == DeliveryStatus::queued || status == DeliveryStatus::in_doubt ||
                    status == DeliveryStatus::cancelled || status == DeliveryStatus::failed;
  if (!open) return record_to_json(DeliveryResult{status});  // news came before us
  if (message.skip) return skip(run, message);
  const auto notifier = std::find_if(
      notifiers_.begin(), notifiers_.end(),
      [&](const auto& candidate) { return candidate->channel() == message.delivery.channel; });
  if (notifier == notifiers_.end()) {
    return fail(Code::unavailable,
                fmt::format("channel: {} has no notifier here", quoted(message.delivery.channel)),
                "channel");
  }
  if (task.effect == Effect::external_idempotent && !(*notifier)->takes_key()) {
    return fail(note_failure(
        run, message,
        Error(Code::invalid,
              fmt::format("channel: {} took a key when this was enqueued and takes none now",
                          quoted(message.delivery.channel)),
              "channel")));
  }
  const auto answer =
      ask(**notifier, delivery_of(run, message.delivery, message.notification, message.user));
  if (answer) return conclude(run, message, *answer);
  return fail(note_failure(run, message, answer.error()));
}

/// Wants and rights of the moment: what was wanted when it was enqueued may not be now.
Result<Json> DeliveryAgent::skip(Run& run, const Message& message) {
  BUREAU_TRY(const auto done, run.complete(any_thread, [&](Unit& unit) -> Result<DeliveryResult> {
    BUREAU_TRY(const auto before, current(unit, message.delivery));
    NotificationDelivery after = before;
    after.status = DeliveryStatus::skipped;
    after.skip_reason = message.skip->why;
    after.reason = fitted(message.skip->reason, max_reason);
    BUREAU_TRY_VOID(replace_row(unit, before, std::move(after)));
    BUREAU_TRY_VOID(follow_deliveries(unit, before.notification));
    return DeliveryResult{DeliveryStatus::skipped};
  }));
  return record_to_json(done);
}

Result<Json> DeliveryAgent::conclude(Run& run, const Message& message, const Receipt& receipt) {
  auto done = run.complete(any_thread, [&](Unit& unit) -> Result<DeliveryResult> {
    BUREAU_TRY(const auto status,
               write_receipt(unit, message.delivery, message.notification, receipt));
    return DeliveryResult{status};
  });
  if (done) return record_to_json(*done);
  const Code code = done.error().code;
  if (code == Code::deadline || code == Code::cancelled || code == Code::conflict) {
    // The attempt is over for the queue, but its answer is known: it is written all the same, so
    // that nothing is sent again and nobody need ask.
    const auto late =
        access_.system(run.task().tenant)
            .for_task(run.task().id.value)
            .write([&](Unit& unit) -> Result<void> {
              BUREAU_TRY_VOID(write_receipt(unit, message.delivery, message.notification, receipt));
              BUREAU_TRY(const auto now, current(unit, message.delivery));
              return end_doubt(unit, now, "its answer came late");
            });
    // Nothing is in doubt then: what was cancelled may end as that.
    if (late && code == Code::cancelled) return fail(std::move(done).error());
    if (!late) run.log(LogLevel::error, "the late answer of a notifier was not written");
  }
  return fail(Code::unknown_outcome,
              "the message was taken, and that could not be written: " + done.error().message);
}

Error DeliveryAgent::note_failure(const Run& run, const Message& message, const Error& error) {
  const Task& task = run.task();
  const Code code = code_for_task(error.code);
  DeliveryStatus becomes = DeliveryStatus::queued;
  if (code == Code::unknown_outcome && task.effect == Effect::external_unsafe) {
    becomes = DeliveryStatus::in_doubt;
  } else if (code == Code::invalid || is_last_attempt(task)) {
    becomes = DeliveryStatus::failed;
  }
  const auto noted =
      access_.system(task.tenant).for_task(task.id.value).write([&](Unit& unit) -> Result<void> {
        BUREAU_TRY(const auto before, current(unit, message.delivery));
        if (before.version != message.delivery.version) return {};  // news came
        NotificationDelivery after = before;
        ++after.attempts;
        after.status = becomes;
        after.reason = fitted(error.message, max_reason);
        if (becomes == DeliveryStatus::failed) after.failed_at = unit.now();
        BUREAU_TRY_VOID(replace_row(unit, before, std::move(after)));
        // What we broke off ourselves is no failure of its.
        if (code != Code::cancelled) {
          BUREAU_TRY_VOID(count_webhook(unit, message.notification, error.message));
        }
        return follow_deliveries(unit, before.notification);
      });
  if (!noted) run.log(LogLevel::warning, "the failure of a notifier was not noted in its delivery");
  return Error(code, error.message, error.field);
}

void DeliveryAgent::settle(Id<Tenant> tenant) {
  {
    std::lock_guard lock(settled_mutex_);
    const Monotonic now = access_.database().clock().monotonic();
    const auto [last, first] = settled_.try_emplace(tenant, now);
    if (!first && now - last->second < options_.settle_every) return;
    last->second = now;
  }
  const auto settled = Notifications{access_.system(tenant)}.settle();
  if (settled) return;
  log(access_.database().log(), LogLevel::warning, "delivery", "deliveries were not settled",
      {{"error", std::string_view(settled.error().message)}});
}

BUREAU_END_NAMESPACE
