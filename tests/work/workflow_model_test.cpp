// Random workflows against an interpreter that is as naive as can be, also under a crash at every
// commit.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <optional>
#include <set>

#include "bureau/testing/crash_everywhere.hpp"
#include "counts.hpp"
#include "work/workflow_desk.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

// Making workflows -----------------------------------------------------------------------------

/// One item of a sequence; the items that follow it come after it.
struct Item {
  enum class Kind { task, bad_task, set, delay, choice, all, any, approval };
  Kind kind = Kind::task;
  std::string id;
  Json spec = Json::object();
  std::vector<std::vector<Item>> parts;  // ways of a choice, branches
};
using Sequence = std::vector<Item>;

class Maker {
 public:
  /// No further item is begun once there are `size`.
  Maker(std::uint64_t seed, bool asks, std::uint64_t size)
      : random_(seed), asks_(asks), size_(size) {}

  Json document() {
    Item first;
    first.kind = Item::Kind::set;
    first.id = "begin";
    first.spec.set("values", Json::object({{"v", 0}}));
    Sequence all{first};
    std::vector<std::string> tasks;
    Sequence rest = sequence(3, tasks, true, true);
    all.insert(all.end(), rest.begin(), rest.end());
    Json output = Json::object({{"v", Json::object({{"$", "vars.v"}})}});
    for (const std::string& task : tasks) {
      output.set(task, Json::object({{"$", task + ".value"}}));
    }
    const Json end = Json::object({{"id", "end"}, {"kind", "end"}, {"output", output}});
    Json nodes = Json::array();
    const std::string start = emit(all, "end", nodes);
    nodes.push_back(end);
    return Json::object({{"name", "random"},
                         {"input", Json::object({{"amount", Json::object({{"type", "integer"}})}})},
                         {"start", start},
                         {"nodes", nodes}});
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_.below(n); }
  std::string name(const char* kind) { return fmt::format("{}{}", kind, ++count_); }

  /// `tasks`: those that have surely run; what this adds to them surely runs too.
  Sequence sequence(int depth, std::vector<std::string>& tasks, bool may_set, bool may_race) {
    Sequence out;
    for (std::uint64_t i = 1 + below(3); i > 0 && (out.empty() || count_ < size_); --i) {
      out.push_back(item(depth, tasks, may_set, may_race));
    }
    return out;
  }

  Item item(int depth, std::vector<std::string>& tasks, bool may_set, bool may_race) {
    Item out;
    switch (below(depth > 0 ? 8 : 4)) {
      case 0:
      case 1:
        out = task(tasks);
        break;
      case 2:
        out.kind = Item::Kind::delay;
        out.id = name("d");
        out.spec.set("for", fmt::format("{}s", 1 + below(50)));
        break;
      case 3:
        if (!may_set) return task(tasks);
        out.kind = Item::Kind::set;
        out.id = name("s");
        out.spec.set("values", Json::object({{"v", value(tasks)}}));
        break;
      case 4:
      case 5:
        out.kind = Item::Kind::choice;
        out.id = name("c");
        out.spec.set("if", below(2) == 0 ? fmt::format("input.amount > {}", below(10))
                                         : fmt::format("vars.v >= {} and not input.amount = {}",
                                                       below(10), below(10)));
        for (int way = 0; way < 2; ++way) {
          std::vector<std::string> of_way = tasks;
          out.parts.push_back(way == 1 && below(2) == 0
                                  ? Sequence()
                                  : sequence(depth - 1, of_way, may_set, may_race));
        }
        break;
      case 6:
        if (asks_ && below(2) == 0) {
          out.kind = Item::Kind::approval;
          out.id = name("q");
          out.spec.set("title", out.id);
          break;
        }
        [[fallthrough]];
      default:
        out = parallel(depth, tasks, may_set, may_race);
    }
    return out;
  }

