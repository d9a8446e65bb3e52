#include <algorithm>
#include <stdexcept>

#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "notify/office.hpp"

using namespace notify_office;

namespace {

Result<Receipt> sent() { return Receipt{ReceiptStatus::sent, "", {}}; }

/// What a notifier can do wrong, and what it is to lead to.
struct Trouble {
  std::string name;
  ScriptedNotifier::Answer answer;
  bool may_have_been_sent;
  std::string says;  ///< is in the delivery's reason
};

std::vector<Trouble> troubles() {
  return {
      {"throws", [](const Delivery&) -> Result<Receipt> { throw std::runtime_error("the belt"); },
       true, "it threw: the belt"},
      {"throws an int", [](const Delivery&) -> Result<Receipt> { throw 7; }, true,
       "it threw what is no std::exception"},
      {"answers nothing", [](const Delivery&) -> Result<Receipt> { return Receipt{}; }, true,
       "it answered nothing"},
      {"unknown", [](const Delivery&) { return Result<Receipt>(fail(Code::unknown_outcome, "?")); },
       true, "?"},
      {"says nothing", [](const Delivery&) { return Result<Receipt>(fail(Code::internal, "")); },
       true, "it gave no reason"},
      {"unavailable",
       [](const Delivery&) { return Result<Receipt>(fail(Code::unavailable, "no line")); }, false,
       "no line"},
      {"not text", [](const Delivery&) { return Result<Receipt>(fail(Code::busy, "\xFF\xFE")); },
       false, "(the text was not valid UTF-8)"},
  };
}

}  // namespace

TEST_CASE("A message is sent once, and what became of it is written") {
  Office office;
  const Notified told = office.tell("ada", "1", {"in_app", "push", "sms"});
  CHECK(told.status == NotificationStatus::processing);
  office.work();
  office.work();
  CHECK(office.sms->keys.size() == 1);
  CHECK(office.push->keys.size() == 1);
  CHECK(office.sms->last.email == "ada@example.com");
  CHECK(office.sms->last.title == "Ticket 7 is yours");
  CHECK(office.sms->last.attempt == 1);
  const auto deliveries = must(office.desk().deliveries(told.id));
  REQUIRE(deliveries.size() == 3);
  CHECK(deliveries[1].channel == "push");
  CHECK(deliveries[1].status == DeliveryStatus::sent);
  CHECK(deliveries[1].external_id == "x1");
  CHECK(deliveries[1].sent_at == office.clock.now());
  CHECK(office.notification(told.id).status == NotificationStatus::completed);
}

TEST_CASE("A channel without a key: what may have been sent is in doubt and never sent again") {
  for (const Trouble& trouble : troubles()) {
    CAPTURE(trouble.name);
    Office office;
    office.sms->answer = trouble.answer;
    const Notified told = office.tell("ada", "1", {"sms"});
    for (int i = 0; i < 5; ++i) {
      office.work();
      office.clock.advance(1h);
    }
    CHECK(office.sms->keys.size() == 1);
    const NotificationDelivery delivery = office.delivery(told.id);
    CHECK(delivery.reason->find(trouble.says) != std::string::npos);
    if (trouble.may_have_been_sent) {
      CHECK(office.task(told.id).status == TaskStatus::in_doubt);
      CHECK(delivery.status == DeliveryStatus::in_doubt);
      CHECK(office.notification(told.id).status == NotificationStatus::queued);
    } else {
      CHECK(office.task(told.id).status == TaskStatus::dead);
      CHECK(delivery.status == DeliveryStatus::failed);
      CHECK(office.notification(told.id).status == NotificationStatus::failed);
    }
  }
}

