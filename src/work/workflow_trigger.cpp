// What starts a workflow, and what the row of one must be.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/core/cron.hpp"
#include "core/text.hpp"
#include "store/value_rules.hpp"
#include "work/workflow_graph.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

const std::string* text_of(const Json& json, std::string_view member) {
  const Json* value = json.find(member);
  return value == nullptr ? nullptr : value->as_string();
}

Result<void> only(const Json& json, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : *json.as_object()) {
    if (name == "on" || std::find(known.begin(), known.end(), name) != known.end()) continue;
    return refuse_at("trigger." + name,
                     fmt::format("is not known here; it has on, {}", fmt::join(known, ", ")));
  }
  return {};
}

Result<void> read_schedule(const Json& json, WorkflowTrigger& trigger) {
  BUREAU_TRY_VOID(only(json, {"cron", "zone", "catch_up", "overlap", "input"}));
  const std::string* cron = text_of(json, "cron");
  if (cron == nullptr) return refuse_at("trigger.cron", "expected a cron expression");
  if (auto parsed = CronExpression::parse(*cron); !parsed) {
    return refuse_at("trigger.cron", parsed.error());
  }
  trigger.cron = *cron;
  for (auto [member, to] : {std::pair{"zone", &trigger.zone},
                            {"catch_up", &trigger.catch_up},
                            {"overlap", &trigger.overlap}}) {
    if (json.find(member) == nullptr) continue;
    const std::string* text = text_of(json, member);
    if (text == nullptr) return refuse_at(fmt::format("trigger.{}", member), "expected a text");
    *to = *text;
  }
  constexpr std::array catch_ups{"none", "last", "all"};
  if (std::find(catch_ups.begin(), catch_ups.end(), trigger.catch_up) == catch_ups.end()) {
    return refuse_at("trigger.catch_up", "expected none, last or all");
  }
  if (trigger.overlap != "skip" && trigger.overlap != "queue") {
    return refuse_at("trigger.overlap", "expected skip or queue");
  }
  if (const Json* input = json.find("input")) trigger.input = *input;
  if (trigger.input.as_object() == nullptr) return refuse_at("trigger.input", "expected an object");
  return {};
}

Result<void> read_change(const Json& json, WorkflowTrigger& trigger) {
  BUREAU_TRY_VOID(only(json, {"table", "changes", "where"}));
  const std::string* table = text_of(json, "table");
  if (table == nullptr) return refuse_at("trigger.table", "expected the name of a table");
  trigger.table = *table;
  const Json* changes = json.find("changes");
  const Json::Array* items = changes == nullptr ? nullptr : changes->as_array();
  if (items == nullptr || items->empty()) {
    return refuse_at("trigger.changes", "expected a list of insert, update and remove");
  }
  for (const Json& item : *items) {
    const std::string* name = item.as_string();
    if (name != nullptr && *name == "insert") {
      trigger.inserts = true;
    } else if (name != nullptr && *name == "update") {
      trigger.updates = true;
    } else if (name != nullptr && *name == "remove") {
      trigger.removals = true;
    } else {
      return refuse_at("trigger.changes", "expected a list of insert, update and remove");
    }
  }
  if (const Json* where = json.find("where")) trigger.where = *where;
  return {};
}

void columns_of(const Predicate::NodePtr& node, std::vector<std::uint16_t>& out) {
  if (node == nullptr) return;
  if (node->column != nullptr) out.push_back(node->column->index);
  for (const auto& child : node->children) columns_of(child, out);
}

/// The tables that workflows themselves write: a workflow that such a change starts would feed
/// itself.
bool feeds_itself(std::string_view table) {
  for (const std::string_view own :
       {"tasks", "run_steps", "run_signals", "approvals", "schedules", "schedule_occurrences",
        "workflows", "workflow_forms", "workflow_cursors"}) {
    if (table == own) return true;
  }
  return false;
}

Result<const TableInfo*> table_named(const Catalog& catalog, const std::string& name) {
  const std::string place = "trigger.table";
  const TableInfo* table = name.starts_with("bureau_") ? nullptr : catalog.find(name);
  if (table == nullptr) {
    return refuse_at(place, fmt::format("there is no table \"{}\"", shortened(name)));
  }
  if (table->journal == journal::Mode::none) {
    return refuse_at(place,
                     fmt::format("\"{}\" has no journal: nobody hears of its changes", name));
  }
  if (table->tenant == TableInfo::absent) {
    return refuse_at(place, fmt::format("\"{}\" belongs to no tenant", name));
  }
  if (feeds_itself(name)) {
    return refuse_at(place, fmt::format("\"{}\" is written by workflows themselves, which would "
                                        "never rest",
                                        name));
  }
  return table;
}

