// What a workflow must be before it is saved.

#include <doctest/doctest.h>

#include <set>

#include "counts.hpp"
#include "work/workflow_desk.hpp"

using namespace bureau;
using namespace bureau::work_test;

namespace {

struct Bad {
  const char* nodes;
  const char* field;
  const char* rule;
};

const Bad bad_nodes[] = {
    {R"([])", "nodes", "at least one"},
    {R"([7])", "nodes.0", "expected an object"},
    {R"([{"kind": "end"}])", "nodes.0.id", "expected a name"},
    {R"([{"id": "A", "kind": "end"}])", "nodes.0.id", "expected a name"},
    {R"([{"id": "vars", "kind": "end"}])", "nodes.0.id", "a word of the language"},
    {R"([{"id": "a", "kind": "aproval"}])", "nodes.a.kind", "did you mean approval"},
    {R"([{"id": "a"}])", "nodes.a.kind", "is no kind of node"},
    {R"([{"id": "a", "kind": "end"}, {"id": "a", "kind": "end"}])", "nodes.1.id", "another node"},
    {R"([{"id": "a", "kind": "end", "nxt": "b"}])", "nodes.a.nxt", "no such member"},
    {R"([{"id": "a", "kind": "set", "values": {"x": 1}, "next": "c"}, {"id": "b", "kind": "end"}])",
     "nodes.a.next", "there is no node \"c\""},
    {R"([{"id": "a", "kind": "end"}, {"id": "b", "kind": "end"}])", "nodes.b", "no way leads"},
    {R"([{"id": "a", "kind": "set", "values": {"x": 1}, "next": "b"},
         {"id": "b", "kind": "set", "values": {"x": 1}, "next": "a"}])",
     "nodes", "cycle: a -> b -> a"},
    {R"([{"id": "a", "kind": "delay", "for": "1d", "next": "a"}])", "nodes", "cycle: a -> a"},
    {R"([{"id": "p", "kind": "parallel", "branches": ["a", "b"]},
         {"id": "a", "kind": "delay", "for": "1d", "next": "p"},
         {"id": "b", "kind": "delay", "for": "1d"}])",
     "nodes", "cycle: p -> a -> p"},
    {R"([{"id": "c", "kind": "condition", "if": "input.amount > 1", "then": null}])",
     "nodes.c.else", "is missing"},
    {R"([{"id": "c", "kind": "condition", "then": null, "else": null}])", "nodes.c.if",
     "is missing"},
    {R"([{"id": "c", "kind": "condition", "if": "input.amount > \"x\"", "then": null,
          "else": null}])",
     "nodes.c.if", "input.amount is an integer, it is compared with a text"},
    {R"([{"id": "c", "kind": "condition", "if": "input.amout > 1", "then": null, "else": null}])",
     "nodes.c.if", "did you mean amount"},
    {R"([{"id": "c", "kind": "condition", "if": "input.amount >", "then": null, "else": null}])",
     "nodes.c.if", "column 15"},
    {R"([{"id": "c", "kind": "condition", "if": "input.amount > $x", "then": null, "else": null}])",
     "nodes.c.if", "variables"},
    {R"([{"id": "c", "kind": "condition", "if": "nobody.amount > 1", "then": null, "else": null}])",
     "nodes.c.if", "nobody"},
    {R"([{"id": "b", "kind": "branch", "cases": [], "else": null}])", "nodes.b.cases", "1 to 16"},
    {R"([{"id": "b", "kind": "branch", "cases": [{"if": "input.amount > 1"}], "else": null}])",
     "nodes.b.cases.0", "if and next"},
    {R"([{"id": "d", "kind": "delay"}])", "nodes.d.for", "either for or until"},
    {R"([{"id": "d", "kind": "delay", "for": "-2d"}])", "nodes.d.for", "positive duration"},
    {R"([{"id": "d", "kind": "delay", "for": 7}])", "nodes.d.for", "positive duration"},
    {R"([{"id": "d", "kind": "delay", "until": "soon"}])", "nodes.d.until", "soon"},
    {R"([{"id": "d", "kind": "delay", "for": {"$": "input.amount"}}])", "nodes.d.for",
     "expected a text"},
    {R"([{"id": "t", "kind": "task", "task": "chores"}])", "nodes.t.task", "did you mean chore"},
    {R"([{"id": "t", "kind": "task", "task": "chore", "payload": {"label": "x"}}])",
     "nodes.t.payload.amount", "is missing"},
    {R"([{"id": "t", "kind": "task", "task": "chore",
          "payload": {"label": "x", "amount": "many"}}])",
     "nodes.t.payload", "amount"},
    {R"([{"id": "t", "kind": "task", "task": "chore",
          "payload": {"label": {"$": "input.amount"}, "amount": 1}}])",
     "nodes.t.payload.label", "it is an integer"},
    {R"([{"id": "t", "kind": "task", "task": "chore",
          "payload": {"lable": "x", "amount": 1}}])",
     "nodes.t.payload.lable", "did you mean label"},
    {R"([{"id": "t", "kind": "task", "task": "chore",
          "payload": {"label": {"$": "later.value"}, "amount": 1}, "next": "later"},
         {"id": "later", "kind": "end"}])",
     "nodes.t.payload.label", "has not run on every way"},
    {R"([{"id": "t", "kind": "task", "task": "chore", "payload": {"label": "x", "amount": 1},
          "next": "e"},
         {"id": "e", "kind": "end", "output": {"$": "t.valu"}}])",
     "nodes.e.output", "did you mean value"},
    {R"([{"id": "c", "kind": "condition", "if": "input.amount > 1", "then": "s", "else": "e"},
         {"id": "s", "kind": "set", "values": {"x": 1}, "next": "e"},
         {"id": "e", "kind": "end", "output": {"$": "vars.x"}}])",
     "nodes.e.output", "is not set on every way"},
    {R"([{"id": "c", "kind": "condition", "if": "input.amount > 1", "then": "s", "else": "e"},
         {"id": "s", "kind": "set", "values": {"x": 1}, "next": "e"},
         {"id": "e", "kind": "end", "output": {"$text": "it is {s.x}"}}])",
     "nodes.e.output", "\"s\" has not run on every way"},
    {R"([{"id": "e", "kind": "end", "output": {"$text": "it is {input"}}])", "nodes.e.output",
     "a { that no } ends"},
    {R"([{"id": "e", "kind": "end", "output": {"$": "input.amount", "or": 1}}])", "nodes.e.output",
     "nothing beside it"},
    {R"([{"id": "e", "kind": "end", "status": "failed"}])", "nodes.e.message", "is missing"},
    {R"([{"id": "e", "kind": "end", "status": "good"}])", "nodes.e.status", "expected one of"},
    {R"([{"id": "p", "kind": "parallel", "branches": ["a"]}, {"id": "a", "kind": "end"}])",
     "nodes.p.branches", "2 to 16"},
    {R"([{"id": "p", "kind": "parallel", "branches": ["a", "a"]}, {"id": "a", "kind": "end"}])",
     "nodes.p.branches.1", "begins another branch"},
    {R"([{"id": "p", "kind": "parallel", "branches": ["a", "b"]},
         {"id": "a", "kind": "delay", "for": "1d", "next": "b"},
         {"id": "b", "kind": "delay", "for": "1d"}])",
     "nodes.b", "two ways that may run at once"},
    {R"([{"id": "p", "kind": "parallel", "branches": ["a", "b"], "next": "c"},
         {"id": "a", "kind": "delay", "for": "1d", "next": "c"},
         {"id": "b", "kind": "delay", "for": "1d"},
         {"id": "c", "kind": "end"}])",
     "nodes.c", "two ways that may run at once"},
    {R"([{"id": "p", "kind": "parallel", "branches": ["a", "b"]},
         {"id": "a", "kind": "set", "values": {"x": 1}},
         {"id": "b", "kind": "set", "values": {"x": 2}}])",
     "nodes.p", "both set \"x\""},
    {R"([{"id": "p", "kind": "parallel", "wait": "any", "branches": ["a", "b"], "next": "e"},
         {"id": "a", "kind": "set", "values": {"x": 1}},
         {"id": "b", "kind": "set", "values": {"x": 2}},
         {"id": "e", "kind": "end", "output": {"$": "vars.x"}}])",
     "nodes.e.output", "is not set on every way"},
    {R"([{"id": "q", "kind": "approval", "title": "?"}])", "nodes.q.rejected", "is missing"},
    {R"([{"id": "q", "kind": "approval", "title": "?", "rejected": null, "within": "1d"}])",
     "nodes.q.expired", "is missing"},
    {R"([{"id": "q", "kind": "approval", "title": "?", "rejected": null, "expired": null}])",
     "nodes.q.expired", "goes with within"},
    {R"([{"id": "q", "kind": "approval", "title": 7, "rejected": null}])", "nodes.q.title",
     "expected a text"},
    {R"([{"id": "f", "kind": "human_input", "title": "?"}])", "nodes.f.fields", "at least one"},
    {R"([{"id": "f", "kind": "human_input", "title": "?", "fields": {"a": {"type": "txt"}}}])",
     "nodes.f.fields.a.type", "expected text"},
    {R"([{"id": "f", "kind": "human_input", "title": "?", "fields": {"a": {"type": "choice"}}}])",
     "nodes.f.fields.a.choices", "list of texts"},
    {R"([{"id": "f", "kind": "human_input", "title": "?",
          "fields": {"a": {"type": "text", "min": 1}}}])",
     "nodes.f.fields.a", "\"min\" is not known"},
    {R"([{"id": "f", "kind": "human_input", "title": "?", "fields": {"a b": {"type": "text"}}}])",
     "nodes.f.fields", "no name of a field"},
};

