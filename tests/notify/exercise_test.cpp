// The suite that a host's notifier has to pass, over good ones and deliberately broken ones.

#include <atomic>
#include <set>
#include <stdexcept>

#include "bureau/testing/exercise_notifier.hpp"
#include "notify/office.hpp"

using namespace notify_office;

namespace {

/// A notifier whose calls may come from anywhere; each way in which it can be broken is a member.
struct Manner {
  std::string channel = "sms", identity = "test/1";
  bool takes_key = true, changes_mind = false, throws = false, answers_nothing = false,
       no_message = false, breaks_on_text = false, refuses_repeats = false, needs_token = false,
       fails_in_threads = false;
};

class Mannered final : public Notifier {
 public:
  explicit Mannered(Manner manner) : manner_(std::move(manner)) {
    if (manner_.changes_mind) manner_.identity += std::to_string(made.fetch_add(1));
  }
  [[nodiscard]] std::string_view channel() const override { return manner_.channel; }
  [[nodiscard]] std::string_view identity() const override { return manner_.identity; }
  [[nodiscard]] bool takes_key() const override { return manner_.takes_key; }
  [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override {
    if (manner_.throws) throw std::runtime_error("the belt");
    if (manner_.answers_nothing) return Receipt{};
    if (manner_.no_message) return fail(Code::unavailable, "");
    if (manner_.breaks_on_text && delivery.body.empty()) throw 7;
    if (manner_.refuses_repeats && delivery.attempt > 1) return fail(Code::exists, "known");
    if (manner_.needs_token && !delivery.stop_requested) return fail(Code::internal, "no token");
    if (manner_.fails_in_threads && delivery.key == "thread 3 4") {
      return fail(Code::unavailable, "too many at a time");
    }
    return Receipt{ReceiptStatus::sent, {}, {}};
  }

 private:
  static inline std::atomic<int> made{0};
  Manner manner_;
};

testing::Report exercise(const Manner& manner) {
  return testing::exercise_notifier(
      [&]() -> Result<std::shared_ptr<Notifier>> { return std::make_shared<Mannered>(manner); });
}

}  // namespace

TEST_CASE("The suite passes good notifiers") {
  const auto keyed = exercise({});
  INFO(keyed.summary());
  CHECK(keyed.passed());
  CHECK(keyed.storage == "test/1");
  const auto plain = exercise({.takes_key = false});
  CHECK(plain.passed());
  CHECK(plain.find("repeats")->outcome == testing::Check::Outcome::skipped);
  const auto console = testing::exercise_notifier([]() -> Result<std::shared_ptr<Notifier>> {
    return std::make_shared<ConsoleNotifier>([](std::string_view) { return Result<void>(); });
  });
  INFO(console.summary());
  CHECK(console.passed());
}

TEST_CASE("The suite fails each broken one") {
  const std::vector<std::pair<std::string, Manner>> broken = {
      {"name", {.channel = "in_app"}},         {"name", {.channel = "Sms"}},
      {"name", {.changes_mind = true}},        {"delivers", {.throws = true}},
      {"delivers", {.answers_nothing = true}}, {"delivers", {.no_message = true}},
      {"texts", {.breaks_on_text = true}},     {"repeats", {.refuses_repeats = true}},
      {"stops", {.needs_token = true}},        {"threads", {.fails_in_threads = true}},
  };
  for (const auto& one : broken) {
    const auto report = exercise(one.second);
    INFO(one.first);
    CHECK_FALSE(report.passed());
    CHECK(report.find(one.first)->outcome == testing::Check::Outcome::failed);
    CHECK_FALSE(report.find(one.first)->message.empty());
  }
  CHECK_FALSE(testing::exercise_notifier([]() -> Result<std::shared_ptr<Notifier>> {
                return fail(Code::unavailable, "none");
              }).passed());
}
