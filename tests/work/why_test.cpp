// What why() says, case by case; that a claim agrees with it is in flow_model_test.cpp.
#include "bureau/work/why.hpp"

#include <doctest/doctest.h>

#include "bureau/work/task_queue.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

struct Asked : Office {
  TaskQueue queue{*process.database};
  FlowRules rules{system()};

  Asked() {
    AgentPresence presence;
    presence.name = "adder";
    presence.kinds = {"add_up"};
    must(announce_agents(*process.database, {presence}));
  }
  Task enqueue(const EnqueueOptions& options = {}) {
    return must(tasks().enqueue(add_up, {1, 2}, options));
  }
  std::vector<Task> claim(std::uint64_t limit = 100) {
    return must(queue.claim({"default", {}, limit, "adder"}));
  }
  /// The only reason, which has this cause.
  WaitReason only(const Task& task, WaitCause cause) {
    const Why answer = must(why(system(), task.id));
    REQUIRE(answer.reasons.size() == 1);
    CHECK(answer.reasons[0].cause == cause);
    return answer.reasons[0];
  }
};

bool says(const WaitReason& reason, const std::string& text) {
  return reason.text.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("why: nothing, not due, behind others") {
  Asked office;
  const Task first = office.enqueue();
  const Why free = must(why(office.system(), first.id));
  CHECK(free.claimable);
  CHECK(free.reasons.empty());

  const Task second = office.enqueue();
  CHECK(office.only(second, WaitCause::behind).count == 1);
  CHECK(must(why(office.system(), second.id)).claimable);

  const Task later = office.enqueue({.delay = 1h});
  const WaitReason due = office.only(later, WaitCause::not_due);
  CHECK(due.until == later.run_at);
  CHECK(says(due, later.run_at.to_string()));
  CHECK_FALSE(must(why(office.system(), later.id)).claimable);
}

TEST_CASE("why: paused, with who, why and until") {
  Asked office;
  const Task task = office.enqueue();
  const Timestamp until = office.clock.now() + 1h;
  const FlowRule rule = must(
      office.rules.pause({.kind = "add_up"}, {.reason = "the mill is jammed", .until = until}));
  const WaitReason reason = office.only(task, WaitCause::paused);
  CHECK(reason.until == until);
  CHECK(reason.rule->id == rule.id);
  CHECK(says(reason, "the mill is jammed"));
  CHECK(says(reason, rule.created_at.to_string()));
  CHECK(to_json(must(why(office.system(), task.id))).dump().find("\"paused\"") !=
        std::string::npos);
}

TEST_CASE("why: a limit, by those that run and by those that come first") {
  Asked office;
  must(office.rules.limit({.scope = {.kind = "add_up"}, .at_most = 2}));
  const Task first = office.enqueue();
  const Task second = office.enqueue();
  const Task third = office.enqueue();
  CHECK(office.only(third, WaitCause::concurrency).tasks == std::vector{first.id, second.id});
  CHECK(says(office.only(third, WaitCause::concurrency), "these come first"));
  CHECK(office.claim(1).size() == 1);
  CHECK(must(why(office.system(), second.id)).claimable);
  CHECK(office.claim().size() == 1);
  const WaitReason reason = office.only(third, WaitCause::concurrency);
  CHECK(reason.tasks == std::vector{first.id, second.id});
  CHECK(says(reason, "at most 2 of kind \"add_up\""));
}

TEST_CASE("why: a rate, and when the next may begin") {
  Asked office;
  must(office.rules.rate({.scope = {.kind = "add_up"}, .at_most = 1, .period = 10s}));
  office.enqueue();
  const Task second = office.enqueue();
  CHECK(says(office.only(second, WaitCause::rate), "these come first"));
  CHECK(office.claim().size() == 1);
  const WaitReason reason = office.only(second, WaitCause::rate);
  CHECK(reason.until == office.clock.now() + 10s);
  CHECK(says(reason, "at most 1 of kind \"add_up\" begin in 10 s; the next at"));
}

TEST_CASE("why: begun, in doubt, ended") {
  Asked office;
  const Task task = office.enqueue({.deadline = office.clock.now() + 1min});
  office.clock.advance(1min);
  CHECK(says(office.only(task, WaitCause::ended), "deadline"));
  CHECK(office.claim().empty());
  CHECK(says(office.only(task, WaitCause::ended), "dead: it was not begun by its deadline"));

  const Task other = office.enqueue();
  CHECK(office.claim().size() == 1);
  CHECK(says(office.only(other, WaitCause::running), "attempt 1 by \"adder\""));

  const Task mail = must(office.tasks().enqueue(send_out, {1, 2}));
  CHECK(must(why(office.system(), mail.id)).reasons.at(0).cause == WaitCause::no_worker);
  const Task leased = office.claim().at(0);
  must(office.queue.fail(leased, Error(Code::unknown_outcome, "no answer"), send_out.retry));
  CHECK(says(office.only(mail, WaitCause::in_doubt), "no answer"));
}

TEST_CASE("G10_who_may_not_see_the_rules_learns_nothing_of_them") {
  Asked office;
  User user;
  user.email = "cleo@example.com";
  user.name = "Cleo";
  user.role = "user";
  user.status = UserStatus::active;
  user = must(Repository<User>(office.system()).insert(user));
  const Session cleo = must(office.process.access->session(office.tenant.id, user.id));
  const Task hidden = office.enqueue();
  Task own;
  own.kind = "add_up";
  own.enqueued_by = user.id;
  own.rank = hidden.rank + 1;
  own = must(Repository<Task>(office.system()).insert(own));
  CHECK(code_of(why(cleo, hidden.id)) == Code::not_found);
  // Another's task is before it: that is not his to know.
  CHECK(must(why(cleo, own.id)).reasons.empty());
  must(office.rules.pause({.kind = "add_up"}, {.reason = "secret"}));
  const Why answer = must(why(cleo, own.id));
  REQUIRE(answer.reasons.size() == 1);
  CHECK_FALSE(answer.claimable);
  CHECK_FALSE(answer.reasons[0].rule.has_value());
  CHECK_FALSE(says(answer.reasons[0], "secret"));
}
