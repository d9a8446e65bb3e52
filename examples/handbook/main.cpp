// What the pages of docs/ show: each piece of C++ in them stands here as it is there (tests/tidy
// sees to it), compiled and run.

#include <bureau/bureau.hpp>
#include <cstdio>

using namespace bureau;

namespace {

/// Somebody's visit to a customer, as a host's own entity.
struct Visit {
  Id<Visit> id;
  Id<Tenant> tenant;
  std::string place;
  std::string status = "planned";
  std::optional<Id<User>> assignee;
  std::optional<Id<Team>> team;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

}  // namespace

template <>
inline constexpr auto bureau::schema<Visit> = bureau::table(
    "visits", "vis", bureau::journal::full, bureau::column("id", &Visit::id),
    bureau::column("tenant", &Visit::tenant), bureau::column("place", &Visit::place),
    bureau::column("status", &Visit::status), bureau::column("assignee", &Visit::assignee),
    bureau::column("team", &Visit::team), bureau::column("version", &Visit::version),
    bureau::column("created_at", &Visit::created_at),
    bureau::column("updated_at", &Visit::updated_at));

namespace {

/// docs/access.md
Result<Policies> make_policies() {
  Policies policies;
  BUREAU_TRY_VOID(policies.add(
      {.name = "own", .table = "visits", .using_rule = "assignee = $user", .roles = {"agent"}}));
  BUREAU_TRY_VOID(
      policies.add({.name = "team",
                    .table = "visits",
                    .command = Command::select,
                    .using_rule = "team in (select team from memberships where user = $user)"}));
  BUREAU_TRY_VOID(policies.add({.name = "no closed ones",
                                .table = "visits",
                                .command = Command::update,
                                .mode = PolicyMode::restrictive,
                                .using_rule = "status != \"closed\""}));
  BUREAU_TRY_VOID(policies.add({.name = "agents keep the log",
                                .table = "visits",
                                .using_rule = Rule::always(),
                                .roles = {"agent"},
                                .of = PrincipalKind::agent}));
  BUREAU_TRY_VOID(policies.hide(
      {.name = "contact data", .table = "users", .columns = {"email"}, .roles = {"agent"}}));
  BUREAU_TRY_VOID(policies.hide(
      {.name = "personal", .table = "contacts", .personal = true, .except = {"admin", "manager"}}));
  return policies;
}

/// docs/rewards.md
Result<void> reward(const std::unique_ptr<Engine>& engine, const Session& session) {
  const Criteria won{.table = "deals", .where = "state = \"won\"", .user = "owner"};
  BUREAU_TRY_VOID(Achievements{session}.save({.key = "closer",
                                              .name = "Closer",
                                              .rarity = Rarity::rare,
                                              .points = 100,
                                              .criteria = won,
                                              .target = 25}));
  BUREAU_TRY_VOID(Points{session}.save_rule(
      {.key = "won", .name = "A deal was won", .criteria = won, .points = 10, .cap_per_day = 100}));
  return engine->add(std::make_shared<RewardsAgent>(engine->access()));
}

/// docs/cron.md
struct Week {
  std::int64_t number = 0;
};

}  // namespace

template <>
inline constexpr auto bureau::record<Week> = bureau::fields(bureau::column("number",
                                                                           &Week::number));

namespace {

inline constexpr auto write_report =
    task_kind<Week, Nothing>("write_report", Effect::database, retry::fixed(3, Duration(0)));

Result<void> recur(const Session& session) {
  NewSchedule weekly{.name = "weekly report", .expression = "0 9 * * MON"};
  weekly.zone = "Europe/Berlin";
  weekly.catch_up = CatchUp::last;
  BUREAU_TRY(auto schedule, Schedules{session}.save(weekly, write_report, Week{0}));
  BUREAU_TRY(auto next, Schedules{session}.upcoming(schedule.id, 10));
  return next.size() == 10 ? Result<void>() : fail(Code::internal, "ten Mondays are still to come");
}

Result<void> keep_house(const std::unique_ptr<Engine>& engine, Id<Tenant> tenant) {
  BUREAU_TRY_VOID(engine->add(std::make_shared<HousekeepingAgent>(
      engine->access(), HousekeepingOptions{.machine = make_machine("office.db")})));
  HousekeepingPlan plan;
  plan.keep.days = 30;
  plan.keep.kinds = Json::object({{"draft_reply", Json::object({{"completed", 7}})}});
  BUREAU_TRY(const auto jobs, switch_on_housekeeping(engine->system(tenant), plan));
  return jobs.size() == 4 ? Result<void>() : fail(Code::internal, "there are four jobs");
}

/// docs/feed.md and docs/predicates.md
Result<void> watch(const std::unique_ptr<Engine>& engine, const Session& session) {
  BUREAU_TRY(const auto subscription,
             engine->feed().subscribe<Ticket>(
                 session, {.where = col(&Ticket::state) == TicketState::fresh},
                 [](const RowEvent<Ticket>& event) {
                   std::printf("%s\n", std::string(to_string(event.kind)).c_str());
                 }));
  User ada;
  ada.email = "ada@example.com";
  ada.role = "customer";
  BUREAU_TRY(ada, Repository<User>(session).insert(ada));
  BUREAU_TRY(auto opened, session.write([&](Unit& unit) {
    return Tickets{unit}.open({.body = "My grinder howls.", .customer = ada.id});
  }));
  while (engine->poll({.tasks = 10}).ran > 0) {
  }
  const std::vector<Id<Team>> my_teams;
  const Predicate mine =
      col(&Ticket::priority) >= Priority::high && col(&Ticket::team).in(my_teams);
  std::printf("%s\n", mine.to_text().c_str());
  return {};
}

Result<void> run(const char* path) {
  BUREAU_TRY(auto policies, make_policies());
  EngineOptions options;
  options.path = path;
  options.tables = {&table_of<Visit>()};
  options.policies = std::move(policies);
  BUREAU_TRY(auto engine, Engine::open(std::move(options)));
  BUREAU_TRY(const Tenant tenant, engine->access().create_tenant("Larkfield"));
  const Session session = engine->system(tenant.id);
  BUREAU_TRY_VOID(support::create_default_statuses(session));
  BUREAU_TRY_VOID(reward(engine, session));
  BUREAU_TRY_VOID(recur(session));
  BUREAU_TRY_VOID(keep_house(engine, tenant.id));
  BUREAU_TRY_VOID(engine->start_polled());
  BUREAU_TRY_VOID(watch(engine, session));
  return engine->stop();
}

}  // namespace

int main(int argc, char** argv) {
  const auto outcome = run(argc > 1 ? argv[1] : "handbook.db");
  if (outcome) return 0;
  std::fprintf(stderr, "handbook: %s\n", to_string(outcome.error()).c_str());
  return 1;
}
