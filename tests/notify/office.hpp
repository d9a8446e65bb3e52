#pragma once

// A small office with notifiers that do as they are told, on a clock that stands still.

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "basics.hpp"
#include "bureau/bureau.hpp"

namespace notify_office {

using namespace bureau;
using namespace std::chrono_literals;

class ScriptedNotifier final : public Notifier {
 public:
  using Answer = std::function<Result<Receipt>(const Delivery&)>;
  ScriptedNotifier(std::string channel, bool takes_key, std::string identity = "test/1")
      : channel_(std::move(channel)), identity_(std::move(identity)), takes_key_(takes_key) {}

  [[nodiscard]] std::string_view channel() const override { return channel_; }
  [[nodiscard]] std::string_view identity() const override { return identity_; }
  [[nodiscard]] bool takes_key() const override { return takes_key_; }
  [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override {
    keys.push_back(delivery.key);
    last = delivery;
    last.stop_requested = {};  // it belongs to the call
    if (answer) return answer(delivery);
    return Receipt{ReceiptStatus::sent, "x" + std::to_string(keys.size()), {}};
  }

  Answer answer;                  ///< empty: it is sent
  std::vector<std::string> keys;  ///< of the calls
  Delivery last;

 private:
  std::string channel_, identity_;
  bool takes_key_;
};

struct Office {
  using Wrap = std::function<std::shared_ptr<Storage>(std::shared_ptr<Storage>)>;
  ManualClock clock;
  SeededRandom random{7};
  std::shared_ptr<ScriptedNotifier> sms = std::make_shared<ScriptedNotifier>("sms", false);
  std::shared_ptr<ScriptedNotifier> push = std::make_shared<ScriptedNotifier>("push", true);
  std::shared_ptr<ScriptedNotifier> hook = std::make_shared<ScriptedNotifier>("webhook", true);
  std::unique_ptr<Engine> engine;
  Id<Tenant> tenant;
  std::map<std::string, Id<User>> people;

  explicit Office(const Wrap& wrap = {}, Policies policies = {}) {
    EngineOptions options;
    options.policies = std::move(policies);
    options.storage = make_memory_storage(clock);
    if (wrap) options.storage = wrap(options.storage);
    options.clock = &clock;
    options.random = &random;
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield")).id;
    for (const auto& [name, role] : std::map<std::string, std::string>{{"ada", "agent"},
                                                                       {"ann", "admin"},
                                                                       {"ben", "user"},
                                                                       {"cora", "customer"},
                                                                       {"mia", "manager"},
                                                                       {"vic", "viewer"}}) {
      User user;
      user.name = name;
      user.email = name + "@example.com";
      user.role = role;
      people[name] = must(Repository<User>{system()}.insert(user)).id;
    }
    must(engine->add(std::make_shared<DeliveryAgent>(
        engine->access(), std::vector<std::shared_ptr<Notifier>>{sms, push, hook})));
    must(engine->start_polled());
  }

  [[nodiscard]] Session system() { return engine->system(tenant); }
  [[nodiscard]] Session as(const std::string& name) {
    return must(engine->session(tenant, people.at(name)));
  }
  [[nodiscard]] Notifications desk() { return Notifications{system()}; }
  [[nodiscard]] Inbox inbox(const std::string& name) { return Inbox{as(name)}; }

  [[nodiscard]] NewNotification to(const std::string& name, const std::string& key = "1",
                                   std::vector<std::string> channels = {}) {
    NewNotification given;
    given.event = "ticket.assigned";
    given.user = people.at(name);
    given.key = key;
    given.title = "Ticket 7 is yours";
    given.body = "The anvil is broken.";
    given.data = Json::object({{"ticket", 7}});
    given.channels = std::move(channels);
    return given;
  }
  Notified tell(const std::string& name, const std::string& key = "1",
                std::vector<std::string> channels = {}) {
    return must(desk().notify(to(name, key, std::move(channels))));
  }
  InboxItem item(const std::string& name, const std::string& key = "1") {
    tell(name, key);
    return must(inbox(name).list({.limit = 1})).items.at(0);
  }
  /// Runs what is due now.
  void work() {
    while (engine->poll({.tasks = 100}).ran > 0) {
    }
  }
  [[nodiscard]] Notification notification(Id<Notification> id) { return must(desk().find(id)); }
  [[nodiscard]] NotificationDelivery delivery(Id<Notification> id) {
    return must(desk().deliveries(id)).at(0);
  }
  [[nodiscard]] Task task(Id<Notification> id) {
    return must(Tasks{system()}.find(*delivery(id).task));
  }
  /// How many journal records there are: tells whether anything was written.
  std::int64_t changes() {
    std::int64_t head = 0;
    must(engine->database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(head, engine->database().journal_head(reader));
      return {};
    }));
    return head;
  }
};

/// The call is refused with this code, names this field, and writes nothing.
template <class F>
void refused(Office& office, Code code, const std::string& field, F&& call) {
  const std::int64_t before = office.changes();
  auto result = call();
  REQUIRE(!result);
  INFO(to_string(result.error()));
  CHECK(result.error().code == code);
  CHECK(result.error().field == field);
  CHECK_FALSE(result.error().message.empty());
  CHECK(office.changes() == before);
}

}  // namespace notify_office