std::string document(const std::string& nodes) {
  return R"({"name": "bad", "input": {"amount": {"type": "integer"}}, "nodes": )" + nodes + "}";
}

}  // namespace

TEST_CASE("G14_a_bad_workflow_names_field_and_rule_and_changes_nothing") {
  WorkflowDesk desk;
  for (const Bad& bad : bad_nodes) {
    CAPTURE(bad.nodes);
    const auto saved = desk.workflows().save(workflow(document(bad.nodes)));
    REQUIRE(code_of(saved) == Code::invalid);
    CAPTURE(saved.error().message);
    CHECK(saved.error().field == bad.field);
    CHECK(saved.error().message.find(bad.rule) != std::string::npos);
  }
  CHECK(must(desk.workflows().list()).empty());
}

TEST_CASE("G14_limits_of_a_workflow_are_named") {
  WorkflowDesk desk;
  const auto refused = [&](const std::string& nodes) {
    const auto saved = desk.workflows().check(workflow(document(nodes)));
    REQUIRE(code_of(saved) == Code::invalid);
    return saved.error().message;
  };
  const auto chain = [](std::size_t count) {
    std::string nodes = "[";
    for (std::size_t i = 0; i < count; ++i) {
      nodes += (i == 0 ? "" : ",") + std::string(R"({"id": "n)") + std::to_string(i) +
               R"(", "kind": "set", "values": {"x": 1})" +
               (i + 1 < count ? R"(, "next": "n)" + std::to_string(i + 1) + "\"}" : "}");
    }
    return nodes + "]";
  };
  CHECK(desk.workflows().check(workflow(document(chain(200)))).has_value());
  CHECK(refused(chain(201)).find("the limit is 200") != std::string::npos);
  const std::string long_text(300'000, 'x');
  CHECK(refused(R"([{"id": "e", "kind": "end", "output": ")" + long_text + "\"}]")
            .find("the limit is 262144") != std::string::npos);
  // Parallels within parallels.
  std::string nodes = "[";
  for (int i = 0; i < 9; ++i) {
    const std::string n = std::to_string(i);
    nodes += R"({"id": "p)" + n + R"(", "kind": "parallel", "branches": ["p)" +
             std::to_string(i + 1) + R"(", "d)" + n + R"("]}, {"id": "d)" + n +
             R"(", "kind": "delay", "for": "1s"},)";
  }
  nodes += R"({"id": "p9", "kind": "end"}])";
  CHECK(refused(nodes).find("the limit is 8") != std::string::npos);
}

