// Random histories of claims, ends, crashes and changes of rules, by several processes, beside a
// naive model that looks at all tasks and all rules each time.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "basics.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/work/flow.hpp"
#include "bureau/work/task_queue.hpp"
#include "bureau/work/why.hpp"
#include "counts.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

inline constexpr auto send_mail =
    task_kind<Sum, Total>("send_mail", Effect::pure, retry::fixed(2, std::chrono::seconds(3)));

std::shared_ptr<Storage> storage_for(const std::string& path, Clock& clock) {
  if (path.empty()) return new_storage(clock);
  SqliteOptions options;
  options.path = path;
  options.durability = Durability::relaxed;
  options.clock = &clock;
  return must(open_sqlite(options));
}

/// Whether two tasks count as one for a rule.
bool counted_together(const FlowRule& rule, const Task& a, const Task& b) {
  return rule.covers(a) && rule.covers(b) && a.tenant == b.tenant &&
         (!rule.each_key || a.flow_key == b.flow_key);
}

/// The model: what holds a task back, from all tasks of its tenant.
bool is_held_back(const Task& task, const std::vector<Task>& all,
                  const std::vector<FlowRule>& rules) {
  return std::any_of(rules.begin(), rules.end(), [&](const FlowRule& rule) {
    if (rule.tenant != task.tenant || !rule.covers(task)) return false;
    if (rule.type == FlowRuleType::rate) return true;  // perhaps: flow_test.cpp counts those
    const auto running = std::count_if(all.begin(), all.end(), [&](const Task& other) {
      return other.status == TaskStatus::running && counted_together(rule, task, other);
    });
    return running >= rule.at_most;
  });
}

class History {
 public:
  History(std::uint64_t seed, const std::string& path)
      : dice_(seed), storage_(storage_for(path, clock_)) {
    for (int i = 0; i < 3; ++i) restart(i);
    for (const char* name : {"Larkfield", "Mill"}) {
      tenants_.push_back(must(workers_[0].process->access->create_tenant(name)).id);
    }
  }

  void step() {
    Worker& worker = workers_[dice_.below(3)];
    TaskQueue& queue = *worker.queue;
    switch (dice_.below(14)) {
      case 0:
      case 1:
      case 2:
        enqueue();
        break;
      case 3:
      case 4:
        claim(worker, queue, 1 + dice_.below(5));
        break;
      case 5:
      case 6:
        if (const auto task = pick(worker)) {
          const TaskQueue::Completion done{task->id, task->attempt, Json::object()};
          must(queue.complete(std::span(&done, 1)));
        }
        break;
      case 7:
        if (const auto task = pick(worker)) {
          (void)queue.fail(*task, Error(Code::unavailable, "no"), send_mail.retry);
        }
        break;
      case 8:
        if (const auto task = pick(worker)) {
          must(queue.release(std::span(&*task, 1), Duration(dice_.below(2) * 5'000'000)));
        }
        break;
      case 9:
        restart(static_cast<int>(dice_.below(3)));
        break;
      case 10:
        must(queue.rescue());
        break;
      case 11:
        meddle();
        break;
      default:
        change_rules();
    }
    clock_.advance(Duration(dice_.below(3'000'000)));
  }

  /// why() and a claim that asks for more than there is agree on every task; and what is left is
  /// held back by the model's word too.
  void check_whole_claim() {
    std::set<std::int64_t> expected;
    for (const Task& task : all()) {
      if (task.status > TaskStatus::ready) continue;
      const Why answer = must(why(system(task.tenant), task.id));
      if (answer.claimable) expected.insert(task.id.value);
      CHECK(answer.claimable ==
            std::all_of(answer.reasons.begin(), answer.reasons.end(), [](const WaitReason& reason) {
              return reason.cause == WaitCause::behind || reason.cause == WaitCause::no_worker;
            }));
    }
    Worker& worker = workers_[dice_.below(3)];
    TaskQueue fresh(*worker.process->database);
    std::set<std::int64_t> taken = claim(worker, fresh, 1000);
    CHECK(taken == expected);
    const auto tasks = all();
    const auto rules = rules_in_force();
    for (const Task& task : tasks) {
      const bool may_run = task.status == TaskStatus::ready ||
                           (task.status == TaskStatus::scheduled && task.run_at <= clock_.now());
      if (may_run) CHECK(is_held_back(task, tasks, rules));
    }
  }

