// The tables of support/, and who may see and change their rows.

#include "bureau/support/support.hpp"

BUREAU_BEGIN_NAMESPACE
namespace support {

Result<void> add_tables(Catalog& catalog) {
  for (const TableInfo* table :
       {&table_of<TicketStatus>(), &table_of<Ticket>(), &table_of<Message>(), &table_of<Workload>(),
        &table_of<TicketCounter>(), &table_of<ReplyTemplate>(), &table_of<TrainedModel>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

namespace {

Policy permit(const char* name, std::string_view table, std::optional<Command> command, Rule rule,
              std::vector<std::string> roles) {
  Policy policy;
  policy.name = std::string("support: ") + name;
  policy.table = table;
  policy.command = command;
  policy.using_rule = std::move(rule);
  policy.roles = std::move(roles);
  return policy;
}

/// What an AI agent may do, whatever its teams: it has none.
Result<void> permit_agents(Policies& policies, const char* name, std::string_view table,
                           Command command, Rule rule) {
  Policy policy = permit(name, table, command, std::move(rule), {"agent"});
  policy.of = PrincipalKind::agent;
  return policies.add(std::move(policy));
}

/// What an agent works on: also the rule of the ticket that a message belongs to.
constexpr const char* at_hand = "team in ($teams) or assignee = $user or team is null";
constexpr const char* message_at_hand =
    "ticket in (select id from tickets where team in ($teams) or assignee = $user or team is null)";

Result<void> add_ticket_policies(Policies& policies) {
  BUREAU_TRY_VOID(policies.add(
      permit("managers keep it", "tickets", {}, Rule::always(), {"admin", "manager"})));
  BUREAU_TRY_VOID(
      policies.add(permit("agents see theirs", "tickets", Command::select, at_hand, {"agent"})));
  BUREAU_TRY_VOID(
      policies.add(permit("agents open them", "tickets", Command::insert, at_hand, {"agent"})));
  // A ticket may be handed on to another team: what it becomes is not asked.
  Policy hand_on = permit("agents work on theirs", "tickets", Command::update, at_hand, {"agent"});
  hand_on.check_rule = Rule::always();
  BUREAU_TRY_VOID(policies.add(std::move(hand_on)));
  for (const Command command : {Command::select, Command::insert, Command::update}) {
    const std::string name = "AI agents work on all: " + std::string(to_string(command));
    BUREAU_TRY_VOID(permit_agents(policies, name.c_str(), "tickets", command, Rule::always()));
  }
  BUREAU_TRY_VOID(policies.add(permit("customers see their own", "tickets", Command::select,
                                      "customer = $user", {"customer"})));
  return policies.add(permit("customers open their own", "tickets", Command::insert,
                             "customer = $user and state = \"new\" and team is null and "
                             "assignee is null and priority <= \"normal\"",
                             {"customer"}));
}

Result<void> add_message_policies(Policies& policies) {
  BUREAU_TRY_VOID(policies.add(
      permit("managers keep it", "messages", {}, Rule::always(), {"admin", "manager"})));
  BUREAU_TRY_VOID(policies.add(
      permit("agents see theirs", "messages", Command::select, message_at_hand, {"agent"})));
  // In their own name; or what a customer said, at the telephone for example.
  BUREAU_TRY_VOID(policies.add(permit("agents write theirs", "messages", Command::insert,
                                      std::string("(sender = \"customer\" or (sender = \"agent\" "
                                                  "and author = $user)) and ") +
                                          message_at_hand,
                                      {"agent"})));
  BUREAU_TRY_VOID(
      policies.add(permit("agents review", "messages", Command::update,
                          std::string("kind = \"suggestion\" and ") + message_at_hand, {"agent"})));
  BUREAU_TRY_VOID(
      permit_agents(policies, "AI agents see all", "messages", Command::select, Rule::always()));
  BUREAU_TRY_VOID(permit_agents(policies, "AI agents write in their own name", "messages",
                                Command::insert, "sender = \"ai\" and author is null"));
  BUREAU_TRY_VOID(permit_agents(policies, "AI agents review", "messages", Command::update,
                                "kind = \"suggestion\""));
  BUREAU_TRY_VOID(policies.add(permit("customers see what is public", "messages", Command::select,
                                      "customer = $user and kind = \"public\"", {"customer"})));
  return policies.add(permit("customers write", "messages", Command::insert,
                             "customer = $user and author = $user and sender = \"customer\" and "
                             "kind = \"public\"",
                             {"customer"}));
}

}  // namespace

Result<void> add_policies(Policies& policies) {
  BUREAU_TRY_VOID(add_ticket_policies(policies));
  BUREAU_TRY_VOID(add_message_policies(policies));
  BUREAU_TRY_VOID(policies.add(permit("everybody sees it", "ticket_statuses", Command::select,
                                      Rule::always(), {"admin", "manager", "agent", "customer"})));
  for (const char* table : {"ticket_statuses", "reply_templates", "trained_models"}) {
    BUREAU_TRY_VOID(
        policies.add(permit("managers keep it", table, {}, Rule::always(), {"admin", "manager"})));
  }
  BUREAU_TRY_VOID(policies.add(
      permit("agents see it", "reply_templates", Command::select, Rule::always(), {"agent"})));
  return policies.add(permit("managers see it", "workloads", Command::select, Rule::always(),
                             {"admin", "manager"}));
}

}  // namespace support
BUREAU_END_NAMESPACE
