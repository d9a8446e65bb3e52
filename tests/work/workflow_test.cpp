#include <doctest/doctest.h>

#include "bureau/work/schedule.hpp"
#include "bureau/work/why.hpp"
#include "work/workflow_changes.hpp"
#include "work/workflow_desk.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

constexpr const char* purchase = R"({
  "name": "purchase",
  "input": {"amount": {"type": "integer"}, "note": {"type": "text", "optional": true}},
  "nodes": [
    {"id": "size", "kind": "condition", "if": "input.amount > 1000", "then": "ask", "else": "order"},
    {"id": "ask", "kind": "approval", "title": {"$text": "Buy for {input.amount}?"},
     "subject": {"amount": {"$": "input.amount"}}, "within": "2d",
     "next": "order", "rejected": "refused", "expired": "late"},
    {"id": "order", "kind": "task", "task": "chore",
     "payload": {"label": {"$text": "order {input.amount}"}, "amount": {"$": "input.amount"}},
     "next": "wait"},
    {"id": "wait", "kind": "delay", "for": "3d", "next": "done"},
    {"id": "done", "kind": "end", "output": {"ordered": {"$": "order.value"}}},
    {"id": "refused", "kind": "end", "output": {"said": {"$": "ask.comment"}}},
    {"id": "late", "kind": "end", "status": "failed",
     "message": {"$text": "nobody decided about {input.amount}"}}
  ]})";

constexpr const char* both = R"({
  "name": "both",
  "nodes": [
    {"id": "fork", "kind": "parallel", "branches": ["legal", "finance"], "next": "agreed"},
    {"id": "legal", "kind": "approval", "title": "legal?", "rejected": null, "next": "filed"},
    {"id": "filed", "kind": "task", "task": "chore", "payload": {"label": "file", "amount": 1}},
    {"id": "finance", "kind": "approval", "title": "finance?", "rejected": null, "next": "booked"},
    {"id": "booked", "kind": "task", "task": "chore", "payload": {"label": "book", "amount": 2}},
    {"id": "agreed", "kind": "condition",
     "if": "legal.approved = true and finance.approved = true", "then": "yes", "else": "no"},
    {"id": "yes", "kind": "end", "output": {"finance": {"$": "finance.comment"}}},
    {"id": "no", "kind": "end", "output": {"legal": {"$": "legal.status"}}}
  ]})";

}  // namespace

TEST_CASE("A workflow runs as its definition says") {
  WorkflowDesk desk;
  desk.activate(purchase);

  const auto small = desk.start("purchase", R"({"amount": 70})");
  CHECK(desk.nodes_waited_at(small) == "wait");
  CHECK(desk.done["order 70"] == 1);
  desk.after(24h * 3);
  CHECK(desk.output_of(small) == json(R"({"ordered": 71})"));

  const auto large = desk.start("purchase", R"({"amount": 2000})");
  CHECK(desk.nodes_waited_at(large) == "ask");
  CHECK(desk.asked("Buy for 2000?").subject == json(R"({"amount": 2000})"));
  const Why asked = must(why(desk.office.system(), large));
  CHECK(asked.reasons.at(0).text.find("\"ask\" (approval)") != std::string::npos);
  desk.decide("Buy for 2000?", true);
  desk.after(24h * 3);
  CHECK(desk.output_of(large) == json(R"({"ordered": 2001})"));

  const auto refused = desk.start("purchase", R"({"amount": 3000})");
  desk.decide("Buy for 3000?", false);
  CHECK(desk.output_of(refused) == json(R"({"said": "as said"})"));
  CHECK(desk.done.count("order 3000") == 0);

  const auto late = desk.start("purchase", R"({"amount": 4000})");
  desk.after(24h * 2);
  CHECK(desk.find(late).status == TaskStatus::dead);
  CHECK(desk.end_of(late) == "nobody decided about 4000");
  CHECK(must(desk.workflows().runs("purchase")).size() == 4);
}

