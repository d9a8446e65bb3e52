#include "bureau/notify/inbox.hpp"

#include "notify/office.hpp"

using namespace notify_office;

TEST_CASE("A notification is in the inbox when the call returns, once for its key") {
  Office office;
  const Notified told = office.tell("ada");
  CHECK(told.made);
  CHECK(told.status == NotificationStatus::completed);
  const auto items = must(office.inbox("ada").list()).items;
  REQUIRE(items.size() == 1);
  CHECK(items[0].title == "Ticket 7 is yours");
  CHECK(items[0].data == Json::object({{"ticket", 7}}));
  CHECK(items[0].state == InboxState::unseen);
  CHECK(office.delivery(told.id).status == DeliveryStatus::delivered);

  const Notified again = office.tell("ada");
  CHECK_FALSE(again.made);
  CHECK(again.id == told.id);
  CHECK(office.tell("ada", "2").made);
  CHECK(office.tell("ben").made);
  CHECK(must(office.inbox("ada").list()).items.size() == 2);
}

TEST_CASE("What did not happen is told to nobody") {
  Office office;
  refused(office, Code::conflict, "", [&] {
    return office.system().write([&](Unit& unit) -> Result<void> {
      BUREAU_TRY_VOID(Notifications{unit}.notify(office.to("ada", "1", {"in_app", "sms"})));
      return fail(Code::conflict, "and yet not");
    });
  });
  CHECK(must(office.inbox("ada").list()).items.empty());
  office.work();
  CHECK(office.sms->keys.empty());
}

TEST_CASE("Every pair of inbox states: legal ones are entered, the others are a conflict") {
  using Call = Result<InboxItem> (Inbox::*)(Id<InboxItem>) const;
  const std::map<InboxState, Call> to = {{InboxState::seen, &Inbox::mark_seen},
                                         {InboxState::read, &Inbox::mark_read},
                                         {InboxState::archived, &Inbox::archive}};
  for (const InboxState from :
       {InboxState::unseen, InboxState::seen, InboxState::read, InboxState::archived}) {
    for (const auto& step : to) {
      Office office;
      const InboxItem item = office.item("ada");
      const Inbox inbox = office.inbox("ada");
      if (from != InboxState::unseen) must((inbox.*to.at(from))(item.id));
      const InboxItem after = must((inbox.*step.second)(item.id));
      // Seeing what was read or archived changes nothing.
      const bool stays = step.first == InboxState::seen && from > InboxState::seen;
      CHECK(after.state == (stays ? from : step.first));
      CHECK((stays || from == step.first || may_become(from, step.first)));
      if (after.state >= InboxState::seen) CHECK(after.seen_at.has_value());
      if (after.state == InboxState::read) CHECK(after.read_at.has_value());
      CHECK(after.archived_at.has_value() == (after.state == InboxState::archived));
    }
  }
  for (const InboxState state : {InboxState::seen, InboxState::read, InboxState::archived}) {
    CHECK_FALSE(may_become(state, InboxState::unseen));
  }
}

TEST_CASE("Read, unread, archived and taken out again") {
  Office office;
  const InboxItem item = office.item("ada");
  const Inbox inbox = office.inbox("ada");
  CHECK(must(inbox.mark_unread(item.id)).state == InboxState::unseen);
  must(inbox.mark_read(item.id));
  CHECK(must(inbox.count()).unread == 0);
  const InboxItem unread = must(inbox.mark_unread(item.id));
  CHECK(unread.state == InboxState::seen);
  CHECK_FALSE(unread.read_at);
  CHECK(must(inbox.count()).unread == 1);
  CHECK(must(inbox.count()).unseen == 0);

  must(inbox.archive(item.id));
  CHECK(must(inbox.list()).items.empty());
  CHECK(must(inbox.list({.archived = true})).items.size() == 1);
  refused(office, Code::conflict, "state", [&] { return inbox.mark_unread(item.id); });
  CHECK(must(inbox.unarchive(item.id)).state == InboxState::seen);
  must(inbox.mark_read(item.id));
  must(inbox.archive(item.id));
  CHECK(must(inbox.unarchive(item.id)).state == InboxState::read);
}

