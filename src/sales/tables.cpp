// The tables of sales/, and who may see and change their rows.

#include "bureau/sales/sales.hpp"
#include "sales/deal_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace sales {

Result<void> add_tables(Catalog& catalog) {
  for (const TableInfo* table : {&table_of<Account>(), &table_of<Contact>(), &table_of<Product>(),
                                 &table_of<Pipeline>(), &table_of<Stage>(), &table_of<Deal>(),
                                 &table_of<DealStageHistory>(), &table_of<DealActivity>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

namespace {

Policy permit(const std::string& name, std::string_view table, std::optional<Command> command,
              Rule rule, std::vector<std::string> roles) {
  Policy policy;
  policy.name = "sales: " + name;
  policy.table = table;
  policy.command = command;
  policy.using_rule = std::move(rule);
  policy.roles = std::move(roles);
  return policy;
}

/// What an AI agent may do, whatever its teams: it has none.
Result<void> permit_agents(Policies& policies, const std::string& name, std::string_view table,
                           std::vector<Command> commands, const Rule& rule) {
  for (const Command command : commands) {
    Policy policy =
        permit(name + ": " + std::string(to_string(command)), table, command, rule, {"agent"});
    policy.of = PrincipalKind::agent;
    BUREAU_TRY_VOID(policies.add(std::move(policy)));
  }
  return {};
}

/// What a seller works on: also the rule of the deal that an activity belongs to.
constexpr const char* at_hand = "team in ($teams) or owner = $user or team is null";
constexpr const char* of_deal_at_hand =
    "deal in (select id from deals where team in ($teams) or owner = $user or team is null)";

Result<void> add_deal_policies(Policies& policies) {
  BUREAU_TRY_VOID(
      policies.add(permit("agents see theirs", "deals", Command::select, at_hand, {"agent"})));
  BUREAU_TRY_VOID(
      policies.add(permit("agents open them", "deals", Command::insert, at_hand, {"agent"})));
  // A deal may be handed on to another team: what it becomes is not asked.
  Policy hand_on = permit("agents work on theirs", "deals", Command::update, at_hand, {"agent"});
  hand_on.check_rule = Rule::always();
  BUREAU_TRY_VOID(policies.add(std::move(hand_on)));
  return permit_agents(policies, "AI agents work on all", "deals",
                       {Command::select, Command::insert, Command::update}, Rule::always());
}

Result<void> add_activity_policies(Policies& policies) {
  Policy kinds = permit("what other programs tell is the system's", "deal_activities",
                        Command::insert, "kind < \"stage_change\"", {});
  kinds.mode = PolicyMode::restrictive;
  BUREAU_TRY_VOID(policies.add(std::move(kinds)));
  BUREAU_TRY_VOID(policies.add(
      permit("agents see theirs", "deal_activities", Command::select, of_deal_at_hand, {"agent"})));
  const std::string own = std::string("author = $user and ") + of_deal_at_hand;
  BUREAU_TRY_VOID(policies.add(permit("agents write in their own name", "deal_activities",
                                      Command::insert, own, {"agent"})));
  BUREAU_TRY_VOID(policies.add(
      permit("agents end their own", "deal_activities", Command::update, own, {"agent"})));
  BUREAU_TRY_VOID(permit_agents(policies, "AI agents see all", "deal_activities", {Command::select},
                                Rule::always()));
  return permit_agents(policies, "AI agents write in their own name", "deal_activities",
                       {Command::insert, Command::update}, "author is null");
}

/// Nobody but the library writes history.
Result<void> add_history_policies(Policies& policies) {
  BUREAU_TRY_VOID(policies.add(permit("managers see it", "deal_stage_history", Command::select,
                                      Rule::always(), {"admin", "manager"})));
  BUREAU_TRY_VOID(policies.add(permit("agents see theirs", "deal_stage_history", Command::select,
                                      of_deal_at_hand, {"agent"})));
  return permit_agents(policies, "AI agents see all", "deal_stage_history", {Command::select},
                       Rule::always());
}

}  // namespace

Result<void> add_policies(Policies& policies) {
  policies.require("deals", inside::check_deal_row);
  policies.require("deal_activities", inside::check_activity_row);
  for (const char* table :
       {"accounts", "contacts", "products", "pipelines", "stages", "deals", "deal_activities"}) {
    BUREAU_TRY_VOID(
        policies.add(permit("managers keep it", table, {}, Rule::always(), {"admin", "manager"})));
  }
  for (const char* table : {"accounts", "contacts", "products", "pipelines", "stages"}) {
    BUREAU_TRY_VOID(
        policies.add(permit("agents see it", table, Command::select, Rule::always(), {"agent"})));
  }
  for (const char* table : {"accounts", "contacts"}) {
    for (const Command command : {Command::insert, Command::update}) {
      BUREAU_TRY_VOID(policies.add(permit("agents keep it: " + std::string(to_string(command)),
                                          table, command, Rule::always(), {"agent"})));
    }
  }
  BUREAU_TRY_VOID(add_deal_policies(policies));
  BUREAU_TRY_VOID(add_activity_policies(policies));
  return add_history_policies(policies);
}

}  // namespace sales
BUREAU_END_NAMESPACE