TEST_CASE("G14_a_bad_input_names_the_field_and_starts_nothing") {
  WorkflowDesk desk;
  desk.activate(purchase);
  const auto refused = [&](const char* input) {
    const auto started = desk.workflows().start("purchase", json(input));
    REQUIRE(code_of(started) == Code::invalid);
    return started.error().field;
  };
  CHECK(refused(R"({})") == "input.amount");
  CHECK(refused(R"({"amount": "7"})") == "input.amount");
  CHECK(refused(R"({"amount": null})") == "input.amount");
  CHECK(refused(R"({"amount": 7, "amont": 7})") == "input.amont");
  CHECK(refused("[]") == "input");
  CHECK(must(desk.office.tasks().count()) == 0);
  CHECK(code_of(desk.workflows().start("nothing")) == Code::not_found);
}

TEST_CASE("A task's error takes its own way, or ends the run and names the node") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "brave", "nodes": [
    {"id": "try", "kind": "task", "task": "chore", "payload": {"label": "bad one", "amount": 1},
     "next": "fine", "on_error": "sorry"},
    {"id": "fine", "kind": "end"},
    {"id": "sorry", "kind": "end", "output": {"why": {"$": "try.error.code"}}}]})");
  const auto brave = desk.start("brave");
  desk.after(2s);
  CHECK(desk.output_of(brave) == json(R"({"why": "unavailable"})"));

  desk.activate(R"({"name": "frail", "nodes": [
    {"id": "try", "kind": "task", "task": "chore", "attempts": 1,
     "payload": {"label": "bad one", "amount": 1}}]})");
  const auto frail = desk.start("frail");
  CHECK(desk.find(frail).status == TaskStatus::dead);
  CHECK(desk.end_of(frail) == "node \"try\": unavailable: it is out of order");
}

TEST_CASE("A value that is not there ends the run, unless it has a default") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "reach", "input": {"deep": {"type": "json"}}, "nodes": [
    {"id": "e", "kind": "end", "output": {"first": {"$": "input.deep.list.0.name"},
                                          "other": {"$": "input.deep.none", "default": 7}}}]})");
  const auto good = desk.start("reach", R"({"deep": {"list": [{"name": "x"}]}})");
  CHECK(desk.output_of(good) == json(R"({"first": "x", "other": 7})"));
  const auto bad = desk.start("reach", R"({"deep": {"list": []}})");
  CHECK(desk.end_of(bad) == "node \"e\": invalid: \"input.deep.list.0.name\" leads nowhere");
}

// Parallel branches ----------------------------------------------------------------------------

TEST_CASE("Regression: a decision about one of several parallel branches wakes another branch") {
  for (const bool finance_first : {true, false}) {
    WorkflowDesk desk;
    desk.activate(both);
    const auto run = desk.start("both");
    CHECK(desk.nodes_waited_at(run) == "legal finance");  // both are asked at once
    desk.decide(finance_first ? "finance?" : "legal?", true);
    CHECK(desk.nodes_waited_at(run) == (finance_first ? "legal" : "finance"));
    CHECK(desk.done["book"] == (finance_first ? 1 : 0));
    CHECK(desk.done["file"] == (finance_first ? 0 : 1));
    desk.decide(finance_first ? "legal?" : "finance?", true);
    CHECK(desk.output_of(run) == json(R"({"finance": "as said"})"));
    CHECK(desk.done["book"] == 1);
    CHECK(desk.done["file"] == 1);
  }
}

TEST_CASE("Two runs of one workflow do not wake each other") {
  WorkflowDesk desk;
  desk.activate(both);
  const auto one = desk.start("both");
  const auto two = desk.start("both");
  Query open;
  open.where = col(&Approval::title) == std::string("legal?");
  const auto asked = must(Approvals(desk.office.system()).list(open));
  REQUIRE(asked.size() == 2);
  must(Approvals(desk.office.system()).decide(asked[1].id, false));
  desk.run_all();
  const bool second = must(Runs(desk.office.system()).children(two))[0].id == asked[1].task;
  CHECK(desk.nodes_waited_at(second ? two : one) == "finance");
  CHECK(desk.nodes_waited_at(second ? one : two) == "legal finance");
}

