// The tables of notify/, and who may see and change their rows.

#include "bureau/notify/notifications.hpp"

BUREAU_BEGIN_NAMESPACE
namespace notify {

Result<void> add_tables(Catalog& catalog) {
  for (const TableInfo* table :
       {&table_of<Notification>(), &table_of<NotificationDelivery>(),
        &table_of<NotificationChannel>(), &table_of<NotificationPreference>(),
        &table_of<InboxItem>(), &table_of<Webhook>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

namespace {

Policy permit(const std::string& name, std::string_view table, std::optional<Command> command,
              Rule rule, std::vector<std::string> roles = {}) {
  Policy policy;
  policy.name = "notify: " + name;
  policy.table = table;
  policy.command = command;
  policy.using_rule = std::move(rule);
  policy.roles = std::move(roles);
  return policy;
}

}  // namespace

Result<void> add_policies(Policies& policies) {
  for (const char* table : {"notifications", "notification_preferences", "inbox_items"}) {
    BUREAU_TRY_VOID(policies.add(permit("own", table, Command::select, "user = $user")));
  }
  BUREAU_TRY_VOID(
      policies.add(permit("own", "notification_deliveries", Command::select,
                          "notification in (select id from notifications where user = $user)")));
  for (const char* table : {"notifications", "notification_deliveries"}) {
    BUREAU_TRY_VOID(policies.add(
        permit("managers see all", table, Command::select, Rule::always(), {"admin", "manager"})));
  }
  BUREAU_TRY_VOID(policies.add(permit("agents notify", "notifications", Command::insert,
                                      Rule::always(), {"admin", "manager", "agent"})));
  BUREAU_TRY_VOID(policies.add(permit("admins settle", "notification_deliveries", Command::update,
                                      Rule::always(), {"admin"})));
  return policies.add(
      permit("managers keep it", "webhooks", {}, Rule::always(), {"admin", "manager"}));
}

}  // namespace notify
BUREAU_END_NAMESPACE
