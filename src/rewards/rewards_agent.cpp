#include "bureau/rewards/rewards_agent.hpp"

#include "rewards/batch.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace rewards::inside;

namespace {

/// While one of these runs, the next is made by it: so the two names take turns, and of the rest
/// that might make one, none does while there is one.
constexpr const char* key_names[] = {"rewards", "rewards, next"};

Predicate not_ended() {
  return col(&Task::kind) == std::string(evaluate_rewards.name) &&
         col(&Task::status) < TaskStatus::completed;
}

Result<void> enqueue(const Session& session) {
  return session.write([&](Unit& unit) -> Result<void> {
    const Tasks tasks{Scope(unit)};
    BUREAU_TRY(const auto present, tasks.repository().first(not_ended()));
    if (present) return {};
    EnqueueOptions options;
    options.unique_key = key_names[0];
    BUREAU_TRY_VOID(tasks.enqueue(evaluate_rewards, {}, options));
    return {};
  });
}

Result<void> enqueue_next(Unit& unit, const Task& own) {
  EnqueueOptions options;
  options.unique_key = own.unique_key == key_names[0] ? key_names[1] : key_names[0];
  BUREAU_TRY_VOID(Tasks{Scope(unit)}.enqueue(evaluate_rewards, {}, options));
  return {};
}

}  // namespace

Result<RewardsEvaluated> RewardsAgent::execute(Run& run, const Nothing&) {
  BUREAU_TRY(const Batch batch, run.read([&](View& view) {
    return read_batch(view.reader(), access_.database(), run.task().tenant);
  }));
  return run.complete([&](Unit& unit) -> Result<RewardsEvaluated> {
    BUREAU_TRY(RewardsEvaluated done, apply_batch(unit, batch));
    if (done.more) BUREAU_TRY_VOID(enqueue_next(unit, run.task()));
    return done;
  });
}

// When there is something to do ----------------------------------------------------------------

/// What the agent remembers between looks. One look at a time.
struct RewardsAgent::Watch {
  std::mutex mutex;
  bool known = false;
  std::int64_t looked = 0;                                    ///< changes up to it were looked at
  std::map<std::int64_t, std::set<const TableInfo*>> tables;  ///< of criteria, by tenant

  Result<void> learn(Reader& reader, const Database& database, Id<Tenant> tenant) {
    BUREAU_TRY(const auto criteria, load_criteria(reader, database, tenant));
    std::set<const TableInfo*> found;
    for (const Criterion& criterion : criteria) found.insert(criterion.criteria.table);
    tables[tenant.value] = std::move(found);
    return {};
  }
};

RewardsAgent::RewardsAgent(Access& access) : access_(access), watch_(std::make_unique<Watch>()) {}
RewardsAgent::~RewardsAgent() = default;

namespace {

/// The tenants of which something is to be evaluated.
using Due = std::set<std::int64_t>;

}  // namespace

Result<void> RewardsAgent::on_commits() {
  const std::lock_guard lock(watch_->mutex);
  Database& database = access_.database();
  Due due;
  Watch seen;
  const auto look = [&](Reader& reader) -> Result<void> {
    due.clear();
    seen.known = true;
    seen.looked = watch_->looked;
    seen.tables = watch_->tables;
    BUREAU_TRY(const std::int64_t head, database.journal_head(reader));
    if (!watch_->known) {
      // What was there before is for the tasks to look through.
      BUREAU_TRY(const auto cursors, rows_of<Cursor>(reader, select<Cursor>()));
      for (const Cursor& cursor : cursors) {
        BUREAU_TRY_VOID(seen.learn(reader, database, cursor.tenant));
        if (cursor.position < head) due.insert(cursor.tenant.value);
      }
      seen.looked = head;
    }
    if (seen.looked >= head) return {};
    BUREAU_TRY(const auto changed, database.changed_tables(reader, seen.looked));
    for (const auto& change : changed) {
      if (change.table != &table_of<Achievement>() && change.table != &table_of<PointRule>()) {
        continue;
      }
      BUREAU_TRY_VOID(seen.learn(reader, database, Id<Tenant>(change.tenant)));
      due.insert(change.tenant);  // they may count what is there already
    }
    for (const auto& change : changed) {
      const auto of = seen.tables.find(change.tenant);
      if (of != seen.tables.end() && of->second.contains(change.table)) due.insert(change.tenant);
    }
    seen.looked = head;
    return {};
  };
  BUREAU_TRY_VOID(database.read(database.clock().monotonic() + std::chrono::seconds(30), look));
  for (const std::int64_t tenant : due) {
    BUREAU_TRY_VOID(enqueue(access_.system(Id<Tenant>(tenant))));
  }
  watch_->known = true;
  watch_->looked = seen.looked;
  watch_->tables = std::move(seen.tables);
  return {};
}

namespace rewards {

Result<RewardsEvaluated> catch_up(const Session& system) {
  if (!system.principal().system) {
    return fail(Code::forbidden, "catch_up: only the system evaluates");
  }
  RewardsEvaluated all;
  do {
    BUREAU_TRY(const Batch batch, system.read([&](View& view) {
      return read_batch(view.reader(), system.database(), system.principal().tenant);
    }));
    BUREAU_TRY(const RewardsEvaluated done,
               system.write([&](Unit& unit) { return apply_batch(unit, batch); }));
    all.changes += done.changes;
    all.counted += done.counted;
    all.through = done.through;
    all.more = done.more;
  } while (all.more);
  return all;
}

JournalReader journal_reader(Database& database) {
  return {"rewards", &table_of<Cursor>(), "position",
          [&database](Reader& reader, std::int64_t tenant,
                      std::int64_t) -> Result<std::vector<const TableInfo*>> {
            BUREAU_TRY(const auto criteria, load_criteria(reader, database, Id<Tenant>(tenant)));
            std::set<const TableInfo*> tables;
            for (const Criterion& one : criteria) tables.insert(one.criteria.table);
            return std::vector<const TableInfo*>(tables.begin(), tables.end());
          }};
}

}  // namespace rewards
BUREAU_END_NAMESPACE
