// Macros and triggers as they are saved.

#include "bureau/support/automation.hpp"

#include "bureau/support/tickets.hpp"
#include "support/actions.hpp"
#include "support/shared_rows.hpp"
#include "support/trigger_runs.hpp"

BUREAU_BEGIN_NAMESPACE

Result<Macro> Macros::save(const NewMacro& given) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Macro> {
    BUREAU_TRY(const auto actions, detail::prepare_actions(Scope(unit), given.actions));
    Macro row;
    row.name = given.name;
    row.actions = to_json(actions);
    row.scope = given.scope;
    row.team = given.team;
    return detail::save_shared(unit, std::move(row), [](Macro& present, const Macro& now) {
      present.actions = now.actions;
    });
  });
}

Result<Macro> Macros::named(std::string_view name) const {
  return detail::nearest_named(rows_, "macro", name);
}

Result<BulkReport> Macros::apply(Id<Macro> macro, std::span<const Id<Ticket>> tickets,
                                 BulkMode mode) const {
  BUREAU_TRY(const Macro row, rows_.find(macro));
  BUREAU_TRY(auto actions, actions_from_json(row.actions));
  return Tickets{rows_.rows().scope()}.change_all(tickets, std::move(actions), mode);
}

Result<void> Macros::remove(Id<Macro> macro) const {
  return rows_.rows().scope().write([&](Unit& unit) {
    return detail::remove_own_row(unit, table_of<Macro>(), macro.value, detail::RuleKind::update);
  });
}

// Triggers -------------------------------------------------------------------------------------

namespace {

Result<std::vector<std::string>> event_names(const std::vector<TicketEvent>& events) {
  std::vector<std::string> out;
  for (const TicketEvent event : events) {
    const std::string name(detail::name_of(event));
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  if (!out.empty()) return out;
  return fail(Code::invalid, "events: none is given; a trigger follows at least one", "events");
}

Result<void> refuse_me(const std::vector<TicketAction>& actions) {
  for (const TicketAction& action : actions) {
    const std::string* text = action.value.as_string();
    if (action.kind != ActionKind::set_assignee || text == nullptr || *text != "me") continue;
    return fail(Code::invalid,
                "actions: set_assignee: \"me\" is nobody in a trigger, which acts as the system",
                "actions");
  }
  return {};
}

Result<Trigger> make_trigger(Unit& unit, const NewTrigger& given) {
  Trigger row;
  row.name = given.name;
  row.position = given.position;
  row.active = given.active;
  BUREAU_TRY(row.events, event_names(given.events));
  const Catalog& catalog = unit.transaction().database().catalog();
  BUREAU_TRY_VOID(detail::row_condition(table_of<Ticket>(), catalog, "condition", given.condition));
  BUREAU_TRY_VOID(detail::row_condition(table_of<Message>(), catalog, "message_condition",
                                        given.message_condition));
  const bool of_messages =
      row.events.size() == 1 && given.events.front() == TicketEvent::message_added;
  if (!given.message_condition.empty() && !of_messages) {
    return fail(Code::invalid,
                "message_condition: it is given, but message_added is not the one event",
                "message_condition");
  }
  row.condition = given.condition;
  row.message_condition = given.message_condition;
  // They act with the system's rights, and so are looked at with them.
  const Session system = detail::system_beside(unit.session());
  Unit acting(system, unit.transaction());
  BUREAU_TRY(const auto actions, detail::prepare_actions(Scope(acting), given.actions));
  BUREAU_TRY_VOID(refuse_me(actions));
  row.actions = to_json(actions);
  return row;
}

}  // namespace

Result<Trigger> Triggers::save(const NewTrigger& given) const {
  BUREAU_TRY_VOID(detail::check_body("name", given.name, detail::max_shared_name));
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Trigger> {
    BUREAU_TRY(Trigger row, make_trigger(unit, given));
    const Repository<Trigger> rows{Scope(unit)};
    BUREAU_TRY(auto present, rows.first(col(&Trigger::name) == row.name));
    if (!present) return rows.insert(std::move(row));
    detail::succeed(*present, row);
    return rows.update(std::move(row));
  });
}

Result<void> Triggers::remove(Id<Trigger> trigger) const { return rows_.remove(trigger); }

BUREAU_END_NAMESPACE
