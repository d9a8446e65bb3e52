// The names of the library's entities and enumerations, as their declarations have them.

#include <array>
#include <map>
#include <utility>

#include "bridge.hpp"
#include "bureau/bureau.hpp"

namespace bureau_python {

namespace {

/// "Ticket" of bureau::...::Ticket: what the compiler says that T is.
template <class T>
constexpr std::string_view name_of_type() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  const auto colon = text.rfind(':');
  return colon == std::string_view::npos ? text : text.substr(colon + 1);
}

struct Names {
  std::map<const TableInfo*, std::string_view> entities;
  std::map<const std::string_view*, std::string_view> enums;
};

template <class M>
void note_enum(Names& out) {
  using Plain = typename detail::Unwrap<M>::type;
  if constexpr (std::is_enum_v<Plain>) {
    out.enums.emplace(names<Plain>.data(), name_of_type<Plain>());
  }
}

template <class T>
void note_entity(Names& out) {
  out.entities.emplace(&table_of<T>(), name_of_type<T>());
  detail::each_column(schema<T>.columns, [&out](const auto& column) {
    note_enum<typename std::remove_cvref_t<decltype(column)>::Member>(out);
  });
}

template <class... T>
Names note_all() {
  Names out;
  (note_entity<T>(out), ...);
  return out;
}

const Names& all_names() {
  static const auto* names = new Names(
      note_all<Account, AgentConnection, AgentHeartbeat, AgentInteraction, AgentPresence, Approval,
               Achievement, Budget, BudgetUse, CannedReply, ConfiguredAgent, Contact, Deal,
               DealActivity, DealStageHistory, FlowRule, InboxItem, LeaderboardScore,
               LeaderboardSnapshot, Macro, Membership, Message, NetworkNode, Notification,
               NotificationChannel, NotificationDelivery, NotificationPreference, Pipeline,
               PointEntry, PointRule, Presence, Product, ReplyTemplate, Role, RunSignal, RunStep,
               SavedView, Schedule, ScheduleOccurrence, Spending, Stage, StreakDay, SystemMetric,
               Task, Team, Tenant, TenantShare, Ticket, TicketCounter, TicketLink, TicketStatus,
               TrainedModel, Trigger, User, UserAchievement, UserStats, Webhook, Workflow,
               WorkflowForm, Workload>());
  return *names;
}

}  // namespace

std::string_view enum_name(std::span<const std::string_view> names) {
  const auto found = all_names().enums.find(names.data());
  return found == all_names().enums.end() ? std::string_view() : found->second;
}

std::string_view entity_name(const TableInfo& table) {
  const auto found = all_names().entities.find(&table);
  return found == all_names().entities.end() ? std::string_view() : found->second;
}

}  // namespace bureau_python