  Item task(std::vector<std::string>& tasks) {
    Item out;
    const bool bad = below(8) == 0;
    out.kind = bad ? Item::Kind::bad_task : Item::Kind::task;
    out.id = name(bad ? "b" : "t");
    out.spec.set("task", "chore");
    out.spec.set("attempts", bad ? 1 : 3);  // a worker that dies is a failed attempt
    out.spec.set("payload", Json::object({{"label", bad ? "bad" + out.id : out.id},
                                          {"amount", value(tasks)}}));
    if (!bad) tasks.push_back(out.id);
    return out;
  }

  Json value(const std::vector<std::string>& tasks) {
    if (tasks.empty() || below(3) == 0) return static_cast<std::int64_t>(below(10));
    return Json::object({{"$", tasks[below(tasks.size())] + ".value"}});
  }

  Item parallel(int depth, std::vector<std::string>& tasks, bool may_set, bool may_race) {
    Item out;
    const bool race = may_race && below(3) == 0;
    out.kind = race ? Item::Kind::any : Item::Kind::all;
    out.id = name("p");
    const std::vector<std::string> before = tasks;
    const std::uint64_t count = 2 + below(2);
    const std::uint64_t ahead = below(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::vector<std::string> inside = before;
      Sequence branch = sequence(depth - 1, inside, may_set && i == 0, false);
      if (race) {
        // The lead decides who is first: what follows it is over before the next one.s, also when
        // a process has died in between.
        Item lead;
        lead.kind = Item::Kind::delay;
        lead.id = name("d");
        lead.spec.set("for", fmt::format("{}m", (asks_ ? 120 : 480) * (1 + (i + ahead) % count)));
        branch.insert(branch.begin(), lead);
      } else {
        tasks.insert(tasks.end(), inside.begin() + static_cast<std::ptrdiff_t>(before.size()),
                     inside.end());
      }
      out.parts.push_back(std::move(branch));
    }
    return out;
  }

  static Json edge(const std::string& id) { return id.empty() ? Json() : Json(id); }

  /// Adds the nodes of a sequence, of which the last leads to `next`; returns the first's id.
  std::string emit(const Sequence& items, std::string next, Json& nodes) {
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
      next = emit(*item, next, nodes);
    }
    return next;
  }

  std::string emit(const Item& item, const std::string& next, Json& nodes) {
    Json node = item.spec;
    node.set("id", item.id);
    switch (item.kind) {
      case Item::Kind::task:
      case Item::Kind::bad_task:
        node.set("kind", "task");
        node.set("next", edge(next));
        // Half of what fails takes the way on, the other half the run or the branch with it.
        if (item.kind == Item::Kind::bad_task && item.id.back() % 4 != 0) {
          node.set("on_error", edge(next));
        }
        break;
      case Item::Kind::set:
      case Item::Kind::delay:
        node.set("kind", item.kind == Item::Kind::set ? "set" : "delay");
        node.set("next", edge(next));
        break;
      case Item::Kind::approval:
        node.set("kind", "approval");
        node.set("next", edge(next));
        node.set("rejected", edge(next));
        break;
      case Item::Kind::choice:
        node.set("kind", "condition");
        node.set("then", edge(emit(item.parts[0], next, nodes)));
        node.set("else", edge(emit(item.parts[1], next, nodes)));
        break;
      case Item::Kind::all:
      case Item::Kind::any: {
        node.set("kind", "parallel");
        node.set("wait", item.kind == Item::Kind::all ? "all" : "any");
        node.set("next", edge(next));
        Json branches = Json::array();
        for (const Sequence& part : item.parts) branches.push_back(emit(part, "", nodes));
        node.set("branches", branches);
        break;
      }
    }
    nodes.push_back(node);
    return item.id;
  }

  SeededRandom random_;
  bool asks_;
  std::uint64_t size_;
  std::uint64_t count_ = 0;
};

// The naive interpreter ------------------------------------------------------------------------

