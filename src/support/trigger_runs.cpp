#include "support/trigger_runs.hpp"

#include <fmt/format.h>

#include <deque>
#include <set>
#include <unordered_map>

#include "access/rights.hpp"
#include "bureau/support/tickets.hpp"
#include "store/row_values.hpp"
#include "support/actions.hpp"
#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

Result<Predicate> row_condition(const TableInfo& table, const Catalog& catalog,
                                std::string_view field, std::string_view text) {
  if (text.empty()) return Predicate();
  auto parsed = Predicate::parse(table, text, &catalog);
  if (!parsed) {
    return fail(Code::invalid, fmt::format("{}: {}", field, parsed.error().message),
                std::string(field));
  }
  if (!parsed->has_variables() && !parsed->has_select()) return parsed;
  return fail(Code::invalid,
              fmt::format("{}: it has variables or a sub-select; a trigger's condition is about "
                          "the one row alone",
                          field),
              std::string(field));
}

namespace {

/// A trigger that is ready to be asked.
struct Ready {
  std::int64_t id = 0;
  std::string name;
  std::array<bool, names<TicketEvent>.size()> events{};
  Predicate condition, message_condition;
  std::vector<TicketAction> actions;
};
using ReadySet = std::vector<Ready>;

Result<Ready> make_ready(const Trigger& trigger, const Catalog& catalog) {
  Ready ready;
  ready.id = trigger.id.value;
  ready.name = trigger.name;
  for (std::size_t i = 0; i < names<TicketEvent>.size(); ++i) {
    ready.events[i] = std::find(trigger.events.begin(), trigger.events.end(),
                                names<TicketEvent>[i]) != trigger.events.end();
  }
  BUREAU_TRY(ready.condition,
             row_condition(table_of<Ticket>(), catalog, "condition", trigger.condition));
  BUREAU_TRY(
      ready.message_condition,
      row_condition(table_of<Message>(), catalog, "message_condition", trigger.message_condition));
  BUREAU_TRY(ready.actions, actions_from_json(trigger.actions));
  return ready;
}

Result<std::shared_ptr<const ReadySet>> load(Unit& unit) {
  Database& database = unit.transaction().database();
  std::vector<Trigger> rows;
  BUREAU_TRY_VOID(unit.transaction().reader().scan(
      select<Trigger>()
          .where(col(&Trigger::tenant) == unit.session().principal().tenant &&
                 col(&Trigger::active) == true)
          .order_by(col(&Trigger::position)),
      [&](std::span<const Value> row) -> Result<bool> {
        from_values(row, rows.emplace_back());
        return true;
      }));
  auto set = std::make_shared<ReadySet>();
  for (const Trigger& trigger : rows) {
    auto ready = make_ready(trigger, database.catalog());
    if (ready) {
      set->push_back(*std::move(ready));
      continue;
    }
    // It was good when it was saved: the program has changed since.
    log(database.log(), LogLevel::error, "trigger", "cannot be used any more",
        {{"trigger", std::string_view(trigger.name)},
         {"error", std::string_view(ready.error().message)}});
  }
  return std::shared_ptr<const ReadySet>(std::move(set));
}

/// The triggers of every tenant that has been asked about, each as of an epoch of its rights.
struct Cache {
  struct Entry {
    std::int64_t epoch = -1;
    std::shared_ptr<const ReadySet> set;
  };
  std::mutex mutex;
  std::unordered_map<std::int64_t, Entry> tenants;
};

Result<std::shared_ptr<const ReadySet>> triggers_of(Unit& unit) {
  // What this transaction has changed itself may never be committed.
  if (unit.transaction().changed_rights()) return load(unit);
  Access::Impl& access = *unit.session().state().access;
  Cache* cache = nullptr;
  {
    const std::lock_guard lock(access.slots_mutex);
    cache = &access.slots.of<Cache>();
  }
  const std::int64_t tenant = unit.session().principal().tenant.value;
  BUREAU_TRY(const std::int64_t epoch,
             access.database.rights_epoch(unit.transaction().reader(), tenant));
  {
    const std::lock_guard lock(cache->mutex);
    const auto found = cache->tenants.find(tenant);
    if (found != cache->tenants.end() && found->second.epoch == epoch) return found->second.set;
  }
  BUREAU_TRY(auto set, load(unit));
  const std::lock_guard lock(cache->mutex);
  cache->tenants[tenant] = {epoch, set};
  return set;
}

/// What the triggers of one transaction have done, and have yet to look at.
struct Running {
  struct Happened {
    Id<Ticket> ticket;
    TicketEvent event;
    std::optional<Message> message;
  };
  std::shared_ptr<const ReadySet> set;
  std::deque<Happened> waiting;
  std::set<std::pair<std::int64_t, std::int64_t>> acted;  // trigger, ticket
  bool busy = false;
};

Result<bool> holds(Unit& unit, const Ready& trigger, const Running::Happened& happened) {
  if (happened.message && !trigger.message_condition.is_always()) {
    const RowValues row(*happened.message);
    BUREAU_TRY(const Truth truth, evaluate(trigger.message_condition.at(unit.now()), row.values()));
    if (truth != Truth::yes) return false;
  }
  bool yes = false;
  const Predicate condition = trigger.condition.at(unit.now());
  BUREAU_TRY_VOID(unit.transaction().reader().find(
      table_of<Ticket>(), happened.ticket.value, [&](std::span<const Value> row) -> Result<bool> {
        BUREAU_TRY(const Truth truth, evaluate(condition, row));
        yes = truth == Truth::yes;
        return true;
      }));
  return yes;
}

bool may_pass_over(Code code) {
  return code == Code::invalid || code == Code::not_found || code == Code::conflict ||
         code == Code::exists;
}

Result<void> follow(Unit& unit, Running& running, const Running::Happened& happened) {
  const Session system = system_beside(unit.session());
  Unit acting(system, unit.transaction());
  for (const Ready& trigger : *running.set) {
    if (!trigger.events[static_cast<std::size_t>(happened.event)]) continue;
    if (running.acted.contains({trigger.id, happened.ticket.value})) continue;
    BUREAU_TRY(const bool yes, holds(acting, trigger, happened));
    if (!yes) continue;
    running.acted.emplace(trigger.id, happened.ticket.value);
    BUREAU_TRY_VOID(
        do_actions(acting, happened.ticket, trigger.actions,
                   [&](const TicketAction& action, const Error& error) -> Result<void> {
                     if (!may_pass_over(error.code)) return fail(error);
                     log(unit.transaction().database().log(), LogLevel::warning, "trigger",
                         "an action was passed over",
                         {{"trigger", std::string_view(trigger.name)},
                          {"action", names<ActionKind>[static_cast<std::size_t>(action.kind)]},
                          {"error", std::string_view(error.message)}});
                     return {};
                   }));
  }
  return {};
}

}  // namespace