Result<Predicate> condition_of(const TableInfo& table, const Json& where) {
  if (where.is_null()) return Predicate();
  const std::string place = "trigger.where";
  const std::string* text = where.as_string();
  auto read = text != nullptr ? Predicate::parse(table, *text) : Predicate::from_json(table, where);
  if (!read) return refuse_at(place, read.error());
  if (read->has_variables() || read->uses_now() || read->has_select()) {
    return refuse_at(place,
                     "variables, now() and sub-selects mean nothing here: it is about the changed "
                     "row alone");
  }
  std::vector<std::uint16_t> columns;
  columns_of(read->node(), columns);
  for (const std::uint16_t column : columns) {
    if (!table.columns[column].personal) continue;
    return refuse_at(place, fmt::format("{} is personal: its history may be erased",
                                        table.columns[column].name));
  }
  return read;
}

}  // namespace

Result<WorkflowTrigger> read_trigger(const Json& json) {
  WorkflowTrigger trigger;
  const std::string* on = json.as_object() == nullptr ? nullptr : text_of(json, "on");
  if (on != nullptr && *on == "manual") {
    BUREAU_TRY_VOID(only(json, {}));
    return trigger;
  }
  if (on != nullptr && *on == "event") {
    trigger.on = WorkflowTrigger::On::event;
    BUREAU_TRY_VOID(only(json, {"event"}));
    const std::string* event = text_of(json, "event");
    if (event == nullptr || event->empty() || event->size() > 100) {
      return refuse_at("trigger.event", "expected a name of 1 to 100 bytes");
    }
    trigger.event = *event;
    return trigger;
  }
  if (on != nullptr && *on == "schedule") {
    trigger.on = WorkflowTrigger::On::schedule;
    BUREAU_TRY_VOID(read_schedule(json, trigger));
    return trigger;
  }
  if (on != nullptr && *on == "change") {
    trigger.on = WorkflowTrigger::On::change;
    BUREAU_TRY_VOID(read_change(json, trigger));
    return trigger;
  }
  return refuse_at("trigger.on", "expected manual, schedule, change or event");
}

Result<ChangeTrigger> compile_trigger(const WorkflowTrigger& trigger, const Catalog& catalog) {
  ChangeTrigger out;
  out.inserts = trigger.inserts;
  out.updates = trigger.updates;
  out.removals = trigger.removals;
  BUREAU_TRY(out.table, table_named(catalog, trigger.table));
  BUREAU_TRY(out.where, condition_of(*out.table, trigger.where));
  columns_of(out.where.node(), out.asks);
  return out;
}

/// An update counts when something is changed that the condition asks about: not again whenever
/// anything else of a row changes that matches.
Result<bool> ChangeTrigger::fires(const Change& change) const {
  const bool wanted = change.kind == ChangeKind::insert   ? inserts
                      : change.kind == ChangeKind::update ? updates
                                                          : removals;
  if (!wanted) return false;
  if (change.kind == ChangeKind::update && !asks.empty() &&
      std::none_of(change.changed.begin(), change.changed.end(), [&](std::uint16_t column) {
        return std::find(asks.begin(), asks.end(), column) != asks.end();
      })) {
    return false;
  }
  const auto row = change.after.empty() ? change.before : change.after;
  if (row.empty()) return false;
  BUREAU_TRY(const Truth truth, evaluate(where, row));
  return truth == Truth::yes;
}

Result<void> check_workflow_name(std::string_view name) {
  const auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  const bool good = !name.empty() && name.size() <= 64 && name[0] >= 'a' && name[0] <= 'z' &&
                    std::all_of(name.begin(), name.end(), inner);
  if (good) return {};
  return refuse_at("name", fmt::format("\"{}\" is none: [a-z][a-z0-9_-]*, at most 64 bytes",
                                       is_valid_text(name) ? shortened(name) : "(not UTF-8)"));
}

Result<void> check_workflow_row(std::span<const Value> before, std::span<const Value> after) {
  Workflow is;
  from_values(after, is);
  BUREAU_TRY_VOID(check_workflow_name(is.name));
  Workflow was;
  if (before.empty()) {
    if (is.status != WorkflowStatus::draft || is.changes_after != 0 || is.changes_until) {
      return fail(Code::invalid, "status: a version begins as a draft", "status");
    }
  } else {
    from_values(before, was);
    const auto& all = names<WorkflowStatus>;
    if (was.status != is.status && std::none_of(workflow_transitions.begin(),
                                                workflow_transitions.end(), [&](const auto& edge) {
                                                  return edge.from == was.status &&
                                                         edge.to == is.status;
                                                })) {
      return fail(Code::conflict,
                  fmt::format("status: a version that is {} cannot become {}",
                              all[static_cast<std::size_t>(was.status)],
                              all[static_cast<std::size_t>(is.status)]),
                  "status");
    }
    const bool same = was.name == is.name && was.number == is.number && was.trigger == is.trigger &&
                      was.definition == is.definition && was.starters == is.starters;
    if (same) return {};
    if (was.status != WorkflowStatus::draft) {
      return fail(Code::conflict,
                  fmt::format("status: a version that is {} stays as it is; save a new one",
                              all[static_cast<std::size_t>(was.status)]),
                  "status");
    }
  }
  BUREAU_TRY(const WorkflowTrigger trigger, read_trigger(is.trigger));
  const bool change = trigger.on == WorkflowTrigger::On::change;
  if (!change) {
    BUREAU_TRY_VOID(WorkflowGraph::read(is.definition, nullptr, nullptr));
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
