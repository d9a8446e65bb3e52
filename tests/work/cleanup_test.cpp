// What the clean-up removes, and what it leaves.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>

#include "bureau/store/memory_storage.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/run_step.hpp"
#include "work/housekeeping_jobs.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

constexpr auto day = std::chrono::hours(24);

/// Notes how many tasks each write removed, and does something between a look and the write.
class Watched : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  Result<void> read(Monotonic deadline, ReadClosure closure) override {
    auto result = StorageWrapper::read(deadline, closure);
    if (auto then = std::exchange(after_read, {})) then();
    return result;
  }
  std::function<void()> after_read;
};

struct Home {
  ManualClock clock;
  SeededRandom random{7};
  std::shared_ptr<Watched> storage = std::make_shared<Watched>(new_storage(clock));
  Process process{storage, clock, random};
  Tenant tenant = must(process.access->create_tenant("Larkfield"));
  Tenant other = must(process.access->create_tenant("Other"));
  Session system = process.access->system(tenant.id);

  Task put(Id<Tenant> of, const char* kind, TaskStatus status, std::optional<Timestamp> finished) {
    Task task;
    task.kind = kind;
    task.status = status;
    task.run_at = clock.now();
    task.finished_at = finished;
    return must(Repository<Task>(process.access->system(of)).insert(task));
  }
  std::set<Id<Task>> tasks() {
    std::set<Id<Task>> ids;
    for (const Id<Tenant> of : {tenant.id, other.id}) {
      const Repository<Task> all(process.access->system(of));
      for (const Task& task : must(all.list({.limit = 10'000}))) ids.insert(task.id);
    }
    return ids;
  }
  Result<std::int64_t> clean(const CleanupPayload& payload, std::uint64_t batch) {
    const Timestamp now = clock.now();
    return detail::remove_old(*process.database, {},
                              {table_of<Task>(), detail::finished_before(payload, tenant.id, now),
                               now - detail::fewest_days(payload) * day, batch},
                              [] { return true; });
  }
};

/// The days that a task of that kind and status is kept; none: for ever.
std::optional<std::int64_t> days_of(const CleanupPayload& payload, const Task& task) {
  if (!has_ended(task.status)) return std::nullopt;
  const std::string status(names<TaskStatus>[static_cast<std::size_t>(task.status)]);
  if (const Json* states = payload.kinds.find(task.kind)) {
    if (const Json* own = states->find(status)) {
      return own->is_null() ? std::nullopt : std::optional(*own->as_int());
    }
  }
  return task.status == TaskStatus::dead ? payload.dead_days : payload.days;
}

CleanupPayload some_payload() {
  CleanupPayload payload;
  payload.days = *rc::gen::inRange(1, 8);
  if (*rc::gen::arbitrary<bool>()) payload.dead_days = *rc::gen::inRange(1, 8);
  if (*rc::gen::arbitrary<bool>()) return payload;
  payload.kinds = Json::object();
  for (const char* kind : {"a", "b"}) {
    Json states = Json::object();
    for (const char* status : {"completed", "cancelled", "dead"}) {
      const int days = *rc::gen::inRange(-2, 8);
      if (days > 0) states.set(status, days);
      if (days == 0) states.set(status, Json());
    }
    payload.kinds.set(kind, states);
  }
  return payload;
}

}  // namespace

TEST_CASE("tasks go when they ended longer ago than their kind and state are kept, and no others") {
  rc::check("clean-up", [] {
    Home home;
    const CleanupPayload payload = some_payload();
    std::vector<Task> made;
    const int count = *rc::gen::inRange(0, 40);
    for (int i = 0; i < count; ++i) {
      const auto status = static_cast<TaskStatus>(*rc::gen::inRange(0, 8));
      const char* kind = *rc::gen::element("a", "b", "c");
      const Id<Tenant> of = *rc::gen::inRange(0, 4) == 0 ? home.other.id : home.tenant.id;
      home.clock.advance(std::chrono::hours(*rc::gen::inRange(0, 24)));
      std::optional<Timestamp> finished;
      if (has_ended(status)) finished = home.clock.now() + day * *rc::gen::inRange(0, 9);
      made.push_back(home.put(of, kind, status, finished));
    }
    home.clock.advance(9 * day + std::chrono::hours(*rc::gen::inRange(0, 240)));
    std::set<Id<Task>> kept;
    for (const Task& task : made) {
      const auto days = days_of(payload, task);
      const bool goes = task.tenant == home.tenant.id && days &&
                        *task.finished_at < home.clock.now() - *days * day;
      if (!goes) kept.insert(task.id);
    }
    const auto batch = static_cast<std::uint64_t>(*rc::gen::inRange(1, 6));
    const auto removed = must(home.clean(payload, batch));
    RC_ASSERT(home.tasks() == kept);
    RC_ASSERT(removed == static_cast<std::int64_t>(made.size() - kept.size()));
    RC_ASSERT(must(home.clean(payload, batch)) == 0);
  });
}

TEST_CASE("a write of the clean-up removes no more than a batch, and is the journal's to tell") {
  Home home;
  for (int i = 0; i < 25; ++i) {
    home.put(home.tenant.id, "a", TaskStatus::completed, home.clock.now());
  }
  home.clock.advance(31 * day);
  std::int64_t before = 0;
  must(home.process.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(before, home.process.database->journal_head(reader));
    return {};
  }));
  CHECK(must(home.clean({}, 10)) == 25);
  std::vector<std::size_t> removals;
  must(home.process.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    removals.clear();
    BUREAU_TRY_VOID(home.process.database->read_journal(
        reader, before, 100, [&](JournalRecord&& record) -> Result<bool> {
          removals.push_back(record.changes().size());
          CHECK(record.changes().front().kind == ChangeKind::remove);
          return true;
        }));
    return {};
  }));
  CHECK(removals == std::vector<std::size_t>{10, 10, 5});
}

