// With whose rights handlers act.

#include <functional>

#include "bureau/access/repository.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace bureau::work_test {
inline constexpr auto add_as_enqueuer = task_kind<Sum, Total>(
    "add_as_enqueuer", Effect::database, retry::fixed(3, 10s), "default", 2min, RunAs::enqueuer);
}  // namespace bureau::work_test

namespace {

using Body = std::function<Result<Total>(Run&, const Sum&)>;

template <const auto& kind>
class Adder : public AgentOf<kind> {
 public:
  Adder(Body body, std::string role) : body_(std::move(body)), role_(std::move(role)) {}
  using AgentOf<kind>::execute;
  [[nodiscard]] std::string_view role() const override { return role_; }
  Result<Total> execute(Run& run, const Sum& sum) override { return body_(run, sum); }

 private:
  Body body_;
  std::string role_;
};

/// Adding a team is what admins and managers may do.
Result<Total> add_numbers(Run& run, const Sum& sum) {
  return run.complete([&](Unit& unit) -> Result<Total> {
    Team team;
    team.name = "sum " + std::to_string(sum.a + sum.b);
    BUREAU_TRY_VOID(Repository<Team>(unit).insert(team));
    return Total{sum.a + sum.b};
  });
}

template <const auto& kind>
struct Desk {
  explicit Desk(Body body, std::string role = "agent")
      : orchestrator(*office.process.database, *office.process.access, {}) {
    must(orchestrator.add(std::make_shared<Adder<kind>>(std::move(body), std::move(role))));
    must(orchestrator.start());
  }
  User user(const std::string& name, const std::string& role) {
    User made;
    made.name = made.email = name;
    made.role = role;
    made.status = UserStatus::active;
    return must(Repository<User>(office.system()).insert(made));
  }
  Session as(const User& user) {
    return must(office.process.access->session(office.tenant.id, user.id));
  }
  Id<Task> enqueue(const Session& session) { return must(Tasks(session).enqueue(kind, {1, 2})).id; }
  void run_all() {
    orchestrator.notice();
    while (must(orchestrator.step())) {
    }
  }
  std::uint64_t teams() { return must(Repository<Team>(office.system()).count()); }
  void set(const User& user, UserStatus status, const std::string& role) {
    must(Repository<User>(office.system()).change(user.id, [&](User& row) {
      row.status = status;
      row.role = role;
    }));
  }
  void set(TenantStatus status) {
    must(Repository<Tenant>(office.system()).change(office.tenant.id, [&](Tenant& row) {
      row.status = status;
    }));
  }
  Office office;
  Orchestrator orchestrator;
};

}  // namespace

TEST_CASE("G10_an agent's effects are judged by its own role, whoever enqueued the task") {
  Desk<add_up> agent(add_numbers);
  const User boss = agent.user("boss", "admin");
  for (const Session& session : {agent.office.system(), agent.as(boss)}) {
    const auto id = agent.enqueue(session);
    agent.run_all();
    const Task task = agent.office.find(id);
    CHECK(task.status == TaskStatus::dead);  // what is forbidden is not tried again
    CHECK(task.attempt == 1);
    CHECK(task.error_code == "forbidden");
  }
  CHECK(agent.teams() == 0);

  Desk<add_up> manager(add_numbers, "manager");
  const auto id = manager.enqueue(manager.office.system());
  manager.run_all();
  CHECK(manager.office.find(id).status == TaskStatus::completed);
  CHECK(manager.teams() == 1);
}

TEST_CASE("An agent is a principal with a name, and without an account") {
  Principal seen;
  Desk<add_up> desk([&](Run& run, const Sum&) -> Result<Total> {
    seen = run.principal();
    BUREAU_TRY_VOID(run.read([](View& view) -> Result<void> {
      BUREAU_TRY(const Principal now, view.session().current(view.reader()));
      const bool is_agent = now.kind() == PrincipalKind::agent;
      CHECK(is_agent);
      return {};
    }));
    return Total{};
  });
  const auto id = desk.enqueue(desk.office.system());
  desk.run_all();
  CHECK(desk.office.find(id).status == TaskStatus::completed);
  CHECK(seen.kind() == PrincipalKind::agent);
  CHECK(seen.agent == "add_up");
  CHECK(seen.role == "agent");
  CHECK_FALSE(seen.user);
  CHECK_FALSE(seen.system);
}

TEST_CASE("An agent with a role that the tenant lacks may do nothing, and is told why") {
  Desk<add_up> desk(add_numbers, "janitor");
  const auto id = desk.enqueue(desk.office.system());
  desk.run_all();
  const Task task = desk.office.find(id);
  CHECK(task.status == TaskStatus::dead);
  CHECK(task.error->find("no role 'janitor'") != std::string::npos);
}

