#include "work/workflow_graph.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.hpp"
#include "store/duration_text.hpp"
#include "store/value_rules.hpp"
#include "work/workflow_flow.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

const WorkflowNode::Edge* WorkflowNode::edge(std::string_view label) const {
  for (const Edge& edge : edges) {
    if (edge.label == label) return &edge;
  }
  return nullptr;
}

int WorkflowGraph::find(std::string_view id) const {
  const auto found = places_.find(id);
  return found == places_.end() ? -1 : found->second;
}

std::set<std::string> WorkflowGraph::roots_of(int branch) const {
  std::set<std::string> roots;
  std::set<int> seen;
  std::vector<int> open{branch};
  while (!open.empty()) {
    const int place = open.back();
    open.pop_back();
    if (place < 0 || !seen.insert(place).second) continue;
    const WorkflowNode& at = node(place);
    roots.insert(at.roots.begin(), at.roots.end());
    for (const auto& edge : at.edges) open.push_back(edge.target);
    open.insert(open.end(), at.branches.begin(), at.branches.end());
  }
  return roots;
}

namespace {

void mark_columns(const Predicate::NodePtr& node, std::set<std::uint16_t>& out) {
  if (node == nullptr) return;
  if (node->column != nullptr) out.insert(node->column->index);
  for (const auto& child : node->children) mark_columns(child, out);
}

}  // namespace

Result<bool> WorkflowGraph::holds(const Predicate& predicate, const Json& values) const {
  std::set<std::uint16_t> asked;
  mark_columns(predicate.node(), asked);
  std::deque<std::string> texts;
  std::vector<Value> row(context_.width());
  for (const std::uint16_t column : asked) {
    const Json* value = values.find(context_.columns[column].name);
    if (value != nullptr) row[column] = Value::text(texts.emplace_back(value->dump()));
  }
  BUREAU_TRY(const Truth truth, evaluate(predicate, row));
  return truth == Truth::yes;
}

// Reading --------------------------------------------------------------------------------------

/// Reads nodes one by one; what follows from their order judges WorkflowFlow.
class WorkflowReader {
 public:
  WorkflowReader(WorkflowGraph& graph, const WorkflowKinds* kinds) : graph_(graph), kinds_(kinds) {}

  Result<void> read(const Json& definition) {
    BUREAU_TRY_VOID(read_top(definition));
    const Json::Array& items = *definition.find("nodes")->as_array();
    for (std::size_t i = 0; i < items.size(); ++i) BUREAU_TRY_VOID(read_node(items[i], i));
    BUREAU_TRY_VOID(read_start(definition));
    make_context();
    for (WorkflowNode& node : graph_.nodes_) BUREAU_TRY_VOID(read_inside(node));
    return {};
  }

 private:
  static std::string at(const WorkflowNode& node, std::string_view member) {
    return fmt::format("nodes.{}.{}", node.id, member);
  }

  Result<void> read_top(const Json& definition) {
    if (definition.as_object() == nullptr) return refuse_at("definition", "expected an object");
    const std::size_t size = definition.dump().size();
    if (size > max_workflow_bytes) {
      return refuse_at("definition",
                       fmt::format("{} bytes, the limit is {}", size, max_workflow_bytes));
    }
    for (const auto& [name, value] : *definition.as_object()) {
      if (name == "input" || name == "start" || name == "nodes") continue;
      return refuse_at("definition", fmt::format("\"{}\" is not known here: it has input, start "
                                                 "and nodes",
                                                 shortened(name)));
    }
    const Json* nodes = definition.find("nodes");
    const Json::Array* items = nodes == nullptr ? nullptr : nodes->as_array();
    if (items == nullptr || items->empty()) {
      return refuse_at("nodes", "expected a list of nodes with at least one");
    }
    if (items->size() > max_workflow_nodes) {
      return refuse_at("nodes",
                       fmt::format("{} nodes, the limit is {}", items->size(), max_workflow_nodes));
    }
    const Json* input = definition.find("input");
    if (input != nullptr && graph_.row_ != nullptr) {
      return refuse_at("input", "a workflow that changes start is given the change");
    }
    BUREAU_TRY(graph_.input_, WorkflowFields::read(input == nullptr ? Json() : *input, "input"));
    return {};
  }