TEST_CASE("a dead task that is driven again while the clean-up looks stays") {
  Home home;
  const Task dead = home.put(home.tenant.id, "a", TaskStatus::dead, home.clock.now());
  const Task gone = home.put(home.tenant.id, "a", TaskStatus::dead, home.clock.now());
  home.clock.advance(31 * day);
  home.storage->after_read = [&] { must(Tasks(home.system).redrive(dead.id)); };
  CHECK(must(home.clean({.dead_days = 30}, 10)) == 1);
  CHECK(home.tasks() == std::set{dead.id});
}

TEST_CASE("a clean-up that is to stop stops between two writes") {
  Home home;
  for (int i = 0; i < 9; ++i) {
    home.put(home.tenant.id, "a", TaskStatus::completed, home.clock.now());
  }
  home.clock.advance(31 * day);
  int asked = 0;
  const auto stopped = detail::remove_old(
      *home.process.database, {},
      {table_of<Task>(), detail::finished_before({}, home.tenant.id, home.clock.now()),
       home.clock.now(), 4},
      [&] { return ++asked < 3; });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == Code::cancelled);
  CHECK(home.tasks().size() == 1);
}

TEST_CASE("the job cleans the histories of its tenant, a host's own among them") {
  Home home;
  Orchestrator orchestrator(*home.process.database, *home.process.access, {});
  HousekeepingOptions options;
  options.histories = {{&table_of<AgentInteraction>(), "created_at"}};
  must(orchestrator.add(std::make_shared<HousekeepingAgent>(*home.process.access, options)));
  must(orchestrator.start());
  const auto note = [&](Id<Tenant> of) {
    const Session session = home.process.access->system(of);
    ConfiguredAgent a, b;
    a.name = "a" + std::to_string(home.clock.now().micros());
    b.name = "b" + std::to_string(home.clock.now().micros());
    const Repository<ConfiguredAgent> agents(session);
    must(AgentNetwork(session).record(
        {.from = must(agents.insert(a)).id, .to = must(agents.insert(b)).id}));
    SystemMetric metric;
    metric.name = "cpu";
    metric.at = home.clock.now();
    must(Repository<SystemMetric>(session).insert(metric));
    AgentHeartbeat stretch;
    stretch.agent = "a";
    stretch.seen_from = stretch.seen_until = home.clock.now();
    must(Repository<AgentHeartbeat>(session).insert(stretch));
    ScheduleOccurrence occurrence;
    occurrence.schedule = Id<Schedule>(of.value);
    occurrence.due_at = home.clock.now();
    const TableInfo& table = table_of<ScheduleOccurrence>();
    must(session.write([&](Unit& unit) -> Result<void> {
      BUREAU_TRY(occurrence.id.value, unit.transaction().next_id());
      occurrence.tenant = of;
      occurrence.created_at = unit.now();
      std::vector<Value> values(table.width());
      bureau::detail::Scratch scratch;
      to_values(occurrence, values, scratch);
      BUREAU_TRY_VOID(unit.transaction().insert(table, values));
      for (const bool is_settled : {true, false}) {  // what is live stays
        Spending spending;
        BUREAU_TRY(spending.id.value, unit.transaction().next_id());
        spending.tenant = of;
        spending.budget = Id<Budget>(of.value);
        spending.task = Id<Task>(of.value);
        spending.uses = Json::object();
        spending.created_at = unit.now();
        if (is_settled) spending.status = SpendingStatus::settled;
        if (is_settled) spending.settled_at = unit.now();
        std::vector<Value> row(table_of<Spending>().width());
        to_values(spending, row, scratch);
        BUREAU_TRY_VOID(unit.transaction().insert(table_of<Spending>(), row));
      }
      return {};
    }));
  };
  note(home.tenant.id);
  note(home.other.id);
  home.clock.advance(2 * day);
  note(home.tenant.id);
  home.clock.advance(29 * day);  // the first are 31 days old
  const Task task = must(Tasks(home.system).enqueue(cleanup_logs, {}));
  orchestrator.notice();
  must(orchestrator.step());
  const Task done = must(Tasks(home.system).find(task.id));
  REQUIRE(done.result);
  CHECK(*done.result == Json::object({{"tasks", 0},
                                      {"rows", Json::object({{"schedule_occurrences", 1},
                                                             {"agent_heartbeats", 1},
                                                             {"system_metrics", 1},
                                                             {"spendings", 1},
                                                             {"agent_interactions", 1}})}}));
  const Session other = home.process.access->system(home.other.id);
  CHECK(must(Repository<SystemMetric>(home.system).count()) == 1);
  CHECK(must(Repository<SystemMetric>(other).count()) == 1);
  CHECK(must(Repository<AgentHeartbeat>(other).count()) == 1);
  CHECK(must(Repository<AgentInteraction>(other).count()) == 1);
}