TEST_CASE("Any: the first branch counts, and the others are called off with what they asked") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "race", "nodes": [
    {"id": "fork", "kind": "parallel", "wait": "any", "branches": ["ask", "sleep"], "next": "e"},
    {"id": "ask", "kind": "approval", "title": "quick?", "rejected": "no", "next": "yes"},
    {"id": "yes", "kind": "end", "output": "approved"},
    {"id": "no", "kind": "end", "status": "failed", "message": "rejected"},
    {"id": "sleep", "kind": "delay", "for": "1d", "next": "slept"},
    {"id": "slept", "kind": "end", "output": "slept"},
    {"id": "e", "kind": "end", "output": {"first": {"$": "fork.first"},
      "said": {"$": "fork.ask.output", "default": "nothing"}, "slept": {"$": "fork.sleep.status"}}}]})");
  const auto decided = desk.start("race");
  desk.decide("quick?", true);
  CHECK(desk.output_of(decided) ==
        json(R"({"first": "ask", "said": "approved", "slept": "cancelled"})"));

  const auto slept = desk.start("race");
  const Approval asked = desk.asked("quick?");
  desk.after(24h);
  CHECK(desk.output_of(slept) ==
        json(R"({"first": "sleep", "said": "nothing", "slept": "completed"})"));
  CHECK(must(Approvals(desk.office.system()).find(asked.id)).status == ApprovalStatus::withdrawn);

  // One that fails is not the first that counts.
  const auto rejected = desk.start("race");
  desk.decide("quick?", false);
  CHECK(desk.nodes_waited_at(rejected) == "sleep");
  desk.after(24h);
  CHECK(desk.output_of(rejected).find("first")->as_string()->compare("sleep") == 0);
  CHECK(must(desk.office.tasks().count(col(&Task::status) < TaskStatus::completed)) == 0);
}

TEST_CASE("Regression: the node where the ways of a condition meet is skipped with one of them") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "meet", "input": {"n": {"type": "integer"}}, "nodes": [
    {"id": "c", "kind": "condition", "if": "input.n > 1", "then": "a", "else": "b"},
    {"id": "a", "kind": "task", "task": "chore", "payload": {"label": "a", "amount": 1}, "next": "m"},
    {"id": "b", "kind": "task", "task": "chore", "payload": {"label": "b", "amount": 2}, "next": "m"},
    {"id": "m", "kind": "task", "task": "chore", "payload": {"label": "m", "amount": 3}, "next": "e"},
    {"id": "e", "kind": "end", "output": {"a": {"$": "a.value", "default": null},
                                          "b": {"$": "b.value", "default": null}}}]})");
  CHECK(desk.output_of(desk.start("meet", R"({"n": 2})")) == json(R"({"a": 2, "b": null})"));
  CHECK(desk.output_of(desk.start("meet", R"({"n": 0})")) == json(R"({"a": null, "b": 3})"));
  CHECK(desk.done["m"] == 2);
}

TEST_CASE("Regression: a parallel hangs, or goes on too early, when a branch fails") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "half", "nodes": [
    {"id": "fork", "kind": "parallel", "branches": ["good", "bad"], "next": "e", "on_error": "sorry"},
    {"id": "good", "kind": "delay", "for": "1d", "next": "work"},
    {"id": "work", "kind": "task", "task": "chore", "payload": {"label": "work", "amount": 1}},
    {"id": "bad", "kind": "task", "task": "chore", "payload": {"label": "bad", "amount": 1}},
    {"id": "e", "kind": "end"},
    {"id": "sorry", "kind": "end", "output": {"bad": {"$": "fork.bad.status"},
                                              "good": {"$": "fork.good.status"},
                                              "why": {"$": "fork.error.message"}}}]})");
  const auto run = desk.start("half");
  desk.after(2s);
  CHECK(desk.nodes_waited_at(run) == "good");
  desk.after(24h);
  CHECK(desk.output_of(run) == json(R"({"bad": "failed", "good": "completed",
                 "why": "node \"bad\": unavailable: it is out of order"})"));
  CHECK(desk.done["work"] == 1);
}

TEST_CASE("A run that is cancelled takes back all that it asked") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "ask", "nodes": [
    {"id": "fork", "kind": "parallel", "branches": ["a", "f"]},
    {"id": "a", "kind": "approval", "title": "?", "rejected": null},
    {"id": "f", "kind": "human_input", "title": "which?", "fields": {"x": {"type": "text"}}}]})");
  const auto run = desk.start("ask");
  REQUIRE(must(WorkflowForms(desk.office.system()).list()).size() == 1);
  const auto form = must(WorkflowForms(desk.office.system()).list()).front();
  must(desk.office.tasks().cancel(run, "not needed"));
  CHECK(must(WorkflowForms(desk.office.system()).find(form.id)).status == FormStatus::withdrawn);
  CHECK(must(Approvals(desk.office.system()).list()).empty());
  CHECK(code_of(WorkflowForms(desk.office.system()).answer(form.id, json(R"({"x": "y"})"))) ==
        Code::conflict);
}

