#pragma once

// From the journal to the runs that changes start: each change once, by a cursor that is moved in
// the commit that enqueues them.

#include "access/rights.hpp"
#include "work/workflow_run.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// How far a tenant's changes have been looked at. The id is the tenant's.
struct WorkflowCursor {
  Id<WorkflowCursor> id;
  Id<Tenant> tenant;
  std::int64_t position = 0;  ///< the journal number through which all is done
  std::int64_t missed = 0;    ///< changes that the journal no longer had when their turn came
};

struct ChangesDone {
  std::int64_t changes = 0;  ///< of tables that triggers are about
  std::int64_t started = 0;
  std::int64_t through = 0;
  bool more = false;
};

/// Looks at one batch of changes and enqueues the runs that they start. At most one such task of a
/// tenant has not ended.
inline constexpr KindInfo workflow_changes_kind{"workflow.changes",      Effect::database,
                                                retry::exponential(5),   "workflows",
                                                std::chrono::minutes(2), RunAs::agent};

/// A run to be started.
struct ChangeHit {
  Id<Workflow> workflow;
  std::optional<Id<User>> owner;
  std::string name;
  WorkflowStart start;
};
struct ChangeBatch {
  std::optional<WorkflowCursor> cursor;
  std::vector<ChangeHit> hits;
  std::int64_t changes = 0, through = 0, missed = 0;
  std::int64_t head = 0;                 ///< of the journal, as the batch was read
  std::vector<const TableInfo*> tables;  ///< that start something
  bool drained = false;
};

[[nodiscard]] Result<ChangeBatch> read_changes(Reader& reader, Access& access, Id<Tenant> tenant);
[[nodiscard]] Result<ChangesDone> apply_changes(Unit& unit, const ChangeBatch& batch);

/// The tables whose changes after that number start workflows of a tenant.
[[nodiscard]] Result<std::set<const TableInfo*>> watched_tables(Reader& reader,
                                                                const Database& database,
                                                                Id<Tenant> tenant,
                                                                std::int64_t after = INT64_MAX);
/// Makes the tenant's cursor, if there is none: from here on.
[[nodiscard]] Result<void> begin_cursor(Unit& unit, std::int64_t head);

/// The options with which a run is enqueued: its flow key is the workflow's name.
[[nodiscard]] EnqueueOptions options_for(const std::string& workflow, EnqueueOptions options = {});

}  // namespace detail

template <>
inline constexpr auto schema<detail::WorkflowCursor> =
    table("workflow_cursors", "wcu", journal::after, column("id", &detail::WorkflowCursor::id),
          column("tenant", &detail::WorkflowCursor::tenant),
          column("position", &detail::WorkflowCursor::position),
          column("missed", &detail::WorkflowCursor::missed));
template <>
inline constexpr auto record<detail::ChangesDone> = fields(
    column("changes", &detail::ChangesDone::changes),
    column("started", &detail::ChangesDone::started),
    column("through", &detail::ChangesDone::through), column("more", &detail::ChangesDone::more));

BUREAU_END_NAMESPACE
