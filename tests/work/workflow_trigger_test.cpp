// What starts workflows by itself: changes, schedules, events.

#include <doctest/doctest.h>

#include "bureau/work/schedule.hpp"
#include "counts.hpp"
#include "work/workflow_changes.hpp"
#include "work/workflow_desk.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

std::string on_teams(const char* name, const char* changes, const char* where, const char* label) {
  return std::string(R"({"name": ")") + name +
         R"(", "trigger": {"on": "change", "table": "teams", "changes": )" + changes + where +
         R"(}, "nodes": [{"id": "t", "kind": "task", "task": "chore",
            "payload": {"label": {"$text": ")" +
         label + R"("}, "amount": 1}, "next": "e"},
            {"id": "e", "kind": "end", "output": {"$": "input"}}]})";
}

Team team(Office& office, const std::string& name) {
  Team row;
  row.name = name;
  return must(Repository<Team>(office.system()).insert(row));
}

Team rename(Office& office, Id<Team> id, const std::string& name) {
  return must(Repository<Team>(office.system()).change(id, [&](Team& row) { row.name = name; }));
}

std::uint64_t runs(WorkflowDesk& desk, const char* name) {
  return must(desk.workflows().runs(name)).size();
}

}  // namespace

TEST_CASE("G3_each_change_starts_a_workflow_once") {
  WorkflowDesk desk;
  team(desk.office, "early");  // before anybody asked
  desk.activate(on_teams("made", R"(["insert"])", "", "made {input.row.name}"));
  desk.activate(on_teams("named", R"(["insert", "update"])", R"(, "where": "name prefix \"vip\"")",
                         "named {input.change} {input.row.name}"));
  desk.activate(on_teams("gone", R"(["remove"])", "", "gone {input.row.name}"));
  const Team one = team(desk.office, "one");
  const Team vip = team(desk.office, "vip");
  desk.after(1s);
  CHECK(desk.done["made one"] == 1);
  CHECK(desk.done["made vip"] == 1);
  CHECK(desk.done["named insert vip"] == 1);
  CHECK(runs(desk, "made") == 2);
  CHECK(runs(desk, "named") == 1);

  rename(desk.office, one.id, "vip one");
  must(Repository<Team>(desk.office.system()).change(vip.id, [](Team& row) {
    row.skills = {"beans"};  // nothing that is asked about
  }));
  desk.after(1s);
  CHECK(desk.done["named update vip one"] == 1);
  CHECK(runs(desk, "named") == 2);
  must(Repository<Team>(desk.office.system()).remove(vip.id));
  desk.after(1s);
  CHECK(desk.done["gone vip"] == 1);
  CHECK(desk.done.count("made early") == 0);
  const auto removed = must(desk.workflows().runs("gone"));
  const Json input = desk.output_of(removed.at(0).id);
  CHECK(*input.find("table") == Json("teams"));
  CHECK(*input.find("before") == Json());
  CHECK(*input.find("id") == Json(id::to_text("tea", vip.id.value)));
  const auto updated = must(desk.workflows().runs("named"));
  const Json change = desk.output_of(updated.at(0).id);
  CHECK(*change.find("before")->find("name") == Json("one"));
}

TEST_CASE("Many changes of one statement start one run each, in batches; none of another tenant") {
  WorkflowDesk desk;
  desk.activate(on_teams("made", R"(["insert"])", "", "made {input.row.name}"));
  const Tenant other = must(desk.office.process.access->create_tenant("Birch"));
  std::vector<Team> teams(counts::sanitized ? 300 : 600);
  for (std::size_t i = 0; i < teams.size(); ++i) teams[i].name = std::to_string(i);
  must(Repository<Team>(desk.office.system()).insert_all(teams));
  must(Repository<Team>(desk.office.process.access->system(other.id)).insert_all(teams));
  desk.after(1s);
  CHECK(desk.done.size() == teams.size());
  for (const auto& [label, times] : desk.done) REQUIRE(times == 1);
  CHECK(must(desk.office.tasks().count(col(&Task::kind) == std::string("workflow.changes"))) ==
        (teams.size() + 255) / 256);
}