// Forms ----------------------------------------------------------------------------------------

namespace {

constexpr const char* survey = R"({
  "name": "survey",
  "nodes": [
    {"id": "ask", "kind": "human_input", "title": "Which one?", "team": "Buyers", "within": "1d",
     "fields": {"color": {"type": "choice", "choices": ["red", "blue"]},
                "count": {"type": "integer"},
                "note": {"type": "text", "optional": true, "max_length": 5}},
     "next": "again", "expired": "late"},
    {"id": "again", "kind": "human_input", "title": "Sure?", "fields": {"sure": {"type": "boolean"}},
     "next": "e"},
    {"id": "late", "kind": "end", "output": {"answered": {"$": "ask.answered"}}},
    {"id": "e", "kind": "end", "output": {"count": {"$": "ask.answer.count"},
      "note": {"$": "ask.answer.note"}, "sure": {"$": "again.answer.sure"}}}]})";

}  // namespace

TEST_CASE("A form is answered by whom it is for, with what its fields are") {
  WorkflowDesk desk;
  Team buyers;
  buyers.name = "Buyers";
  buyers = must(Repository<Team>(desk.office.system()).insert(buyers));
  const User bea = desk.user("bea", "agent");
  const User cleo = desk.user("cleo", "agent");
  const User vera = desk.user("vera", "viewer");  // may look, and no more
  for (const User& user : {bea, vera}) {
    Membership member;
    member.user = user.id;
    member.team = buyers.id;
    must(Repository<Membership>(desk.office.system()).insert(member));
  }
  desk.activate(survey);
  const auto run = desk.start("survey");
  CHECK(desk.nodes_waited_at(run) == "ask");
  CHECK(must(WorkflowForms(desk.session(cleo)).list()).empty());
  const WorkflowForms forms(desk.session(bea));
  REQUIRE(must(forms.list()).size() == 1);
  const WorkflowForm form = must(forms.list()).front();
  CHECK(code_of(WorkflowForms(desk.session(cleo)).answer(form.id, json("{}"))) == Code::not_found);

  REQUIRE(must(WorkflowForms(desk.session(vera)).list()).size() == 1);
  CHECK(code_of(WorkflowForms(desk.session(vera))
                    .answer(form.id, json(R"({"color": "red", "count": 7})"))) == Code::forbidden);

  const auto refused = [&](const char* answer) {
    const auto answered = forms.answer(form.id, json(answer));
    REQUIRE(code_of(answered) == Code::invalid);
    return answered.error().field;
  };
  CHECK(refused(R"({"count": 7})") == "answer.color");
  CHECK(refused(R"({"color": "green", "count": 7})") == "answer.color");
  CHECK(refused(R"({"color": "red", "count": 7.5})") == "answer.count");
  CHECK(refused(R"({"color": "red", "count": 7, "note": "too long"})") == "answer.note");
  CHECK(refused(R"({"color": "red", "count": 7, "size": 1})") == "answer.size");
  // Who only speaks to the run has not answered the form.
  must(Runs(desk.office.system()).signal_json(run, "ask.answer", json(R"({"count": 1})")));
  desk.run_all();
  CHECK(desk.nodes_waited_at(run) == "ask");

  const auto answered = must(forms.answer(form.id, json(R"({"color": "red", "count": 7})")));
  CHECK(answered.status == FormStatus::answered);
  CHECK(answered.answered_by == bea.id);
  CHECK(code_of(forms.answer(form.id, json(R"({"color": "red", "count": 8})"))) == Code::conflict);
  desk.run_all();
  CHECK(desk.nodes_waited_at(run) == "again");
  const auto second = must(WorkflowForms(desk.office.system()).list()).at(0);
  must(WorkflowForms(desk.office.system()).answer(second.id, json(R"({"sure": true})")));
  desk.run_all();
  CHECK(desk.output_of(run) == json(R"({"count": 7, "note": null, "sure": true})"));
  // What is answered stays, also through a repository.
  WorkflowForm changed = must(WorkflowForms(desk.office.system()).find(form.id));
  changed.title = "other";
  CHECK(code_of(Repository<WorkflowForm>(desk.office.system()).update(changed)) == Code::conflict);
}