TEST_CASE("A channel that takes a key is asked again with the same one") {
  for (const Trouble& trouble : troubles()) {
    CAPTURE(trouble.name);
    Office office;
    int calls = 0;
    office.push->answer = [&](const Delivery& delivery) -> Result<Receipt> {
      return ++calls < 3 ? trouble.answer(delivery) : sent();
    };
    const Notified told = office.tell("ada", "1", {"push"});
    office.tell("ada", "2", {"push"});
    for (int i = 0; i < 10 && calls < 2; ++i) office.work();
    const NotificationDelivery between = office.delivery(told.id);
    CHECK(between.status <= DeliveryStatus::sent);
    for (int i = 0; i < 10; ++i) {
      office.work();
      office.clock.advance(31min);
    }
    CHECK(office.delivery(told.id).status == DeliveryStatus::sent);
    CHECK(office.notification(told.id).status == NotificationStatus::completed);
    auto keys = office.push->keys;
    std::sort(keys.begin(), keys.end());
    CHECK(std::unique(keys.begin(), keys.end()) - keys.begin() == 2);  // one a message
  }
}

TEST_CASE("A message that never gets through ends failed, and can be tried again") {
  Office office;
  office.push->answer = [](const Delivery&) -> Result<Receipt> {
    return fail(Code::unavailable, "no line");
  };
  const Notified told = office.tell("ada", "1", {"push"});
  for (int i = 0; i < 20; ++i) {
    office.work();
    office.clock.advance(31min);
  }
  CHECK(office.push->keys.size() == 10);
  CHECK(office.task(told.id).status == TaskStatus::dead);
  const NotificationDelivery failed = office.delivery(told.id);
  CHECK(failed.status == DeliveryStatus::failed);
  CHECK(failed.attempts == 10);
  CHECK(office.notification(told.id).status == NotificationStatus::failed);

  office.push->answer = {};
  must(office.desk().resolve(failed.id, DeliveryStatus::queued, "the line is back"));
  CHECK(office.notification(told.id).status == NotificationStatus::queued);
  office.work();
  CHECK(office.delivery(told.id).status == DeliveryStatus::sent);
  CHECK(office.push->keys.back() == office.push->keys.front());
}

TEST_CASE("A refusal is for good, in every channel") {
  for (const Code code : {Code::invalid, Code::not_found, Code::forbidden, Code::gone}) {
    for (const std::string channel : {"sms", "push"}) {
      Office office;
      const auto refuse = [&](const Delivery&) -> Result<Receipt> {
        return fail(code, "no such number");
      };
      office.sms->answer = office.push->answer = refuse;
      const Notified told = office.tell("ada", "1", {channel});
      for (int i = 0; i < 3; ++i) {
        office.work();
        office.clock.advance(1h);
      }
      CHECK(office.sms->keys.size() + office.push->keys.size() == 1);
      CHECK(office.delivery(told.id).status == DeliveryStatus::failed);
      CHECK(office.task(told.id).status == TaskStatus::dead);
      CHECK(office.task(told.id).error_code == "invalid");
    }
  }
}

TEST_CASE("A notifier that hangs past its time") {
  for (const std::string channel : {"sms", "push"}) {
    for (const bool answers : {true, false}) {
      CAPTURE(channel);
      CAPTURE(answers);
      Office office;
      bool stop_was_asked = false;
      const auto hang = [&](const Delivery& delivery) -> Result<Receipt> {
        if (delivery.attempt > 1) return sent();
        office.clock.advance(2min);  // the limit is one
        (void)office.engine->poll({.tasks = 0});
        stop_was_asked = delivery.stop_requested();
        if (!answers) return fail(Code::unknown_outcome, "the line went dead");
        return Receipt{ReceiptStatus::sent, "late", {}};
      };
      office.sms->answer = office.push->answer = hang;
      const Notified told = office.tell("ada", "1", {channel});
      for (int i = 0; i < 3; ++i) {
        office.work();
        office.clock.advance(1h);
      }
      CHECK(stop_was_asked);
      const std::size_t calls = office.sms->keys.size() + office.push->keys.size();
      const DeliveryStatus status = office.delivery(told.id).status;
      const TaskStatus task = office.task(told.id).status;
      if (answers) {  // late, and known all the same
        CHECK(calls == 1);
        CHECK(status == DeliveryStatus::sent);
        CHECK(task == TaskStatus::completed);
      } else if (channel == "sms") {
        CHECK(calls == 1);
        CHECK(status == DeliveryStatus::in_doubt);
        CHECK(task == TaskStatus::in_doubt);
      } else {
        CHECK(calls == 2);
        CHECK(status == DeliveryStatus::sent);
        CHECK(task == TaskStatus::completed);
      }
    }
  }
}

