// Random trees, reservations, settlements and deaths, by several processes, beside a naive model
// that adds everything up anew each time.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <thread>

#include "basics.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/task_queue.hpp"
#include "counts.hpp"
#include "store/row_values.hpp"
#include "work/spend.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;
using detail::Units;

namespace {

const Currency eur = *Currency::parse("EUR");

std::shared_ptr<Storage> storage_for(const std::string& path, Clock& clock) {
  if (path.empty()) return std::make_shared<testing::RerunStorage>(new_storage(clock));
  SqliteOptions options;
  options.path = path;
  options.durability = Durability::relaxed;
  options.clock = &clock;
  return must(open_sqlite(options));
}

/// What the model knows of a budget and of what was reserved.
struct ModelBudget {
  Id<Budget> id;
  std::optional<std::size_t> parent;
  bool whole_tenant = false;
  bool daily = false;
  bool counts_money = false;
  std::array<std::optional<std::int64_t>, 4> limits;
};
struct ModelEntry {
  std::vector<std::size_t> budgets;  // it and all above
  Units amounts{};                   // reserved, then spent
  std::int64_t day = 0;
  bool live = true;
};

class History {
 public:
  History(std::uint64_t seed, const std::string& path)
      : dice_(seed), storage_(storage_for(path, clock_)) {
    for (int i = 0; i < 2; ++i) restart(i);
    tenant_ = must(workers_[0].process->access->create_tenant("Larkfield")).id;
    make_budget();
  }