Result<void> run_triggers(Unit& unit, Id<Ticket> ticket, TicketEvent event,
                          const Message* message) {
  Running& running = unit.transaction().typed_slots().of<Running>();
  if (!running.set || (!running.busy && unit.transaction().changed_rights())) {
    BUREAU_TRY(running.set, triggers_of(unit));
  }
  if (running.set->empty()) return {};
  running.waiting.push_back(
      {ticket, event, message == nullptr ? std::nullopt : std::optional(*message)});
  if (running.busy) return {};  // whoever is at it comes to this one too
  running.busy = true;
  Result<void> outcome;
  while (outcome && !running.waiting.empty()) {
    const Running::Happened next = std::move(running.waiting.front());
    running.waiting.pop_front();
    outcome = follow(unit, running, next);
  }
  running.busy = false;
  return outcome;
}

Result<Ticket> told(Unit& unit, Ticket saved, TicketEvent event) {
  const Id<Ticket> id = saved.id;
  Running& running = unit.transaction().typed_slots().of<Running>();
  const std::size_t before = running.acted.size();
  BUREAU_TRY_VOID(run_triggers(unit, id, event, nullptr));
  if (running.acted.size() == before) return as_seen(unit, std::move(saved));
  BUREAU_TRY_VOID(unit.transaction().reader().find(table_of<Ticket>(), id.value,
                                                   [&](std::span<const Value> row) -> Result<bool> {
                                                     from_values(row, saved);
                                                     return true;
                                                   }));
  return as_seen(unit, std::move(saved));
}

}  // namespace detail
BUREAU_END_NAMESPACE
