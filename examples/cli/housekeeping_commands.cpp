// `bureau housekeeping`: has the office measure itself and clean up.

#include <fmt/format.h>

#include <memory>

#include "bureau/work/housekeeping.hpp"
#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

struct HousekeepingGiven {
  std::vector<std::string> without;
  std::int64_t days = CleanupPayload{}.days;
  std::optional<std::int64_t> dead_days;
  std::string kinds;
};

Result<HousekeepingPlan> plan_of(const HousekeepingGiven& given) {
  HousekeepingPlan plan;
  for (const std::string& job : given.without) {
    if (job == "agent-heartbeat") plan.heartbeat.clear();
    if (job == "system-metrics") plan.metrics.clear();
    if (job == "task-processor") plan.processor.clear();
    if (job == "cleanup-logs") plan.cleanup.clear();
  }
  plan.keep.days = given.days;
  plan.keep.dead_days = given.dead_days;
  if (given.kinds.empty()) return plan;
  auto kinds = Json::parse(given.kinds);
  if (!kinds) return fail(Code::invalid, "--kinds: " + kinds.error().message, "kinds");
  plan.keep.kinds = *std::move(kinds);
  return plan;
}

Result<void> switch_on(const Office& office, const HousekeepingGiven& given) {
  BUREAU_TRY(const HousekeepingPlan plan, plan_of(given));
  BUREAU_TRY(const auto schedules, switch_on_housekeeping(office.session(), plan));
  for (const Schedule& schedule : schedules) {
    fmt::print("{:<17}{:<14}{}\n", schedule.name, schedule.expression,
               schedule.status == ScheduleStatus::paused ? "paused"
                                                         : "next " + schedule.next_at.to_string());
  }
  return {};
}

}  // namespace

void add_housekeeping_commands(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<HousekeepingGiven>();
  auto* housekeeping = app.add_subcommand(
      "housekeeping", "heartbeats, measurements, a look at the backlog, and the clean-up");
  housekeeping->require_subcommand(1);
  auto* on = housekeeping->add_subcommand("on", "has the four jobs recur, while `work` runs");
  on->add_option("--without", given->without, "not this job")
      ->check(
          CLI::IsMember({"agent-heartbeat", "system-metrics", "task-processor", "cleanup-logs"}));
  on->add_option("--days", given->days, "how long finished tasks, histories and metrics are kept")
      ->capture_default_str();
  on->add_option("--dead-days", given->dead_days,
                 "how long tasks that were given up are kept; else until they are removed by hand");
  on->add_option("--kinds", given->kinds,
                 R"(other days for some kinds, such as '{"draft_reply": {"completed": 7}}')");
  on->callback(in_office([given](Office& office) { return switch_on(office, *given); }));
  auto* off = housekeeping->add_subcommand("off", "removes their schedules; what they noted stays");
  off->callback(in_office([](Office& office) -> Result<void> {
    BUREAU_TRY(const auto removed, switch_off_housekeeping(office.session()));
    fmt::print("{} schedules removed\n", removed);
    return {};
  }));
}

}  // namespace cli