TEST_CASE("When what was sent cannot be written, it is in doubt or sent with the same key") {
  for (const auto at : {testing::Fault::At::before, testing::Fault::At::commit,
                        testing::Fault::At::unknown_kept, testing::Fault::At::unknown_undone}) {
    for (const std::string channel : {"sms", "push"}) {
      CAPTURE(static_cast<int>(at));
      CAPTURE(channel);
      int fail_next = 0;
      Office office([&](std::shared_ptr<Storage> inner) {
        return std::make_shared<testing::FaultyStorage>(
            std::move(inner), [&](bool is_write, std::uint64_t) -> std::optional<testing::Fault> {
              if (!is_write || fail_next == 0) return std::nullopt;
              --fail_next;
              return testing::Fault{.at = at};
            });
      });
      const auto arm = [&](const Delivery& delivery) -> Result<Receipt> {
        if (delivery.attempt == 1) fail_next = 1;
        return sent();
      };
      office.sms->answer = office.push->answer = arm;
      const Notified told = office.tell("ada", "1", {channel});
      for (int i = 0; i < 3; ++i) {
        office.work();
        office.clock.advance(1h);
      }
      must(office.desk().settle());
      const bool kept = at == testing::Fault::At::unknown_kept;
      if (channel == "sms") {
        CHECK(office.sms->keys.size() == 1);
        CHECK(office.task(told.id).status == (kept ? TaskStatus::completed : TaskStatus::in_doubt));
        CHECK(office.delivery(told.id).status ==
              (kept ? DeliveryStatus::sent : DeliveryStatus::in_doubt));
      } else {
        CHECK(office.push->keys.size() == (kept ? 1 : 2));
        CHECK(office.push->keys.front() == office.push->keys.back());
        CHECK(office.task(told.id).status == TaskStatus::completed);
        CHECK(office.delivery(told.id).status == DeliveryStatus::sent);
      }
    }
  }
}

TEST_CASE("On a storage that runs every closure twice nothing is told or sent twice") {
  Office office([](std::shared_ptr<Storage> inner) {
    return std::make_shared<testing::RerunStorage>(std::move(inner));
  });
  const Notified told = office.tell("ada", "1", {"in_app", "push", "sms"});
  CHECK(told.made);
  must(Webhooks{office.system()}.add({.name = "erp", .url = "https://erp.example.com/in"}));
  CHECK(must(office.desk().publish({.event = "deal.won", .key = "1", .title = "Won"})).size() == 1);
  office.work();
  CHECK(office.sms->keys.size() == 1);
  CHECK(office.push->keys.size() == 1);
  CHECK(office.hook->keys.size() == 1);
  CHECK(must(office.inbox("ada").list()).items.size() == 1);
  CHECK(must(office.inbox("ada").mark_all(InboxState::read)) == 1);
  CHECK(must(Repository<NotificationDelivery>{office.system()}.count()) == 4);
}