/// Walks the nodes by hand. A branch is a walk of its own; of an `any` the one with the shortest
/// lead is first, and of the others the lead alone has begun.
class Naive {
 public:
  Naive(const Json& document, std::int64_t amount) : amount_(amount) {
    for (const Json& node : *document.find("nodes")->as_array()) nodes_[text(node, "id")] = &node;
    std::map<std::string, std::int64_t> vars;
    failed_ = !walk(text(document, "start"), vars);
  }
  bool failed_ = false;
  Json output_;
  std::multiset<std::string> visited_;
  std::map<std::string, int> chores_;

 private:
  static std::string text(const Json& json, std::string_view member) {
    const Json* value = json.find(member);
    return value == nullptr || value->as_string() == nullptr ? "" : *value->as_string();
  }
  using Vars = std::map<std::string, std::int64_t>;

  std::int64_t valued(const Json& json, const Vars& vars) {
    if (json.as_int() != nullptr) return *json.as_int();
    const std::string path = text(json, "$");
    if (path == "vars.v") return vars.at("v");
    return values_.at(path.substr(0, path.find('.')));
  }

  bool holds(const std::string& condition, const Vars& vars) const {
    const auto number = [&](std::size_t at) { return std::stoll(condition.substr(at)); };
    if (condition.starts_with("input.amount > ")) return amount_ > number(15);
    const auto other = condition.find(" = ");
    return vars.at("v") >= number(10) && amount_ != number(other + 3);
  }

  /// False: it failed.
  bool walk(std::string id, Vars& vars) {
    while (!id.empty()) {
      const Json& node = *nodes_.at(id);
      visited_.insert(id);
      const std::string kind = text(node, "kind");
      std::string edge = "next";
      if (kind == "end") {
        output_ = Json::object();
        for (const auto& [name, value] : *node.find("output")->as_object()) {
          output_.set(name, valued(value, vars));
        }
        return true;
      }
      if (kind == "set") vars["v"] = valued(*node.find("values")->find("v"), vars);
      if (kind == "condition") edge = holds(text(node, "if"), vars) ? "then" : "else";
      if (kind == "task" && id[0] == 'b') {
        if (node.find("on_error") == nullptr) return false;
        edge = "on_error";
      } else if (kind == "task") {
        values_[id] = valued(*node.find("payload")->find("amount"), vars) + 1;
        ++chores_[id];
      }
      if (kind == "parallel" && !branches(node, vars)) return false;
      id = text(node, edge);
    }
    return true;
  }

  bool branches(const Json& node, Vars& vars) {
    const Json::Array& firsts = *node.find("branches")->as_array();
    if (text(node, "wait") == "all") {
      bool good = true;
      Vars after = vars;
      for (const Json& first : firsts) {
        Vars own = vars;
        good = walk(*first.as_string(), own) && good;
        if (own != vars) after = own;
      }
      vars = after;
      return good;
    }
    std::map<int, std::string> by_lead;
    for (const Json& first : firsts) {
      by_lead[std::stoi(text(*nodes_.at(*first.as_string()), "for"))] = *first.as_string();
    }
    REQUIRE(by_lead.size() == firsts.size());
    bool won = false;
    for (const auto& [lead, first] : by_lead) {
      if (won) {
        visited_.insert(first);  // it had begun to wait
        continue;
      }
      Vars own = vars;
      won = walk(first, own);
    }
    return won;
  }

  std::int64_t amount_;
  std::map<std::string, const Json*> nodes_;
  std::map<std::string, std::int64_t> values_;
};

// Comparing ------------------------------------------------------------------------------------

