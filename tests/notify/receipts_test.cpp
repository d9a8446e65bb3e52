#include <rapidcheck.h>

#include <algorithm>

#include "notify/office.hpp"

using namespace notify_office;

namespace {

LaterReceipt news(const std::string& status, std::optional<Timestamp> at = {}) {
  return {.channel = "push", .external_id = "x1", .status = status, .at = at, .reason = "said so"};
}

/// An office with one message that its channel has taken as "x1".
struct Sent {
  Office office;
  Id<Notification> id;
  Sent() {
    id = office.tell("ada", "1", {"push"}).id;
    office.work();
  }
};

}  // namespace

TEST_CASE("Receipts come later: sent, delivered, read") {
  Sent sent;
  Office& office = sent.office;
  const Timestamp at = office.clock.now() - 1s;
  CHECK(must(office.desk().receipt(news("delivered", at))).status == DeliveryStatus::delivered);
  CHECK(must(office.desk().receipt(news("read"))).status == DeliveryStatus::read);
  const NotificationDelivery delivery = office.delivery(sent.id);
  CHECK(delivery.delivered_at == at);
  CHECK(delivery.read_at == office.clock.now());
  const auto before = office.changes();
  must(office.desk().receipt(news("read")));  // twice is not an error and changes nothing
  CHECK(office.changes() == before);
}

TEST_CASE("Receipts in any order, and twice, come to the same") {
  const std::vector<std::string> all = {"sent", "delivered", "read", "bounced", "failed"};
  CHECK(rc::check([&] {
    const auto given =
        *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, all.size()));
    auto shuffled = given;
    for (std::size_t i = shuffled.size(); i > 1; --i) {
      std::swap(shuffled[i - 1], shuffled[*rc::gen::inRange<std::size_t>(0, i)]);
    }
    std::vector<NotificationDelivery> ends;
    for (const auto& order : {given, shuffled}) {
      Sent sent;
      DeliveryStatus last = DeliveryStatus::sent;
      for (const std::size_t which : order) {
        // Each kind of news has a moment of its own, whenever it comes.
        const Timestamp at =
            Timestamp::from_micros(1'000'000 * static_cast<std::int64_t>(which + 1));
        const auto now = must(sent.office.desk().receipt(news(all[which], at)));
        RC_ASSERT(now.status >= last);
        last = now.status;
      }
      ends.push_back(sent.office.delivery(sent.id));
    }
    RC_ASSERT(ends[0].status == ends[1].status);
    RC_ASSERT(ends[0].sent_at == ends[1].sent_at);
    RC_ASSERT(ends[0].delivered_at == ends[1].delivered_at);
    RC_ASSERT(ends[0].read_at == ends[1].read_at);
    RC_ASSERT(ends[0].failed_at == ends[1].failed_at);
  }));
}

TEST_CASE("A bounce makes a notification fail, and what was read was delivered") {
  Sent sent;
  must(sent.office.desk().receipt(news("bounced")));
  CHECK(sent.office.notification(sent.id).status == NotificationStatus::failed);
  CHECK(sent.office.notification(sent.id).reason == "said so");
  must(sent.office.desk().receipt(news("read")));
  CHECK(sent.office.notification(sent.id).status == NotificationStatus::completed);
}

TEST_CASE("A receipt that comes before the answer is kept") {
  Office office;
  Id<Notification> id;
  office.push->answer = [&](const Delivery&) -> Result<Receipt> {
    // The channel names the message in a first call, and tells of it before that call ends.
    must(Repository<NotificationDelivery>{office.system()}.change(
        office.delivery(id).id, [](auto& row) { row.external_id = "x1"; }));
    must(office.desk().receipt(news("delivered")));
    return Receipt{ReceiptStatus::sent, "x1", {}};
  };
  id = office.tell("ada", "1", {"push"}).id;
  office.work();
  CHECK(office.delivery(id).status == DeliveryStatus::delivered);
  CHECK(office.delivery(id).sent_at.has_value());
  CHECK(office.task(id).status == TaskStatus::completed);
}

TEST_CASE("A receipt ends a doubt") {
  Office office;
  office.sms->answer = [](const Delivery&) -> Result<Receipt> { throw 7; };
  const auto id = office.tell("ada", "1", {"sms"}).id;
  office.work();
  CHECK(office.task(id).status == TaskStatus::in_doubt);
  must(Repository<NotificationDelivery>{office.system()}.change(
      office.delivery(id).id, [](auto& row) { row.external_id = "x1"; }));
  LaterReceipt late = news("delivered");
  late.channel = "sms";
  must(office.desk().receipt(late));
  CHECK(office.delivery(id).status == DeliveryStatus::delivered);
  CHECK(office.task(id).status == TaskStatus::completed);
  CHECK(office.notification(id).status == NotificationStatus::completed);
}

TEST_CASE("Bad receipts") {
  Sent sent;
  Office& office = sent.office;
  const auto bad = [&](const std::string& field, Code code, auto change) {
    LaterReceipt given = news("delivered");
    change(given);
    refused(office, code, field, [&] { return office.desk().receipt(given); });
  };
  bad("status", Code::invalid, [](LaterReceipt& r) { r.status = "opened"; });
  bad("status", Code::invalid, [](LaterReceipt& r) { r.status = "none"; });
  bad("channel", Code::invalid, [](LaterReceipt& r) { r.channel = ""; });
  bad("external_id", Code::invalid, [](LaterReceipt& r) { r.external_id = ""; });
  bad("external_id", Code::not_found, [](LaterReceipt& r) { r.external_id = "x2"; });
  refused(office, Code::not_found, "external_id",
          [&] { return Notifications{office.as("ben")}.receipt(news("read")); });
  for (const std::string who : {"ada", "mia"}) {  // who see it: the recipient, and a manager
    refused(office, Code::forbidden, "",
            [&] { return Notifications{office.as(who)}.receipt(news("read")); });
  }
  const auto skipped = [&] {
    must(Repository<NotificationDelivery>{office.system()}.change(
        office.delivery(sent.id).id, [](auto& row) { row.status = DeliveryStatus::skipped; }));
  };
  skipped();
  bad("status", Code::conflict, [](LaterReceipt&) {});
}
