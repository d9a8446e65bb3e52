#include "bureau/testing/exercise_notifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

BUREAU_BEGIN_NAMESPACE

namespace testing {

namespace {

using Fresh = std::function<Result<std::shared_ptr<Notifier>>()>;

Result<void> wrong(std::string what) { return fail(Code::internal, std::move(what)); }
/// There is nothing to check.
Result<void> skip(std::string why) { return fail(Code::cancelled, std::move(why)); }

Delivery message(const std::string& key) {
  Delivery delivery;
  delivery.key = key;
  delivery.tenant = Id<Tenant>(1);
  delivery.notification = Id<Notification>(2);
  delivery.event = "ticket.assigned";
  delivery.user = Id<User>(3);
  delivery.name = "Ada";
  delivery.email = "ada@example.com";
  delivery.webhook = Id<Webhook>(4);
  delivery.title = "Ticket 7 is yours";
  delivery.body = "The anvil is broken.";
  delivery.data = Json::object({{"ticket", 7}});
  delivery.created_at = Timestamp::from_micros(1'760'000'000'000'000);
  delivery.stop_requested = [] { return false; };
  return delivery;
}

/// It must answer: a receipt that says something, or an error that does.
Result<Receipt> ask(Notifier& notifier, const Delivery& delivery) {
  const auto bad = [](std::string what) { return fail(Code::internal, std::move(what)); };
  try {
    auto answer = notifier.deliver(delivery);
    if (answer && answer->status == ReceiptStatus::none) return bad("it answered nothing");
    if (answer && !is_valid_text(answer->external_id)) return bad("its external_id is no text");
    if (!answer && answer.error().message.empty()) return bad("it gave an error without a message");
    if (!answer) return fail(Code::unavailable, to_string(answer.error()));
    return answer;
  } catch (const std::exception& e) {
    return bad(fmt::format("deliver() threw: {}", e.what()));
  } catch (...) {
    return bad("deliver() threw what is no std::exception");
  }
}

Result<void> check_name(const Fresh& fresh) {
  BUREAU_TRY(const auto one, fresh());
  BUREAU_TRY(const auto other, fresh());
  const std::string_view name = one->channel();
  const bool good =
      !name.empty() && name.size() <= 64 && name != "in_app" && name.front() >= 'a' &&
      name.front() <= 'z' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
  if (!good) return wrong(fmt::format("channel \"{}\" is not [a-z][a-z0-9_]*", name));
  if (one->identity().empty() || one->identity().size() > 200) {
    return wrong("its identity has not 1 to 200 bytes");
  }
  if (one->channel() != other->channel() || one->identity() != other->identity() ||
      one->takes_key() != other->takes_key()) {
    return wrong("two of them differ in channel, identity or takes_key");
  }
  return {};
}

Result<void> check_delivers(const Fresh& fresh) {
  BUREAU_TRY(const auto notifier, fresh());
  BUREAU_TRY_VOID(ask(*notifier, message("plain")));
  return {};
}

Result<void> check_texts(const Fresh& fresh) {
  BUREAU_TRY(const auto notifier, fresh());
  std::vector<Delivery> odd(5, message("odd"));
  odd[0].body.clear();
  odd[0].data = {};
  odd[1].title = "one\r\nX-Evil: 1\r\n\r\ntwo";
  odd[1].event = "deal.won\r\nX-Evil: 1";
  odd[2].title = std::string(500, 'x');
  odd[2].body = std::string(20'000, 'y');
  odd[3].title = "\xF0\x9F\x94\xA8 \xD8\xA3 \x1B[2J";
  odd[4].name.clear();
  odd[4].email.clear();
  for (std::size_t i = 0; i < odd.size(); ++i) {
    odd[i].key += std::to_string(i);
    const auto answer = ask(*notifier, odd[i]);  // it may refuse, but it must say so
    if (!answer && answer.error().code == Code::internal) return fail(answer.error());
  }
  return {};
}

Result<void> check_repeats(const Fresh& fresh) {
  BUREAU_TRY(const auto notifier, fresh());
  if (!notifier->takes_key()) return skip("it takes no key");
  Delivery delivery = message("repeated");
  BUREAU_TRY_VOID(ask(*notifier, delivery));
  delivery.attempt = 2;
  const auto again = ask(*notifier, delivery);
  if (!again) return wrong("the same key again was not taken: " + again.error().message);
  return {};
}

Result<void> check_stops(const Fresh& fresh) {
  BUREAU_TRY(const auto notifier, fresh());
  Delivery delivery = message("stopped");
  delivery.stop_requested = [] { return true; };
  const auto stopped = ask(*notifier, delivery);
  if (!stopped && stopped.error().code == Code::internal) return fail(stopped.error());
  delivery = message("no token");
  delivery.stop_requested = {};
  const auto without = ask(*notifier, delivery);
  if (!without) return wrong("without a stop token: " + without.error().message);
  return {};
}

Result<void> check_threads(const Fresh& fresh) {
  BUREAU_TRY(const auto notifier, fresh());
  std::mutex mutex;
  std::string trouble;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        const auto answer = ask(*notifier, message(fmt::format("thread {} {}", t, i)));
        std::lock_guard lock(mutex);
        if (!answer && trouble.empty()) trouble = answer.error().message;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (!trouble.empty()) return wrong("from four threads at a time: " + trouble);
  return {};
}

}  // namespace

Report exercise_notifier(const Fresh& fresh) {
  struct Entry {
    const char* name;
    Result<void> (*function)(const Fresh&);
  };
  static constexpr Entry entries[] = {
      {"name", check_name},       {"delivers", check_delivers}, {"texts", check_texts},
      {"repeats", check_repeats}, {"stops", check_stops},       {"threads", check_threads},
  };
  Report report;
  if (const auto one = fresh(); one && *one) report.storage = std::string((*one)->identity());
  for (const Entry& entry : entries) {
    Check check{entry.name, Check::Outcome::passed, {}};
    if (report.storage.empty()) {
      check.outcome = Check::Outcome::failed;
      check.message = "the factory gave no notifier";
    } else if (const auto done = entry.function(fresh); !done) {
      const bool skipped = done.error().code == Code::cancelled;
      check.outcome = skipped ? Check::Outcome::skipped : Check::Outcome::failed;
      check.message = done.error().message;
    }
    report.checks.push_back(std::move(check));
  }
  return report;
}

}  // namespace testing

BUREAU_END_NAMESPACE
