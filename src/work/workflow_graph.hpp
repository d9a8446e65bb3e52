#pragma once

// A workflow's definition, read and judged: what the interpreter walks.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bureau/store/predicate.hpp"
#include "bureau/work/workflow_agent.hpp"
#include "work/workflow_values.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

enum class NodeKind {
  task,
  condition,
  branch,
  parallel,
  delay,
  human_input,
  approval,
  set,
  call,
  end,
};

struct WorkflowNode {
  struct Edge {
    std::string label;  ///< "next", "then", "cases.0"
    int target = -1;    ///< -1: the branch, or the run, ends
  };
  std::string id;
  NodeKind kind = NodeKind::end;
  Json spec;
  std::vector<Edge> edges;
  std::vector<int> branches;          ///< of a parallel: where each begins
  std::vector<Predicate> conditions;  ///< of a condition one, of a branch one a case
  WorkflowFields form;                ///< of a human_input
  std::set<std::string> roots;        ///< that it refers to
  int scope = -1;                     ///< the place of the parallel's branch that it is in; 0: none

  [[nodiscard]] const Edge* edge(std::string_view label) const;
  [[nodiscard]] const Json* find(std::string_view member) const { return spec.find(member); }
  /// REQUIRES: a text is there, as the graph's check has seen.
  [[nodiscard]] const std::string& text(std::string_view member) const {
    return *spec.find(member)->as_string();
  }
};

/// Immutable once made.
class WorkflowGraph {
 public:
  /// `invalid` names the field and the rule. `row` is the table whose changes start it, if such do;
  /// `kinds` is null where they are not known.
  [[nodiscard]] static Result<std::shared_ptr<const WorkflowGraph>> read(
      const Json& definition, const TableInfo* row, const WorkflowKinds* kinds);

  /// The nodes alone: neither their order nor their references are judged.
  [[nodiscard]] static Result<std::shared_ptr<const WorkflowGraph>> read_shape(
      const Json& definition, const TableInfo* row);

  [[nodiscard]] const std::vector<WorkflowNode>& nodes() const { return nodes_; }
  [[nodiscard]] const WorkflowNode& node(int place) const {
    return nodes_[static_cast<std::size_t>(place)];
  }
  [[nodiscard]] int start() const { return start_; }
  /// -1 when there is none.
  [[nodiscard]] int find(std::string_view id) const;
  [[nodiscard]] const WorkflowFields& input() const { return input_; }
  /// Started by changes: its input is made of them.
  [[nodiscard]] bool has_row() const { return row_ != nullptr; }
  /// The roots that the nodes of a branch, by its first, refer to.
  [[nodiscard]] std::set<std::string> roots_of(int branch) const;
  /// What a condition says of values, an object of the roots.
  [[nodiscard]] Result<bool> holds(const Predicate& predicate, const Json& values) const;

  WorkflowGraph() = default;
  WorkflowGraph(const WorkflowGraph&) = delete;  // predicates point into it
  WorkflowGraph& operator=(const WorkflowGraph&) = delete;

 private:
  friend class WorkflowReader;
  friend class WorkflowFlow;
  std::vector<WorkflowNode> nodes_;
  std::map<std::string, int, std::less<>> places_;
  int start_ = -1;
  WorkflowFields input_;
  const TableInfo* row_ = nullptr;
  TableInfo context_;  ///< a JSON column for each root: what conditions are about
};

/// What starts a workflow.
struct WorkflowTrigger {
  enum class On { manual, schedule, change, event };
  On on = On::manual;
  std::string event;
  // Of a schedule.
  std::string cron, zone;
  std::string catch_up = "last", overlap = "skip";
  Json input = Json::object();
  // Of a change.
  std::string table;
  bool inserts = false, updates = false, removals = false;
  Json where;  ///< the text or the JSON form of a predicate; null: any row
};
[[nodiscard]] Result<WorkflowTrigger> read_trigger(const Json& json);

/// A trigger on changes, with its table.
struct ChangeTrigger {
  const TableInfo* table = nullptr;
  bool inserts = false, updates = false, removals = false;
  Predicate where;
  std::vector<std::uint16_t> asks;  ///< the columns that `where` names

  [[nodiscard]] Result<bool> fires(const Change& change) const;
};
[[nodiscard]] Result<ChangeTrigger> compile_trigger(const WorkflowTrigger& trigger,
                                                    const Catalog& catalog);

/// What can be said of one version without an office: its name, trigger and definition. The
/// RowRule of workflows.
[[nodiscard]] Result<void> check_workflow_row(std::span<const Value> before,
                                              std::span<const Value> after);
[[nodiscard]] Result<void> check_workflow_name(std::string_view name);

}  // namespace detail

template <>
inline constexpr auto names<detail::NodeKind> = enum_names("task", "condition", "branch",
                                                           "parallel", "delay", "human_input",
                                                           "approval", "set", "call", "end");

BUREAU_END_NAMESPACE
