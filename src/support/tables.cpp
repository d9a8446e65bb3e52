// The tables of support/, and who may see and change their rows.

#include "bureau/support/support.hpp"
#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace support {

Result<void> add_tables(Catalog& catalog) {
  for (const TableInfo* table :
       {&table_of<TicketStatus>(), &table_of<Ticket>(), &table_of<Message>(), &table_of<Workload>(),
        &table_of<TicketCounter>(), &table_of<TicketLink>(), &table_of<SavedView>(),
        &table_of<CannedReply>(), &table_of<Macro>(), &table_of<Trigger>(), &table_of<Presence>(),
        &table_of<ReplyTemplate>(), &table_of<TrainedModel>()}) {
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
                             "assignee is null and priority <= \"normal\" and merged_into is null",
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

/// A link shows that there is another ticket, so both must be in sight.
Result<void> add_link_policies(Policies& policies) {
  constexpr const char* both_at_hand =
      "a in (select id from tickets where team in ($teams) or assignee = $user or team is null) "
      "and "
      "b in (select id from tickets where team in ($teams) or assignee = $user or team is null)";
  BUREAU_TRY_VOID(policies.add(
      permit("managers keep it", "ticket_links", {}, Rule::always(), {"admin", "manager"})));
  BUREAU_TRY_VOID(policies.add(permit("agents see those of theirs", "ticket_links", Command::select,
                                      both_at_hand, {"agent"})));
  BUREAU_TRY_VOID(policies.add(
      permit("agents link theirs", "ticket_links", Command::insert, both_at_hand, {"agent"})));
  for (const Command command : {Command::select, Command::insert}) {
    const std::string name = "AI agents link all: " + std::string(to_string(command));
    BUREAU_TRY_VOID(permit_agents(policies, name.c_str(), "ticket_links", command, Rule::always()));
  }
  return {};
}

/// Views, macros, canned replies: one's own, the teams', the office's.
Result<void> add_shared_policies(Policies& policies) {
  constexpr const char* in_reach =
      "scope = \"office\" or owner = $user or (scope = \"team\" and team in ($teams))";
  constexpr const char* own_or_team =
      "owner = $user and (scope = \"personal\" or (scope = \"team\" and team in ($teams)))";
  for (const char* table : {"views", "macros", "canned_responses"}) {
    BUREAU_TRY_VOID(
        policies.add(permit("managers keep all but what is another's own", table, {},
                            "scope != \"personal\" or owner = $user", {"admin", "manager"})));
    BUREAU_TRY_VOID(policies.add(
        permit("agents see what is shared", table, Command::select, in_reach, {"agent"})));
    for (const Command command : {Command::insert, Command::update}) {
      const std::string name = "agents keep theirs: " + std::string(to_string(command));
      BUREAU_TRY_VOID(policies.add(permit(name.c_str(), table, command, own_or_team, {"agent"})));
    }
  }
  return {};
}

Result<void> add_presence_policies(Policies& policies) {
  Policy seen = permit("agents see who is at theirs", "presences", Command::select, message_at_hand,
                       {"agent"});
  BUREAU_TRY_VOID(policies.add(std::move(seen)));
  BUREAU_TRY_VOID(policies.add(permit("managers see all", "presences", Command::select,
                                      Rule::always(), {"admin", "manager"})));
  for (const Command command : {Command::insert, Command::update}) {
    const std::string name = "people say so themselves: " + std::string(to_string(command));
    BUREAU_TRY_VOID(policies.add(
        permit(name.c_str(), "presences", command, "user = $user", {"admin", "manager", "agent"})));
  }
  return {};
}

}  // namespace

Result<void> add_policies(Policies& policies) {
  policies.follow("triggers");
  policies.require("tickets", detail::check_ticket_row);
  BUREAU_TRY_VOID(add_shared_policies(policies));
  BUREAU_TRY_VOID(add_presence_policies(policies));
  BUREAU_TRY_VOID(add_ticket_policies(policies));
  BUREAU_TRY_VOID(add_message_policies(policies));
  BUREAU_TRY_VOID(add_link_policies(policies));
  BUREAU_TRY_VOID(policies.add(permit("everybody sees it", "ticket_statuses", Command::select,
                                      Rule::always(), {"admin", "manager", "agent", "customer"})));
  for (const char* table : {"ticket_statuses", "reply_templates", "trained_models", "triggers"}) {
    BUREAU_TRY_VOID(
        policies.add(permit("managers keep it", table, {}, Rule::always(), {"admin", "manager"})));
  }
  BUREAU_TRY_VOID(policies.add(
      permit("agents see it", "reply_templates", Command::select, Rule::always(), {"agent"})));
  BUREAU_TRY_VOID(policies.add(
      permit("agents see them", "triggers", Command::select, Rule::always(), {"agent"})));
  return policies.add(permit("managers see it", "workloads", Command::select, Rule::always(),
                             {"admin", "manager"}));
}

}  // namespace support
BUREAU_END_NAMESPACE
