// Pauses, limits and shares, one by one; random histories of all of them are in
// flow_model_test.cpp.
#include "bureau/work/flow.hpp"

#include <doctest/doctest.h>

#include <set>

#include "bureau/work/task_queue.hpp"
#include "counts.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

Task enqueue(Office& office, std::optional<std::string> key = {},
             Priority priority = Priority::normal) {
  EnqueueOptions options;
  options.flow_key = std::move(key);
  options.priority = priority;
  return must(office.tasks().enqueue(add_up, {1, 2}, options));
}

std::vector<Task> claim(TaskQueue& queue, std::uint64_t limit = 100) {
  return must(queue.claim({"default", {}, limit, "tester"}));
}

void complete(TaskQueue& queue, const Task& task) {
  const TaskQueue::Completion done{task.id, task.attempt, Json::object()};
  CHECK(must(queue.complete(std::span(&done, 1))).empty());
}

ConcurrencyLimit one_for_each_key() {
  ConcurrencyLimit limit;
  limit.each_key = true;
  return limit;
}

User add_user(Office& office, const std::string& name, const std::string& role) {
  User user;
  user.email = name + "@example.com";
  user.name = name;
  user.role = role;
  user.status = UserStatus::active;
  return must(Repository<User>(office.system()).insert(user));
}

}  // namespace

TEST_CASE("A pause holds back a queue, a kind or a key, and ends by word or by time") {
  const FlowScope scopes[] = {{.queue = "default"}, {.kind = "add_up"}, {.flow_key = "customer:1"}};
  for (const FlowScope& scope : scopes) {
    CAPTURE(scope.queue + scope.kind + scope.flow_key);
    Office office;
    TaskQueue queue(*office.process.database);
    const FlowRules rules(office.system());
    enqueue(office, "customer:1");
    must(rules.pause(scope, {.reason = "the mill is jammed"}));
    CHECK(claim(queue).empty());
    office.clock.advance(1s);
    must(rules.resume(scope));
    CHECK(code_of(rules.resume(scope)) == Code::not_found);
    CHECK(claim(queue).size() == 1);

    enqueue(office, "customer:1");
    const Timestamp until = office.clock.now() + 1h;
    must(rules.pause(scope, {.until = until}));
    CHECK(claim(queue).empty());
    CHECK(must(queue.next_due()) == until);
    office.clock.advance(1h);
    CHECK(claim(queue).size() == 1);
    // Paused anew, it is paused since then.
    CHECK(must(rules.pause(scope)).created_at == office.clock.now());
  }
}

TEST_CASE("What is not covered by a pause goes on") {
  Office office;
  TaskQueue queue(*office.process.database);
  const FlowRules rules(office.system());
  must(rules.pause({.flow_key = "customer:1"}));
  must(rules.pause({.kind = "other"}));
  must(rules.pause({.queue = "other"}));
  must(rules.pause({.queue = "other", .kind = "add_up"}));
  enqueue(office, "customer:1", Priority::urgent);
  const Task free = enqueue(office, "customer:2");
  const Task keyless = enqueue(office);
  const auto claimed = claim(queue);
  REQUIRE(claimed.size() == 2);
  CHECK(claimed[0].id == free.id);
  CHECK(claimed[1].id == keyless.id);
}

TEST_CASE("G11_a_limit_holds_over_processes_and_a_crash_gives_the_slots_back") {
  Office office;
  auto other = std::make_unique<Process>(office.storage, office.clock, office.random);
  TaskQueue here(*office.process.database);
  must(FlowRules(office.system()).limit({.scope = {.kind = "add_up"}, .at_most = 3}));
  for (int i = 0; i < 10; ++i) enqueue(office);
  CHECK(claim(here, 2).size() == 2);
  {
    TaskQueue there(*other->database);
    CHECK(claim(there).size() == 1);
    CHECK(claim(there).empty());
  }
  CHECK(claim(here).empty());
  other.reset();
  CHECK(must(here.rescue()) == 1);
  CHECK(claim(here).size() == 1);
}