TEST_CASE("A form that nobody answers in time goes its own way, whatever is said later") {
  WorkflowDesk desk;
  Team buyers;
  buyers.name = "Buyers";
  must(Repository<Team>(desk.office.system()).insert(buyers));
  desk.activate(survey);
  const auto run = desk.start("survey");
  const auto form = must(WorkflowForms(desk.office.system()).list()).at(0);
  desk.office.clock.advance(24h);  // and nobody works
  const auto late =
      WorkflowForms(desk.office.system()).answer(form.id, json(R"({"color": "red", "count": 7})"));
  CHECK(code_of(late) == Code::conflict);
  desk.after(0s);
  CHECK(desk.output_of(run) == json(R"({"answered": false})"));
  CHECK(must(WorkflowForms(desk.office.system()).find(form.id)).status == FormStatus::expired);
}

// Versions, calls ------------------------------------------------------------------------------

TEST_CASE("A run stays with its version; what is active stays as it is") {
  WorkflowDesk desk;
  const auto version = [](const char* said) {
    return std::string(R"({"name": "v", "nodes": [{"id": "d", "kind": "delay", "for": "1d",
      "next": "e"}, {"id": "e", "kind": "end", "output": ")") +
           said + "\"}]}";
  };
  const Workflow one = desk.activate(version("one"));
  const auto first = desk.start("v");
  const Workflow draft = must(desk.workflows().save(workflow(version("two"))));
  CHECK(draft.number == 2);
  CHECK(must(desk.workflows().save(workflow(version("three")))).id == draft.id);  // still a draft
  const Workflow two = must(desk.workflows().activate(draft.id));
  CHECK(must(desk.workflows().find(one.id)).status == WorkflowStatus::retired);
  CHECK(must(desk.workflows().named("v")).id == two.id);
  CHECK(must(desk.workflows().named("v", 1)).id == one.id);
  const auto second = desk.start("v");
  desk.after(24h);
  CHECK(desk.output_of(first) == Json("one"));
  CHECK(desk.output_of(second) == Json("three"));

  const Repository<Workflow> rows(desk.office.system());
  Workflow changed = must(rows.find(two.id));
  changed.definition = json(R"({"nodes": [{"id": "e", "kind": "end"}]})");
  CHECK(code_of(rows.update(changed)) == Code::conflict);
  changed = must(rows.find(two.id));
  changed.status = WorkflowStatus::draft;
  CHECK(code_of(rows.update(changed)) == Code::conflict);
  Workflow made;
  made.name = "w";
  made.trigger = json(R"({"on": "manual"})");
  made.definition = json(R"({"nodes": [{"id": "e", "kind": "end", "next": "e"}]})");
  CHECK(code_of(rows.insert(made)) == Code::invalid);
  made.definition = json(R"({"nodes": [{"id": "e", "kind": "end"}]})");
  made.status = WorkflowStatus::active;
  CHECK(code_of(rows.insert(made)) == Code::invalid);

  CHECK(code_of(desk.workflows().activate(one.id)) == Code::conflict);
  CHECK(code_of(desk.workflows().remove(two.id)) == Code::conflict);
  must(desk.workflows().retire(two.id));
  CHECK(code_of(desk.workflows().start("v")) == Code::not_found);
  CHECK(code_of(desk.workflows().retire(two.id)) == Code::conflict);
  const Workflow unused = must(desk.workflows().save(workflow(version("four"))));
  must(desk.workflows().remove(unused.id));
  // A task that names a draft by hand runs nothing.
  const Workflow again = must(desk.workflows().save(workflow(version("five"))));
  const auto by_hand =
      must(desk.office.tasks().enqueue(workflow_run, WorkflowStart{again.id, Json::object(), 0}));
  desk.run_all();
  CHECK(desk.end_of(by_hand.id) == "workflow: it is a draft; activate it");
}

