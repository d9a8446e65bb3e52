// Achievements, points, streaks and leaderboards.

#include "bureau/rewards/rewards.hpp"

#include "domains.hpp"

namespace bureau_python {

namespace {

/// table, where, user and change; none: there is no table.
std::optional<Criteria> criteria_of(Given& given) {
  Criteria criteria;
  criteria.table = given.text("table");
  criteria.where = given.json("where");
  criteria.user = given.text("user");
  criteria.change = given.choice("change", criteria.change);
  if (criteria.table.empty()) return std::nullopt;
  return criteria;
}

// Achievements ---------------------------------------------------------------------------------

py::object achievement_save(const ScopePtr& scope, const py::dict& fields) {
  Given given("achievements.save", fields);
  NewAchievement made;
  made.key = given.text("key");
  made.name = given.text("name");
  made.description = given.text("description");
  made.category = given.text("category");
  made.rarity = given.choice("rarity", made.rarity);
  made.points = given.maybe_integer("points").value_or(made.points);
  made.target = given.maybe_integer("target").value_or(made.target);
  made.secret = given.flag("secret", made.secret);
  made.repeatable = given.flag("repeatable", made.repeatable);
  made.active = given.flag("active", made.active);
  made.history = given.flag("history", made.history);
  made.criteria = criteria_of(given);
  given.done();
  return row_of(
      in_domain<Achievements>(scope, [&](const Achievements& a) { return a.save(made); }));
}

/// "award" or "revoke".
py::object achievement_change(const ScopePtr& scope, const std::string& verb,
                              const std::string& key, const py::object& user) {
  const auto id = id_of<User>(user, "user");
  return row_of(in_domain<Achievements>(scope, [&](const Achievements& a) {
    return verb == "award" ? a.award(key, id) : a.revoke(key, id);
  }));
}

// Points ---------------------------------------------------------------------------------------

py::object point_rule_save(const ScopePtr& scope, const py::dict& fields) {
  Given given("points.save_rule", fields);
  NewPointRule made;
  made.key = given.text("key");
  made.name = given.text("name");
  made.points = given.maybe_integer("points").value_or(made.points);
  made.cap_per_day = given.maybe_integer("cap_per_day").value_or(made.cap_per_day);
  made.cooldown = given.maybe_span("cooldown").value_or(made.cooldown);
  made.active = given.flag("active", made.active);
  made.history = given.flag("history", made.history);
  made.criteria = criteria_of(given).value_or(Criteria());
  given.done();
  return row_of(in_domain<Points>(scope, [&](const Points& p) { return p.save_rule(made); }));
}

// Streaks --------------------------------------------------------------------------------------

py::dict streak_of(const Streaks::Streak& streak) {
  py::dict out;
  out["days"] = streak.days;
  out["longest"] = streak.longest;
  out["freezes"] = streak.freezes;
  out["today"] = streak.today;
  return out;
}

// Leaderboards ---------------------------------------------------------------------------------

LeaderboardPeriod period_named(const std::string& name) {
  py::dict fields;
  fields["period"] = name;
  Given given("leaderboards.board", fields);
  return given.choice("period", LeaderboardPeriod::all_time);
}

py::dict board(const ScopePtr& scope, const std::string& period, const std::string& day,
               std::uint64_t limit) {
  const LeaderboardPeriod which = period_named(period);
  std::optional<CivilDate> around;
  if (!day.empty()) around = unwrap(CivilDate::parse(day));
  const Leaderboard made = from_domain<Leaderboards>(
      scope, [&](const Leaderboards& l) { return l.board(which, around, limit); });
  py::dict out;
  out["start"] = made.start.to_string();
  out["end"] = made.end.to_string();
  out["frozen"] = made.frozen;
  out["users"] = made.users;
  py::list lines;
  for (const LeaderboardLine& line : made.lines) {
    auto at = py::reinterpret_steal<py::object>(timestamp_to_python(line.reached_at));
    if (!at) throw py::error_already_set();
    lines.append(py::make_tuple(line.rank, id::to_text(schema<User>.prefix, line.user.value),
                                line.points, at));
  }
  out["lines"] = lines;
  return out;
}

// The evaluation -------------------------------------------------------------------------------

std::int64_t catch_up(const ScopePtr& scope) {
  return unwrap(scope->with_write([](const Scope& in, Engine&) -> Result<std::int64_t> {
    BUREAU_TRY(const auto evaluated, rewards::catch_up(in.session()));
    return evaluated.counted;
  }));
}

void add_rewards(const std::shared_ptr<Office>& office) {
  unwrap(unlocked([&]() -> Result<void> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return engine->add(std::make_shared<RewardsAgent>(engine->access()));
  }));
}

void init_streaks(ScopeClass& scope) {
  scope
      .def("streak_of",
           [](const ScopePtr& self, const py::object& user) {
             const auto id = id_of<User>(user, "user");
             return streak_of(
                 from_domain<Streaks>(self, [&](const Streaks& s) { return s.of(id); }));
           })
      .def("streak_days",
           [](const ScopePtr& self, const py::object& user, std::uint64_t limit) {
             const auto id = id_of<User>(user, "user");
             return rows_of(
                 from_domain<Streaks>(self, [&](const Streaks& s) { return s.days(id, limit); }));
           })
      .def("streak_uphold",
           [](const ScopePtr& self, const py::object& user) {
             const auto id = id_of<User>(user, "user");
             return streak_of(
                 in_domain<Streaks>(self, [&](const Streaks& s) { return s.uphold(id); }));
           })
      .def("streak_zone",
           [](const ScopePtr& self, const py::object& user, const py::object& zone) {
             const auto id = id_of<User>(user, "user");
             std::optional<std::string> name;
             if (!zone.is_none()) name = text_from_python(zone.ptr(), "zone");
             unwrap(self->with_write(
                 [&](const Scope& in, Engine&) { return Streaks(in).set_zone(id, name); }));
           })
      .def("streak_freezes", [](const ScopePtr& self, const py::object& user, std::int64_t days) {
        const auto id = id_of<User>(user, "user");
        unwrap(self->with_write(
            [&](const Scope& in, Engine&) { return Streaks(in).add_freezes(id, days); }));
      });
}

void init_points(ScopeClass& scope) {
  scope.def("point_rule_save", point_rule_save)
      .def("points_of",
           [](const ScopePtr& self, const py::object& user) {
             const auto id = id_of<User>(user, "user");
             return row_of(from_domain<Points>(self, [&](const Points& p) { return p.of(id); }));
           })
      .def("points_entries",
           [](const ScopePtr& self, const py::object& user, std::uint64_t limit) {
             const auto id = id_of<User>(user, "user");
             return rows_of(
                 from_domain<Points>(self, [&](const Points& p) { return p.entries(id, limit); }));
           })
      .def("points_give",
           [](const ScopePtr& self, const py::object& user, std::int64_t points,
              const std::string& reason) {
             const auto id = id_of<User>(user, "user");
             return row_of(in_domain<Points>(
                 self, [&](const Points& p) { return p.give(id, points, reason); }));
           })
      .def("points_reverse",
           [](const ScopePtr& self, const py::object& entry, const std::string& reason) {
             const auto id = id_of<PointEntry>(entry, "entry");
             return row_of(
                 in_domain<Points>(self, [&](const Points& p) { return p.reverse(id, reason); }));
           });
}

}  // namespace

void init_rewards(ScopeClass& scope) {
  scope.def("rewards_add", [](const ScopePtr& self) { add_rewards(self->office()); })
      .def("rewards_catch_up", catch_up)
      .def("achievement_save", achievement_save)
      .def("achievement_change", achievement_change)
      .def("achievement_named",
           [](const ScopePtr& self, const std::string& key) {
             return row_of(from_domain<Achievements>(
                 self, [&](const Achievements& a) { return a.find(key); }));
           })
      .def("achievements_of",
           [](const ScopePtr& self, const py::object& user, std::uint64_t limit) {
             const auto id = id_of<User>(user, "user");
             return rows_of(from_domain<Achievements>(
                 self, [&](const Achievements& a) { return a.of(id, limit); }));
           })
      .def("achievement_holders",
           [](const ScopePtr& self, const std::string& key, std::uint64_t limit) {
             return rows_of(from_domain<Achievements>(
                 self, [&](const Achievements& a) { return a.holders(key, limit); }));
           })
      .def("leaderboard", board);
  init_points(scope);
  init_streaks(scope);
}

}  // namespace bureau_python