TEST_CASE("G10_personal_columns_do_not_enter_a_run") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "hello", "trigger": {"on": "change", "table": "users",
    "changes": ["insert"], "where": "role = \"agent\""},
    "nodes": [{"id": "e", "kind": "end", "output": {"$": "input.row"}}]})");
  desk.user("ada", "agent");
  desk.user("mara", "manager");
  desk.after(1s);
  const auto runs = must(desk.workflows().runs("hello"));
  REQUIRE(runs.size() == 1);
  const Json row = desk.output_of(runs[0].id);
  CHECK(*row.find("role") == Json("agent"));
  CHECK(row.find("name") == nullptr);
  CHECK(row.dump().find("ada") == std::string::npos);
  // Nor can a template name them.
  CHECK(code_of(desk.workflows().check(workflow(R"({"name": "h", "trigger": {"on": "change",
    "table": "users", "changes": ["insert"]},
    "nodes": [{"id": "e", "kind": "end", "output": {"$": "input.row.name"}}]})"))) ==
        Code::invalid);
}

TEST_CASE("Regression: a change starts an outdated version, or both, after a new one is active") {
  WorkflowDesk desk;
  desk.activate(on_teams("v", R"(["insert"])", "", "first {input.row.name}"));
  team(desk.office, "a");
  desk.activate(on_teams("v", R"(["insert"])", "", "second {input.row.name}"));
  team(desk.office, "b");
  must(desk.workflows().retire(must(desk.workflows().named("v")).id));
  team(desk.office, "c");
  desk.after(1s);
  CHECK(desk.done == std::map<std::string, int>{{"first a", 1}, {"second b", 1}});
  desk.activate(on_teams("v", R"(["insert"])", "", "third {input.row.name}"));
  desk.after(1s);
  CHECK(desk.done.size() == 2);
}

TEST_CASE("The journal's retention leaves what has still to start a workflow, and only that") {
  WorkflowDesk desk;
  Database& database = *desk.office.process.database;
  JournalKeeper keeper(database, {});
  must(keeper.add(workflow_journal_reader(database)));
  const auto tail_after = [&](Duration time) {
    desk.office.clock.advance(time);
    while (must(keeper.step()) == JournalKeeping{}.pause) {
    }
    std::int64_t tail = 0;
    must(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(tail, database.journal_tail(reader));
      return {};
    }));
    return tail;
  };
  const auto head = [&] {
    std::int64_t out = 0;
    must(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(out, database.journal_head(reader));
      return {};
    }));
    return out;
  };
  desk.activate(on_teams("made", R"(["insert"])", "", "made {input.row.name}"));
  desk.user("ada", "agent");
  const std::int64_t before = head();
  team(desk.office, "one");
  must(desk.workflows().retire(must(desk.workflows().named("made")).id));
  CHECK(tail_after(std::chrono::hours(24 * 40)) <= before + 1);
  desk.after(1s);
  CHECK(desk.done == std::map<std::string, int>{{"made one", 1}});
  const std::int64_t end = head();
  desk.user("ben", "agent");
  CHECK(tail_after(std::chrono::hours(24 * 40)) >= end);
}

TEST_CASE("What is committed between a look and its end is looked at too") {
  WorkflowDesk desk;
  desk.activate(on_teams("made", R"(["insert"])", "", "made {input.row.name}"));
  Database& database = *desk.office.process.database;
  const auto look = [&] {
    return must(desk.office.system().read([&](View& view) {
      return detail::read_changes(view.reader(), *desk.office.process.access,
                                  desk.office.tenant.id);
    }));
  };
  const auto apply = [&](const detail::ChangeBatch& batch) {
    return must(
        desk.office.system().write([&](Unit& unit) { return detail::apply_changes(unit, batch); }));
  };
  team(desk.office, "a");
  const auto batch = look();
  CHECK(batch.hits.size() == 1);
  team(desk.office, "b");
  const auto done = apply(batch);
  CHECK(done.started == 1);
  CHECK(done.more);                  // whoever heard of b may have relied on this one
  CHECK(apply(batch).started == 0);  // and one batch is not applied twice
  CHECK(apply(look()).started == 1);
  CHECK_FALSE(apply(look()).more);
  (void)database;
  desk.run_all();
  CHECK(desk.done == std::map<std::string, int>{{"made a", 1}, {"made b", 1}});
}

TEST_CASE("G10_a_change_that_the_owner_does_not_see_starts_nothing") {
  WorkflowDesk desk;
  const User mara = desk.user("mara", "manager");
  const Repository<Role> roles(desk.office.system());
  const Workflows workflows(desk.session(mara));
  const Workflow draft = must(
      workflows.save(workflow(on_teams("made", R"(["insert"])", "", "made {input.row.name}"))));
  must(workflows.activate(draft.id));
  Role manager = *must(roles.first(col(&Role::name) == std::string("manager")));
  manager.permissions = json(R"([{"resource": "workflows", "action": "*"},
      {"resource": "users", "action": "select"},
      {"resource": "tasks", "action": "*"},
      {"resource": "teams", "action": "*", "condition": "name prefix \"open\""}])");
  must(roles.update(manager));
  team(desk.office, "open one");
  team(desk.office, "hidden one");
  desk.after(1s);
  CHECK(desk.done == std::map<std::string, int>{{"made open one", 1}});
  const auto started = must(desk.workflows().runs("made"));
  REQUIRE(started.size() == 1);
  CHECK(started.at(0).enqueued_by == mara.id);
}

