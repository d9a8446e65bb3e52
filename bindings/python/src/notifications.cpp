// Who is told of what happens, in the inbox, over channels and over HTTP.

#include "bureau/notify/notifications.hpp"

#include "bureau/notify/webhooks.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

py::dict told(const Notified& notified) {
  py::dict out;
  out["id"] = id::to_text(schema<Notification>.prefix, notified.id.value);
  out["made"] = notified.made;
  out["status"] = std::string(names<NotificationStatus>[static_cast<std::size_t>(notified.status)]);
  return out;
}

/// What every notification of an event has.
template <class Made>
void take_event(Given& given, Made& made) {
  made.event = given.text("event");
  made.key = given.text("key");
  made.title = given.text("title");
  made.body = given.text("body");
  made.data = given.json("data");
}

py::dict notify(const ScopePtr& scope, const py::dict& fields) {
  Given given("notifications.notify", fields);
  NewNotification made;
  take_event(given, made);
  made.user = given.maybe_id<User>("user").value_or(Id<User>());
  made.critical = given.flag("critical");
  made.channels = given.texts("channels");
  given.done();
  return told(
      in_domain<Notifications>(scope, [&](const Notifications& n) { return n.notify(made); }));
}

py::list publish(const ScopePtr& scope, const py::dict& fields) {
  Given given("notifications.publish", fields);
  NewEvent made;
  take_event(given, made);
  given.done();
  py::list out;
  for (const Notified& one :
       in_domain<Notifications>(scope, [&](const Notifications& n) { return n.publish(made); })) {
    out.append(told(one));
  }
  return out;
}

py::object receipt(const ScopePtr& scope, const py::dict& fields) {
  Given given("notifications.receipt", fields);
  LaterReceipt made;
  made.channel = given.text("channel");
  made.external_id = given.text("external_id");
  made.status = given.text("status");
  made.at = given.maybe_time("at");
  made.reason = given.text("reason");
  given.done();
  return row_of(
      in_domain<Notifications>(scope, [&](const Notifications& n) { return n.receipt(made); }));
}

py::object resolve(const ScopePtr& scope, const py::object& delivery, const py::dict& fields) {
  const auto id = id_of<NotificationDelivery>(delivery, "delivery");
  Given given("notifications.resolve", fields);
  const DeliveryStatus outcome = given.choice("outcome", DeliveryStatus::failed);
  const std::string reason = given.text("reason");
  given.done();
  return row_of(in_domain<Notifications>(
      scope, [&](const Notifications& n) { return n.resolve(id, outcome, reason); }));
}

py::object add_webhook(const ScopePtr& scope, const py::dict& fields) {
  Given given("webhooks.add", fields);
  NewWebhook webhook;
  webhook.name = given.text("name");
  webhook.url = given.text("url");
  webhook.secret = given.text("secret");
  if (given.at("events") != nullptr) webhook.events = given.texts("events");
  given.done();
  return row_of(in_domain<Webhooks>(scope, [&](const Webhooks& w) { return w.add(webhook); }));
}

}  // namespace

void init_notifications(ScopeClass& scope) {
  scope.def("notify", notify)
      .def("publish", publish)
      .def("notification_receipt", receipt)
      .def("notification_resolve", resolve)
      .def("notification_deliveries", [](const ScopePtr& self, const py::object& notification) {
        const auto id = id_of<Notification>(notification, "notification");
        return rows_of(from_domain<Notifications>(
            self, [&](const Notifications& n) { return n.deliveries(id); }));
      });
  scope.def("webhook_add", add_webhook)
      .def("webhook_enable",
           [](const ScopePtr& self, const py::object& webhook) {
             const auto id = id_of<Webhook>(webhook, "webhook");
             return row_of(
                 in_domain<Webhooks>(self, [&](const Webhooks& w) { return w.enable(id); }));
           })
      .def("webhook_disable",
           [](const ScopePtr& self, const py::object& webhook, const std::string& reason) {
             const auto id = id_of<Webhook>(webhook, "webhook");
             return row_of(in_domain<Webhooks>(
                 self, [&](const Webhooks& w) { return w.disable(id, reason); }));
           })
      .def("webhook_renew_secret",
           [](const ScopePtr& self, const py::object& webhook) {
             const auto id = id_of<Webhook>(webhook, "webhook");
             return row_of(
                 in_domain<Webhooks>(self, [&](const Webhooks& w) { return w.renew_secret(id); }));
           })
      .def("webhook_remove", [](const ScopePtr& self, const py::object& webhook) {
        const auto id = id_of<Webhook>(webhook, "webhook");
        unwrap(self->with_write([&](const Scope& in, Engine&) { return Webhooks(in).remove(id); }));
      });
}

}  // namespace bureau_python
