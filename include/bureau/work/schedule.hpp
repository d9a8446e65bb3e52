#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/core/cron.hpp"
#include "bureau/work/task_kind.hpp"

BUREAU_BEGIN_NAMESPACE

/// What becomes of occurrences that passed while no process saw to them.
enum class CatchUp {
  none,  ///< nothing: more than a minute late is too late
  last,  ///< the last of them fires, once
  all,   ///< each fires, in order; goes with Overlap::queue
};
template <>
inline constexpr auto names<CatchUp> = enum_names("none", "last", "all");

/// What becomes of an occurrence while the task of one before it has not ended.
enum class Overlap {
  skip,   ///< it is passed over, and says so
  queue,  ///< its task waits its turn like any other
};
template <>
inline constexpr auto names<Overlap> = enum_names("skip", "queue");

enum class ScheduleStatus { active, paused };
template <>
inline constexpr auto names<ScheduleStatus> = enum_names("active", "paused");

/// A task that is enqueued again and again, as a cron expression says. A row like any other: it may
/// be made and changed while the office runs. Its tasks carry its owner as their enqueuer.
struct Schedule {
  Id<Schedule> id;
  Id<Tenant> tenant;
  std::string name;        ///< unique within the tenant
  std::string expression;  ///< as CronExpression has it
  CronExpression::Days days = CronExpression::Days::either;
  std::optional<std::string> zone;  ///< IANA; none: the tenant's
  ScheduleStatus status = ScheduleStatus::active;
  CatchUp catch_up = CatchUp::last;
  Overlap overlap = Overlap::skip;
  std::string kind;  ///< what its tasks are, and all that a kind says of them
  std::string queue = "default";
  Effect effect = Effect::pure;
  RunAs run_as = RunAs::agent;
  std::int64_t max_attempts = 1;
  Duration time_limit{0};
  Priority priority = Priority::normal;
  Json payload;
  std::optional<Id<User>> owner;  ///< who saved it last; none: the system
  /// When it fires next, worked out for `next_for`: for other rules it is worked out anew.
  Timestamp next_at;
  std::string next_for;
  std::optional<Timestamp> last_at;  ///< the last occurrence that fired
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto names<CronExpression::Days> = enum_names("either", "both");

enum class OccurrenceOutcome {
  fired,    ///< its task was enqueued
  skipped,  ///< the task of one before it had not ended
  missed,   ///< nobody saw to it in time
};
template <>
inline constexpr auto names<OccurrenceOutcome> = enum_names("fired", "skipped", "missed");

/// What became of one occurrence of a schedule; kept for 30 days. How its task fared says the task.
struct ScheduleOccurrence {
  Id<ScheduleOccurrence> id;
  Id<Tenant> tenant;
  Id<Schedule> schedule;
  Timestamp due_at;
  OccurrenceOutcome outcome = OccurrenceOutcome::fired;
  std::optional<Id<Task>> task;
  std::optional<Timestamp> missed_since;  ///< those from here to due_at were passed over
  bool by_hand = false;                   ///< Schedules::run_now()
  Timestamp created_at;
};

template <>
inline constexpr auto schema<Schedule> = table(
    "schedules", "sch", journal::after, column("id", &Schedule::id),
    column("tenant", &Schedule::tenant), column("name", &Schedule::name, max_length(100)),
    column("expression", &Schedule::expression, max_length(200)), column("days", &Schedule::days),
    column("zone", &Schedule::zone, max_length(64)), column("status", &Schedule::status),
    column("catch_up", &Schedule::catch_up), column("overlap", &Schedule::overlap),
    column("kind", &Schedule::kind, max_length(64)),
    column("queue", &Schedule::queue, max_length(64)), column("effect", &Schedule::effect),
    column("run_as", &Schedule::run_as), column("max_attempts", &Schedule::max_attempts),
    column("time_limit", &Schedule::time_limit), column("priority", &Schedule::priority),
    column("payload", &Schedule::payload), column("owner", &Schedule::owner),
    column("next_at", &Schedule::next_at), column("next_for", &Schedule::next_for, max_length(300)),
    column("last_at", &Schedule::last_at), column("version", &Schedule::version),
    column("created_at", &Schedule::created_at), column("updated_at", &Schedule::updated_at),
    unique_index("name", "tenant", "name"), index("due", "next_at").where("status = \"active\""));

template <>
inline constexpr auto schema<ScheduleOccurrence> = table(
    "schedule_occurrences", "occ", journal::after, column("id", &ScheduleOccurrence::id),
    column("tenant", &ScheduleOccurrence::tenant),
    column("schedule", &ScheduleOccurrence::schedule),
    column("due_at", &ScheduleOccurrence::due_at), column("outcome", &ScheduleOccurrence::outcome),
    column("task", &ScheduleOccurrence::task),
    column("missed_since", &ScheduleOccurrence::missed_since),
    column("by_hand", &ScheduleOccurrence::by_hand),
    column("created_at", &ScheduleOccurrence::created_at),
    unique_index("due", "schedule", "due_at").where("by_hand = false"),
    index("history", "schedule", "due_at"));

/// How a task recurs; `kind` and payload come beside it.
struct NewSchedule {
  std::string name;
  std::string expression;
  std::optional<std::string> zone = {};
  CatchUp catch_up = CatchUp::last;
  Overlap overlap = Overlap::skip;
  Priority priority = Priority::normal;
  CronExpression::Days days = CronExpression::Days::either;
};

/// The schedules of a tenant, with a session's rights. They are fired by whichever process of the
/// office works; each occurrence once, whatever their number.
class Schedules {
 public:
  explicit Schedules(Scope scope) : rows_(std::move(scope)) {}

  /// A new one, or the one with that name as it is described now: it then fires next after now.
  /// `invalid` names the field: an expression that does not parse or never fires, a zone that this
  /// machine does not have, CatchUp::all without Overlap::queue, a payload over max_payload_bytes.
  template <class Payload, class Output>
  Result<Schedule> save(const NewSchedule& schedule, const TaskKind<Payload, Output>& kind,
                        const Payload& payload) const {
    return save_json(schedule, kind, record_to_json(payload));
  }
  Result<Schedule> save_json(const NewSchedule& schedule, const KindInfo& kind, Json payload) const;

  /// `not_found` when there is none of that name.
  Result<Schedule> named(std::string_view name) const;
  Result<std::vector<Schedule>> list(const Query& query = {}) const;
  /// What became of its occurrences, the last first.
  Result<std::vector<ScheduleOccurrence>> history(Id<Schedule> id, std::uint64_t limit = 100) const;
  /// When it fires next, paused or not: at most `count` moments.
  Result<std::vector<Timestamp>> upcoming(Id<Schedule> id, std::size_t count) const;

  /// Paused, nothing fires and nothing is made up for; resumed, it fires next after now.
  Result<Schedule> pause(Id<Schedule> id) const;
  Result<Schedule> resume(Id<Schedule> id) const;
  /// Enqueues its task now, in the caller's name and whatever its status; when it fires next stays
  /// as it was. Returns the task; with Overlap::skip the one that has not ended, if there is one.
  Result<Id<Task>> run_now(Id<Schedule> id) const;
  Result<void> remove(Id<Schedule> id) const;

 private:
  Repository<Schedule> rows_;
};

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Schedule);
BUREAU_DECLARE_ENTITY(bureau::ScheduleOccurrence);