TEST_CASE("A snoozed item is out of sight until its moment") {
  Office office;
  const InboxItem item = office.item("ada");
  const Inbox inbox = office.inbox("ada");
  must(inbox.snooze(item.id, office.clock.now() + 1h));
  CHECK(must(inbox.list()).items.empty());
  CHECK(must(inbox.list({.snoozed = true})).items.size() == 1);
  CHECK(must(inbox.count()).unread == 0);
  CHECK(must(inbox.mark_all(InboxState::read)) == 0);
  office.clock.advance(1h);
  CHECK(must(inbox.list()).items.size() == 1);
  CHECK(must(inbox.list({.snoozed = true})).items.empty());
  CHECK(must(inbox.count()).unseen == 1);

  must(inbox.snooze(item.id, office.clock.now() + 1h));
  must(inbox.snooze(item.id, {}));
  CHECK(must(inbox.list()).items.size() == 1);
  refused(office, Code::invalid, "snoozed_until",
          [&] { return inbox.snooze(item.id, office.clock.now()); });
  must(inbox.archive(item.id));
  refused(office, Code::conflict, "state",
          [&] { return inbox.snooze(item.id, office.clock.now() + 1h); });
  refused(office, Code::invalid, "snoozed",
          [&] { return inbox.list({.archived = true, .snoozed = true}); });
}

TEST_CASE("All at once") {
  Office office;
  for (int i = 0; i < 5; ++i) office.tell("ada", std::to_string(i));
  office.tell("ben");
  const Inbox inbox = office.inbox("ada");
  const auto items = must(inbox.list()).items;
  must(inbox.mark_read(items[0].id));
  must(inbox.mark_seen(items[1].id));
  CHECK(must(inbox.mark_all(InboxState::seen)) == 3);
  CHECK(must(inbox.count()).unseen == 0);
  CHECK(must(inbox.mark_all(InboxState::read)) == 4);
  CHECK(must(inbox.mark_all(InboxState::read)) == 0);
  CHECK(must(inbox.mark_all(InboxState::archived)) == 5);
  for (const InboxItem& item : must(inbox.list({.archived = true})).items) {
    CHECK(item.seen_at.has_value());
    CHECK(item.read_at.has_value());
    CHECK(item.archived_at.has_value());
    CHECK(item.version > 1);
  }
  CHECK(must(office.inbox("ben").count()).unseen == 1);
  refused(office, Code::invalid, "state", [&] { return inbox.mark_all(InboxState::unseen); });
}

TEST_CASE("Pages of an inbox, the newest first") {
  Office office;
  for (int i = 0; i < 5; ++i) office.tell("ada", std::to_string(i));
  const Inbox inbox = office.inbox("ada");
  std::vector<std::int64_t> seen;
  std::string cursor;
  do {
    const auto page = must(inbox.list({.limit = 2, .cursor = cursor}));
    for (const InboxItem& item : page.items) seen.push_back(item.id.value);
    cursor = page.next;
    office.clock.advance(1s);  // the cursor stays good
  } while (!cursor.empty());
  CHECK(seen.size() == 5);
  CHECK(std::is_sorted(seen.rbegin(), seen.rend()));
}

TEST_CASE("A user sees and changes his own inbox alone, whatever his role") {
  Office office;
  for (const std::string name : {"ada", "ann", "ben", "cora", "mia", "vic"}) {
    CAPTURE(name);
    const InboxItem item = office.item(name);
    must(office.inbox(name).mark_read(item.id));
    for (const std::string other : {"ann", "mia", "cora"}) {
      if (other == name) continue;
      CAPTURE(other);
      const Inbox his = office.inbox(other);
      refused(office, Code::not_found, "id", [&] { return his.mark_read(item.id); });
      refused(office, Code::not_found, "id", [&] { return his.find(item.id); });
      refused(office, Code::forbidden, "user",
              [&] { return Inbox(office.as(other), office.people.at(name)).list(); });
      CHECK(must(Repository<InboxItem>{office.as(other)}.count(col(&InboxItem::user) ==
                                                               office.people.at(name))) == 0);
    }
    // Past the state machine leads no way.
    InboxItem changed = must(office.inbox(name).find(item.id));
    changed.state = InboxState::unseen;
    refused(office, Code::forbidden, "",
            [&] { return Repository<InboxItem>{office.as(name)}.update(changed); });
  }
  refused(office, Code::forbidden, "user", [&] { return Inbox{office.system()}.list(); });
  CHECK(must(Inbox(office.system(), office.people.at("ada")).list()).items.size() == 1);
  CHECK(must(Inbox(office.as("ada"), office.people.at("ada")).list()).items.size() == 1);
}

