#include "bureau/notify/notifications.hpp"
#include "notify/office.hpp"

using namespace notify_office;

TEST_CASE("The most exact preference counts, for every combination of them") {
  // Each place is unset, on or off: 3^4 combinations against the rule said plainly.
  const std::vector<std::pair<std::string, std::string>> places = {
      {"ticket.assigned", "sms"}, {"ticket.assigned", "*"}, {"*", "sms"}, {"*", "*"}};
  Office office;
  const Preferences preferences(office.system(), office.people.at("ada"));
  for (int combination = 0; combination < 81; ++combination) {
    bool wanted = true, decided = false;
    int rest = combination;
    for (const auto& place : places) {
      const int choice = rest % 3;
      rest /= 3;
      if (choice == 0) {
        must(preferences.clear(place.first, place.second));
        continue;
      }
      must(preferences.set(place.first, place.second, choice == 1));
      if (!decided) wanted = choice == 1;
      decided = true;
    }
    CAPTURE(combination);
    const Notified told = office.tell("ada", std::to_string(combination), {"sms"});
    CHECK((told.status == NotificationStatus::queued) == wanted);
    if (wanted) continue;
    CHECK(told.status == NotificationStatus::skipped);
    const NotificationDelivery delivery = office.delivery(told.id);
    CHECK(delivery.status == DeliveryStatus::skipped);
    CHECK(delivery.skip_reason == SkipReason::preference_off);
    CHECK(delivery.reason->find("the recipient's preference") == 0);
    CHECK(office.notification(told.id).reason == delivery.reason);
    CHECK_FALSE(delivery.task);
  }
}

TEST_CASE("A preference for a channel that is not there is refused") {
  Office office;
  const Preferences preferences(office.as("ada"));
  refused(office, Code::invalid, "channel", [&] { return preferences.set("*", "pigeon", false); });
  CHECK(preferences.set("*", "pigeon", false).error().message ==
        "channel: \"pigeon\" is no channel of this office; there are in_app, push, sms, webhook");
  refused(office, Code::invalid, "event", [&] { return preferences.set("", "sms", false); });
  must(preferences.set("ticket.assigned", "in_app", false));
  CHECK(office.tell("ada").status == NotificationStatus::skipped);
  CHECK(must(office.inbox("ada").list()).items.empty());
  // Said twice is said once.
  const auto before = office.changes();
  must(preferences.set("ticket.assigned", "in_app", false));
  CHECK(office.changes() == before);
  CHECK(must(preferences.list()).size() == 1);
}

TEST_CASE("Preferences are a user's own") {
  Office office;
  for (const std::string name : {"ada", "cora", "vic"}) {  // whatever his role permits otherwise
    must(Preferences{office.as(name)}.set("*", "sms", false));
    must(Preferences{office.as(name)}.set("*", "sms", true));
  }
  refused(office, Code::forbidden, "user", [&] {
    return Preferences(office.as("ann"), office.people.at("ada")).set("*", "sms", false);
  });
  refused(office, Code::forbidden, "user",
          [&] { return Preferences{office.system()}.set("*", "sms", false); });
  refused(office, Code::not_found, "user",
          [&] { return Preferences(office.system(), Id<User>(77)).set("*", "sms", false); });
  CHECK(must(Preferences{office.as("ann")}.list()).empty());
  CHECK(must(Repository<NotificationPreference>{office.as("mia")}.count()) == 0);
  NotificationPreference forged;
  forged.user = office.people.at("ada");
  forged.event = forged.channel = "*";
  forged.enabled = false;
  refused(office, Code::forbidden, "",
          [&] { return Repository<NotificationPreference>{office.as("ada")}.insert(forged); });
}

TEST_CASE("A critical notification asks no preference, but an account") {
  Office office;
  must(Preferences{office.as("ada")}.set("*", "*", false));
  NewNotification given = office.to("ada", "1", {"in_app", "sms"});
  given.critical = true;
  CHECK(must(office.desk().notify(given)).status == NotificationStatus::processing);
  office.work();
  CHECK(office.sms->keys.size() == 1);

  must(Repository<User>{office.system()}.change(
      office.people.at("ada"), [](User& user) { user.status = UserStatus::disabled; }));
  given.key = "2";
  const Notified told = must(office.desk().notify(given));
  CHECK(told.status == NotificationStatus::skipped);
  CHECK(office.delivery(told.id).skip_reason == SkipReason::recipient_inactive);
}

TEST_CASE("What the recipient no longer wants when its turn comes is not sent") {
  Office office;
  const Notified told = office.tell("ada", "1", {"sms"});
  must(Preferences{office.as("ada")}.set("ticket.assigned", "sms", false));
  office.work();
  CHECK(office.sms->keys.empty());
  const NotificationDelivery delivery = office.delivery(told.id);
  CHECK(delivery.status == DeliveryStatus::skipped);
  CHECK(delivery.skip_reason == SkipReason::preference_off);
  CHECK(office.task(told.id).status == TaskStatus::completed);
  CHECK(office.notification(told.id).status == NotificationStatus::skipped);
}