TEST_CASE("What a person makes of a delivery in doubt") {
  struct Case {
    DeliveryStatus outcome;
    TaskStatus task;
    NotificationStatus notification;
    std::size_t calls;
  };
  for (const Case& c :
       {Case{DeliveryStatus::sent, TaskStatus::completed, NotificationStatus::completed, 1},
        Case{DeliveryStatus::failed, TaskStatus::dead, NotificationStatus::failed, 1},
        Case{DeliveryStatus::queued, TaskStatus::completed, NotificationStatus::completed, 2}}) {
    Office office;
    office.sms->answer = [](const Delivery& delivery) -> Result<Receipt> {
      if (delivery.attempt > 1) return sent();
      throw std::runtime_error("the belt");
    };
    const Notified told = office.tell("ada", "1", {"sms"});
    office.work();
    const auto id = office.delivery(told.id).id;
    refused(office, Code::invalid, "outcome",
            [&] { return office.desk().resolve(id, DeliveryStatus::read, "no"); });
    refused(office, Code::invalid, "reason",
            [&] { return office.desk().resolve(id, c.outcome, ""); });
    refused(office, Code::not_found, "id",
            [&] { return Notifications{office.as("ben")}.resolve(id, c.outcome, "I say so"); });
    refused(office, Code::forbidden, "",
            [&] { return Notifications{office.as("mia")}.resolve(id, c.outcome, "I say so"); });
    must(Notifications{office.as("ann")}.resolve(id, c.outcome, "asked the provider"));
    office.work();
    CHECK(office.task(told.id).status == c.task);
    CHECK(office.notification(told.id).status == c.notification);
    CHECK(office.sms->keys.size() == c.calls);
    if (c.outcome == DeliveryStatus::failed) continue;
    refused(office, Code::conflict, "status",
            [&] { return office.desk().resolve(id, DeliveryStatus::queued, "again"); });
  }
}

TEST_CASE("What became of a task elsewhere is written into its delivery") {
  Office office;
  const Notified cancelled = office.tell("ada", "1", {"sms"});
  must(Tasks{office.system()}.cancel(*office.delivery(cancelled.id).task, "not this one"));
  office.sms->answer = [](const Delivery&) -> Result<Receipt> { throw 7; };
  const Notified resolved = office.tell("ada", "2", {"sms"});
  office.work();
  must(Tasks{office.system()}.resolve(*office.delivery(resolved.id).task, TaskStatus::completed,
                                      "it is there"));
  CHECK(must(office.desk().settle()) == 1);  // the agent has seen the first
  CHECK(must(office.desk().settle()) == 0);
  CHECK(office.delivery(cancelled.id).status == DeliveryStatus::cancelled);
  CHECK(office.delivery(cancelled.id).reason == "not this one");
  CHECK(office.notification(cancelled.id).status == NotificationStatus::failed);
  CHECK(office.delivery(resolved.id).status == DeliveryStatus::sent);
}

TEST_CASE("Cancelled while it is delivered: what the notifier says counts, and a doubt stays one") {
  struct Case {
    std::string name;
    ScriptedNotifier::Answer answer;
    DeliveryStatus becomes;
    TaskStatus task;
  };
  const std::vector<Case> cases = {
      {"sent", [](const Delivery&) { return sent(); }, DeliveryStatus::sent, TaskStatus::cancelled},
      {"not sent",
       [](const Delivery&) { return Result<Receipt>(fail(Code::cancelled, "it was to stop")); },
       DeliveryStatus::failed, TaskStatus::cancelled},
      {"nobody knows", [](const Delivery&) -> Result<Receipt> { throw 7; },
       DeliveryStatus::in_doubt, TaskStatus::in_doubt}};
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Office office;
    const Notified told = office.tell("ada", "1", {"sms"});
    const NotificationDelivery delivery = office.delivery(told.id);
    office.sms->answer = [&](const Delivery& given) {
      must(Tasks{office.system()}.cancel(*delivery.task, "not this one"));
      return c.answer(given);
    };
    office.work();
    must(office.desk().settle());
    CHECK(office.delivery(told.id).status == c.becomes);
    CHECK(office.task(told.id).status == c.task);
    CHECK(office.sms->keys.size() == 1);
    if (c.becomes != DeliveryStatus::in_doubt) continue;
    // Whoever has it sent again wants it sent, whatever was wanted of the attempt in doubt.
    office.sms->answer = {};
    must(office.desk().resolve(delivery.id, DeliveryStatus::queued, "it did not arrive"));
    office.work();
    CHECK(office.delivery(told.id).status == DeliveryStatus::sent);
    CHECK(office.task(told.id).status == TaskStatus::completed);
  }
}