TEST_CASE("Who may notify") {
  Office office;
  for (const std::string name : {"ada", "ann", "mia"}) {
    CHECK(must(Notifications{office.as(name)}.notify(office.to("ben", name, {"in_app", "push"})))
              .made);
  }
  for (const std::string name : {"ben", "cora", "vic"}) {
    refused(office, Code::forbidden, "",
            [&] { return Notifications{office.as(name)}.notify(office.to("ben", "ada")); });
  }
  // The agent sees none of what he told others, the manager all of it, the recipient his own.
  CHECK(must(Notifications{office.as("ada")}.list({})).empty());
  CHECK(must(Notifications{office.as("mia")}.list({})).size() == 3);
  CHECK(must(Notifications{office.as("ben")}.list({})).size() == 3);
  const auto id = must(Notifications{office.as("ben")}.list({})).front().id;
  CHECK(must(Notifications{office.as("ben")}.deliveries(id)).size() == 2);
  CHECK(Notifications{office.as("ada")}.deliveries(id).error().code == Code::not_found);
  office.work();
  CHECK(office.push->keys.size() == 3);
}

TEST_CASE("Bad notifications change nothing and name field, value and rule") {
  Office office;
  const auto bad = [&](const std::string& field, Code code, auto change) {
    NewNotification given = office.to("ada");
    change(given);
    refused(office, code, field, [&] { return office.desk().notify(given); });
  };
  using N = NewNotification;
  bad("event", Code::invalid, [](N& n) { n.event = " "; });
  bad("event", Code::invalid, [](N& n) { n.event = "*"; });
  bad("event", Code::invalid, [](N& n) { n.event = std::string(101, 'e'); });
  bad("key", Code::invalid, [](N& n) { n.key = ""; });
  bad("title", Code::invalid, [](N& n) { n.title = ""; });
  bad("title", Code::invalid, [](N& n) { n.title = "\xFF"; });
  bad("body", Code::invalid, [](N& n) { n.body = std::string(20'001, 'b'); });
  bad("data", Code::invalid, [](N& n) { n.data = Json("text"); });
  bad("data", Code::invalid, [](N& n) {
    n.data = Json::object({{"much", std::string(70'000, 'x')}});
  });
  bad("user", Code::invalid, [](N& n) { n.user = {}; });
  bad("user", Code::not_found, [](N& n) { n.user = Id<User>(77); });
  bad("channels", Code::invalid, [](N& n) { n.channels = {"pigeon"}; });
  bad("channels", Code::invalid, [](N& n) { n.channels = {"sms", "sms"}; });
  bad("channels", Code::invalid, [](N& n) { n.channels = {"webhook"}; });
  NewNotification pigeon = office.to("ada");
  pigeon.channels = {"pigeon"};
  CHECK(office.desk().notify(pigeon).error().message ==
        "channels: \"pigeon\" is no channel of this office; there are in_app, push, sms, webhook");
}

TEST_CASE("What is hidden from the owner of an item is still there after he has marked it") {
  Policies policies;
  must(policies.hide({.name = "personal", .table = "inbox_items", .personal = true}));
  Office office({}, std::move(policies));
  const InboxItem item = office.item("ada");
  CHECK(item.title.empty());
  const Inbox inbox = office.inbox("ada");
  for (const InboxItem& marked :
       {must(inbox.snooze(item.id, office.clock.now() + 1h)), must(inbox.mark_read(item.id)),
        must(inbox.archive(item.id)), must(inbox.unarchive(item.id))}) {
    CHECK(marked.title.empty());
    CHECK(marked.body.empty());
  }
  const InboxItem stored = must(Repository<InboxItem>{office.system()}.find(item.id));
  CHECK(stored.state == InboxState::read);
  CHECK(stored.title == "Ticket 7 is yours");
  CHECK(stored.body == "The anvil is broken.");
  CHECK(stored.data == Json::object({{"ticket", 7}}));
}
