#include "work/workflow_flow.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.hpp"
#include "store/predicate_check.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

Result<void> WorkflowFlow::judge() {
  BUREAU_TRY_VOID(find_cycle());
  BUREAU_TRY_VOID(lay_scopes());
  BUREAU_TRY_VOID(follow(graph_.start_, {}));
  return {};
}

// Cycles ---------------------------------------------------------------------------------------

Result<void> WorkflowFlow::find_cycle() {
  std::vector<int> states(graph_.nodes_.size(), 0);  // 0 new, 1 on the path, 2 done
  std::vector<int> path;
  for (std::size_t i = 0; i < graph_.nodes_.size(); ++i) {
    BUREAU_TRY_VOID(visit(static_cast<int>(i), states, path));
  }
  return {};
}

Result<void> WorkflowFlow::visit(int place, std::vector<int>& states, std::vector<int>& path) {
  int& state = states[static_cast<std::size_t>(place)];
  if (state == 2) return {};
  if (state == 1) {
    std::string text;
    for (auto at = std::find(path.begin(), path.end(), place); at != path.end(); ++at) {
      text += graph_.node(*at).id + " -> ";
    }
    return refuse_at("nodes",
                     fmt::format("they go round in a cycle: {}{}", text, graph_.node(place).id));
  }
  state = 1;
  path.push_back(place);
  const WorkflowNode& node = graph_.node(place);
  for (const int branch : node.branches) BUREAU_TRY_VOID(visit(branch, states, path));
  for (const auto& edge : node.edges) {
    if (edge.target >= 0) BUREAU_TRY_VOID(visit(edge.target, states, path));
  }
  path.pop_back();
  states[static_cast<std::size_t>(place)] = 2;
  return {};
}

// Scopes ---------------------------------------------------------------------------------------

/// Each node belongs to the workflow itself or to one branch of one parallel. A branch ends with
/// its last node; what comes after all of them is the parallel's `next`.
Result<void> WorkflowFlow::lay_scopes() {
  scopes_.push_back({"the workflow itself", 0});
  BUREAU_TRY_VOID(enter_scope(graph_.start_, 0));
  for (const WorkflowNode& node : graph_.nodes_) {
    if (node.scope < 0) {
      return refuse_at("nodes." + node.id, "no way leads to it from the start");
    }
  }
  return {};
}

Result<void> WorkflowFlow::enter_scope(int first, int scope) {
  std::vector<int> open{first};
  while (!open.empty()) {
    WorkflowNode& node = graph_.nodes_[static_cast<std::size_t>(open.back())];
    open.pop_back();
    if (node.scope == scope) continue;
    if (node.scope >= 0) {
      return refuse_at("nodes." + node.id,
                       fmt::format("two ways that may run at once lead to it: {} and {}; a branch "
                                   "ends by itself, and the parallel's next comes after all",
                                   scopes_[static_cast<std::size_t>(node.scope)].name,
                                   scopes_[static_cast<std::size_t>(scope)].name));
    }
    node.scope = scope;
    for (const auto& edge : node.edges) {
      if (edge.target >= 0) open.push_back(edge.target);
    }
    for (const int branch : node.branches) {
      const int depth = scopes_[static_cast<std::size_t>(scope)].depth + 1;
      if (depth > static_cast<int>(max_workflow_nesting)) {
        return refuse_at("nodes." + node.id, fmt::format("parallels within parallels, the limit is "
                                                         "{}",
                                                         max_workflow_nesting));
      }
      scopes_.push_back({fmt::format("the branch of \"{}\" that begins with \"{}\"", node.id,
                                     graph_.node(branch).id),
                         depth});
      BUREAU_TRY_VOID(enter_scope(branch, static_cast<int>(scopes_.size()) - 1));
    }
  }
  return {};
}