  Result<void> read_start(const Json& definition) {
    graph_.start_ = 0;
    const Json* start = definition.find("start");
    if (start == nullptr) return {};
    const std::string* id = start->as_string();
    if (id == nullptr) return refuse_at("start", "expected the id of a node");
    BUREAU_TRY(graph_.start_, target("start", *id));
    return {};
  }

  static Result<void> check_id(const std::string* id, const std::string& place) {
    constexpr std::array reserved{"input", "vars",  "and",    "or",      "not", "in",
                                  "is",    "null",  "true",   "false",   "now", "select",
                                  "from",  "where", "prefix", "contains"};
    if (id == nullptr || !is_plain_name(*id)) {
      return refuse_at(place, "expected a name: [a-z][a-z0-9_]*, at most 48 bytes");
    }
    if (std::find(reserved.begin(), reserved.end(), *id) != reserved.end()) {
      return refuse_at(place, fmt::format("\"{}\" is a word of the language", *id));
    }
    return {};
  }

  Result<void> read_node(const Json& json, std::size_t index) {
    const std::string place = fmt::format("nodes.{}", index);
    if (json.as_object() == nullptr) return refuse_at(place, "expected an object");
    const auto text = [&](std::string_view member) {
      const Json* value = json.find(member);
      return value == nullptr ? nullptr : value->as_string();
    };
    const std::string* id = text("id");
    BUREAU_TRY_VOID(check_id(id, place + ".id"));
    WorkflowNode node;
    node.id = *id;
    node.spec = json;
    const auto& kinds = names<NodeKind>;
    const std::string* kind = text("kind");
    const auto found = kind == nullptr ? kinds.end() : std::find(kinds.begin(), kinds.end(), *kind);
    if (found == kinds.end()) {
      const std::string near =
          kind == nullptr ? "" : nearest_names(*kind, {kinds.begin(), kinds.end()});
      return refuse_at(at(node, "kind"),
                       fmt::format("{} is no kind of node{}; they are {}",
                                   kind == nullptr ? "it" : fmt::format("\"{}\"", shortened(*kind)),
                                   near.empty() ? "" : fmt::format(", did you mean {}?", near),
                                   fmt::join(kinds, ", ")));
    }
    node.kind = static_cast<NodeKind>(found - kinds.begin());
    if (!graph_.places_.emplace(node.id, static_cast<int>(index)).second) {
      return refuse_at(place + ".id", fmt::format("\"{}\" is the id of another node", node.id));
    }
    graph_.nodes_.push_back(std::move(node));
    return {};
  }

  Result<int> target(const std::string& place, const std::string& id) const {
    const int found = graph_.find(id);
    if (found >= 0) return found;
    std::vector<std::string_view> known;
    for (const auto& node : graph_.nodes_) known.push_back(node.id);
    const std::string near = nearest_names(id, known);
    return refuse_at(place,
                     fmt::format("there is no node \"{}\"{}", shortened(id),
                                 near.empty() ? "" : fmt::format("; did you mean {}?", near)));
  }

  /// `input`, `vars` and the nodes, as the columns of a row.
  void make_context() {
    TableInfo& table = graph_.context_;
    table.name = "values";
    const auto add = [&](std::string_view name) {
      ColumnInfo column = make_column(name, Type::json, true, {});
      column.index = static_cast<std::uint16_t>(table.columns.size());
      table.columns.push_back(column);
    };
    add("input");
    add("vars");
    for (const auto& node : graph_.nodes_) add(node.id);
  }

  // The members of each kind
  // -----------------------------------------------------------------------

  enum class Edge { optional, stated };

  Result<void> edge(WorkflowNode& node, const std::string& label, Edge how) {
    const Json* value = node.find(label);
    if (value == nullptr) {
      if (how == Edge::optional) return {};
      return refuse_at(at(node, label), "is missing: say which node follows, or null for the end");
    }
    if (value->is_null()) {
      node.edges.push_back({label, -1});
      return {};
    }
    const std::string* id = value->as_string();
    if (id == nullptr) return refuse_at(at(node, label), "expected the id of a node, or null");
    BUREAU_TRY(const int found, target(at(node, label), *id));
    node.edges.push_back({label, found});
    return {};
  }
  Result<void> next(WorkflowNode& node) {
    BUREAU_TRY_VOID(edge(node, "next", Edge::optional));
    if (node.edge("next") == nullptr) node.edges.push_back({"next", -1});
    return {};
  }