TEST_CASE("G11_a_slot_of_a_key_comes_back_however_its_task_ends") {
  enum class End { completed, failed, released, cancelled, crashed, removed };
  for (const End end :
       {End::completed, End::failed, End::released, End::cancelled, End::crashed, End::removed}) {
    CAPTURE(static_cast<int>(end));
    Office office;
    auto other = std::make_unique<Process>(office.storage, office.clock, office.random);
    TaskQueue here(*office.process.database);
    must(FlowRules(office.system()).limit(one_for_each_key()));
    enqueue(office, "customer:1", Priority::urgent);
    enqueue(office, "customer:1");
    enqueue(office, "customer:2");
    TaskQueue there(*other->database);
    const auto first = claim(there);
    REQUIRE(first.size() == 2);
    CHECK(claim(here).empty());
    const Task& task = first[0];
    switch (end) {
      case End::completed:
        complete(there, task);
        break;
      case End::failed:
        must(there.fail(task, Error(Code::unavailable, "no"), add_up.retry));
        break;
      case End::released:
        must(there.release(std::span(&task, 1), 1min));
        break;
      case End::cancelled:
        must(office.tasks().cancel(task.id, "no"));
        must(there.fail(task, Error(Code::cancelled, "no"), add_up.retry));
        break;
      case End::crashed:
        other.reset();
        CHECK(must(here.rescue()) == 2);
        break;
      case End::removed:
        must(office.tasks().repository().remove(task.id));
        CHECK(must(here.admit()) == 1);
        break;
    }
    std::set<std::string> keys;
    for (const Task& next : claim(here)) CHECK(keys.insert(*next.flow_key).second);
    CHECK(keys.contains("customer:1"));
  }
}

TEST_CASE("Tasks of one key run in the order of their rank, one after the other") {
  Office office;
  TaskQueue queue(*office.process.database);
  must(FlowRules(office.system()).limit(one_for_each_key()));
  std::vector<Id<Task>> expected;
  for (int i = 0; i < 20; ++i) expected.push_back(enqueue(office, "customer:1").id);
  for (const Id<Task> id : expected) {
    const auto claimed = claim(queue);
    REQUIRE(claimed.size() == 1);
    CHECK(claimed[0].id == id);
    complete(queue, claimed[0]);
  }
}

TEST_CASE("A limit that grows, or goes, lets those through that it held back") {
  Office office;
  TaskQueue queue(*office.process.database);
  const FlowRules rules(office.system());
  must(rules.limit(one_for_each_key()));
  for (int i = 0; i < 6; ++i) enqueue(office, "customer:1");
  CHECK(claim(queue).size() == 1);
  CHECK(claim(queue).empty());
  ConcurrencyLimit three = one_for_each_key();
  three.at_most = 3;
  const FlowRule rule = must(rules.limit(three));
  office.clock.advance(1s);
  CHECK(claim(queue).size() == 2);
  must(rules.remove(rule.id));
  office.clock.advance(1s);
  CHECK(claim(queue).size() == 3);
}

TEST_CASE("A rate lets so many begin in a period, and wakes for the next") {
  Office office;
  TaskQueue queue(*office.process.database);
  must(FlowRules(office.system()).rate({.at_most = 2, .period = 10s}));
  for (int i = 0; i < 6; ++i) enqueue(office);
  CHECK(claim(queue).size() == 2);
  CHECK(claim(queue).empty());
  CHECK(must(queue.next_due()) == office.clock.now() + 5s);
  office.clock.advance(5s);
  CHECK(claim(queue).size() == 1);
  // Kept in the file: a process that comes later has no tokens of its own.
  Process other(office.storage, office.clock, office.random);
  TaskQueue there(*other.database);
  CHECK(claim(there).empty());
  office.clock.advance(20s);
  CHECK(claim(there).size() == 2);  // no more are saved than a burst
  CHECK(claim(queue).empty());
  // Nobody waits for a token that nobody needs.
  office.clock.advance(1h);
  CHECK(claim(queue).size() == 1);
  CHECK(claim(queue).empty());
  office.clock.advance(1h);
  CHECK(claim(queue).empty());
  CHECK(must(queue.next_due()) == Timestamp::never());
}

