#include "work/workflow_changes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/library_rows.hpp"
#include "bureau/work/workflow_agent.hpp"
#include "store/row_values.hpp"
#include "work/new_task.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

/// A batch takes no further change once it starts so many runs, or has looked at so many changes:
/// it is what the write lock is held for.
constexpr std::size_t runs_a_batch = 256;
constexpr std::int64_t changes_a_batch = 4096;
constexpr std::size_t records_a_look = 128;
/// How far the cursor may lie behind when nothing was started.
constexpr std::int64_t numbers_unwritten = 10'000;

/// A workflow that changes start, with the rights of its owner.
struct Listener {
  Workflow row;
  ChangeTrigger trigger;
  std::shared_ptr<const Rights> rights;  // null: the system's
};

Select listening(Id<Tenant> tenant, std::int64_t after) {
  return select<Workflow>().where(col(&Workflow::tenant) == tenant &&
                                  (col(&Workflow::status) == WorkflowStatus::active ||
                                   (col(&Workflow::status) == WorkflowStatus::retired &&
                                    col(&Workflow::changes_until) > after)));
}

Result<std::vector<Workflow>> workflows_of(Reader& reader, Id<Tenant> tenant, std::int64_t after) {
  std::vector<Workflow> rows;
  BUREAU_TRY_VOID(
      reader.scan(listening(tenant, after), [&](std::span<const Value> row) -> Result<bool> {
        from_values(row, rows.emplace_back());
        return true;
      }));
  return rows;
}

/// None: changes do not start it, or it cannot be used any more.
std::optional<ChangeTrigger> trigger_of(const Workflow& row, const Database& database) {
  const auto trigger = read_trigger(row.trigger);
  if (!trigger || trigger->on != WorkflowTrigger::On::change) return std::nullopt;
  auto compiled = compile_trigger(*trigger, database.catalog());
  if (compiled) return *std::move(compiled);
  // It was good when it was saved: the program has changed since.
  log(database.log(), LogLevel::error, "workflows", "a trigger cannot be used any more",
      {{"workflow", std::string_view(row.name)},
       {"error", std::string_view(compiled.error().message)}});
  return std::nullopt;
}

Result<std::vector<Listener>> listeners_of(Reader& reader, Access& access, Id<Tenant> tenant,
                                           std::int64_t after) {
  Database& database = access.database();
  std::vector<Listener> out;
  BUREAU_TRY(auto rows, workflows_of(reader, tenant, after));
  for (Workflow& row : rows) {
    auto trigger = trigger_of(row, database);
    if (!trigger) continue;
    std::shared_ptr<const Rights> rights;
    if (row.owner) {
      Principal owner;
      owner.tenant = tenant;
      owner.user = *row.owner;
      auto found = access.impl().live(owner)->as_of(reader);
      auto admitted = found ? (*found)->admit(trigger->where, Timestamp())
                            : Result<Predicate>(fail(found.error()));
      if (!admitted) {
        if (admitted.error().code != Code::forbidden && admitted.error().code != Code::not_found) {
          return fail(admitted.error());
        }
        log(database.log(), LogLevel::warning, "workflows", "its owner may not look any more",
            {{"workflow", std::string_view(row.name)},
             {"error", std::string_view(admitted.error().message)}});
        continue;
      }
      rights = *found;
    }
    out.push_back({std::move(row), *std::move(trigger), std::move(rights)});
  }
  return out;
}

// What a run is given --------------------------------------------------------------------------

/// The row as the owner sees it, without what may be erased; null when he does not.
Result<Json> seen_row(Reader& reader, const Listener& listener, std::span<const Value> row) {
  if (row.empty()) return Json();
  const TableInfo& table = *listener.trigger.table;
  if (listener.rights) {
    BUREAU_TRY(const BoundRule* rule, listener.rights->rule(table, RuleKind::select));
    BUREAU_TRY(const bool sees, satisfies(*rule, reader, row));
    if (!sees) return Json();
  }
  Json out = Json::object();
  for (const ColumnInfo& column : table.columns) {
    if (column.hidden || column.secret || column.personal) continue;
    const bool blank = listener.rights && listener.rights->hides(column);
    out.set(column.name, blank ? Json() : to_json(column, row[column.index]));
  }
  return out;
}

