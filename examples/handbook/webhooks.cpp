// docs/notifications.md: what a host that sends webhooks adds to its office.

#include <bureau/bureau.hpp>
#include <bureau/http/webhook_notifier.hpp>

using namespace bureau;

Result<void> send_webhooks(const std::unique_ptr<Engine>& office) {
  BUREAU_TRY(auto webhooks, http::WebhookNotifier::make(http::stored_webhooks(office->access())));
  BUREAU_TRY_VOID(office->add(std::make_shared<DeliveryAgent>(
      office->access(), std::vector<std::shared_ptr<Notifier>>{webhooks})));
  return {};
}

int main(int argc, char** argv) {
  auto office = Engine::open({.path = argc > 1 ? argv[1] : "webhooks.db"});
  if (!office) return 1;
  return send_webhooks(*office) ? 0 : 1;
}