TEST_CASE("A rate of each key holds each key back for itself, and is never exceeded") {
  for (int seed = 1; seed <= counts::cases(10, 100); ++seed) {
    CAPTURE(seed);
    Office office;
    SeededRandom dice(static_cast<std::uint64_t>(seed));
    Process other(office.storage, office.clock, office.random);
    TaskQueue queues[] = {TaskQueue(*office.process.database), TaskQueue(*other.database)};
    const auto burst = static_cast<std::int64_t>(1 + dice.below(3));
    const std::int64_t at_most = static_cast<std::int64_t>(1 + dice.below(7));
    must(FlowRules(office.system())
             .rate({.scope = {.kind = "add_up"},
                    .each_key = true,
                    .at_most = at_most,
                    .period = 10s,
                    .burst = burst}));
    for (int i = 0; i < 60; ++i) enqueue(office, "customer:" + std::to_string(i % 3));
    std::map<std::string, std::vector<Timestamp>> begun;
    int total = 0;
    for (int i = 0; i < 1500 && total < 60; ++i) {
      for (const Task& task : claim(queues[dice.below(2)], 1 + dice.below(9))) {
        begun[*task.flow_key].push_back(office.clock.now());
        ++total;
      }
      office.clock.advance(Duration(dice.below(2'000'000)));
    }
    CHECK(total == 60);
    for (const auto& [key, at] : begun) {
      for (std::size_t i = 0; i < at.size(); ++i) {
        for (std::size_t j = i; j < at.size(); ++j) {
          const auto most = burst + (at[j] - at[i]).count() * at_most / 10'000'000;
          CHECK(static_cast<std::int64_t>(j - i + 1) <= most);
        }
      }
    }
  }
}

TEST_CASE("Many blocked keys do not keep a claim from what is behind them") {
  Office office;
  TaskQueue queue(*office.process.database);
  must(FlowRules(office.system()).limit(one_for_each_key()));
  std::vector<Json> payloads(1500, Json::object({{"a", 1}, {"b", 2}}));
  EnqueueOptions options;
  options.flow_key = "customer:1";
  must(office.tasks().enqueue_json(add_up, payloads, options));
  const Task last = enqueue(office, "customer:2");
  CHECK(claim(queue, 10).size() == 1);
  const auto next = claim(queue, 10);
  REQUIRE(next.size() == 1);
  CHECK(next[0].id == last.id);
}

TEST_CASE("Of rules that name a key, however many, the right one counts") {
  Office office;
  TaskQueue queue(*office.process.database);
  const FlowRules rules(office.system());
  for (int i = 0; i < 300; ++i) must(rules.pause({.flow_key = "paused:" + std::to_string(i)}));
  enqueue(office, "paused:7");
  enqueue(office, "paused:299");
  const Task free = enqueue(office, "paused:300");
  const auto claimed = claim(queue);
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].id == free.id);
}

TEST_CASE("G5_one_tenants_many_tasks_do_not_delay_anothers_by_more_than_a_batch") {
  Office office;
  TaskQueue queue(*office.process.database);
  const std::vector<Json> payloads(300, Json::object({{"a", 1}, {"b", 2}}));
  EnqueueOptions urgent;
  urgent.priority = Priority::urgent;
  must(office.tasks().enqueue_json(add_up, payloads, urgent));
  for (int round = 0; round < 5; ++round) {
    const Tenant small =
        must(office.process.access->create_tenant("Small " + std::to_string(round)));
    const Task only =
        must(Tasks(office.process.access->system(small.id)).enqueue(add_up, {1, 2}, {}));
    bool found = false;
    for (const Task& task : claim(queue, 10)) found = found || task.id == only.id;
    CHECK(found);
  }
}