TEST_CASE("Workflows that start each other by what they change come to an end") {
  // Each chore makes a team, which starts the next.
  Office office;
  class Founder final : public AgentOf<chore> {
   public:
    using AgentOf::execute;
    [[nodiscard]] std::string_view role() const override { return "manager"; }
    Result<ChoreDone> execute(Run& run, const Chore& payload) override {
      return run.complete([&](Unit& unit) -> Result<ChoreDone> {
        Team row;
        row.name = payload.label;
        BUREAU_TRY_VOID(Repository<Team>(unit).insert(row));
        return ChoreDone{1, payload.label};
      });
    }
  };
  Orchestrator orchestrator(*office.process.database, *office.process.access, {});
  must(orchestrator.add(std::make_shared<WorkflowAgent>(*office.process.access, chores())));
  must(orchestrator.add(std::make_shared<Founder>()));
  must(orchestrator.start());
  const Workflows workflows(office.system());
  const Workflow draft =
      must(workflows.save(workflow(on_teams("loop", R"(["insert"])", "", "after {input.id}"))));
  must(workflows.activate(draft.id));
  team(office, "first");
  for (int i = 0; i < 60; ++i) {
    orchestrator.notice();
    must(orchestrator.duties());
    do {
      orchestrator.notice();
    } while (must(orchestrator.step()));
    office.clock.advance(1s);
  }
  CHECK(must(Repository<Team>(office.system()).count()) == 1 + 1 + max_workflow_depth);
  CHECK(must(office.tasks().count(col(&Task::status) < TaskStatus::completed)) == 0);
}

TEST_CASE("A schedule starts it, until it is retired") {
  WorkflowDesk desk;
  const Workflow daily = desk.activate(R"({"name": "daily",
    "trigger": {"on": "schedule", "cron": "0 9 * * *", "zone": "UTC", "input": {"n": 3}},
    "input": {"n": {"type": "integer"}},
    "nodes": [{"id": "e", "kind": "end", "output": {"$": "input.n"}}]})");
  for (int day = 0; day < 3; ++day) desk.after(24h);
  const auto fired = must(desk.workflows().runs("daily"));
  CHECK(must(Schedules(desk.office.system()).list()).size() == 1);
  must(desk.workflows().retire(daily.id));
  CHECK(must(Schedules(desk.office.system()).list()).empty());
  desk.after(48h);
  Query all;
  all.where = col(&Task::kind) == std::string("workflow.run");
  CHECK(must(desk.office.tasks().list(all)).size() == 3);
  for (const Task& task : must(desk.office.tasks().list(all))) {
    CHECK(desk.output_of(task.id) == Json(3));
  }
}

TEST_CASE("An event starts those that wait for it and that one may start") {
  WorkflowDesk desk;
  const auto listener = [](const char* name, const char* starters) {
    return std::string(R"({"name": ")") + name + R"(", "starters": )" + starters +
           R"(, "trigger": {"on": "event", "event": "paid"}, "input": {"sum": {"type": "integer"}},
              "nodes": [{"id": "e", "kind": "end", "output": {"$": "input.sum"}}]})";
  };
  desk.activate(listener("one", R"(["agent"])"));
  desk.activate(listener("two", "[]"));
  const User ada = desk.user("ada", "agent");
  CHECK(must(desk.workflows().raise("paid", json(R"({"sum": 7})"))).size() == 2);
  CHECK(must(Workflows(desk.session(ada)).raise("paid", json(R"({"sum": 8})"))).size() == 1);
  CHECK(must(desk.workflows().raise("unpaid", json("{}"))).empty());
  CHECK(code_of(desk.workflows().raise("paid", json("{}"))) == Code::invalid);
  desk.run_all();
  CHECK(must(desk.office.tasks().count(col(&Task::status) == TaskStatus::completed)) == 3);
  // A workflow that changes start is not started by hand.
  desk.activate(on_teams("made", R"(["insert"])", "", "x"));
  CHECK(code_of(desk.workflows().start("made")) == Code::invalid);
}