/// The nodes of a scope, each after all that lead to it.
std::vector<int> WorkflowFlow::order_of(int first) const {
  std::vector<int> order;
  std::set<int> seen;
  // Depth first without a stack of calls; a node is written when all that follow are.
  std::vector<std::pair<int, std::size_t>> path{{first, 0}};
  seen.insert(first);
  while (!path.empty()) {
    const int place = path.back().first;
    const auto& edges = graph_.node(place).edges;
    if (path.back().second == edges.size()) {
      order.push_back(place);
      path.pop_back();
      continue;
    }
    const int next = edges[path.back().second++].target;
    if (next >= 0 && seen.insert(next).second) path.emplace_back(next, 0);
  }
  std::reverse(order.begin(), order.end());
  return order;
}

// What has surely happened ---------------------------------------------------------------------

namespace {

void keep_common(std::optional<std::set<std::string>>& kept, const std::set<std::string>& other) {
  if (!kept) {
    kept = other;
    return;
  }
  std::erase_if(*kept, [&](const std::string& name) { return !other.contains(name); });
}

bool waits_for_all(const WorkflowNode& node) {
  const Json* wait = node.find("wait");
  return wait == nullptr || *wait->as_string() == "all";
}

bool fails(const WorkflowNode& node) {
  const Json* status = node.find("status");
  return status != nullptr && *status->as_string() == "failed";
}

}  // namespace

Result<std::optional<WorkflowFlow::Known>> WorkflowFlow::follow(int first, Known known) {
  std::map<int, std::optional<Known>> arriving;
  arriving[first] = std::move(known);
  std::optional<Known> ending;
  for (const int place : order_of(first)) {
    WorkflowNode& node = graph_.nodes_[static_cast<std::size_t>(place)];
    const Known before = *arriving[place];
    BUREAU_TRY_VOID(judge_node(node, before));
    learn(node);
    Known after = before;
    after.insert(node.id);
    const Known failed = after;
    if (node.kind == NodeKind::set) {
      for (const auto& [name, value] : *node.find("values")->as_object()) {
        after.insert("vars." + name);
      }
    }
    if (node.kind == NodeKind::parallel) {
      BUREAU_TRY(after, follow_branches(node, after));
    }
    for (const auto& edge : node.edges) {
      const Known& carried = edge.label == "on_error" ? failed : after;
      keep_common(edge.target < 0 ? ending : arriving[edge.target], carried);
    }
    if (node.kind == NodeKind::end && !fails(node)) keep_common(ending, after);
  }
  return ending;
}

/// What has surely happened after the branches: with `all` what each of them surely does; what the
/// branches of an `any` do stays theirs.
Result<WorkflowFlow::Known> WorkflowFlow::follow_branches(const WorkflowNode& node,
                                                          const Known& known) {
  Known after = known;
  std::map<std::string, std::string> set_by;
  for (const int branch : node.branches) {
    Known inside = known;
    inside.erase(node.id);
    BUREAU_TRY(const auto done, follow(branch, std::move(inside)));
    if (!waits_for_all(node)) continue;
    if (done) after.insert(done->begin(), done->end());
    const std::string& id = graph_.node(branch).id;
    for (const std::string& name : variables_of(branch)) {
      const auto [found, is_new] = set_by.emplace(name, id);
      if (is_new) continue;
      return refuse_at("nodes." + node.id,
                       fmt::format("the branches \"{}\" and \"{}\" both set \"{}\": which comes "
                                   "last is not said",
                                   found->second, id, name));
    }
  }
  return after;
}

std::set<std::string> WorkflowFlow::variables_of(int first) const {
  std::set<std::string> names;
  for (const int place : order_of(first)) {
    const WorkflowNode& node = graph_.node(place);
    if (node.kind == NodeKind::set) {
      for (const auto& [name, value] : *node.find("values")->as_object()) names.insert(name);
    }
    if (!waits_for_all(node)) continue;
    for (const int branch : node.branches) names.merge(variables_of(branch));
  }
  return names;
}

// Shapes ---------------------------------------------------------------------------------------