TEST_CASE("Tenants share a batch by their weights, and none is left out") {
  for (const std::uint64_t batch : {1, 2, 8, 16, 40}) {
    if (counts::sanitized && batch != 40) continue;
    CAPTURE(batch);
    Office office;
    TaskQueue queue(*office.process.database);
    std::map<std::int64_t, int> weights{{office.tenant.id.value, 3}};
    for (const int weight : {1, 4}) {
      weights[must(office.process.access->create_tenant("Other")).id.value] = weight;
    }
    const std::vector<Json> payloads(240, Json::object({{"a", 1}, {"b", 2}}));
    for (const auto& [tenant, weight] : weights) {
      const Session system = office.process.access->system(Id<Tenant>(tenant));
      must(FlowRules(system).set_weight(weight));
      must(Tasks(system).enqueue_json(add_up, payloads, {}));
    }
    std::map<std::int64_t, int> got;
    int total = 0;
    while (total < 240) {
      for (const Task& task : claim(queue, batch)) {
        ++got[task.tenant.value];
        ++total;
      }
    }
    for (const auto& [tenant, weight] : weights) {
      CHECK(got[tenant] >= 20);
      // One task of each batch is everybody's, so small batches even the weights out.
      if (batch == 40 || batch == 1) CHECK(std::abs(got[tenant] - weight * 30) <= 30);
    }
  }
}

TEST_CASE("More tenants than a batch has places: all have their turn") {
  Office office;
  TaskQueue queue(*office.process.database);
  std::set<std::int64_t> waiting;
  for (int i = 0; i < 23; ++i) {
    const Tenant tenant = must(office.process.access->create_tenant("Other"));
    const Session system = office.process.access->system(tenant.id);
    must(Tasks(system).enqueue_json(add_up,
                                    std::vector<Json>(20, Json::object({{"a", 1}, {"b", 2}})), {}));
    waiting.insert(tenant.id.value);
  }
  for (int i = 0; i < 5; ++i) {
    for (const Task& task : claim(queue, 5)) waiting.erase(task.tenant.value);
  }
  CHECK(waiting.empty());
}

TEST_CASE("A task that has not begun by its deadline is dead, and never claimed") {
  Office office;
  TaskQueue queue(*office.process.database);
  EnqueueOptions options;
  options.deadline = office.clock.now() + 1h;
  const auto late = must(office.tasks().enqueue(add_up, {1, 2}, options)).id;
  const auto begun = must(office.tasks().enqueue(add_up, {1, 2}, options)).id;
  options.delay = 59min;
  const auto delayed = must(office.tasks().enqueue(add_up, {1, 2}, options)).id;
  must(office.tasks().cancel(late, "made again"));
  const auto again = must(office.tasks().enqueue(add_up, {1, 2}, options)).id;
  CHECK(claim(queue, 1).at(0).id == begun);
  CHECK(must(queue.next_due()) == office.clock.now() + 59min);
  office.clock.advance(1h);
  CHECK(claim(queue).empty());
  for (const auto id : {delayed, again}) {
    const Task dead = office.find(id);
    CHECK(dead.status == TaskStatus::dead);
    CHECK(dead.error_code == "deadline");
    CHECK(dead.finished_at == office.clock.now());
  }
  CHECK(office.find(begun).status == TaskStatus::running);
  CHECK(must(queue.next_due()) == Timestamp::never());

  options.delay = 2h;
  options.deadline = office.clock.now() + 1h;
  const auto never = office.tasks().enqueue(add_up, {1, 2}, options);
  CHECK(code_of(never) == Code::invalid);
  CHECK(never.error().field == "deadline");
}