  /// Without rules, and with everybody rescued, all that there is comes to its end.
  void check_nothing_is_lost() {
    for (const FlowRule& rule : all_rules()) {
      must(FlowRules(system(rule.tenant)).remove(rule.id));
    }
    for (int i = 0; i < 3; ++i) restart(i);
    TaskQueue& queue = *workers_[0].queue;
    for (int round = 0; round < 20; ++round) {
      must(queue.rescue());
      must(queue.admit());
      clock_.advance(10s);
      for (const Task& task : must(queue.claim({"default", {}, 100, "last"}))) {
        const TaskQueue::Completion done{task.id, task.attempt, Json::object()};
        must(queue.complete(std::span(&done, 1)));
      }
    }
    for (const Task& task : all()) CHECK(has_ended(task.status));
  }

 private:
  struct Worker {
    std::unique_ptr<Process> process;
    std::unique_ptr<TaskQueue> queue;
    std::vector<Task> held;
  };

  Session system(Id<Tenant> tenant) { return workers_[0].process->access->system(tenant); }
  Id<Tenant> some_tenant() { return tenants_[dice_.below(tenants_.size())]; }
  std::string some(std::vector<std::string> of) { return of[dice_.below(of.size())]; }

  std::vector<Task> all() {
    std::vector<Task> tasks;
    for (const auto tenant : tenants_) {
      for (Task& task : must(Tasks(system(tenant)).list({.limit = 10'000}))) {
        tasks.push_back(std::move(task));
      }
    }
    return tasks;
  }
  std::vector<FlowRule> all_rules() {
    std::vector<FlowRule> rules;
    for (const auto tenant : tenants_) {
      for (FlowRule& rule : must(FlowRules(system(tenant)).list({.limit = 10'000}))) {
        rules.push_back(std::move(rule));
      }
    }
    return rules;
  }
  std::vector<FlowRule> rules_in_force() {
    auto rules = all_rules();
    std::erase_if(rules,
                  [&](const FlowRule& rule) { return rule.until && *rule.until <= clock_.now(); });
    return rules;
  }

  void restart(int which) {
    Worker& worker = workers_[which];
    worker = {};
    worker.process = std::make_unique<Process>(storage_, clock_, random_);
    worker.queue = std::make_unique<TaskQueue>(*worker.process->database);
  }

  void enqueue() {
    EnqueueOptions options;
    const std::string key = some({"", "a", "b", "c"});
    if (!key.empty()) options.flow_key = key;
    options.priority = static_cast<Priority>(dice_.below(4));
    options.delay = Duration(dice_.below(3) * 2'000'000);
    if (dice_.below(8) == 0) options.deadline = clock_.now() + options.delay + 5s;
    const Tasks tasks(system(some_tenant()));
    if (dice_.below(2) == 0) {
      must(tasks.enqueue(add_up, {1, 2}, options));
    } else {
      must(tasks.enqueue(send_mail, {1, 2}, options));
    }
  }

  /// No claim brings more under a rule than it allows, nor anything under a pause.
  std::set<std::int64_t> claim(Worker& worker, TaskQueue& queue, std::uint64_t limit) {
    std::vector<std::string> kinds;
    if (limit < 3) kinds = {"send_mail", "unknown"};
    const auto before = all();
    const auto claimed = must(queue.claim({"default", kinds, limit, "tester"}));
    CHECK(claimed.size() <= limit);
    const auto after = all();
    const auto running = [&](const std::vector<Task>& tasks, const FlowRule& rule,
                             const Task& like) {
      return std::count_if(tasks.begin(), tasks.end(), [&](const Task& task) {
        return task.status == TaskStatus::running && counted_together(rule, task, like);
      });
    };
    std::set<std::int64_t> ids;
    for (const Task& task : claimed) {
      CHECK(ids.insert(task.id.value).second);
      for (const FlowRule& rule : rules_in_force()) {
        if (rule.tenant != task.tenant || !rule.covers(task)) continue;
        if (rule.type == FlowRuleType::rate) continue;
        CHECK(running(after, rule, task) <= rule.at_most);
        CHECK(running(before, rule, task) < running(after, rule, task));
      }
      worker.held.push_back(task);
    }
    return ids;
  }

  std::optional<Task> pick(Worker& worker) {
    if (worker.held.empty()) return {};
    const auto at = static_cast<std::ptrdiff_t>(dice_.below(worker.held.size()));
    Task task = worker.held[static_cast<std::size_t>(at)];
    worker.held.erase(worker.held.begin() + at);
    return task;
  }

  /// What somebody may do to a task beside its worker.
  void meddle() {
    const auto tasks = all();
    if (tasks.empty()) return;
    const Task& task = tasks[dice_.below(tasks.size())];
    const Tasks of_tenant(system(task.tenant));
    switch (dice_.below(4)) {
      case 0:
        (void)of_tenant.cancel(task.id, "not needed");
        break;
      case 1:
        (void)of_tenant.snooze(task.id, clock_.now() + 4s);
        break;
      case 2:
        (void)of_tenant.redrive(task.id);
        break;
      default:
        must(of_tenant.repository().remove(task.id));
    }
  }

  void change_rules() {
    const FlowRules rules(system(some_tenant()));
    const FlowScope scope{some({"", "", "default", "other"}), some({"", "add_up", "send_mail"}),
                          some({"", "", "a", "b"})};
    switch (dice_.below(7)) {
      case 6:
        (void)rules.rate({.scope = scope,
                          .each_key = dice_.below(2) == 0,
                          .at_most = 1 + static_cast<std::int64_t>(dice_.below(3)),
                          .period = 10s,
                          .burst = static_cast<std::int64_t>(dice_.below(3))});
        break;
      case 0: {
        PauseOptions options;
        if (dice_.below(2) == 0) options.until = clock_.now() + 5s;
        (void)rules.pause(scope, options);
        break;
      }
      case 1:
        (void)rules.resume(scope);
        break;
      case 2:
      case 3:
        (void)rules.limit({.scope = scope,
                           .each_key = dice_.below(2) == 0,
                           .at_most = static_cast<std::int64_t>(dice_.below(4))});
        break;
      default: {
        const auto present = must(rules.list());
        if (!present.empty()) must(rules.remove(present[dice_.below(present.size())].id));
      }
    }
  }

  ManualClock clock_;
  SeededRandom random_{7};
  SeededRandom dice_;
  std::shared_ptr<Storage> storage_;
  Worker workers_[3];
  std::vector<Id<Tenant>> tenants_;
};

void run_history(std::uint64_t seed, const std::string& path) {
  CAPTURE(seed);
  CAPTURE(path);
  History history(seed, path);
  for (int i = 0; i < 120; ++i) {
    history.step();
    if (i % 10 == 9) history.check_whole_claim();
  }
  history.check_nothing_is_lost();
}

}  // namespace

TEST_CASE("G11_live_leases_never_exceed_a_limit_and_why_says_what_a_claim_takes") {
  const auto last = static_cast<std::uint64_t>(tests::fewer(counts::cases(40, 400)));
  for (std::uint64_t seed = 1; seed <= last; ++seed) run_history(seed, {});
}

TEST_CASE("G11_the_same_on_sqlite") {
  const auto end = static_cast<std::uint64_t>(100 + tests::fewer(counts::cases(6, 60)));
  for (std::uint64_t seed = 100; seed < end; ++seed) {
    const Folder folder;
    run_history(seed, folder.file());
  }
}