TEST_CASE("The steps of each kind of node are frozen: runs in flight outlive the program") {
  WorkflowDesk desk;
  desk.user("mara", "manager");
  desk.activate(R"({"name": "leaf", "nodes": [{"id": "e", "kind": "end"}]})");
  desk.activate(R"({"name": "all", "nodes": [
    {"id": "s", "kind": "set", "values": {"x": 1}, "next": "c"},
    {"id": "c", "kind": "condition", "if": "vars.x = 1", "then": "b", "else": null},
    {"id": "b", "kind": "branch", "cases": [{"if": "vars.x = 2", "next": null}], "else": "d"},
    {"id": "d", "kind": "delay", "for": "1s", "next": "t"},
    {"id": "t", "kind": "task", "task": "chore", "payload": {"label": "x", "amount": 1},
     "next": "l"},
    {"id": "l", "kind": "call", "workflow": "leaf", "next": "q"},
    {"id": "q", "kind": "approval", "title": "?", "assignee": "mara@example.com", "rejected": null,
     "next": "f"},
    {"id": "f", "kind": "human_input", "title": "?", "fields": {"n": {"type": "integer"}},
     "next": "p"},
    {"id": "p", "kind": "parallel", "branches": ["p1", "p2"], "next": "r"},
    {"id": "p1", "kind": "set", "values": {"y": 1}},
    {"id": "p2", "kind": "set", "values": {"z": 1}},
    {"id": "r", "kind": "parallel", "wait": "any", "branches": ["r1", "r2"], "next": "e"},
    {"id": "r1", "kind": "set", "values": {"y": 1}},
    {"id": "r2", "kind": "delay", "for": "1d"},
    {"id": "e", "kind": "end"}]})");
  const auto run = desk.start("all");
  desk.after(1s);
  desk.decide("?", true);
  const auto form = must(WorkflowForms(desk.office.system()).list()).at(0);
  must(WorkflowForms(desk.office.system()).answer(form.id, json(R"({"n": 1})")));
  desk.run_all();
  REQUIRE(desk.end_of(run) == "e");
  std::string steps;
  for (const RunStep& step : must(Runs(desk.office.system()).steps(run))) {
    steps +=
        step.name + ":" + std::string(names<StepKind>[static_cast<std::size_t>(step.kind)]) + " ";
  }
  CHECK(steps ==
        "s:step c:step b:step d:sleep t:spawn t.join:join l.version:step l:spawn l.join:join "
        "q.people:step q:approval f:step f.answer:signal f.close:step p.p1:spawn p.p2:spawn "
        "p.join:join r.r1:spawn r.r2:spawn r.join:join r.join:join r.cancel:step e:step ");
}

TEST_CASE("A workflow calls another, but not for ever") {
  WorkflowDesk desk;
  desk.activate(R"({"name": "inner", "input": {"n": {"type": "integer"}}, "nodes": [
    {"id": "t", "kind": "task", "task": "chore", "payload": {"label": "in", "amount": {"$": "input.n"}},
     "next": "e"},
    {"id": "e", "kind": "end", "output": {"n": {"$": "t.value"}}}]})");
  desk.activate(R"({"name": "outer", "input": {"n": {"type": "json"}}, "nodes": [
    {"id": "c", "kind": "call", "workflow": "inner", "input": {"n": {"$": "input.n"}}, "next": "e",
     "on_error": "x"},
    {"id": "e", "kind": "end", "output": {"$": "c.output.n"}},
    {"id": "x", "kind": "end", "output": {"$": "c.error.message"}}]})");
  CHECK(desk.output_of(desk.start("outer", R"({"n": 4})")) == Json(5));
  CHECK(desk.output_of(desk.start("outer", R"({"n": "x"})")).as_string()->find("input.n") !=
        std::string::npos);
  desk.activate(R"({"name": "self", "nodes": [{"id": "c", "kind": "call", "workflow": "self"}]})");
  const auto endless = desk.start("self");
  CHECK(desk.find(endless).status == TaskStatus::dead);
  CHECK(desk.end_of(endless).find("the limit is 16 deep") != std::string::npos);
  CHECK(must(desk.office.tasks().count(col(&Task::flow_key) == std::string("workflow:self"))) == 1);
}

// Rights ---------------------------------------------------------------------------------------