TEST_CASE("run_as enqueuer: the handler has the rights of the user who enqueued it") {
  Id<User> actor;
  Desk<add_as_enqueuer> desk([&](Run& run, const Sum& sum) {
    actor = run.principal().user;
    return add_numbers(run, sum);
  });
  const User boss = desk.user("boss", "manager");
  const User clerk = desk.user("clerk", "user");
  const auto by_boss = desk.enqueue(desk.as(boss));
  desk.run_all();
  CHECK(actor == boss.id);
  CHECK(desk.office.find(by_boss).status == TaskStatus::completed);
  CHECK(desk.teams() == 1);
  const auto by_clerk = desk.enqueue(desk.as(clerk));
  desk.run_all();
  CHECK(actor == clerk.id);
  CHECK(desk.office.find(by_clerk).status == TaskStatus::dead);
  CHECK(desk.office.find(by_clerk).error_code == "forbidden");
  CHECK(desk.teams() == 1);
}

TEST_CASE("run_as enqueuer: rights are those of the moment at which the task runs") {
  int ran = 0;
  Desk<add_as_enqueuer> desk([&](Run& run, const Sum& sum) {
    ++ran;
    return add_numbers(run, sum);
  });
  const User boss = desk.user("boss", "manager");
  const auto id = desk.enqueue(desk.as(boss));
  desk.set(boss, UserStatus::disabled, "manager");
  desk.run_all();
  Task task = desk.office.find(id);
  CHECK(ran == 0);
  CHECK(task.status == TaskStatus::dead);
  CHECK(task.attempt == 1);
  CHECK(task.error_code == "forbidden");
  CHECK(task.error->find("denied to who enqueued it: user ") == 0);
  // Once he may again, it can be driven again.
  desk.set(boss, UserStatus::active, "manager");
  must(desk.office.tasks().redrive(id));
  desk.run_all();
  CHECK(desk.office.find(id).status == TaskStatus::completed);

  // The same for one who lost his role, and one who is no longer there.
  const auto second = desk.enqueue(desk.as(boss));
  desk.set(boss, UserStatus::active, "user");
  desk.run_all();
  CHECK(desk.office.find(second).error_code == "forbidden");
  const auto third = desk.enqueue(desk.as(boss));
  must(Repository<User>(desk.office.system()).remove(boss.id));
  desk.run_all();
  CHECK(desk.office.find(third).error_code == "forbidden");
  CHECK(desk.teams() == 1);
}

TEST_CASE("run_as enqueuer: rights that go while the handler runs are missed by its effects") {
  Desk<add_as_enqueuer>* at = nullptr;
  User boss;
  Desk<add_as_enqueuer> desk([&](Run& run, const Sum& sum) {
    at->set(boss, UserStatus::active, "viewer");
    return add_numbers(run, sum);
  });
  at = &desk;
  boss = desk.user("boss", "manager");
  const auto id = desk.enqueue(desk.as(boss));
  desk.run_all();
  CHECK(desk.office.find(id).error_code == "forbidden");
  CHECK(desk.teams() == 0);
}

TEST_CASE("Nobody makes a task that runs in another's name") {
  Desk<add_as_enqueuer> desk(add_numbers);
  const User boss = desk.user("boss", "admin");
  const User deputy = desk.user("deputy", "manager");
  const Session session = desk.as(deputy);
  Task forged;
  forged.kind = add_as_enqueuer.name;
  forged.run_as = RunAs::enqueuer;
  forged.payload = Json::object({{"a", 1}, {"b", 2}});
  forged.enqueued_by = boss.id;
  CHECK(code_of(Repository<Task>(session).insert(forged)) == Code::forbidden);
  forged.enqueued_by.reset();  // nor in the system's
  CHECK(code_of(Repository<Task>(session).insert(forged)) == Code::forbidden);
  // Nor turns one into such.
  const Task own = desk.office.find(desk.enqueue(session));
  for (const auto& change : std::initializer_list<std::function<void(Task&)>>{
           [&](Task& t) { t.enqueued_by = boss.id; }, [](Task& t) { t.enqueued_by.reset(); },
           [](Task& t) {
             t.payload = Json::object({{"a", 9}, {"b", 9}});
           },
           [](Task& t) { t.kind = "another"; }, [](Task& t) { t.run_as = RunAs::agent; },
           [](Task& t) { t.effect = Effect::pure; }}) {
    Task changed = own;
    change(changed);
    CHECK(code_of(Repository<Task>(session).update(changed)) == Code::invalid);
  }
  // What is his to change he changes.
  CHECK(must(Tasks(session).cancel(own.id, "no")).status == TaskStatus::cancelled);
}