/// How many runs of workflows led to the change: the task that made it is one of a run's.
Result<std::int64_t> depth_of(Reader& reader, std::int64_t task) {
  constexpr int generations_max = 64;
  for (int i = 0; task != 0 && i < generations_max; ++i) {
    BUREAU_TRY(const auto row, find_row(reader, Id<Task>(task)));
    if (!row) return 0;
    if (row->kind == workflow_run.name || row->kind == workflow_branch_kind.name) {
      const Json* depth = row->payload.find("depth");
      const std::int64_t* value = depth == nullptr ? nullptr : depth->as_int();
      return value == nullptr ? 1 : *value + 1;
    }
    task = row->parent ? row->parent->value : 0;
  }
  return 0;
}

Result<std::optional<ChangeHit>> hit_of(Reader& reader, Database& database,
                                        const Listener& listener, const JournalRecord& record,
                                        const Change& change) {
  const Workflow& workflow = listener.row;
  if (change.sequence <= workflow.changes_after ||
      (workflow.changes_until && change.sequence > *workflow.changes_until)) {
    return std::nullopt;
  }
  BUREAU_TRY(const bool fires, listener.trigger.fires(change));
  if (!fires) return std::nullopt;
  const bool removed = change.kind == ChangeKind::remove;
  const auto now = removed ? change.before : change.after;
  BUREAU_TRY(Json row, seen_row(reader, listener, now));
  if (row.is_null()) return std::nullopt;
  BUREAU_TRY(Json before,
             seen_row(reader, listener, removed ? std::span<const Value>() : change.before));
  const TableInfo& table = *listener.trigger.table;
  ChangeHit hit;
  hit.workflow = workflow.id;
  hit.owner = workflow.owner;
  hit.name = workflow.name;
  hit.start.workflow = workflow.id;
  hit.start.input = Json::object({{"change", to_string(change.kind)},
                                  {"table", table.name},
                                  {"id", to_text(table.columns[0], now[0])},
                                  {"row", std::move(row)},
                                  {"before", std::move(before)}});
  BUREAU_TRY(hit.start.depth, depth_of(reader, record.task()));
  const auto fits = check_payload(hit.start.input);
  if (hit.start.depth <= max_workflow_depth && fits) return hit;
  log(database.log(), LogLevel::error, "workflows", "a change does not start a workflow",
      {{"workflow", std::string_view(workflow.name)},
       {"error", fits ? std::string_view("workflows start each other too deep by their changes")
                      : std::string_view(fits.error().message)}});
  return std::nullopt;
}

}  // namespace

// A batch --------------------------------------------------------------------------------------

Result<ChangeBatch> read_changes(Reader& reader, Access& access, Id<Tenant> tenant) {
  Database& database = access.database();
  ChangeBatch batch;
  BUREAU_TRY(batch.cursor, find_row(reader, Id<WorkflowCursor>(tenant.value)));
  if (!batch.cursor) {
    batch.drained = true;
    return batch;
  }
  batch.through = batch.cursor->position;
  BUREAU_TRY(const std::int64_t tail, database.journal_tail(reader));
  BUREAU_TRY(batch.head, database.journal_head(reader));
  const std::int64_t head = batch.head;
  if (batch.through + 1 < tail) {
    batch.missed = tail - 1 - batch.through;
    batch.through = tail - 1;
    log(database.log(), LogLevel::warning, "workflows",
        "changes were trimmed before workflows saw them",
        {{"tenant", tenant.value}, {"missed", batch.missed}});
  }
  BUREAU_TRY(const auto listeners, listeners_of(reader, access, tenant, batch.through));
  auto& tables = batch.tables;
  for (const Listener& listener : listeners) tables.push_back(listener.trigger.table);
  if (tables.empty()) batch.through = head;
  bool full = false;
  while (!full && batch.through < head) {
    const auto take = [&](JournalRecord&& record) -> Result<bool> {
      for (const Change& change : record.changes()) {
        if (change.sequence <= batch.through) continue;
        ++batch.changes;
        for (const Listener& listener : listeners) {
          if (listener.trigger.table != &record.table()) continue;
          BUREAU_TRY(auto hit, hit_of(reader, database, listener, record, change));
          if (hit) batch.hits.push_back(*std::move(hit));
        }
        batch.through = change.sequence;
        full = batch.hits.size() >= runs_a_batch || batch.changes >= changes_a_batch;
        if (full) return false;
      }
      return true;
    };
    BUREAU_TRY(const std::int64_t read, database.read_journal(reader, batch.through, records_a_look,
                                                              {tables, tenant.value}, take));
    if (!full) batch.through = std::max(batch.through, read);
  }
  batch.drained = batch.through >= head;
  return batch;
}

