#include "bureau/notify/webhooks.hpp"

#include "notify/office.hpp"

using namespace notify_office;

namespace {

NewWebhook erp() { return {.name = "erp", .url = "https://erp.example.com/in?token=7"}; }
NewEvent won(const std::string& key) {
  return {.event = "deal.won", .key = key, .title = "A deal was won"};
}

}  // namespace

TEST_CASE("An event goes to the webhooks that want it, once") {
  Office office;
  const Webhooks webhooks{office.system()};
  NewWebhook some = erp();
  const Webhook all = must(webhooks.add(erp()));
  some.name = "crm";
  some.events = {"deal.won", "deal.lost"};
  must(webhooks.add(some));
  some.name = "other";
  some.events = {"ticket.closed"};
  must(webhooks.add(some));
  CHECK(must(office.desk().publish(won("1"))).size() == 2);
  for (const Notified& again : must(office.desk().publish(won("1")))) CHECK_FALSE(again.made);
  office.work();
  CHECK(office.hook->keys.size() == 2);
  CHECK(office.hook->last.webhook.has_value());
  CHECK(must(webhooks.find(all.id)).last_success_at == office.clock.now());
}

TEST_CASE("Agents may publish without seeing webhooks, customers may not at all") {
  Office office;
  must(Webhooks{office.as("mia")}.add(erp()));
  CHECK(must(Notifications{office.as("ada")}.publish(won("1"))).size() == 1);
  CHECK(must(Webhooks{office.as("ada")}.list()).empty());
  refused(office, Code::forbidden, "",
          [&] { return Notifications{office.as("cora")}.publish(won("2")); });
  refused(office, Code::forbidden, "", [&] {
    return Webhooks{office.as("ada")}.add({.name = "b", .url = "https://b.example.com"});
  });
}

TEST_CASE("A secret is shown when it is made, and never again") {
  Office office;
  const Webhooks webhooks{office.as("mia")};
  const Webhook made = must(webhooks.add(erp()));
  CHECK(made.secret.size() == 6 + 64);
  CHECK(must(webhooks.find(made.id)).secret.empty());
  const Webhook renewed = must(webhooks.renew_secret(made.id));
  CHECK(renewed.secret.size() == made.secret.size());
  CHECK(renewed.secret != made.secret);
  must(webhooks.disable(made.id, "moving house"));  // and stays when other columns change
  CHECK(must(Webhooks{office.system()}.find(made.id)).secret == renewed.secret);
}

TEST_CASE("A webhook that fails too often is disabled, and its messages skipped") {
  Office office;
  office.hook->answer = [](const Delivery&) -> Result<Receipt> {
    return fail(Code::unavailable, "answered 500");
  };
  const Webhooks webhooks{office.system()};
  const Webhook erp_hook = must(webhooks.add(erp()));
  std::vector<Notified> told;
  for (int i = 0; i < 3; ++i) {
    told.push_back(must(office.desk().publish(won(std::to_string(i)))).at(0));
  }
  for (int i = 0; i < 30; ++i) {
    office.work();
    office.clock.advance(31min);
  }
  CHECK(office.hook->keys.size() == webhook_failures_max);
  const Webhook disabled = must(webhooks.find(erp_hook.id));
  CHECK_FALSE(disabled.enabled);
  CHECK(disabled.disabled_reason->find("20 attempts in a row have failed") == 0);
  CHECK(disabled.disabled_reason->find("answered 500") != std::string::npos);
  bool skipped = false;
  for (const Notified& one : told) {
    const NotificationDelivery delivery = office.delivery(one.id);
    skipped = skipped || delivery.skip_reason == SkipReason::webhook_disabled;
    CHECK(
        (delivery.status == DeliveryStatus::failed || delivery.status == DeliveryStatus::skipped));
  }
  CHECK(skipped);
  CHECK(must(office.desk().publish(won("9"))).at(0).status == NotificationStatus::skipped);

  office.hook->answer = {};
  must(webhooks.enable(erp_hook.id));
  must(office.desk().publish(won("10")));
  office.work();
  CHECK(must(webhooks.find(erp_hook.id)).failures == 0);
}

TEST_CASE("An attempt that the office broke off is no failure of the webhook") {
  Office office;
  office.hook->answer = [](const Delivery&) -> Result<Receipt> {
    return fail(Code::cancelled, "it was to stop");
  };
  const Webhooks webhooks{office.system()};
  const Webhook made = must(webhooks.add(erp()));
  must(office.desk().publish(won("1")));
  office.work();
  CHECK(office.hook->keys.size() == 1);
  CHECK(must(webhooks.find(made.id)).failures == 0);
  CHECK(must(webhooks.find(made.id)).enabled);
}

TEST_CASE("Bad webhooks") {
  Office office;
  const Webhooks webhooks{office.system()};
  must(webhooks.add(erp()));
  const auto bad = [&](const std::string& field, Code code, auto change) {
    NewWebhook given = erp();
    given.name = "new";
    change(given);
    refused(office, code, field, [&] { return webhooks.add(given); });
  };
  bad("name", Code::exists, [](NewWebhook& w) { w.name = "erp"; });
  bad("name", Code::invalid, [](NewWebhook& w) { w.name = ""; });
  bad("events", Code::invalid, [](NewWebhook& w) { w.events = {}; });
  bad("events", Code::invalid, [](NewWebhook& w) { w.events = {""}; });
  bad("secret", Code::invalid, [](NewWebhook& w) { w.secret = "short"; });
  bad("secret", Code::invalid, [](NewWebhook& w) { w.secret = "sixteen bytes and\n"; });
  for (const std::string url :
       {"", "erp.example.com", "ftp://erp.example.com", "https://", "https://:80/", "https:///in",
        "https://me:pw@erp.example.com", "https://erp.example.com/#a", "https://erp .com",
        "https://erp.example.com/\r\nX: 1", "file:///etc/passwd"}) {
    CAPTURE(url);
    bad("url", Code::invalid, [&](NewWebhook& w) { w.url = url; });
  }
  bad("url", Code::invalid,
      [](NewWebhook& w) { w.url = "https://a.example.com/" + std::string(2000, 'x'); });
  const auto leaky = webhooks.add({.name = "new", .url = "gopher://a?token=geheim"});
  CHECK(leaky.error().message.find("geheim") == std::string::npos);
}

TEST_CASE("Without a notifier for webhooks nothing is published") {
  Office office;
  must(office.system().write([&](Unit& unit) -> Result<void> {
    return unit.transaction()
        .remove(select<NotificationChannel>().where(col(&NotificationChannel::name) ==
                                                    std::string("webhook")))
        .map([](auto) {});
  }));
  refused(office, Code::invalid, "channels", [&] { return office.desk().publish(won("1")); });
}