TEST_CASE("Agents enqueue what runs with an agent's rights, and nothing else") {
  std::vector<Code> codes;
  Desk<add_up> desk([&](Run& run, const Sum&) {
    return run.complete([&](Unit& unit) -> Result<Total> {
      auto as_enqueuer = Tasks(unit).enqueue(add_as_enqueuer, {1, 1});
      codes.push_back(as_enqueuer ? Code() : as_enqueuer.error().code);
      Task forged;
      forged.kind = add_as_enqueuer.name;
      forged.run_as = RunAs::enqueuer;
      auto raw = Repository<Task>(unit).insert(forged);
      codes.push_back(raw ? Code() : raw.error().code);
      BUREAU_TRY_VOID(Tasks(unit).enqueue(send_out, {1, 1}, {.unique_key = "once"}));
      BUREAU_TRY_VOID(Tasks(unit).enqueue(send_out, {1, 1}, {.unique_key = "once"}));
      return Total{};
    });
  });
  const auto id = desk.enqueue(desk.office.system());
  desk.run_all();
  CHECK(desk.office.find(id).status == TaskStatus::completed);
  INFO(desk.office.find(id).error.value_or(""));
  CHECK(codes == std::vector{Code::forbidden, Code::forbidden});
  CHECK(must(desk.office.tasks().count(col(&Task::kind) == "send_out")) == 1);
}

TEST_CASE("The work of a suspended tenant rests, and goes on with all its attempts") {
  Desk<add_up> desk(add_numbers, "manager");
  const auto id = desk.enqueue(desk.office.system());
  desk.set(TenantStatus::suspended);
  for (int i = 0; i < 5; ++i) {
    desk.run_all();
    CHECK(desk.office.find(id).status == TaskStatus::ready);
    desk.office.clock.advance(1min);
  }
  desk.set(TenantStatus::active);
  desk.run_all();
  CHECK(desk.office.find(id).status == TaskStatus::completed);
  const auto late = desk.enqueue(desk.office.system());
  desk.set(TenantStatus::closed);
  desk.run_all();
  CHECK(desk.office.find(late).status == TaskStatus::dead);
}

TEST_CASE("A policy may be about agents alone, or users alone; none is about the system") {
  Policies policies;
  Policy policy;
  policy.name = "p";
  policy.table = "tasks";
  policy.using_rule = Rule::always();
  policy.of = PrincipalKind::system;
  CHECK(code_of(policies.add(policy)) == Code::invalid);
}

TEST_CASE("What the queue keeps of a task is not written through a plain repository") {
  Desk<add_as_enqueuer> desk(add_numbers);
  const Session boss = desk.as(desk.user("boss", "admin"));
  const Repository<Task> rows(boss);
  const Task own = desk.office.find(desk.enqueue(boss));
  const Timestamp later = desk.office.clock.now() + std::chrono::hours(1);
  for (const auto& change : std::initializer_list<std::function<void(Task&)>>{
           [](Task& t) { t.status = TaskStatus::completed; },
           [](Task& t) { t.attempt = 9; },
           [](Task& t) { t.result = Json(1); },
           [](Task& t) { t.failures = 1; },
           [&](Task& t) { t.run_at = later; },
           [](Task& t) { t.rank = 0; },
           [](Task& t) { t.priority = Priority::urgent; },
           [](Task& t) { t.gate = Gate::closed; },
           [](Task& t) { t.pending = 1; },
           [](Task& t) { t.awaited = true; },
           [](Task& t) { t.cancel_requested = true; },
           [](Task& t) { t.node = 3; },
           [](Task& t) { t.generation = 3; },
           [](Task& t) { t.agent = "mallory"; },
           [](Task& t) { t.error = "forged"; },
           [](Task& t) { t.error_code = "dead"; },
           [&](Task& t) { t.started_at = later; },
           [&](Task& t) { t.finished_at = later; },
           [](Task& t) { t.progress = 1; },
           [](Task& t) { t.progress_note = "forged"; },
           [](Task& t) { t.sealed_with = "k"; }}) {
    Task changed = own;
    change(changed);
    CHECK(code_of(rows.update(changed)) == Code::invalid);
  }
  for (const auto& change : std::initializer_list<std::function<void(Task&)>>{
           [](Task& t) { t.status = TaskStatus::dead; }, [](Task& t) { t.attempt = 2; },
           [](Task& t) { t.result = Json(1); }, [](Task& t) { t.gate = Gate::closed; },
           [](Task& t) { t.cancel_requested = true; }, [](Task& t) { t.node = 3; }}) {
    Task forged = own;
    forged.id = {};
    change(forged);
    CHECK(code_of(rows.insert(forged)) == Code::forbidden);
  }
  CHECK(code_of(rows.remove(own.id)) == Code::forbidden);
  CHECK(desk.office.find(own.id).version == own.version);
  // What is a host's to change changes, and the queue's own calls do the rest.
  Task moved = own;
  moved.deadline = later;
  CHECK(must(rows.update(moved)).deadline == later);
  CHECK(must(Tasks(boss).set_priority(own.id, Priority::urgent)).rank < own.rank);
  CHECK(must(Tasks(boss).snooze(own.id, later)).status == TaskStatus::scheduled);
  CHECK(must(Tasks(boss).cancel(own.id, "no")).status == TaskStatus::cancelled);
  CHECK(code_of(Tasks(boss).set_priority(own.id, Priority::low)) == Code::conflict);
  CHECK(code_of(rows.remove(own.id)) == Code::forbidden);
  must(Tasks(boss).remove(own.id));
  CHECK(must(Tasks(boss).count()) == 0);
}