  void step() {
    Worker& worker = workers_[dice_.below(2)];
    switch (dice_.below(16)) {
      case 0:
        if (budgets_.size() < 9) make_budget();
        break;
      case 1:
        change_limits();
        break;
      case 2:
      case 3:
        enqueue();
        break;
      case 4:
      case 5:
        for (Task& task : must(worker.queue->claim({"default", {}, 2, "tester"}))) {
          worker.held.push_back({std::move(task), std::nullopt, 0});
        }
        break;
      case 6:
      case 7:
      case 8:
      case 9:
        if (Held* held = pick(worker)) reserve(worker, *held);
        break;
      case 10:
      case 11:
        if (Held* held = pick(worker)) settle(worker, *held);
        break;
      case 12:
        end_one(worker);
        break;
      case 13:
        restart(static_cast<int>(dice_.below(2)));
        must(workers_[0].queue->rescue());
        must(workers_[1].queue->rescue());
        break;
      case 14:
        must(worker.queue->see_to_budgets());
        break;
      default:
        meddle();
    }
    clock_.advance(
        Duration(dice_.below(2) * 3'600'000'000 * static_cast<std::int64_t>(dice_.below(3))));
    check();
  }

  /// Everybody ends: nothing is reserved any more, and all that is spent is accounted for.
  void check_nothing_leaks() {
    for (int i = 0; i < 2; ++i) restart(i);
    TaskQueue& queue = *workers_[0].queue;
    for (int round = 0; round < 20; ++round) {
      must(queue.rescue());
      clock_.advance(10s);
      for (const Task& task : must(queue.claim({"default", {}, 100, "last"}))) {
        const TaskQueue::Completion done{task.id, task.attempt, Json::object()};
        must(queue.complete(std::span(&done, 1)));
      }
    }
    must(queue.see_to_budgets());
    for (auto& [id, entry] : entries_) entry.live = false;
    check();
    const Session system = session();
    CHECK(must(Repository<Spending>(system).count(col(&Spending::status) <
                                                  SpendingStatus::settled)) == 0);
    for (const BudgetUse& use : must(Repository<BudgetUse>(system).list({.limit = 1000}))) {
      CHECK(detail::reserved_of(use) == Units{});
    }
  }

 private:
  struct Held {
    Task task;
    std::optional<Id<Spending>> spending;
    std::int64_t position = 0;
  };
  struct Worker {
    std::unique_ptr<Process> process;
    std::unique_ptr<TaskQueue> queue;
    std::vector<Held> held;
  };

  Session session() { return workers_[0].process->access->system(tenant_); }
  [[nodiscard]] std::int64_t today() const { return clock_.now().micros() / 86'400'000'000; }

  void restart(int which) {
    Worker& worker = workers_[which];
    worker = {};  // what it held is lost
    worker.process = std::make_unique<Process>(storage_, clock_, random_);
    worker.queue = std::make_unique<TaskQueue>(*worker.process->database);
  }

  void random_limits(ModelBudget& budget) {
    for (std::size_t unit = 0; unit < 4; ++unit) {
      budget.limits[unit].reset();
      const bool may = unit != detail::money_unit || budget.counts_money;
      if (may && dice_.below(2) == 0) {
        const auto limit = static_cast<std::int64_t>(dice_.below(60));
        budget.limits[unit] = unit == detail::money_unit ? limit * 1'000'000 : limit;
      }
    }
  }
  static BudgetLimits limits_of(const ModelBudget& budget) {
    BudgetLimits out;
    out.tokens = budget.limits[0];
    out.calls = budget.limits[1];
    if (budget.limits[2]) out.time = Duration(*budget.limits[2]);
    if (budget.limits[3]) out.money = Money{*budget.limits[3] / 1'000'000, eur};
    return out;
  }

  void make_budget() {
    ModelBudget made;
    made.whole_tenant = budgets_.empty() ? dice_.below(2) == 0 : false;
    if (!budgets_.empty() && dice_.below(4) != 0) made.parent = dice_.below(budgets_.size());
    made.daily = dice_.below(3) == 0;
    made.counts_money = dice_.below(2) == 0;
    random_limits(made);
    NewBudget of;
    of.name = "budget " + std::to_string(budgets_.size());
    of.limits = limits_of(made);
    if (made.parent) of.parent = budgets_[*made.parent].id;
    of.whole_tenant = made.whole_tenant;
    of.period = made.daily ? BudgetPeriod::day : BudgetPeriod::none;
    if (made.counts_money) of.currency = "EUR";
    made.id = must(Budgets(session()).create(of)).id;
    budgets_.push_back(made);
  }

  void change_limits() {
    ModelBudget& budget = budgets_[dice_.below(budgets_.size())];
    random_limits(budget);
    must(Budgets(session()).set_limits(budget.id, limits_of(budget)));
  }

  void enqueue() {
    EnqueueOptions options;
    if (dice_.below(5) != 0) options.budget = budgets_[dice_.below(budgets_.size())].id;
    must(Tasks(session()).enqueue(add_up, {1, 2}, options));
  }

  Held* pick(Worker& worker) {
    if (worker.held.empty()) return nullptr;
    return &worker.held[dice_.below(worker.held.size())];
  }

  [[nodiscard]] std::vector<std::size_t> path_of(std::optional<Id<Budget>> lowest) const {
    std::vector<std::size_t> path;
    for (std::size_t i = 0; i < budgets_.size() && lowest; ++i) {
      if (budgets_[i].id != *lowest) continue;
      for (std::optional<std::size_t> at = i; at; at = budgets_[*at].parent) path.push_back(*at);
      lowest.reset();
    }
    if (budgets_[0].whole_tenant && (path.empty() || path.back() != 0)) path.push_back(0);
    return path;
  }

  /// All that counts in a budget now, reserved and spent.
  [[nodiscard]] Units counted(std::size_t budget, std::optional<bool> live = {}) const {
    Units sum{};
    for (const auto& [id, entry] : entries_) {
      const bool in = std::count(entry.budgets.begin(), entry.budgets.end(), budget) > 0;
      if (!in || (live && entry.live != *live)) continue;
      if (budgets_[budget].daily && entry.day != today()) continue;
      const std::size_t units = budgets_[budget].counts_money ? 4 : 3;
      for (std::size_t unit = 0; unit < units; ++unit) sum[unit] += entry.amounts[unit];
    }
    return sum;
  }

  [[nodiscard]] bool has_room(const std::vector<std::size_t>& path, const Units& asked) const {
    return std::all_of(path.begin(), path.end(), [&](std::size_t budget) {
      const Units used = counted(budget);
      for (std::size_t unit = 0; unit < 4; ++unit) {
        const auto& limit = budgets_[budget].limits[unit];
        if (limit && used[unit] + asked[unit] > *limit) return false;
      }
      return true;
    });
  }

  Amounts random_amounts() {
    Amounts out;
    out.tokens = static_cast<std::int64_t>(dice_.below(20));
    out.calls = static_cast<std::int64_t>(dice_.below(3));
    out.time = Duration(dice_.below(10));
    out.money = Money{static_cast<std::int64_t>(dice_.below(5)), eur};
    out.money_micros = static_cast<std::int64_t>(dice_.below(3)) * 250'000;
    return out;
  }

  /// True as long as its attempt holds the lease, which a run asks in the same transaction.
  static Result<bool> holds(Transaction& tx, const Task& task) {
    BUREAU_TRY(const auto row, detail::find_row(tx.reader(), task.id));
    return row && row->status == TaskStatus::running && row->attempt == task.attempt;
  }

  void reserve(Worker& worker, Held& held) {
    Spend spend;
    spend.most = random_amounts();
    const Units asked = *detail::units_of(spend.most);
    bool has_lease = false;
    detail::Reservation outcome;
    const auto path = path_of(held.task.budget);
    // What its task had reserved before is lost by a further step.
    const auto lost = held.spending;
    must(worker.process->database->write(
        {}, {tenant_.value, 0, held.task.id.value}, [&](Transaction& tx) -> Result<void> {
          BUREAU_TRY(has_lease, holds(tx, held.task));
          if (!has_lease) return {};
          BUREAU_TRY(outcome, detail::reserve(tx, held.task, held.position, "ask", spend,
                                              SpendingStatus::reserved));
          return {};
        }));
    if (!has_lease) return;
    if (lost) entries_[lost->value].live = false;
    held.spending.reset();
    CHECK(outcome.refusal.has_value() == !has_room(path, asked));
    CHECK(outcome.spending.has_value() == (!path.empty() && !outcome.refusal));
    if (!outcome.spending) return;
    held.spending = outcome.spending->id;
    ++held.position;
    entries_[held.spending->value] = {path, asked, today(), true};
    for (const std::size_t budget : path) {  // it is within every limit
      const Units used = counted(budget);
      for (std::size_t unit = 0; unit < 4; ++unit) {
        const auto& limit = budgets_[budget].limits[unit];
        if (limit) CHECK(used[unit] <= *limit);
      }
    }
  }

  void settle(Worker& worker, Held& held) {
    if (!held.spending) return;
    const Amounts used = random_amounts();  // also more than was reserved
    bool has_lease = false;
    must(worker.process->database->write({}, {tenant_.value, 0, held.task.id.value},
                                         [&](Transaction& tx) -> Result<void> {
                                           BUREAU_TRY(has_lease, holds(tx, held.task));
                                           if (!has_lease) return {};
                                           return detail::settle(tx, *held.spending, used);
                                         }));
    if (has_lease) {
      ModelEntry& entry = entries_[held.spending->value];
      entry.amounts = *detail::units_of(used);
      entry.live = false;
    }
    held.spending.reset();
  }

  void end_one(Worker& worker) {
    if (worker.held.empty()) return;
    const std::size_t at = dice_.below(worker.held.size());
    const Task task = worker.held[at].task;
    worker.held.erase(worker.held.begin() + static_cast<std::ptrdiff_t>(at));
    switch (dice_.below(3)) {
      case 0:
        (void)worker.queue->fail(task, Error(Code::unavailable, "no"), add_up.retry);
        break;
      case 1:
        must(worker.queue->release(std::span(&task, 1)));
        break;
      default: {
        const TaskQueue::Completion done{task.id, task.attempt, Json::object()};
        must(worker.queue->complete(std::span(&done, 1)));
      }
    }
  }

  void meddle() {
    const auto tasks = must(Tasks(session()).list({.limit = 1000}));
    if (tasks.empty()) return;
    const Task& task = tasks[dice_.below(tasks.size())];
    if (dice_.below(2) == 0) {
      (void)Tasks(session()).cancel(task.id, "not needed");
    } else {
      must(Tasks(session()).repository().remove(task.id));
    }
  }

  /// What the budgets say is what the model adds up; lost or not is for the tasks to say.
  void check() {
    for (std::size_t i = 0; i < budgets_.size(); ++i) {
      const BudgetState state = must(Budgets(session()).state(budgets_[i].id));
      const Units reserved = *detail::units_of(state.reserved);
      const Units spent = *detail::units_of(state.spent);
      const Units expected = counted(i);
      for (std::size_t unit = 0; unit < 4; ++unit) {
        CHECK(reserved[unit] + spent[unit] == expected[unit]);
        CHECK(reserved[unit] >= 0);
      }
    }
  }

  ManualClock clock_;
  SeededRandom random_{7};
  SeededRandom dice_;
  std::shared_ptr<Storage> storage_;
  Worker workers_[2];
  Id<Tenant> tenant_;
  std::vector<ModelBudget> budgets_;
  std::map<std::int64_t, ModelEntry> entries_;
};

void run_history(std::uint64_t seed, const std::string& path, int steps) {
  CAPTURE(seed);
  CAPTURE(path);
  History history(seed, path);
  for (int i = 0; i < steps; ++i) history.step();
  history.check_nothing_leaks();
}

}  // namespace

TEST_CASE("G11_reservations_never_exceed_a_budget_at_any_level_and_nothing_leaks") {
  rc::check("random trees, spendings and deaths, against sums made anew", [] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    run_history(seed, {}, counts::sanitized ? 30 : 150);
  });
}

TEST_CASE("G11_budgets_on_sqlite") {
  for (int seed = 1; seed <= counts::cases(3, 30); ++seed) {
    const Folder folder;
    run_history(static_cast<std::uint64_t>(seed), folder.file(), 150);
  }
}

TEST_CASE("G11_two_processes_on_one_file_never_reserve_more_than_there_is") {
  const Folder folder;
  SqliteOptions options;
  options.path = folder.file();
  options.durability = Durability::relaxed;
  std::vector<std::unique_ptr<Process>> processes;
  for (int i = 0; i < 2; ++i) {
    processes.push_back(
        std::make_unique<Process>(must(open_sqlite(options)), Clock::system(), Random::system()));
  }
  const Id<Tenant> tenant = must(processes[0]->access->create_tenant("Larkfield")).id;
  const Session system = processes[0]->access->system(tenant);
  const Budget top = must(Budgets(system).create({.name = "top", .limits = {.tokens = 1000}}));
  std::vector<Budget> below;
  for (int i = 0; i < 2; ++i) {
    below.push_back(must(
        Budgets(system).create({.name = "below", .limits = {.tokens = 700}, .parent = top.id})));
  }
  constexpr int each = 100;
  std::atomic<std::int64_t> reserved{0};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    EnqueueOptions of;
    of.budget = below[i % 2].id;
    const Task task = must(Tasks(system).enqueue(add_up, {1, 2}, of));
    Database& database = *processes[i / 2]->database;
    threads.emplace_back([&, task] {
      for (int n = 0; n < each; ++n) {
        Spend spend;
        spend.most.tokens = 7;
        bool got = false;
        const auto wrote =
            database.write({}, {tenant.value, 0, 0}, [&](Transaction& tx) -> Result<void> {
              BUREAU_TRY(const auto outcome,
                         detail::reserve(tx, task, n, "ask", spend, SpendingStatus::reserved));
              got = outcome.spending.has_value();
              return {};
            });
        if (!wrote) ++failures;
        if (wrote && got) reserved += 7;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(reserved == 142 * 7);  // the most that fits into 1000
  const BudgetState state = must(Budgets(system).state(top.id));
  CHECK(state.spent.tokens + state.reserved.tokens == 142 * 7);
}
