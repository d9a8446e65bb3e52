#include <sstream>

#include "notify/office.hpp"

using namespace notify_office;

TEST_CASE("The console notifier writes one line a message, and nothing that steers a terminal") {
  std::ostringstream out;
  ConsoleNotifier console(out);
  Delivery delivery;
  delivery.created_at = must(Timestamp::parse("2026-11-21T09:30:00Z"));
  delivery.name = "Ada";
  delivery.event = "ticket.assigned";
  delivery.title = "Ticket 7\n\x1B[2J is \xC2\x9Byours";
  delivery.body = "The anv\xC3\xAFl";
  CHECK(must(console.deliver(delivery)).status == ReceiptStatus::sent);
  CHECK(out.str() ==
        "2026-11-21T09:30:00Z Ada ticket.assigned: Ticket 7  [2J is   yours - The anv\xC3\xAFl\n");
}

TEST_CASE("A console that cannot be written to says so") {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  ConsoleNotifier console(out);
  CHECK(console.deliver({}).error().code == Code::unavailable);
}

TEST_CASE("A wrapper forwards everything") {
  class Counting final : public NotifierWrapper {
   public:
    using NotifierWrapper::NotifierWrapper;
    [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override {
      ++calls;
      return NotifierWrapper::deliver(delivery);
    }
    int calls = 0;
  };
  auto inner = std::make_shared<ScriptedNotifier>("push", true, "acme/2");
  Counting wrapper(inner);
  CHECK(wrapper.channel() == "push");
  CHECK(wrapper.identity() == "acme/2");
  CHECK(wrapper.takes_key());
  CHECK(must(wrapper.deliver({})).status == ReceiptStatus::sent);
  CHECK(wrapper.calls == 1);
  CHECK(inner->keys.size() == 1);
}