/// What a run has done, from the rows that it has left.
std::string difference(const Session& system, Id<Task> run, const Naive& naive) {
  const auto task = Tasks(system).find(run);
  if (!task) return task.error().message;
  const bool failed = task->status == TaskStatus::dead;
  if (failed != naive.failed_ || (!failed && task->status != TaskStatus::completed)) {
    return fmt::format("it is {}: {}", names<TaskStatus>[static_cast<std::size_t>(task->status)],
                       task -> error.value_or(""));
  }
  if (!failed && *task->result->find("output") != naive.output_) {
    return fmt::format("{} is not {}", task->result->dump(), naive.output_.dump());
  }
  const auto steps = Workflows(system).steps(run);
  if (!steps) return steps.error().message;
  std::multiset<std::string> visited;
  std::set<std::pair<Id<Task>, std::string>> seen;
  for (const WorkflowStep& step : *steps) {
    const bool first = step.step == step.node || step.step.find(".join") == std::string::npos;
    if (first && seen.emplace(step.task, step.node).second) visited.insert(step.node);
  }
  if (visited == naive.visited_) return {};
  std::string text = "other nodes were visited:";
  for (const auto& node : visited) text += " " + node;
  text += "; not:";
  for (const auto& node : naive.visited_) text += " " + node;
  return text;
}

}  // namespace

TEST_CASE("Random workflows do what a naive interpreter does") {
  const int cases = counts::cases(150, 3000);
  int failed = 0;
  int raced = 0;
  int asked = 0;
  for (int seed = 1; seed <= cases; ++seed) {
    const Json document = Maker(static_cast<std::uint64_t>(seed), true, 40).document();
    CAPTURE(seed);
    CAPTURE(document.dump());
    const std::int64_t amount = seed % 10;
    const Naive naive(document, amount);
    WorkflowDesk desk;
    desk.activate(document.dump());
    const auto run = desk.start("random", fmt::format(R"({{"amount": {}}})", amount));
    SeededRandom random(static_cast<std::uint64_t>(seed));
    for (int turn = 0; turn < 300 && !has_ended(desk.find(run).status); ++turn) {
      const auto open = must(Approvals(desk.office.system()).list());
      if (!open.empty() && random.below(2) == 0) {
        const Approval& one = open[random.below(open.size())];
        must(Approvals(desk.office.system()).decide(one.id, random.below(2) == 0));
        desk.run_all();
        ++asked;
        continue;
      }
      desk.after(open.empty() ? 10min : 1s);
    }
    REQUIRE(difference(desk.office.system(), run, naive) == "");
    for (const auto& [label, times] : naive.chores_) REQUIRE(desk.done[label] == times);
    failed += naive.failed_ ? 1 : 0;
    raced += document.dump().find("\"any\"") != std::string::npos ? 1 : 0;
  }
  if (cases >= 100) CHECK(failed > cases / 50);
  CHECK(failed < cases / 2);
  CHECK(raced > cases / 20);
  CHECK(asked > cases / 20);
}

namespace {

/// A chore that leaves a row, so that it can be counted whatever crashes.
class RowChore final : public AgentOf<chore> {
 public:
  using AgentOf::execute;
  [[nodiscard]] std::string_view role() const override { return "manager"; }
  Result<ChoreDone> execute(Run& run, const Chore& payload) override {
    if (payload.label.starts_with("bad")) return fail(Code::invalid, "it is out of order");
    return run.complete([&](Unit& unit) -> Result<ChoreDone> {
      Team row;
      row.name = payload.label;  // unique
      BUREAU_TRY_VOID(Repository<Team>(unit).insert(row));
      return ChoreDone{payload.amount + 1, payload.label};
    });
  }
};

}  // namespace

