#pragma once

// One run of a workflow, or of a branch of one: the interpreter.

#include "bureau/work/run.hpp"
#include "work/workflow_graph.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What a branch of a parallel is given: it is a child run of its own, since a run rests at one
/// thing at a time.
struct WorkflowBranch {
  Id<Workflow> workflow;
  std::string node;  ///< its first
  Json values;       ///< of what the branch refers to
  std::int64_t depth = 0;
};

/// One version, ready to be walked.
struct ReadyWorkflow {
  Clock* clock = nullptr;
  Workflow row;
  std::shared_ptr<const WorkflowGraph> graph;
};
[[nodiscard]] Result<std::shared_ptr<const WorkflowGraph>> graph_of(const Workflow& workflow,
                                                                    const Catalog& catalog,
                                                                    const WorkflowKinds* kinds);

/// The part of a step's name behind its node: "join" of "order.join".
[[nodiscard]] std::string_view node_of_step(std::string_view step);

class WorkflowInterpreter {
 public:
  /// They outlive it.
  WorkflowInterpreter(Run& run, const ReadyWorkflow& workflow, const WorkflowKinds& kinds,
                      std::int64_t depth)
      : run_(run), graph_(*workflow.graph), workflow_(workflow), kinds_(kinds), depth_(depth) {}

  Result<Json> run_whole(const Json& input);
  Result<Json> run_branch(const WorkflowBranch& branch);

 private:
  /// How a node ended: the edge to follow, or its error.
  struct Outcome {
    std::string label = "next";
    Json value = Json::object();
    std::optional<Error> failed;
  };
  struct Ending {
    std::string node;
    Json output;
  };
  Result<Ending> walk(int place);
  Result<Ending> finish(const WorkflowNode& node);
  Result<Outcome> perform(const WorkflowNode& node);
  Result<Outcome> decide(const WorkflowNode& node);
  Result<Outcome> assign(const WorkflowNode& node);
  Result<Outcome> delay(const WorkflowNode& node);
  Result<Outcome> enqueue(const WorkflowNode& node);
  Result<Outcome> call(const WorkflowNode& node);
  Result<Outcome> await_child(const WorkflowNode& node, const Result<Id<Task>>& child);
  Result<Outcome> fork(const WorkflowNode& node);
  Result<Outcome> join_all(const WorkflowNode& node, const std::vector<Id<Task>>& branches);
  Result<Outcome> join_any(const WorkflowNode& node, const std::vector<Id<Task>>& branches);
  Result<void> cancel_rest(const WorkflowNode& node, const std::vector<Id<Task>>& rest);
  void merge(const Json& done);
  Result<Outcome> approve(const WorkflowNode& node);
  Result<Outcome> ask(const WorkflowNode& node);
  Result<Json> await_answer(const WorkflowNode& node, Id<WorkflowForm> form,
                            std::optional<Timestamp> due);

  struct Question {
    std::string title;
    std::optional<Duration> within, escalate_after;
    std::optional<Id<User>> assignee, escalate_to;
    std::optional<Id<Team>> team;
  };
  Result<Question> read_question(const WorkflowNode& node);
  Result<Json> find_people(const WorkflowNode& node);
  Result<std::string> text(const WorkflowNode& node, std::string_view member) const;
  Result<Duration> duration(const WorkflowNode& node, std::string_view member) const;
  [[nodiscard]] Json pruned(const std::set<std::string>& roots) const;
  void keep(const WorkflowNode& node, Json value);

  Run& run_;
  const WorkflowGraph& graph_;
  const ReadyWorkflow& workflow_;
  const WorkflowKinds& kinds_;
  std::int64_t depth_;
  Json values_ = Json::object();  ///< input, vars and nodes
  Json vars_ = Json::object();
  Json own_values_ = Json::object(), own_vars_ = Json::object();  ///< made here
};

inline constexpr KindInfo workflow_branch_kind{"workflow.branch",       Effect::database,
                                               retry::exponential(5),   "workflows",
                                               std::chrono::minutes(2), RunAs::enqueuer};

}  // namespace detail

template <>
inline constexpr auto record<detail::WorkflowBranch> =
    fields(column("workflow", &detail::WorkflowBranch::workflow),
           column("node", &detail::WorkflowBranch::node, max_length(64)),
           column("values", &detail::WorkflowBranch::values),
           column("depth", &detail::WorkflowBranch::depth));

BUREAU_END_NAMESPACE
