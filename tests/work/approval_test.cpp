#include "bureau/work/approval.hpp"

#include <doctest/doctest.h>

#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

/// A run that wants to found a team by the name "beans", and asks first.
struct ApprovalDesk {
  ApprovalRequest request{
      .title = "Found the team?", .subject = Json::object({{"name", "beans"}}), .within = 72h};
  std::string does = "beans";
  int uses = 1;
  std::optional<Verdict> verdict;
  Code refused = Code::internal;
  RunDesk desk{[this](Run& at, const Sum&) { return execute(at); }};
  Id<Task> run = desk.enqueue();

  Result<Total> execute(Run& of) {
    BUREAU_TRY(verdict, of.approval(request));
    if (!verdict->approved()) return Total{0};
    auto done = of.complete([&](Unit& unit) -> Result<Total> {
      for (int i = 0; i < uses; ++i) {
        BUREAU_TRY_VOID(
            Approvals::use(unit, verdict->approval, Json::object({{"name", Json(does)}})));
      }
      BUREAU_TRY_VOID(add_team(unit, does));
      return Total{1};
    });
    if (!done) refused = done.error().code;
    return done;
  }
  User user(const std::string& name, const std::string& role) {
    User row;
    row.tenant = desk.office.tenant.id;
    row.email = name + "@example.com";
    row.name = name;
    row.role = role;
    return must(Repository<User>(desk.office.system()).insert(row));
  }
  Session session(const User& of) {
    return must(desk.office.process.access->session(desk.office.tenant.id, of.id));
  }
  Approvals system() { return Approvals(desk.office.system()); }
  Approval asked() {
    Query all;
    return must(system().list(all)).at(0);
  }
};

}  // namespace

TEST_CASE("A run rests until a person has decided, and its effect uses the approval") {
  ApprovalDesk it;
  const User manager = it.user("mara", "manager");
  it.desk.run_all();
  CHECK(it.desk.status(it.run) == TaskStatus::waiting);
  const auto open = must(Approvals(it.session(manager)).list());
  REQUIRE(open.size() == 1);
  CHECK(open[0].title == "Found the team?");
  it.desk.after(60h);  // nothing changes by waiting
  CHECK(it.desk.status(it.run) == TaskStatus::waiting);
  SUBCASE("yes") {
    must(Approvals(it.session(manager)).decide(open[0].id, true, "a good name"));
    it.desk.run_all();
    CHECK(it.desk.value(it.run) == 1);
    CHECK(teams(it.desk.office) == 1);
    CHECK(it.asked().status == ApprovalStatus::used);
    CHECK(it.verdict->by == manager.id);
    CHECK(it.verdict->comment == "a good name");
  }
  SUBCASE("no") {
    must(Approvals(it.session(manager)).decide(open[0].id, false));
    it.desk.run_all();
    CHECK(it.desk.value(it.run) == 0);
    CHECK(teams(it.desk.office) == 0);
    CHECK(it.asked().status == ApprovalStatus::rejected);
  }
  CHECK(code_of(it.system().decide(open[0].id, true)) == Code::conflict);
}

TEST_CASE("An approval holds for exactly what was approved, and once") {
  ApprovalDesk it;
  it.desk.run_all();
  SUBCASE("for something else") { it.does = "tea"; }
  SUBCASE("twice") { it.uses = 2; }
  must(it.system().decide(it.asked().id, true));
  it.desk.run_all();
  CHECK(it.refused == Code::conflict);
  CHECK(teams(it.desk.office) == 0);
  CHECK(it.asked().status == ApprovalStatus::approved);  // the whole commit was refused
}

TEST_CASE("It is void when the record has changed since it was asked for") {
  ApprovalDesk it;
  Team team;
  team.name = "oats";
  team = must(Repository<Team>(it.desk.office.system()).insert(team));
  it.request.about(team);
  it.desk.run_all();
  const auto change = [&] {
    team.name += "!";
    team = must(Repository<Team>(it.desk.office.system()).update(team));
  };
  SUBCASE("before it is decided: it is stale, and the run hears of it") {
    change();
    CHECK(must(it.system().decide(it.asked().id, true)).status == ApprovalStatus::stale);
    it.desk.run_all();
    CHECK(it.verdict->status == ApprovalStatus::stale);
    CHECK(it.desk.value(it.run) == 0);
  }
  SUBCASE("between the decision and the effect: that is refused") {
    must(it.system().decide(it.asked().id, true));
    change();
    it.desk.run_all();
    CHECK(it.refused == Code::conflict);
  }
  CHECK(teams(it.desk.office) == 1);
}

TEST_CASE("Nobody decides in time: it expires, whatever is said later") {
  ApprovalDesk it;
  it.desk.run_all();
  it.desk.after(72h);
  CHECK(it.verdict->status == ApprovalStatus::expired);
  CHECK(it.desk.value(it.run) == 0);
  CHECK(code_of(it.system().decide(it.asked().id, true)) == Code::conflict);
}

