// An office that tells a server of its events.

#include "notify/office.hpp"

#include "bureau/http/webhook_notifier.hpp"
#include "bureau/http/webhook_signature.hpp"
#include "http/server.hpp"

using namespace notify_office;
using namespace http_test;

namespace {

struct Desk {
  ManualClock clock;
  SeededRandom random{7};
  std::unique_ptr<Engine> engine;
  Id<Tenant> tenant;

  Desk() {
    EngineOptions options;
    options.storage = make_memory_storage(clock);
    options.clock = &clock;
    options.random = &random;
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield")).id;
    http::WebhookOptions webhook;
    webhook.clock = &clock;
    webhook.allow_http = webhook.allow_private_addresses = true;
    webhook.timeout = 50s;
    std::vector<std::shared_ptr<Notifier>> notifiers = {
        must(http::WebhookNotifier::make(http::stored_webhooks(engine->access()), webhook))};
    must(engine->add(std::make_shared<DeliveryAgent>(engine->access(), notifiers)));
    must(engine->start_polled());
  }
  [[nodiscard]] Session system() { return engine->system(tenant); }
  void work_for_hours(int hours) {
    for (int i = 0; i < 2 * hours; ++i) {
      while (engine->poll({.tasks = 100}).ran > 0) {
      }
      clock.advance(30min);
    }
  }
  [[nodiscard]] NotificationDelivery delivery(Id<Notification> id) {
    return must(Notifications{system()}.deliveries(id)).at(0);
  }
};

}  // namespace

TEST_CASE("A server that fails twice gets the same message again, with the same key, signed anew") {
  int calls = 0;
  const Server server([&](const Connection& connection, const std::string&) {
    connection.answer(++calls < 3 ? 500 : 200);
  });
  Desk desk;
  const Webhook webhook = must(Webhooks{desk.system()}.add({.name = "erp", .url = server.url()}));
  const auto told =
      must(Notifications{desk.system()}.publish({.event = "deal.won", .key = "1", .title = "Won"}));
  desk.work_for_hours(3);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  for (const std::string& request : requests) {
    CHECK(header_of(request, "Idempotency-Key") == header_of(requests[0], "Idempotency-Key"));
    CHECK(body_of(request) == body_of(requests[0]));
    must(http::verify_webhook_signature(webhook.secret, header_of(request, "Bureau-Signature"),
                                        body_of(request), desk.clock.now(), 24h));
  }
  CHECK(header_of(requests[0], "Bureau-Signature") != header_of(requests[1], "Bureau-Signature"));
  CHECK(desk.delivery(told.at(0).id).status == DeliveryStatus::sent);
  CHECK(desk.delivery(told.at(0).id).attempts == 2);
}

TEST_CASE("A server that refuses is not asked again") {
  const Server server(404);
  Desk desk;
  must(Webhooks{desk.system()}.add({.name = "erp", .url = server.url()}));
  const auto told =
      must(Notifications{desk.system()}.publish({.event = "deal.won", .key = "1", .title = "Won"}));
  desk.work_for_hours(3);
  CHECK(server.requests().size() == 1);
  const NotificationDelivery delivery = desk.delivery(told.at(0).id);
  CHECK(delivery.status == DeliveryStatus::failed);
  CHECK(delivery.reason->find("it answered 404") != std::string::npos);
}