TEST_CASE("What a channel gave up later may be sent again") {
  for (const char* channel : {"sms", "push"}) {
    Office office;
    const Notified told = office.tell("ada", "1", {channel});
    office.work();
    const NotificationDelivery gone = office.delivery(told.id);
    must(office.desk().receipt(
        {.channel = channel, .external_id = *gone.external_id, .status = "failed"}));
    CHECK(office.task(told.id).status == TaskStatus::completed);
    const NotificationDelivery again = must(Notifications{office.as("ann")}.resolve(
        gone.id, DeliveryStatus::queued, "the number was wrong"));
    CHECK(again.status == DeliveryStatus::queued);
    CHECK(again.id == gone.id);
    CHECK(office.notification(told.id).status == NotificationStatus::queued);
    CHECK(must(office.desk().settle()) == 0);
    office.work();
    const auto& notifier = channel == std::string("sms") ? office.sms : office.push;
    CHECK(notifier->keys == std::vector<std::string>(2, notifier->keys.front()));
    CHECK(office.delivery(told.id).status == DeliveryStatus::sent);
    CHECK(office.notification(told.id).status == NotificationStatus::completed);
  }
}

TEST_CASE("A channel is its notifier's: another one is refused") {
  Office office;
  const auto add = [&](std::vector<std::shared_ptr<Notifier>> notifiers, DeliveryOptions options) {
    return DeliveryAgent(office.engine->access(), std::move(notifiers), options).on_initialize();
  };
  const auto other = std::make_shared<ScriptedNotifier>("sms", false, "other/1");
  const auto keyed = std::make_shared<ScriptedNotifier>("sms", true);
  refused(office, Code::conflict, "identity", [&] { return add({other}, {}); });
  refused(office, Code::conflict, "identity", [&] { return add({keyed}, {}); });
  must(add({std::make_shared<ScriptedNotifier>("sms", false)}, {}));
  must(add({other}, {.replace = true}));
  refused(office, Code::invalid, "channel", [&] { return add({other, keyed}, {}); });
  refused(office, Code::invalid, "notifiers", [&] { return add({nullptr}, {}); });
  for (const std::string name : {"", "in_app", "Sms", "7up", "a b"}) {
    refused(office, Code::invalid, "channel",
            [&] { return add({std::make_shared<ScriptedNotifier>(name, true)}, {}); });
  }
}

TEST_CASE("A message enqueued with a key is not sent over a channel that no longer takes one") {
  Office office;
  const Notified told = office.tell("ada", "1", {"push"});
  DeliveryAgent other(office.engine->access(),
                      {std::make_shared<ScriptedNotifier>("push", false, "other/1")},
                      {.replace = true});
  must(other.on_initialize());
  CHECK(office.tell("ada", "2", {"push"}).made);
  CHECK(office.task(told.id).effect == Effect::external_idempotent);
  Orchestrator elsewhere(office.engine->database(), office.engine->access(), {});
  auto agent = std::make_shared<DeliveryAgent>(
      office.engine->access(), std::vector<std::shared_ptr<Notifier>>{
                                   std::make_shared<ScriptedNotifier>("push", false, "other/1")});
  must(elsewhere.add(agent));
  must(elsewhere.start());
  while (must(elsewhere.step())) {
  }
  CHECK(office.delivery(told.id).status == DeliveryStatus::failed);
  CHECK(office.task(told.id).error->find("took a key") != std::string::npos);
}

TEST_CASE("Tasks of a channel without a notifier here are left to others") {
  Office office;
  DeliveryAgent none(office.engine->access(), {});
  must(none.on_initialize());
  const Notified told = office.tell("ada", "1", {"sms"});
  CHECK_FALSE(none.can_process(office.task(told.id)));
}