TEST_CASE("It is escalated, once, and then is another's") {
  ApprovalDesk it;
  const User agent = it.user("ann", "agent");
  const User boss = it.user("bo", "agent");
  it.request.assignee = agent.id;
  it.request.escalate_after = 24h;
  it.request.escalate_to = boss.id;
  it.desk.run_all();
  CHECK(must(Approvals(it.session(agent)).list()).size() == 1);
  CHECK(must(Approvals(it.session(boss)).list()).empty());
  must(Approvals(it.session(agent)).claim(it.asked().id));
  it.desk.after(24h);
  CHECK(it.desk.status(it.run) == TaskStatus::waiting);
  CHECK(must(Approvals(it.session(agent)).list()).empty());
  REQUIRE(must(Approvals(it.session(boss)).list()).size() == 1);
  must(Approvals(it.session(boss)).decide(it.asked().id, true));
  it.desk.run_all();
  CHECK(it.desk.value(it.run) == 1);
}

TEST_CASE("Whoever may not decide cannot, nor while another is at it") {
  ApprovalDesk it;
  const User ann = it.user("ann", "agent");
  const User ben = it.user("ben", "agent");
  const User customer = it.user("cara", "customer");
  Team team;
  team.name = "desk";
  team = must(Repository<Team>(it.desk.office.system()).insert(team));
  for (const User* user : {&ann, &ben}) {
    Membership member;
    member.team = team.id;
    member.user = user->id;
    must(Repository<Membership>(it.desk.office.system()).insert(member));
  }
  it.request.team = team.id;
  it.desk.run_all();
  const Id<Approval> id = it.asked().id;
  CHECK(code_of(Approvals(it.session(customer)).decide(id, true)) == Code::not_found);
  must(Approvals(it.session(ann)).claim(id));
  CHECK(code_of(Approvals(it.session(ben)).claim(id)) == Code::conflict);
  CHECK(code_of(Approvals(it.session(ben)).decide(id, true)) == Code::conflict);
  must(Approvals(it.session(ann)).release(id));
  CHECK(must(Approvals(it.session(ben)).decide(id, true)).decided_by == ben.id);
}

TEST_CASE("G14_approvals_go_by_their_edges_also_through_a_repository") {
  ApprovalDesk it;
  it.desk.run_all();
  const Repository<Approval> rows(it.desk.office.system());
  Approval open = it.asked();
  open.status = ApprovalStatus::used;
  CHECK(code_of(rows.update(open)) == Code::conflict);
  open.status = ApprovalStatus::open;
  open.subject = Json::object({{"name", "tea"}});
  const Repository<Approval> of_manager(it.session(it.user("mara", "manager")));
  CHECK_FALSE(of_manager.update(open).has_value());
  Approval forged;
  forged.task = it.run;
  forged.title = "t";
  forged.status = ApprovalStatus::approved;
  CHECK(code_of(rows.insert(forged)) == Code::invalid);
  CHECK(it.asked().status == ApprovalStatus::open);
}

TEST_CASE("An answer that comes too late is none, also while nobody works") {
  ApprovalDesk it;
  it.desk.run_all();
  it.desk.office.clock.advance(72h);
  CHECK(code_of(it.system().decide(it.asked().id, true)) == Code::conflict);
  it.desk.run_all();
  CHECK(it.verdict->status == ApprovalStatus::expired);
}

TEST_CASE("A manager gives back what somebody has claimed who does not come back") {
  ApprovalDesk it;
  const User ann = it.user("ann", "agent");
  const User mara = it.user("mara", "manager");
  it.request.assignee = ann.id;
  it.desk.run_all();
  must(Approvals(it.session(ann)).claim(it.asked().id));
  CHECK(code_of(Approvals(it.session(mara)).decide(it.asked().id, true)) == Code::conflict);
  must(Approvals(it.session(mara)).release(it.asked().id));
  CHECK(must(Approvals(it.session(mara)).decide(it.asked().id, true)).decided_by == mara.id);
}

TEST_CASE("G14_nobody_decides_by_a_repository") {
  ApprovalDesk it;
  const User mara = it.user("mara", "manager");
  it.desk.run_all();
  Approval open = it.asked();
  open.status = ApprovalStatus::approved;
  open.decided_by = mara.id;
  CHECK(code_of(Repository<Approval>(it.session(mara)).update(open)) == Code::invalid);
  CHECK(it.asked().status == ApprovalStatus::open);
}

TEST_CASE("G14_requests_that_cannot_be_are_refused_by_field") {
  const auto field_of = [](ApprovalRequest request) {
    std::string field;
    RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
      const auto refused = run.approval(request);
      REQUIRE(code_of(refused) == Code::invalid);
      field = refused.error().field;
      return Total{1};
    });
    desk.enqueue();
    desk.run_all();
    return field;
  };
  CHECK(field_of({.title = ""}) == "title");
  CHECK(field_of({.title = "t", .within = 0s}) == "within");
  CHECK(field_of({.title = "t", .escalate_after = 1h}) == "escalate_to");
  CHECK(field_of({.title = "t", .record = 7}) == "record");
  CHECK(field_of({.title = "t", .subject = Json(std::string(max_payload_bytes, 'x'))}) ==
        "payload");
}

TEST_CASE("A cancelled run withdraws what it has asked") {
  ApprovalDesk it;
  it.desk.run_all();
  must(it.desk.office.tasks().cancel(it.run, "not wanted"));
  CHECK(it.asked().status == ApprovalStatus::withdrawn);
  CHECK(must(it.system().list()).empty());
}
