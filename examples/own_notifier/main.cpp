// A host's own channel: a pager service that takes an idempotency key, and calls back later.

#include <bureau/bureau.hpp>
#include <cstdio>
#include <set>

using namespace bureau;

/// Carries one message over one channel, and knows nothing else: retries, preferences and what
/// became of it are bureau's business.
class Pager final : public Notifier {
 public:
  [[nodiscard]] std::string_view channel() const override { return "pager"; }
  [[nodiscard]] std::string_view identity() const override { return "acme-pager/1"; }
  [[nodiscard]] bool takes_key() const override { return true; }

  [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override {
    std::printf("pager: try %lld for %s: %s\n", static_cast<long long>(delivery.attempt),
                delivery.name.c_str(), delivery.title.c_str());
    const bool known = !keys_.insert(delivery.key).second;
    if (delivery.attempt == 1) return fail(Code::unavailable, "the line is busy");
    std::printf("pager: the same key as before: %s\n", known ? "yes" : "no");
    return Receipt{ReceiptStatus::sent, "page-1", {}};  // by that name news of it will come
  }

 private:
  std::set<std::string> keys_;  // one thread calls here: this host polls
};

void print(const NotificationDelivery& delivery) {
  const auto status = names<DeliveryStatus>[static_cast<std::size_t>(delivery.status)];
  std::printf("%s: %.*s%s%s\n", delivery.channel.c_str(), static_cast<int>(status.size()),
              status.data(), delivery.reason ? ", " : "", delivery.reason.value_or("").c_str());
}

Result<void> print_deliveries(const Session& desk, Id<Notification> notification) {
  BUREAU_TRY(auto deliveries, Notifications{desk}.deliveries(notification));
  for (const NotificationDelivery& delivery : deliveries) print(delivery);
  return {};
}

Result<void> on_call(const char* path) {
  ManualClock clock;  // so that nobody waits for the second try
  BUREAU_TRY(auto office, Engine::open({.path = path, .clock = &clock}));
  BUREAU_TRY(auto tenant, office->access().create_tenant("Larkfield"));
  const Session desk = office->system(tenant.id);
  User ada;
  ada.email = "ada@example.com";
  ada.name = "Ada";
  ada.role = "agent";
  BUREAU_TRY(ada, Repository<User>(desk).insert(ada));
  const std::vector<std::shared_ptr<Notifier>> notifiers = {std::make_shared<Pager>()};
  BUREAU_TRY_VOID(office->add(std::make_shared<DeliveryAgent>(office->access(), notifiers)));
  BUREAU_TRY_VOID(office->start_polled());
  const auto work = [&] {
    while (office->poll({.tasks = 10}).ran > 0) {
    }
  };

  // Inbox, delivery and task commit with whatever else the unit does.
  NewNotification hot{.event = "pump.hot", .user = ada.id, .key = "pump 3, 09:30"};
  hot.title = "Pump 3 is hot";
  hot.channels = {"in_app", "pager"};
  BUREAU_TRY(auto told, desk.write([&](Unit& unit) { return Notifications{unit}.notify(hot); }));
  work();
  clock.advance(std::chrono::minutes(1));
  work();
  BUREAU_TRY_VOID(print_deliveries(desk, told.id));

  // What the service says later, as often and in whatever order it does.
  LaterReceipt news{.channel = "pager", .external_id = "page-1", .status = "read"};
  BUREAU_TRY(auto read, Notifications{desk}.receipt(news));
  print(read);
  news.status = "delivered";
  BUREAU_TRY(auto still, Notifications{desk}.receipt(news));
  print(still);

  BUREAU_TRY(auto session, office->session(tenant.id, ada.id));
  BUREAU_TRY_VOID(Preferences{session}.set("*", "pager", false));
  hot.key = "pump 3, 09:40";
  BUREAU_TRY(auto again, Notifications{desk}.notify(hot));
  BUREAU_TRY_VOID(print_deliveries(desk, again.id));
  BUREAU_TRY(auto unread, Inbox{session}.count());
  std::printf("unread: %llu\n", static_cast<unsigned long long>(unread.unread));
  return office->stop();
}

int main(int argc, char** argv) {
  const auto done = on_call(argc > 1 ? argv[1] : "office.db");
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
