#pragma once

// The office in which a policy with a sub-select is measured.

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

namespace policies_bench {

using namespace bureau;
using bench::must;

inline constexpr int users_count = 2'000, teams_count = 1'000, teams_of_each = 5,
                     papers_count = 20'000;

/// An office with the papers' table and policy; `options` say where.
inline std::unique_ptr<Engine> open(EngineOptions options) {
  options.tables = {&table_of<Paper>()};
  must(options.policies.add(
      {.name = "of my teams",
       .table = "papers",
       .command = Command::select,
       .using_rule = "team in (select team from memberships where user = $user)"}));
  return must(Engine::open(std::move(options)));
}

/// 2,000 users with five teams each, so 10,000 memberships, and papers of all teams.
inline std::vector<User> fill(const Session& system) {
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

/// A hundred users who read all that they may see: 100 papers of five teams each.
class Readers {
 public:
  static constexpr std::size_t count = 100;
  static constexpr std::size_t seen = papers_count / teams_count * teams_of_each;

  explicit Readers(EngineOptions options)
      : engine_(open(std::move(options))),
        tenant_(must(engine_->access().create_tenant("bench")).id) {
    const auto users = fill(engine_->system(tenant_));
    for (std::size_t i = 0; i < count; ++i) {
      users_.push_back(users[i * 17].id);
      sessions_.push_back(must(engine_->session(tenant_, users_.back())));
    }
  }
  [[nodiscard]] Id<Tenant> tenant() const { return tenant_; }
  [[nodiscard]] Id<User> user(int number) const { return users_[at(number)]; }

  [[nodiscard]] double queries_per_second(int queries) const {
    const double start = bench::seconds_now();
    for (int i = 0; i < queries; ++i) {
      const auto page = must(Repository<Paper>(sessions_[at(i)])
                                 .page({.order = {{&col(&Paper::id).info()}}, .limit = 1000}));
      if (page.items.size() != seen) bench::give_up("query_membership", "papers are missing");
    }
    return queries / (bench::seconds_now() - start);
  }

 private:
  static std::size_t at(int number) { return static_cast<std::size_t>(number) % count; }
  std::unique_ptr<Engine> engine_;
  Id<Tenant> tenant_;
  std::vector<Id<User>> users_;
  std::vector<Session> sessions_;
};

}  // namespace policies_bench
