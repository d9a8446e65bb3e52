// A policy with a sub-select, beside the same query written by hand in C.

#include "bench.hpp"
#include "office.hpp"

namespace policies_bench {
/// A host's own row that belongs to a team.
struct Paper {
  bureau::Id<Paper> id;
  bureau::Id<bureau::Tenant> tenant;
  std::optional<bureau::Id<bureau::Team>> team;
  std::string title, body;
  std::int64_t pages = 0;
};
}  // namespace policies_bench
template <>
inline constexpr auto bureau::schema<policies_bench::Paper> = bureau::table(
    "papers", "pap", bureau::journal::full, bureau::column("id", &policies_bench::Paper::id),
    bureau::column("tenant", &policies_bench::Paper::tenant),
    bureau::column("team", &policies_bench::Paper::team),
    bureau::column("title", &policies_bench::Paper::title, bureau::max_length(200)),
    bureau::column("body", &policies_bench::Paper::body, bureau::max_length(2000)),
    bureau::column("pages", &policies_bench::Paper::pages), bureau::index("team", "team"));

namespace {

using namespace bureau;
using bench::must;
using policies_bench::Paper;

constexpr int pairs = 9;
constexpr int users_count = 2'000, teams_count = 1'000, teams_of_each = 5, papers_count = 20'000;

std::unique_ptr<Engine> open(const std::string& path) {
  EngineOptions options;
  options.path = path;
  options.durability = Durability::relaxed;
  options.tables = {&table_of<Paper>()};
  must(options.policies.add(
      {.name = "of my teams",
       .table = "papers",
       .command = Command::select,
       .using_rule = "team in (select team from memberships where user = $user)"}));
  return must(Engine::open(std::move(options)));
}

/// 2,000 users with five teams each, so 10,000 memberships, and papers of all teams.
std::vector<User> fill(const Session& system) {
  std::vector<User> users(users_count);
  for (std::size_t i = 0; i < users.size(); ++i) {
    users[i].email = "u" + std::to_string(i) + "@example.com";
    users[i].name = "u";
    users[i].role = "agent";
  }
  users = must(Repository<User>(system).insert_all(std::move(users)));
  std::vector<Team> teams(teams_count);
  for (std::size_t i = 0; i < teams.size(); ++i) teams[i].name = "t" + std::to_string(i);
  teams = must(Repository<Team>(system).insert_all(std::move(teams)));
  std::vector<Membership> memberships;
  for (std::size_t i = 0; i < users.size(); ++i) {
    for (std::size_t t = 0; t < teams_of_each; ++t) {
      Membership m;
      m.user = users[i].id;
      m.team = teams[(i * 7 + t * 101) % teams.size()].id;
      memberships.push_back(m);
    }
  }
  must(Repository<Membership>(system).insert_all(std::move(memberships)));
  std::vector<Paper> papers(papers_count);
  for (std::size_t i = 0; i < papers.size(); ++i) {
    papers[i].team = teams[i % teams.size()].id;
    papers[i].title = "Minutes of meeting " + std::to_string(i);
    papers[i].body = std::string(200, 'x');
  }
  must(Repository<Paper>(system).insert_all(std::move(papers)));
  return users;
}

void query_membership(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  const std::string path = scratch.file();
  const auto engine = open(path);
  const Tenant tenant = must(engine->access().create_tenant("bench"));
  const auto users = fill(engine->system(tenant.id));
  const int queries = arguments.quick ? 20 : 1'000;
  // Everything that each of some users may see: 100 papers of five teams.
  constexpr std::size_t seen = papers_count / teams_count * teams_of_each;
  std::vector<Session> sessions;
  for (std::size_t i = 0; i < 100; ++i) {
    sessions.push_back(must(engine->session(tenant.id, users[i * 17].id)));
  }
  const auto ours = [&] {
    const double start = bench::seconds_now();
    for (int i = 0; i < queries; ++i) {
      const auto page = must(Repository<Paper>(sessions[static_cast<std::size_t>(i) % 100])
                                 .page({.order = {{&col(&Paper::id).info()}}, .limit = 1000}));
      if (page.items.size() != seen) bench::give_up("query_membership", "papers are missing");
    }
    return queries / (bench::seconds_now() - start);
  };
  bench::Loop loop(scratch.file(), path, false);
  for (const char* table : {"papers", "memberships"}) bench::copy_table(loop, path, table);
  bench::LoopStatement by_hand(
      loop.db(),
      "SELECT id, tenant, team, title, body, pages FROM papers WHERE tenant = ?1 AND team IN "
      "(SELECT team FROM memberships WHERE tenant = ?1 AND user = ?2) ORDER BY id LIMIT 1000");
  const auto baseline = [&] {
    const double start = bench::seconds_now();
    for (int i = 0; i < queries; ++i) {
      by_hand.bind(1, tenant.id.value);
      by_hand.bind(2, users[static_cast<std::size_t>(i) % 100 * 17].id.value);
      std::vector<Paper> papers;
      while (by_hand.step()) {
        Paper& p = papers.emplace_back();
        const auto text = [&](int at) {
          return std::string(reinterpret_cast<const char*>(sqlite3_column_text(by_hand.raw(), at)),
                             static_cast<std::size_t>(sqlite3_column_bytes(by_hand.raw(), at)));
        };
        p.id = Id<Paper>(sqlite3_column_int64(by_hand.raw(), 0));
        p.tenant = Id<Tenant>(sqlite3_column_int64(by_hand.raw(), 1));
        p.team = Id<Team>(sqlite3_column_int64(by_hand.raw(), 2));
        p.title = text(3);
        p.body = text(4);
        p.pages = sqlite3_column_int64(by_hand.raw(), 5);
      }
      if (papers.size() != seen) bench::give_up("query_membership", "the loop misses papers");
    }
    return queries / (bench::seconds_now() - start);
  };
  const auto p = bench::measure_pairs(pairs, bench::Better::higher, ours, baseline);
  bench::print_metric(arguments, bench::with_pairs({.bench = "policies",
                                                    .metric = "query_membership",
                                                    .storage = "sqlite",
                                                    .durability = "relaxed",
                                                    .unit = "per_second"},
                                                   p));
}

}  // namespace

int main(int argc, char** argv) { query_membership(bench::parse_arguments(argc, argv)); }
