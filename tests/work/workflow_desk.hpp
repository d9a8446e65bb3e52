#pragma once

#include <map>
#include <memory>
#include <string>

#include "bureau/work/runs.hpp"
#include "bureau/work/workflow_agent.hpp"
#include "bureau/work/workflows.hpp"
#include "work/work_office.hpp"

namespace bureau::work_test {

struct Chore {
  std::string label;
  std::int64_t amount = 0;
  std::optional<std::string> note;
};
struct ChoreDone {
  std::int64_t value = 0;
  std::string label;
};

}  // namespace bureau::work_test

template <>
inline constexpr auto bureau::record<bureau::work_test::Chore> =
    bureau::fields(bureau::column("label", &bureau::work_test::Chore::label),
                   bureau::column("amount", &bureau::work_test::Chore::amount),
                   bureau::column("note", &bureau::work_test::Chore::note));
template <>
inline constexpr auto bureau::record<bureau::work_test::ChoreDone> =
    bureau::fields(bureau::column("value", &bureau::work_test::ChoreDone::value),
                   bureau::column("label", &bureau::work_test::ChoreDone::label));

namespace bureau::work_test {

/// What workflows of tests have done. It fails for a label that begins with "bad".
inline constexpr auto chore = task_kind<Chore, ChoreDone>("chore", Effect::database,
                                                          retry::fixed(2, std::chrono::seconds(1)));

class ChoreAgent final : public AgentOf<chore> {
 public:
  explicit ChoreAgent(std::map<std::string, int>& done) : done_(done) {}
  using AgentOf::execute;
  Result<ChoreDone> execute(Run& run, const Chore& payload) override {
    if (payload.label.starts_with("bad")) return fail(Code::unavailable, "it is out of order");
    return run.complete([&](Unit&) -> Result<ChoreDone> {
      done_[payload.label] += 1;
      return ChoreDone{payload.amount + 1, payload.label};
    });
  }

 private:
  std::map<std::string, int>& done_;
};

inline Json json(std::string_view text) { return must(Json::parse(text)); }

inline NewWorkflow workflow(std::string_view document) {
  return must(workflow_from_json(json(document)));
}

inline WorkflowKinds chores() {
  WorkflowKinds kinds;
  kinds.add(chore);
  return kinds;
}

/// An office whose one process runs workflows.
struct WorkflowDesk {
  Office office;
  std::map<std::string, int> done;
  Orchestrator orchestrator{*office.process.database, *office.process.access, {}};

  WorkflowDesk() {
    must(orchestrator.add(std::make_shared<WorkflowAgent>(*office.process.access, chores())));
    must(orchestrator.add(std::make_shared<ChoreAgent>(done)));
    must(orchestrator.start());
  }
  [[nodiscard]] Workflows workflows() { return Workflows(office.system()); }
  Workflow activate(std::string_view document) {
    const Workflow saved = must(workflows().save(workflow(document)));
    return must(workflows().activate(saved.id));
  }
  Id<Task> start(std::string_view name, std::string_view input = "{}") {
    const Id<Task> id = must(workflows().start(name, json(input))).id;
    run_all();
    return id;
  }
  void run_all() {
    do {
      orchestrator.notice();
    } while (must(orchestrator.step()));
  }
  /// Time passes, and what it brings is done.
  void after(Duration duration) {
    office.clock.advance(duration);
    for (int i = 0; i < 3; ++i) {
      orchestrator.notice();
      must(orchestrator.duties());
      run_all();
      office.clock.advance(std::chrono::seconds(1));
    }
  }
  Task find(Id<Task> id) { return office.find(id); }
  /// The end of a completed run, or why it failed.
  std::string end_of(Id<Task> id) {
    const Task task = office.find(id);
    if (task.status == TaskStatus::completed) return *task.result->find("end")->as_string();
    return task.error.value_or(
        std::string(names<TaskStatus>[static_cast<std::size_t>(task.status)]));
  }
  Json output_of(Id<Task> id) {
    const Task task = office.find(id);
    CAPTURE(task.error.value_or(""));
    REQUIRE(task.status == TaskStatus::completed);
    const Json* output = task.result->find("output");
    return output == nullptr ? Json() : *output;
  }
  /// The nodes at which a run and its branches rest, in order.
  std::string nodes_waited_at(Id<Task> id) {
    std::string out;
    for (const auto& wait : must(workflows().waits(id))) {
      if (wait.step == "join") continue;  // it waits for the others
      out += (out.empty() ? "" : " ") + wait.node;
    }
    return out;
  }
  Approval asked(std::string_view title) {
    Query open;
    open.where = col(&Approval::title) == std::string(title) &&
                 col(&Approval::status) == ApprovalStatus::open;
    const auto found = must(Approvals(office.system()).list(open));
    REQUIRE(found.size() == 1);
    return found.front();
  }
  void decide(std::string_view title, bool yes) {
    must(Approvals(office.system()).decide(asked(title).id, yes, "as said"));
    run_all();
  }
  User user(const std::string& name, const std::string& role) {
    User row;
    row.email = name + "@example.com";
    row.name = name;
    row.role = role;
    return must(Repository<User>(office.system()).insert(row));
  }
  Session session(const User& of) {
    return must(office.process.access->session(office.tenant.id, of.id));
  }
};

}  // namespace bureau::work_test
