// A process that dies between sending and writing that it has sent.

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "notify/office.hpp"

using namespace notify_office;

namespace {

/// Sends by appending the key to a file; dies when told to, after it has.
class FileNotifier final : public Notifier {
 public:
  FileNotifier(std::string path, bool takes_key, bool dies)
      : path_(std::move(path)), takes_key_(takes_key), dies_(dies) {}
  [[nodiscard]] std::string_view channel() const override { return "post"; }
  [[nodiscard]] std::string_view identity() const override { return "file/1"; }
  [[nodiscard]] bool takes_key() const override { return takes_key_; }
  [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override {
    std::ofstream(path_, std::ios::app) << delivery.key << '\n';
    if (dies_) ::_exit(7);
    return Receipt{ReceiptStatus::sent, {}, {}};
  }

 private:
  std::string path_;
  bool takes_key_, dies_;
};

std::unique_ptr<Engine> open(const Folder& folder, bool takes_key, bool dies) {
  EngineOptions options;
  options.path = folder.file();
  auto engine = must(Engine::open(std::move(options)));
  must(engine->add(std::make_shared<DeliveryAgent>(
      engine->access(), std::vector<std::shared_ptr<Notifier>>{std::make_shared<FileNotifier>(
                            folder.file("sent"), takes_key, dies)})));
  return engine;
}

/// Makes an office, tells somebody something, and dies while it sends.
void live_and_die(const Folder& folder, bool takes_key) {
  auto engine = open(folder, takes_key, true);
  const auto tenant = must(engine->access().create_tenant("Larkfield")).id;
  User user;
  user.name = "ada";
  user.email = "ada@example.com";
  user.role = "agent";
  NewNotification given;
  given.event = "ticket.assigned";
  given.user = must(Repository<User>{engine->system(tenant)}.insert(user)).id;
  given.key = "1";
  given.title = "Ticket 7 is yours";
  given.channels = {"post"};
  must(Notifications{engine->system(tenant)}.notify(given));
  must(engine->start_polled());
  while (engine->poll({.tasks = 10}).ran > 0) {
  }
}

std::vector<std::string> sent(const Folder& folder) {
  std::ifstream in(folder.file("sent"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("G7_killed_between_sending_and_writing: in doubt without a key, the same key with one") {
  for (const bool takes_key : {false, true}) {
    CAPTURE(takes_key);
    const Folder folder;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      live_and_die(folder, takes_key);
      ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 7);
    REQUIRE(sent(folder).size() == 1);

    auto engine = open(folder, takes_key, false);
    must(engine->start_polled());
    while (engine->poll({.tasks = 10}).ran > 0) {
    }
    const auto tenant = must(engine->access().tenant_named("Larkfield")).id;
    const Notifications desk{engine->system(tenant)};
    must(desk.settle());
    const Notification told = must(desk.list({})).at(0);
    const NotificationDelivery delivery = must(desk.deliveries(told.id)).at(0);
    if (takes_key) {
      REQUIRE(sent(folder).size() == 2);
      CHECK(sent(folder)[0] == sent(folder)[1]);
      CHECK(delivery.status == DeliveryStatus::sent);
      CHECK(told.status == NotificationStatus::completed);
    } else {
      CHECK(sent(folder).size() == 1);
      CHECK(delivery.status == DeliveryStatus::in_doubt);
      CHECK(must(Tasks{engine->system(tenant)}.find(*delivery.task)).status ==
            TaskStatus::in_doubt);
    }
  }
}
