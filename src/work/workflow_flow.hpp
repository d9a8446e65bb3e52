#pragma once

// What follows from the order of a workflow's nodes: no cycle, everything reached, branches apart,
// references only to what has surely happened.

#include <optional>

#include "work/workflow_graph.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

class WorkflowFlow {
 public:
  WorkflowFlow(WorkflowGraph& graph, const WorkflowKinds* kinds) : graph_(graph), kinds_(kinds) {}
  Result<void> judge();

 private:
  /// What has surely happened: nodes by their ids, variables as "vars.total".
  using Known = std::set<std::string>;
  struct Scope {
    std::string name;  ///< "the workflow", or the branch
    int depth = 0;
  };

  Result<void> find_cycle();
  Result<void> visit(int place, std::vector<int>& states, std::vector<int>& path);
  Result<void> lay_scopes();
  Result<void> enter_scope(int first, int scope);
  [[nodiscard]] std::vector<int> order_of(int first) const;
  /// Judges the nodes from `first` on; what has surely happened when the branch ends, none when it
  /// never ends well.
  Result<std::optional<Known>> follow(int first, Known known);
  Result<Known> follow_branches(const WorkflowNode& node, const Known& known);
  Result<void> judge_node(WorkflowNode& node, const Known& known);
  Result<void> judge_template(WorkflowNode& node, std::string_view member, const Known& known,
                              std::optional<Type> wanted = std::nullopt);
  Result<void> judge_condition(WorkflowNode& node, const Predicate& predicate,
                               const std::string& place, const Known& known);
  Result<void> judge_reference(WorkflowNode& node, const Reference& reference,
                               const std::string& place, const Known& known);
  [[nodiscard]] std::set<std::string> variables_of(int first) const;
  void learn(const WorkflowNode& node);
  [[nodiscard]] Shape shape_of_root(const std::string& root) const;

  WorkflowGraph& graph_;
  const WorkflowKinds* kinds_;
  std::vector<Scope> scopes_;
  std::map<std::string, Shape> shapes_;  ///< of nodes
  std::map<std::string, Shape> vars_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