TEST_CASE("G6_a_workflow_that_dies_at_any_commit_does_each_node_once") {
  if (counts::sanitized) return;  // to open an office at each commit takes minutes there
  const int cases = tests::fewer(counts::cases(4, 100));
  std::uint64_t crashes = 0;
  for (int seed = 1; seed <= cases; ++seed) {
    const Json document = Maker(static_cast<std::uint64_t>(seed) + 1000, false, 8).document();
    CAPTURE(seed);
    CAPTURE(document.dump());
    const Naive naive(document, 5);
    Id<Task> run;
    Id<Tenant> tenant;
    testing::CrashScenario scenario;
    scenario.horizon = 24h * 60;
    scenario.agents = [](Engine& engine) -> Result<void> {
      BUREAU_TRY_VOID(engine.add(std::make_shared<WorkflowAgent>(engine.access(), chores())));
      return engine.add(std::make_shared<RowChore>());
    };
    scenario.begin = [&](Engine& engine) -> Result<void> {
      BUREAU_TRY(const Tenant made, engine.access().create_tenant("Larkfield"));
      tenant = made.id;
      const Workflows workflows(engine.system(tenant));
      BUREAU_TRY(const NewWorkflow given, workflow_from_json(document));
      BUREAU_TRY(const Workflow draft, workflows.save(given));
      BUREAU_TRY_VOID(workflows.activate(draft.id));
      BUREAU_TRY(const Task task, workflows.start("random", Json::object({{"amount", 5}})));
      run = task.id;
      return {};
    };
    scenario.check = [&](Engine& engine) -> Result<void> {
      const std::string other = difference(engine.system(tenant), run, naive);
      if (!other.empty()) return fail(Code::internal, other);
      BUREAU_TRY(const auto teams, Repository<Team>(engine.system(tenant)).count());
      if (teams == naive.chores_.size()) return {};
      return fail(Code::internal,
                  fmt::format("{} chores were done, not {}", teams, naive.chores_.size()));
    };
    const auto report = testing::crash_everywhere(scenario);
    REQUIRE(report.has_value());
    CAPTURE(report->to_string());
    REQUIRE(report->good());
    crashes += report->crashes;
  }
  CHECK(crashes > 100);
}

TEST_CASE("G3_a_change_starts_a_workflow_once_whatever_crashes") {
  Id<Tenant> tenant;
  testing::CrashScenario scenario;
  scenario.agents = [](Engine& engine) -> Result<void> {
    BUREAU_TRY_VOID(engine.add(std::make_shared<WorkflowAgent>(engine.access(), chores())));
    return engine.add(std::make_shared<RowChore>());
  };
  scenario.begin = [&](Engine& engine) -> Result<void> {
    BUREAU_TRY(const Tenant made, engine.access().create_tenant("Larkfield"));
    tenant = made.id;
    const Workflows workflows(engine.system(tenant));
    BUREAU_TRY(const Workflow draft, workflows.save(workflow(R"({"name": "made",
      "trigger": {"on": "change", "table": "teams", "changes": ["insert"],
                  "where": "name prefix \"new\""},
      "nodes": [{"id": "t", "kind": "task", "task": "chore",
                 "payload": {"label": {"$text": "for {input.row.name}"}, "amount": 1}}]})")));
    BUREAU_TRY_VOID(workflows.activate(draft.id));
    for (const char* name : {"new one", "old one", "new two"}) {
      Team row;
      row.name = name;
      BUREAU_TRY_VOID(Repository<Team>(engine.system(tenant)).insert(row));
    }
    return {};
  };
  scenario.check = [&](Engine& engine) -> Result<void> {
    const Tasks tasks(engine.system(tenant));
    BUREAU_TRY(const auto runs, tasks.count(col(&Task::kind) == std::string(workflow_run.name) &&
                                            col(&Task::status) == TaskStatus::completed));
    BUREAU_TRY(const auto all, tasks.count(col(&Task::kind) == std::string(workflow_run.name)));
    BUREAU_TRY(const auto teams, Repository<Team>(engine.system(tenant)).count());
    if (runs == 2 && all == 2 && teams == 5) return {};
    return fail(Code::internal, fmt::format("{} of {} runs, {} teams", runs, all, teams));
  };
  const auto report = testing::crash_everywhere(scenario);
  REQUIRE(report.has_value());
  CAPTURE(report->to_string());
  REQUIRE(report->good());
  CHECK(report->crashes > 20);
}