TEST_CASE("A retry may do otherwise for an error code") {
  constexpr Retry retry =
      retry::fixed(3, 10s).never_on(Code::not_found).pausing_on(Code::busy, {1min, 5min, 2});
  static_assert(check_kind({"k", Effect::pure, retry}).empty());
  SeededRandom random(1);
  CHECK(retry_pause(retry, Code::unavailable, 2, random) == 10s);
  CHECK(retry_pause(retry, Code::busy, 1, random) == 1min);
  CHECK(retry_pause(retry, Code::busy, 9, random) == 5min);

  Office office;
  TaskQueue queue(*office.process.database);
  const auto gone = enqueue(office).id;
  const auto busy = enqueue(office).id;
  for (const Task& task : claim(queue)) {
    must(queue.fail(task, Error(task.id == gone ? Code::not_found : Code::busy, "no"), retry));
  }
  CHECK(office.find(gone).status == TaskStatus::dead);
  CHECK(office.find(busy).status == TaskStatus::scheduled);
  CHECK(office.find(busy).run_at == office.clock.now() + 1min);

  static_assert(!check_kind({"k", Effect::pure, retry.never_on(Code::busy)}).empty());
  static_assert(
      !check_kind({"k", Effect::pure, retry.pausing_on(Code::forbidden, {1s, 1s, 1})}).empty());
  static_assert(
      !check_kind({"k", Effect::pure, retry.pausing_on(Code::exists, {2s, 1s, 1})}).empty());
}

TEST_CASE("Bad rules are refused with the field, and change nothing") {
  Office office;
  const FlowRules rules(office.system());
  const auto field = [](const auto& refused) {
    CHECK(code_of(refused) == Code::invalid);
    return refused.error().field;
  };
  CHECK(field(rules.pause({})) == "queue");
  CHECK(field(rules.pause({.queue = "q"}, {.until = office.clock.now()})) == "until");
  CHECK(field(rules.limit({.scope = {}, .at_most = -1})) == "at_most");
  CHECK(field(rules.limit({.scope = {.flow_key = "k"}, .each_key = true})) == "flow_key");
  CHECK(field(rules.pause({.queue = std::string(65, 'q')})) == "queue");
  CHECK(field(rules.set_weight(0)) == "weight");
  CHECK(field(rules.rate({.at_most = 0})) == "at_most");
  CHECK(field(rules.rate({.period = 0s})) == "at_most");
  CHECK(field(rules.rate({.period = std::chrono::hours(9000)})) == "period");
  CHECK(field(rules.rate({.burst = -1})) == "burst");
  FlowRule raw;
  raw.at_most = 1;
  raw.queue = "q";
  CHECK(field(Repository<FlowRule>(office.system()).insert(raw)) == "at_most");
  CHECK(must(rules.list()).empty());
  CHECK(code_of(office.tasks().enqueue(add_up, {1, 2}, {.flow_key = ""})) == Code::invalid);
}

TEST_CASE("G10_managers_keep_the_rules_of_their_tenant_and_others_see_none") {
  Office office;
  const User ada = add_user(office, "ada", "manager");
  const User cleo = add_user(office, "cleo", "agent");
  const Session manager = must(office.process.access->session(office.tenant.id, ada.id));
  const Session agent = must(office.process.access->session(office.tenant.id, cleo.id));
  CHECK(must(FlowRules(manager).pause({.queue = "default"})).made_by == ada.id);
  CHECK(code_of(FlowRules(agent).pause({.queue = "q"})) == Code::forbidden);
  CHECK_FALSE(FlowRules(agent).resume({.queue = "default"}).has_value());
  CHECK(code_of(FlowRules(manager).set_weight(5)) == Code::forbidden);

  // A pause of one tenant is none of another's.
  TaskQueue queue(*office.process.database);
  const Tenant other = must(office.process.access->create_tenant("Other"));
  enqueue(office);
  const Task theirs =
      must(Tasks(office.process.access->system(other.id)).enqueue(add_up, {1, 2}, {}));
  const auto claimed = claim(queue);
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].id == theirs.id);
}