TEST_CASE("a history that could not be cleaned is refused when the agent is added") {
  Home home;
  const auto refused = [&](HousekeepingOptions options, const char* field) {
    Orchestrator orchestrator(*home.process.database, *home.process.access, {});
    const auto added =
        orchestrator.add(std::make_shared<HousekeepingAgent>(*home.process.access, options));
    REQUIRE_FALSE(added);
    CHECK(added.error().code == Code::invalid);
    CHECK(added.error().field == field);
  };
  refused({.batch = 0}, "batch");
  refused({.histories = {{nullptr, "at"}}}, "table");
  refused({.histories = {{&table_of<AgentPresence>(), "started_at"}}}, "table");
  refused({.histories = {{&table_of<SystemMetric>(), "moment"}}}, "moment");
  refused({.histories = {{&table_of<SystemMetric>(), "value"}}}, "moment");
}

TEST_CASE("what a run remembers goes with its task, and its child's end stays while it may ask") {
  Home home;
  const Timestamp old = home.clock.now();
  Task done = home.put(home.tenant.id, "sync", TaskStatus::completed, old);
  const Task parent = home.put(home.tenant.id, "report", TaskStatus::waiting, std::nullopt);
  Task child = done;
  child.id = {};
  child.parent = parent.id;
  child = must(Repository<Task>(home.system).insert(child));
  RunStep step;
  step.task = done.id;
  step.name = "send";
  must(Repository<RunStep>(home.system).insert(step));
  step.task = child.id;
  must(Repository<RunStep>(home.system).insert(step));
  RunSignal signal;
  signal.task = done.id;
  signal.name = "paid";
  must(Repository<RunSignal>(home.system).insert(signal));
  home.clock.advance(day * 31);
  CHECK(must(home.clean({}, 100)) == 1);
  CHECK(home.tasks() == std::set<Id<Task>>{parent.id, child.id});
  const auto steps = must(Repository<RunStep>(home.system).list({}));
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].task == child.id);
  CHECK(must(Repository<RunSignal>(home.system).count()) == 0);
  must(Tasks(home.system).cancel(parent.id, "not wanted"));
  CHECK(must(home.clean({}, 100)) == 1);
  CHECK(must(Repository<RunStep>(home.system).count()) == 0);
}