namespace {

/// Whether something was committed since the batch was read that it is about: whoever heard of it
/// may have relied on this task, which had not ended.
Result<bool> came_meanwhile(Reader& reader, Database& database, Id<Tenant> tenant,
                            const ChangeBatch& batch) {
  BUREAU_TRY(const auto changed, database.changed_tables(reader, batch.head));
  return std::any_of(changed.begin(), changed.end(), [&](const auto& change) {
    return change.tenant == tenant.value && (change.table == &table_of<Workflow>() ||
                                             std::find(batch.tables.begin(), batch.tables.end(),
                                                       change.table) != batch.tables.end());
  });
}

}  // namespace

Result<ChangesDone> apply_changes(Unit& unit, const ChangeBatch& batch) {
  ChangesDone done;
  Transaction& tx = unit.transaction();
  const Id<Tenant> tenant = unit.session().principal().tenant;
  BUREAU_TRY(const auto stored, find_row(tx.reader(), Id<WorkflowCursor>(tenant.value)));
  if (!stored) return done;
  done.through = stored->position;
  if (!batch.cursor || batch.cursor->position != stored->position) {
    done.more = true;  // another one was faster
    return done;
  }
  const Session system = system_beside(unit.session());
  Unit acting(system, tx);
  const Repository<Task> tasks{Scope(acting)};
  for (const ChangeHit& hit : batch.hits) {
    BUREAU_TRY_VOID(tasks.insert(new_task(workflow_run, record_to_json(hit.start),
                                          options_for(hit.name), unit.now(), hit.owner)));
  }
  done.changes = batch.changes;
  done.started = static_cast<std::int64_t>(batch.hits.size());
  done.through = batch.through;
  done.more = !batch.drained;
  if (!done.more) {
    BUREAU_TRY(done.more, came_meanwhile(tx.reader(), tx.database(), tenant, batch));
  }
  WorkflowCursor cursor = *stored;
  cursor.position = batch.through;
  cursor.missed += batch.missed;
  const bool idle = batch.hits.empty() && batch.missed == 0 && batch.drained &&
                    cursor.position - stored->position < numbers_unwritten;
  if (idle) return done;
  BUREAU_TRY_VOID(tx.replace(table_of<WorkflowCursor>(), RowValues(*stored).values(),
                             RowValues(cursor).values()));
  return done;
}

Result<std::set<const TableInfo*>> watched_tables(Reader& reader, const Database& database,
                                                  Id<Tenant> tenant, std::int64_t after) {
  std::set<const TableInfo*> tables;
  BUREAU_TRY(const auto rows, workflows_of(reader, tenant, after));
  for (const Workflow& row : rows) {
    if (const auto trigger = trigger_of(row, database)) tables.insert(trigger->table);
  }
  return tables;
}

Result<void> begin_cursor(Unit& unit, std::int64_t head) {
  Transaction& tx = unit.transaction();
  const Id<Tenant> tenant = unit.session().principal().tenant;
  BUREAU_TRY(const auto present, find_row(tx.reader(), Id<WorkflowCursor>(tenant.value)));
  if (present) return {};
  WorkflowCursor cursor;
  cursor.id = Id<WorkflowCursor>(tenant.value);
  cursor.tenant = tenant;
  cursor.position = head;
  return tx.insert(table_of<WorkflowCursor>(), RowValues(cursor).values());
}

EnqueueOptions options_for(const std::string& workflow, EnqueueOptions options) {
  if (!options.flow_key) options.flow_key = "workflow:" + workflow;
  return options;
}

}  // namespace detail

JournalReader workflow_journal_reader(Database& database) {
  return {"workflows", &table_of<detail::WorkflowCursor>(), "position",
          [&database](Reader& reader, std::int64_t tenant,
                      std::int64_t after) -> Result<std::vector<const TableInfo*>> {
            BUREAU_TRY(const auto tables,
                       detail::watched_tables(reader, database, Id<Tenant>(tenant), after));
            return std::vector<const TableInfo*>(tables.begin(), tables.end());
          }};
}
BUREAU_END_NAMESPACE