Shape WorkflowFlow::shape_of_root(const std::string& root) const {
  if (root == "input") {
    if (graph_.row_ == nullptr) return graph_.input_.shape();
    const Shape row = Shape::of_columns(*graph_.row_);
    const Shape text = Shape::of(Type::text);
    return Shape::object(
        {{"change", text}, {"table", text}, {"id", text}, {"row", row}, {"before", row}});
  }
  if (root == "vars") {
    Shape shape;
    shape.closed = true;
    for (const auto& [name, known] : vars_) shape.members.emplace(name, known);
    return shape;
  }
  const auto found = shapes_.find(root);
  return found == shapes_.end() ? Shape() : found->second;
}

void WorkflowFlow::learn(const WorkflowNode& node) {
  const auto root = [&](const std::string& name) { return shape_of_root(name); };
  const Shape text = Shape::of(Type::text);
  const Shape error = Shape::object({{"code", text}, {"message", text}});
  Shape& shape = shapes_[node.id];
  switch (node.kind) {
    case NodeKind::task: {
      const auto* entry = kinds_ == nullptr ? nullptr : kinds_->find(node.text("task"));
      if (entry == nullptr || entry->result == nullptr) return;
      shape = Shape::of_columns(*entry->result);
      if (node.edge("on_error") != nullptr) shape.members["error"] = error;
      return;
    }
    case NodeKind::condition:
    case NodeKind::branch:
      shape = Shape::object({{"taken", text}});
      return;
    case NodeKind::parallel: {
      shape = Shape::object({{"first", text}, {"error", error}});
      const Shape one = Shape::object({{"status", text}, {"output", {}}, {"error", error}});
      for (const int branch : node.branches) shape.members[graph_.node(branch).id] = one;
      return;
    }
    case NodeKind::human_input:
      shape = Shape::object(
          {{"answered", Shape::of(Type::boolean)}, {"by", text}, {"answer", node.form.shape()}});
      return;
    case NodeKind::approval:
      shape = Shape::object({{"approved", Shape::of(Type::boolean)},
                             {"status", text},
                             {"by", text},
                             {"comment", text}});
      return;
    case NodeKind::set:
      shape = shape_of(*node.find("values"), root);
      for (const auto& [name, member] : shape.members) {
        const auto [known, is_new] = vars_.emplace(name, member);
        if (!is_new) known->second.meet(member);
      }
      return;
    case NodeKind::call:
      shape = Shape::object({{"output", {}}, {"error", error}});
      return;
    case NodeKind::delay:
    case NodeKind::end:
      shape = Shape::object({});
      return;
  }
}

// References -----------------------------------------------------------------------------------

Result<void> WorkflowFlow::judge_reference(WorkflowNode& node, const Reference& reference,
                                           const std::string& place, const Known& known) {
  const std::string& root = reference.path.front();
  node.roots.insert(root);
  std::string name = root;
  if (root == "vars") {
    if (reference.path.size() < 2) return refuse_at(place, "\"vars\" alone: say which variable");
    name += "." + reference.path[1];
  } else if (root != "input" && graph_.find(root) < 0) {
    return refuse_at(
        place, fmt::format("\"{}\" is neither input, vars nor the id of a node", shortened(root)));
  }
  if (root != "input" && !known.contains(name)) {
    if (reference.has_default) return {};
    return refuse_at(place,
                     root == "vars"
                         ? fmt::format("\"{}\" is not set on every way that leads here", name)
                         : fmt::format("\"{}\" has not run on every way that leads here", name));
  }
  const auto shape = shape_of_root(root).at(std::span(reference.path).subspan(1));
  if (!shape && !reference.has_default) {
    return refuse_at(place, fmt::format("{}: {}", root, shape.error().message));
  }
  return {};
}

