// A picture of a workflow: its nodes and edges, as Graphviz and Mermaid read them.

#include <fmt/format.h>

#include "bureau/work/workflows.hpp"
#include "work/workflow_graph.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::NodeKind;
using detail::WorkflowGraph;
using detail::WorkflowNode;

/// What stands in a node's box. Quotes and what either language reads as its own are left out.
std::string caption(const WorkflowNode& node) {
  const auto& kind = names<NodeKind>[static_cast<std::size_t>(node.kind)];
  const Json* label = node.find("label");
  std::string text = fmt::format("{} ({})", node.id, kind);
  if (label == nullptr || label->as_string() == nullptr) return text;
  text = fmt::format("{}: ", text);
  for (const char c : *label->as_string()) {
    const bool plain = static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\' && c != '`' &&
                       c != '<' && c != '>' && c != '#' && c != ';';
    text += plain ? c : ' ';
  }
  return text;
}

struct Line {
  std::string from, to, label;
};

std::vector<Line> lines_of(const WorkflowGraph& graph) {
  std::vector<Line> lines;
  for (const WorkflowNode& node : graph.nodes()) {
    for (const int branch : node.branches) {
      lines.push_back({node.id, graph.node(branch).id, "at once"});
    }
    for (const auto& edge : node.edges) {
      if (edge.target < 0) continue;
      const bool after = node.kind == NodeKind::parallel && edge.label == "next";
      lines.push_back({node.id, graph.node(edge.target).id,
                       after                  ? "then"
                       : edge.label == "next" ? ""
                                              : edge.label});
    }
  }
  return lines;
}

}  // namespace

Result<std::string> workflow_graph(const Workflow& workflow, GraphFormat format) {
  // What its references lead to is not asked: any row will do, for a workflow that changes start.
  static const TableInfo& row = table_of<Workflow>();
  BUREAU_TRY(const auto trigger, detail::read_trigger(workflow.trigger));
  const bool change = trigger.on == detail::WorkflowTrigger::On::change;
  BUREAU_TRY(const auto graph,
             WorkflowGraph::read_shape(workflow.definition, change ? &row : nullptr));
  const bool dot = format == GraphFormat::dot;
  std::string out = dot ? "digraph workflow {\n  node [shape=box];\n" : "flowchart TD\n";
  for (const WorkflowNode& node : graph->nodes()) {
    out += dot ? fmt::format("  \"{}\" [label=\"{}\"];\n", node.id, caption(node))
               : fmt::format("  n_{}[\"{}\"]\n", node.id, caption(node));
  }
  for (const Line& line : lines_of(*graph)) {
    if (dot) {
      out += fmt::format("  \"{}\" -> \"{}\"{};\n", line.from, line.to,
                         line.label.empty() ? "" : fmt::format(" [label=\"{}\"]", line.label));
    } else {
      out += fmt::format("  n_{} -->{} n_{}\n", line.from,
                         line.label.empty() ? "" : fmt::format("|{}|", line.label), line.to);
    }
  }
  if (dot) out += "}\n";
  return out;
}

BUREAU_END_NAMESPACE