TEST_CASE("G14_bad_triggers_and_documents_are_refused_by_field") {
  WorkflowDesk desk;
  const auto refused = [&](const std::string& trigger) {
    auto read = workflow_from_json(json(
        R"({"name": "w", "nodes": [{"id": "e", "kind": "end"}], "trigger": )" + trigger + "}"));
    const auto saved = desk.workflows().save(must(std::move(read)));
    REQUIRE_FALSE(saved.has_value());
    return saved.error().field;
  };
  CHECK(refused(R"({"on": "noon"})") == "trigger.on");
  CHECK(refused("7") == "trigger.on");
  CHECK(refused(R"({"on": "manual", "cron": "@daily"})") == "trigger.cron");
  CHECK(refused(R"({"on": "schedule", "cron": "61 * * * *"})") == "trigger.cron");
  CHECK(refused(R"({"on": "schedule", "cron": "@daily", "zone": "Mars/Olympus"})") ==
        "trigger.zone");
  CHECK(refused(R"({"on": "schedule", "cron": "@daily", "overlap": "maybe"})") ==
        "trigger.overlap");
  CHECK(refused(R"({"on": "schedule", "cron": "@daily", "input": {"x": 1}})") == "trigger.input.x");
  CHECK(refused(R"({"on": "event", "event": ""})") == "trigger.event");
  CHECK(refused(R"({"on": "change", "table": "nothing", "changes": ["insert"]})") ==
        "trigger.table");
  CHECK(refused(R"({"on": "change", "table": "tasks", "changes": ["insert"]})") == "trigger.table");
  CHECK(refused(R"({"on": "change", "table": "teams", "changes": ["insrt"]})") ==
        "trigger.changes");
  CHECK(
      refused(R"({"on": "change", "table": "teams", "changes": ["insert"], "where": "nme = 1"})") ==
      "trigger.where");
  CHECK(refused(R"({"on": "change", "table": "users", "changes": ["insert"],
                    "where": "name = \"x\""})") == "trigger.where");  // personal
  CHECK(code_of(desk.workflows().save({"Bad Name", json(R"({"nodes": []})")})) == Code::invalid);
  CHECK(workflow_from_json(json(R"({"name": "w", "nods": []})")).error().field == "nods");
  CHECK(workflow_from_json(json("7")).error().field == "workflow");
  CHECK(must(desk.workflows().list()).empty());
}