Result<void> WorkflowFlow::judge_template(WorkflowNode& node, std::string_view member,
                                          const Known& known, std::optional<Type> wanted) {
  const Json* json = node.find(member);
  if (json == nullptr) return {};
  const std::string place = fmt::format("nodes.{}.{}", node.id, member);
  BUREAU_TRY_VOID(
      each_reference(*json, place, [&](const Reference& reference, const std::string& at) {
        return judge_reference(node, reference, at, known);
      }));
  if (!wanted) return {};
  const Shape shape = shape_of(*json, [&](const std::string& root) { return shape_of_root(root); });
  const bool unknown = !shape.type && !shape.closed && json->as_object() != nullptr;
  if (unknown || shape.type == wanted) return {};
  return refuse_at(place,
                   fmt::format("expected a {}{}", to_string(*wanted),
                               shape.type || shape.closed ? ", it is " + shape.to_text() : ""));
}

Result<void> WorkflowFlow::judge_condition(WorkflowNode& node, const Predicate& predicate,
                                           const std::string& place, const Known& known) {
  std::vector<Predicate::NodePtr> open{predicate.node()};
  while (!open.empty()) {
    const Predicate::NodePtr at = open.back();
    open.pop_back();
    if (at == nullptr) continue;
    open.insert(open.end(), at->children.begin(), at->children.end());
    if (at->column == nullptr) continue;
    Reference reference;
    reference.path.emplace_back(at->column->name);
    reference.path.insert(reference.path.end(), at->path.begin(), at->path.end());
    BUREAU_TRY_VOID(judge_reference(node, reference, place, known));
    const Shape shape = *shape_of_root(reference.path[0]).at(at->path);
    using Op = Predicate::Op;
    if (at->op == Op::is_null || at->op == Op::is_not_null || at->path.empty()) continue;
    const std::string path = fmt::format("{}.{}", reference.path[0], fmt::join(at->path, "."));
    if (at->op == Op::contains) {
      if (!shape.type && !shape.closed) continue;
      return refuse_at(
          place, fmt::format("{} is {}; contains asks a list of texts", path, shape.to_text()));
    }
    const Type type = at->op == Op::prefix ? Type::text : at->path_type;
    if (shape.closed || (shape.type && *shape.type != type)) {
      return refuse_at(place, fmt::format("{} is {}, it is compared with a {}", path,
                                          shape.to_text(), to_string(type)));
    }
  }
  return {};
}

Result<void> WorkflowFlow::judge_node(WorkflowNode& node, const Known& known) {
  const std::string place = "nodes." + node.id;
  const auto root = [&](const std::string& name) { return shape_of_root(name); };
  switch (node.kind) {
    case NodeKind::condition:
      return judge_condition(node, node.conditions[0], place + ".if", known);
    case NodeKind::branch:
      for (std::size_t i = 0; i < node.conditions.size(); ++i) {
        BUREAU_TRY_VOID(judge_condition(node, node.conditions[i],
                                        fmt::format("{}.cases.{}.if", place, i), known));
      }
      return {};
    case NodeKind::task: {
      BUREAU_TRY_VOID(judge_template(node, "payload", known));
      const auto* entry = kinds_ == nullptr ? nullptr : kinds_->find(node.text("task"));
      if (entry == nullptr || entry->payload == nullptr) return {};
      const Json* payload = node.find("payload");
      return check_payload_template(payload == nullptr ? Json::object() : *payload, *entry->payload,
                                    place + ".payload", root);
    }
    case NodeKind::delay:
      BUREAU_TRY_VOID(judge_template(node, "for", known, Type::text));
      return judge_template(node, "until", known, Type::text);
    case NodeKind::approval:
    case NodeKind::human_input:
      for (const std::string_view member :
           {"title", "assignee", "team", "within", "escalate_to", "escalate_after"}) {
        BUREAU_TRY_VOID(judge_template(node, member, known, Type::text));
      }
      return judge_template(node, "subject", known);
    case NodeKind::set:
      return judge_template(node, "values", known);
    case NodeKind::call:
      return judge_template(node, "input", known);
    case NodeKind::end:
      BUREAU_TRY_VOID(judge_template(node, "message", known, Type::text));
      return judge_template(node, "output", known);
    case NodeKind::parallel:
      return {};
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