TEST_CASE("G10_a_workflow_does_no_more_than_its_starter_may") {
  WorkflowDesk desk;
  // A role that may enqueue runs of workflows, and no chores.
  Role clerk;
  clerk.name = "clerk";
  clerk.rank = 30;
  clerk.permissions =
      json(R"([{"resource": "*", "action": "select"}, {"resource": "*", "action": "update"},
      {"resource": "tasks", "action": "insert", "condition": "kind = \"workflow.run\""}])");
  must(Repository<Role>(desk.office.system()).insert(clerk));
  const User mara = desk.user("mara", "manager");
  const User ada = desk.user("ada", "agent");
  const User carl = desk.user("carl", "clerk");
  const NewWorkflow work = workflow(R"({"name": "work", "starters": ["clerk"], "nodes": [
    {"id": "t", "kind": "task", "task": "chore", "payload": {"label": "by", "amount": 1}}]})");
  CHECK(code_of(Workflows(desk.session(ada)).save(work)) == Code::forbidden);
  CHECK(code_of(Workflows(desk.session(carl)).save(work)) == Code::forbidden);
  const Workflows managers(desk.session(mara));
  const Workflow draft = must(managers.save(work));
  CHECK(code_of(Workflows(desk.session(carl)).find(draft.id)) == Code::not_found);
  must(managers.activate(draft.id));
  CHECK(code_of(Workflows(desk.session(ada)).start("work")) == Code::not_found);
  CHECK(code_of(Workflows(desk.session(carl)).retire(draft.id)) == Code::forbidden);

  const auto of_manager = must(managers.start("work"));
  const auto of_clerk = must(Workflows(desk.session(carl)).start("work"));
  desk.run_all();
  CHECK(of_clerk.enqueued_by == carl.id);
  CHECK(desk.find(of_manager.id).status == TaskStatus::completed);
  CHECK(desk.find(of_clerk.id).status == TaskStatus::dead);
  CHECK(desk.find(of_clerk.id).error_code == "forbidden");
  CHECK(desk.end_of(of_clerk.id).starts_with("node \"t\": forbidden"));
  CHECK(desk.done["by"] == 1);
  // Nor does one whose account is disabled meanwhile.
  const auto later = must(managers.start("work", Json::object(), {.delay = 1h}));
  User gone = must(Repository<User>(desk.office.system()).find(mara.id));
  gone.status = UserStatus::disabled;
  must(Repository<User>(desk.office.system()).update(gone));
  desk.after(1h);
  CHECK(desk.find(later.id).error_code == "forbidden");
  CHECK(desk.done["by"] == 1);
}

TEST_CASE("G10_nobody_activates_what_he_may_not_enqueue") {
  WorkflowDesk desk;
  const User mara = desk.user("mara", "manager");
  const Repository<Role> roles(desk.office.system());
  Role manager = *must(roles.first(col(&Role::name) == std::string("manager")));
  manager.permissions = json(R"([{"resource": "workflows", "action": "*"},
      {"resource": "users", "action": "select"},
      {"resource": "tasks", "action": "insert", "condition": "kind != \"chore\""}])");
  must(roles.update(manager));
  const Workflows workflows(desk.session(mara));
  const Workflow draft = must(workflows.save(workflow(R"({"name": "work", "nodes": [
    {"id": "t", "kind": "task", "task": "chore", "payload": {"label": "by", "amount": 1}}]})")));
  const auto refused = workflows.activate(draft.id);
  CHECK(code_of(refused) == Code::forbidden);
  CHECK(refused.error().field == "nodes.t.task");
  CHECK(must(desk.workflows().find(draft.id)).status == WorkflowStatus::draft);
}

namespace {
inline constexpr auto sealed_chore =
    task_kind<Chore, ChoreDone>("sealed_chore", Effect::database, retry::never).encrypted();
}  // namespace

TEST_CASE("Workflows may not name the interpreter's own kinds, encrypted ones, nor one twice") {
  Office office;
  WorkflowKinds own;
  own.add(workflow_run);
  Orchestrator orchestrator(*office.process.database, *office.process.access, {});
  CHECK(code_of(orchestrator.add(std::make_shared<WorkflowAgent>(*office.process.access, own))) ==
        Code::invalid);
  WorkflowKinds sealed;
  sealed.add(sealed_chore);
  CHECK(code_of(orchestrator.add(
            std::make_shared<WorkflowAgent>(*office.process.access, sealed))) == Code::invalid);
  WorkflowKinds twice;
  twice.add(chore).add(chore);
  CHECK(code_of(orchestrator.add(std::make_shared<WorkflowAgent>(*office.process.access, twice))) ==
        Code::invalid);
}