// Random graphs --------------------------------------------------------------------------------

namespace {

/// Nodes with up to three edges each, drawn at random: cases of a branch.
struct RandomGraph {
  std::vector<std::vector<int>> edges;
  [[nodiscard]] std::string nodes() const {
    std::string out = "[";
    for (std::size_t i = 0; i < edges.size(); ++i) {
      out += (i == 0 ? "" : ", ") + std::string(R"({"id": "n)") + std::to_string(i) +
             R"(", "kind": "branch", "cases": [)";
      for (std::size_t e = 0; e < edges[i].size(); ++e) {
        out += (e == 0 ? "" : ", ") + std::string(R"({"if": "input.amount > 1", "next": "n)") +
               std::to_string(edges[i][e]) + "\"}";
      }
      if (edges[i].empty()) out += R"({"if": "input.amount > 1", "next": null})";
      out += R"(], "else": null})";
    }
    return out + "]";
  }
  /// Walks every way from every node, as long as no way can be without a repetition.
  [[nodiscard]] bool has_cycle() const {
    std::set<int> ends;
    for (std::size_t i = 0; i < edges.size(); ++i) ends.insert(static_cast<int>(i));
    for (std::size_t length = 0; length <= edges.size() && !ends.empty(); ++length) {
      std::set<int> next;
      for (const int end : ends) {
        const auto& of = edges[static_cast<std::size_t>(end)];
        next.insert(of.begin(), of.end());
      }
      ends = std::move(next);
    }
    return !ends.empty();
  }
  [[nodiscard]] bool reaches_all() const {
    std::set<int> seen{0};
    for (std::size_t i = 0; i < edges.size(); ++i) {
      for (const int at : std::set<int>(seen)) {
        const auto& of = edges[static_cast<std::size_t>(at)];
        seen.insert(of.begin(), of.end());
      }
    }
    return seen.size() == edges.size();
  }
};

}  // namespace

TEST_CASE("A graph is accepted just when it has no cycle and all of it is reached") {
  WorkflowDesk desk;
  int accepted = 0;
  int cyclic = 0;
  const int cases = counts::cases(2000, 20'000);
  SeededRandom random(20261122);
  for (int n = 0; n < cases; ++n) {
    RandomGraph graph;
    const int size = 1 + static_cast<int>(random.below(7));
    graph.edges.resize(static_cast<std::size_t>(size));
    const bool forward = random.below(2) == 0;  // mostly, so that both kinds are met often
    for (int i = 0; i < size; ++i) {
      std::set<int> targets;
      for (std::uint64_t e = 1 + random.below(3); e > 0; --e) {
        const bool back = !forward || random.below(24) == 0;
        const int low = back ? 0 : i + 1;
        if (low < size) {
          targets.insert(low +
                         static_cast<int>(random.below(static_cast<std::uint64_t>(size - low))));
        }
      }
      if (random.below(6) == 0) targets.clear();
      graph.edges[static_cast<std::size_t>(i)].assign(targets.begin(), targets.end());
    }
    const auto checked = desk.workflows().check(workflow(document(graph.nodes())));
    const std::string message = checked ? "" : checked.error().message;
    const bool says_cycle = message.find("cycle") != std::string::npos;
    CAPTURE(graph.nodes());
    CAPTURE(message);
    REQUIRE(says_cycle == graph.has_cycle());
    REQUIRE(checked.has_value() == (!graph.has_cycle() && graph.reaches_all()));
    accepted += checked.has_value() ? 1 : 0;
    cyclic += says_cycle ? 1 : 0;
  }
  CHECK(accepted > cases / 20);  // the test meets both
  CHECK(cyclic > cases / 20);
}