  static Result<void> only(const WorkflowNode& node,
                           std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : *node.spec.as_object()) {
      if (name == "id" || name == "kind" || name == "label") continue;
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      const auto& kind = names<NodeKind>[static_cast<std::size_t>(node.kind)];
      return refuse_at(at(node, name), fmt::format("a {} has no such member; it has {}", kind,
                                                   fmt::join(known, ", ")));
    }
    return {};
  }

  static Result<void> need_text(const WorkflowNode& node, std::string_view member) {
    const Json* value = node.find(member);
    if (value != nullptr && value->as_string() != nullptr && !value->as_string()->empty())
      return {};
    return refuse_at(at(node, member), value == nullptr ? "is missing" : "expected a text");
  }
  static Result<void> one_of(const WorkflowNode& node, std::string_view member,
                             std::span<const std::string_view> values) {
    const Json* value = node.find(member);
    if (value == nullptr) return {};
    const std::string* text = value->as_string();
    if (text != nullptr && std::find(values.begin(), values.end(), *text) != values.end())
      return {};
    return refuse_at(at(node, member), fmt::format("expected one of {}", fmt::join(values, ", ")));
  }
  /// A duration that is said in plain must be one.
  static Result<void> duration(const WorkflowNode& node, std::string_view member) {
    const Json* value = node.find(member);
    if (value == nullptr || value->as_object() != nullptr) return {};
    const std::string* text = value->as_string();
    const auto micros = text == nullptr ? std::nullopt : duration_from_text(*text);
    if (micros && *micros > 0) return {};
    return refuse_at(at(node, member), "expected a positive duration, as \"2d\" or \"1h30m\"");
  }

  Result<void> condition(WorkflowNode& node, const Json* json, const std::string& place) {
    if (json == nullptr) return refuse_at(place, "is missing");
    const std::string* text = json->as_string();
    auto parsed = text != nullptr ? Predicate::parse(graph_.context_, *text)
                                  : Predicate::from_json(graph_.context_, *json);
    if (!parsed) return refuse_at(place, parsed.error());
    if (parsed->has_variables() || parsed->has_select() || parsed->uses_now()) {
      return refuse_at(place,
                       "variables, sub-selects and now() mean nothing here: it is about the run's "
                       "own values");
    }
    node.conditions.push_back(*std::move(parsed));
    return {};
  }

  Result<void> read_inside(WorkflowNode& node) {
    const Json* label = node.find("label");
    if (label != nullptr && label->as_string() == nullptr) {
      return refuse_at(at(node, "label"), "expected a text");
    }
    switch (node.kind) {
      case NodeKind::task:
        return read_task(node);
      case NodeKind::condition:
        BUREAU_TRY_VOID(only(node, {"if", "then", "else"}));
        BUREAU_TRY_VOID(condition(node, node.find("if"), at(node, "if")));
        BUREAU_TRY_VOID(edge(node, "then", Edge::stated));
        return edge(node, "else", Edge::stated);
      case NodeKind::branch:
        return read_branch(node);
      case NodeKind::parallel:
        return read_parallel(node);
      case NodeKind::delay:
        return read_delay(node);
      case NodeKind::human_input:
        return read_form(node);
      case NodeKind::approval:
        BUREAU_TRY_VOID(only(node, {"title", "subject", "assignee", "team", "within", "expired",
                                    "rejected", "escalate_after", "escalate_to", "next"}));
        BUREAU_TRY_VOID(edge(node, "rejected", Edge::stated));
        BUREAU_TRY_VOID(duration(node, "escalate_after"));
        if ((node.find("escalate_after") == nullptr) != (node.find("escalate_to") == nullptr)) {
          return refuse_at(at(node, "escalate_to"), "goes with escalate_after");
        }
        return read_question(node);
      case NodeKind::set:
        return read_set(node);
      case NodeKind::call:
        BUREAU_TRY_VOID(only(node, {"workflow", "input", "next", "on_error"}));
        BUREAU_TRY_VOID(need_text(node, "workflow"));
        BUREAU_TRY_VOID(edge(node, "on_error", Edge::optional));
        return next(node);
      case NodeKind::end:
        return read_end(node);
    }
    return {};
  }

  Result<void> read_task(WorkflowNode& node) {
    BUREAU_TRY_VOID(only(node, {"task", "payload", "priority", "attempts", "next", "on_error"}));
    BUREAU_TRY_VOID(need_text(node, "task"));
    BUREAU_TRY_VOID(one_of(node, "priority", names<Priority>));
    const std::string& name = node.text("task");
    const auto* entry = kinds_ == nullptr ? nullptr : kinds_->find(name);
    if (kinds_ != nullptr && entry == nullptr) {
      std::vector<std::string_view> known;
      for (const auto& one : kinds_->all()) known.push_back(one.kind.name);
      const std::string near = nearest_names(name, known);
      return refuse_at(
          at(node, "task"),
          fmt::format("\"{}\" is no kind of task that this office lets workflows enqueue{}",
                      shortened(name),
                      near.empty() ? "" : fmt::format("; did you mean {}?", near)));
    }
    if (const Json* attempts = node.find("attempts")) {
      const std::int64_t* value = attempts->as_int();
      if (value == nullptr || *value < 1 || *value > 100) {
        return refuse_at(at(node, "attempts"), "expected an integer from 1 to 100");
      }
      if (entry != nullptr && entry->kind.effect == Effect::external_unsafe && *value > 1) {
        return refuse_at(at(node, "attempts"), "an external_unsafe effect must not be retried");
      }
    }
    BUREAU_TRY_VOID(edge(node, "on_error", Edge::optional));
    return next(node);
  }

  Result<void> read_branch(WorkflowNode& node) {
    BUREAU_TRY_VOID(only(node, {"cases", "else"}));
    const Json* cases = node.find("cases");
    const Json::Array* items = cases == nullptr ? nullptr : cases->as_array();
    if (items == nullptr || items->empty() || items->size() > max_workflow_branches) {
      return refuse_at(at(node, "cases"),
                       fmt::format("expected a list of 1 to {} objects with if and next",
                                   max_workflow_branches));
    }
    for (std::size_t i = 0; i < items->size(); ++i) {
      const std::string place = fmt::format("nodes.{}.cases.{}", node.id, i);
      const Json& one = (*items)[i];
      if (one.as_object() == nullptr || one.as_object()->size() != 2 ||
          one.find("next") == nullptr) {
        return refuse_at(place, "expected an object with if and next");
      }
      BUREAU_TRY_VOID(condition(node, one.find("if"), place + ".if"));
      const Json& to = *one.find("next");
      int place_of_next = -1;
      if (!to.is_null()) {
        if (to.as_string() == nullptr) {
          return refuse_at(place + ".next", "expected the id of a node, or null");
        }
        BUREAU_TRY(place_of_next, target(place + ".next", *to.as_string()));
      }
      node.edges.push_back({fmt::format("cases.{}", i), place_of_next});
    }
    return edge(node, "else", Edge::stated);
  }

  Result<void> read_parallel(WorkflowNode& node) {
    BUREAU_TRY_VOID(only(node, {"branches", "wait", "next", "on_error"}));
    BUREAU_TRY_VOID(one_of(node, "wait", std::array<std::string_view, 2>{"all", "any"}));
    const Json* branches = node.find("branches");
    const Json::Array* items = branches == nullptr ? nullptr : branches->as_array();
    if (items == nullptr || items->size() < 2 || items->size() > max_workflow_branches) {
      return refuse_at(at(node, "branches"), fmt::format("expected a list of 2 to {} ids of nodes",
                                                         max_workflow_branches));
    }
    for (std::size_t i = 0; i < items->size(); ++i) {
      const std::string place = fmt::format("nodes.{}.branches.{}", node.id, i);
      const std::string* id = (*items)[i].as_string();
      if (id == nullptr) return refuse_at(place, "expected the id of a node");
      BUREAU_TRY(const int first, target(place, *id));
      if (std::find(node.branches.begin(), node.branches.end(), first) != node.branches.end()) {
        return refuse_at(place, fmt::format("\"{}\" begins another branch already", *id));
      }
      node.branches.push_back(first);
    }
    BUREAU_TRY_VOID(edge(node, "on_error", Edge::optional));
    return next(node);
  }

  Result<void> read_delay(WorkflowNode& node) {
    BUREAU_TRY_VOID(only(node, {"for", "until", "next"}));
    if ((node.find("for") == nullptr) == (node.find("until") == nullptr)) {
      return refuse_at(at(node, "for"), "expected either for or until");
    }
    BUREAU_TRY_VOID(duration(node, "for"));
    const Json* until = node.find("until");
    if (until != nullptr && until->as_object() == nullptr) {
      const std::string* text = until->as_string();
      if (text == nullptr) return refuse_at(at(node, "until"), "expected a timestamp");
      if (auto moment = Timestamp::parse(*text); !moment) {
        return refuse_at(at(node, "until"), moment.error());
      }
    }
    return next(node);
  }

  Result<void> read_form(WorkflowNode& node) {
    BUREAU_TRY_VOID(
        only(node, {"title", "fields", "assignee", "team", "within", "expired", "next"}));
    const Json* fields = node.find("fields");
    if (fields == nullptr || fields->as_object() == nullptr || fields->as_object()->empty()) {
      return refuse_at(at(node, "fields"), "expected an object of fields with at least one");
    }
    BUREAU_TRY(node.form, WorkflowFields::read(*fields, at(node, "fields")));
    return read_question(node);
  }

  /// What an approval and a human_input have in common.
  Result<void> read_question(WorkflowNode& node) {
    if (node.find("title") == nullptr) return refuse_at(at(node, "title"), "is missing");
    BUREAU_TRY_VOID(duration(node, "within"));
    const bool ends = node.find("within") != nullptr;
    if (!ends && node.find("expired") != nullptr) {
      return refuse_at(at(node, "expired"), "goes with within");
    }
    if (ends) BUREAU_TRY_VOID(edge(node, "expired", Edge::stated));
    return next(node);
  }

  Result<void> read_set(WorkflowNode& node) {
    BUREAU_TRY_VOID(only(node, {"values", "next"}));
    const Json* values = node.find("values");
    const Json::Object* members = values == nullptr ? nullptr : values->as_object();
    if (members == nullptr || members->empty() || members->size() > max_workflow_fields) {
      return refuse_at(at(node, "values"),
                       fmt::format("expected an object of 1 to {} variables", max_workflow_fields));
    }
    for (const auto& [name, value] : *members) {
      if (is_plain_name(name)) continue;
      return refuse_at(
          at(node, "values"),
          fmt::format("\"{}\" is no name: [a-z][a-z0-9_]*, at most 48 bytes", shortened(name)));
    }
    return next(node);
  }

  Result<void> read_end(WorkflowNode& node) {
    BUREAU_TRY_VOID(only(node, {"status", "message", "output"}));
    BUREAU_TRY_VOID(one_of(node, "status", std::array<std::string_view, 2>{"completed", "failed"}));
    const Json* status = node.find("status");
    const bool failed = status != nullptr && *status->as_string() == "failed";
    if (failed && node.find("message") == nullptr) {
      return refuse_at(at(node, "message"), "is missing: a run that fails says why");
    }
    if (failed && node.find("output") != nullptr) {
      return refuse_at(at(node, "output"), "a run that fails has none");
    }
    return {};
  }

  WorkflowGraph& graph_;
  const WorkflowKinds* kinds_;
};

Result<std::shared_ptr<const WorkflowGraph>> WorkflowGraph::read(const Json& definition,
                                                                 const TableInfo* row,
                                                                 const WorkflowKinds* kinds) {
  auto graph = std::make_shared<WorkflowGraph>();
  graph->row_ = row;
  BUREAU_TRY_VOID(WorkflowReader(*graph, kinds).read(definition));
  BUREAU_TRY_VOID(WorkflowFlow(*graph, kinds).judge());
  return std::shared_ptr<const WorkflowGraph>(std::move(graph));
}

Result<std::shared_ptr<const WorkflowGraph>> WorkflowGraph::read_shape(const Json& definition,
                                                                       const TableInfo* row) {
  auto graph = std::make_shared<WorkflowGraph>();
  graph->row_ = row;
  BUREAU_TRY_VOID(WorkflowReader(*graph, nullptr).read(definition));
  return std::shared_ptr<const WorkflowGraph>(std::move(graph));
}

}  // namespace detail
BUREAU_END_NAMESPACE
