#include "bureau/work/workflow_agent.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "work/workflow_changes.hpp"
#include "work/workflow_offers.hpp"

BUREAU_BEGIN_NAMESPACE

const WorkflowKinds::Entry* WorkflowKinds::find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.kind.name == name) return &entry;
  }
  return nullptr;
}

namespace detail {

namespace {
struct Offers {
  std::shared_ptr<const WorkflowKinds> kinds;
};
}  // namespace

void offer_kinds(Access& access, WorkflowKinds kinds) {
  const std::lock_guard lock(access.impl().slots_mutex);
  access.impl().slots.of<Offers>().kinds = std::make_shared<const WorkflowKinds>(std::move(kinds));
}

std::shared_ptr<const WorkflowKinds> offered_kinds(Access::Impl& access) {
  const std::lock_guard lock(access.slots_mutex);
  return access.slots.of<Offers>().kinds;
}

}  // namespace detail

namespace {

/// While one of these runs, the next is made by it, so the two names take turns.
constexpr const char* key_names[] = {"workflow changes", "workflow changes, next"};

Predicate not_ended() {
  return col(&Task::kind) == std::string(detail::workflow_changes_kind.name) &&
         col(&Task::status) < TaskStatus::completed;
}

Result<void> enqueue_look(const Session& session) {
  return session.write([&](Unit& unit) -> Result<void> {
    const Tasks tasks{Scope(unit)};
    BUREAU_TRY(const auto present, tasks.repository().first(not_ended()));
    if (present) return {};
    EnqueueOptions options;
    options.unique_key = key_names[0];
    BUREAU_TRY_VOID(tasks.enqueue_json(detail::workflow_changes_kind, {Json::object()}, options));
    return {};
  });
}

Result<void> enqueue_next(Unit& unit, const Task& own) {
  EnqueueOptions options;
  options.unique_key = own.unique_key == key_names[0] ? key_names[1] : key_names[0];
  BUREAU_TRY_VOID(
      Tasks{Scope(unit)}.enqueue_json(detail::workflow_changes_kind, {Json::object()}, options));
  return {};
}

constexpr std::size_t graphs_kept = 1000;

}  // namespace

struct WorkflowAgent::Impl {
  Access& access;
  WorkflowKinds kinds;
  std::mutex mutex;
  /// Versions that are not drafts: they stay as they are.
  std::map<std::int64_t, std::shared_ptr<const detail::ReadyWorkflow>> ready;

  // What is remembered between looks at what was committed. One look at a time.
  std::mutex watch;
  bool knows = false;
  std::int64_t looked = 0;
  std::map<std::int64_t, std::set<const TableInfo*>> tables;  // by tenant

  Impl(Access& of, WorkflowKinds offered) : access(of), kinds(std::move(offered)) {}

  Result<std::shared_ptr<const detail::ReadyWorkflow>> find(Run& run, Id<Workflow> id);
  Result<Json> look(Run& run);
  Result<std::set<std::int64_t>> tenants_due();
};

WorkflowAgent::WorkflowAgent(Access& access, WorkflowKinds kinds)
    : impl_(std::make_unique<Impl>(access, std::move(kinds))) {}
WorkflowAgent::~WorkflowAgent() = default;

std::vector<KindInfo> WorkflowAgent::capabilities() const {
  return {workflow_run, detail::workflow_branch_kind, detail::workflow_changes_kind};
}

Result<void> WorkflowAgent::on_initialize() {
  for (const auto& entry : impl_->kinds.all()) {
    std::string_view wrong;
    if (entry.kind.name.starts_with("workflow.")) {
      wrong = "is the interpreter's own; a node of kind call starts workflows";
    } else if (&entry != impl_->kinds.find(entry.kind.name)) {
      wrong = "is there twice";
    } else if (entry.kind.is_encrypted) {
      wrong = "rests encrypted, and the steps of a workflow show what it is given and gives";
    }
    if (wrong.empty()) continue;
    return fail(Code::invalid, fmt::format("kinds: \"{}\" {}", entry.kind.name, wrong), "kinds");
  }
  detail::offer_kinds(impl_->access, impl_->kinds);
  return {};
}

Result<void> WorkflowAgent::validate(const Task& task) const {
  if (task.kind == workflow_run.name) {
    BUREAU_TRY_VOID(record_from_json<WorkflowStart>(task.payload));
  } else if (task.kind == detail::workflow_branch_kind.name) {
    BUREAU_TRY_VOID(record_from_json<detail::WorkflowBranch>(task.payload));
  }
  return {};
}

/// Whoever runs it must see it; what it says is then known, unless it is a draft.
Result<std::shared_ptr<const detail::ReadyWorkflow>> WorkflowAgent::Impl::find(Run& run,
                                                                               Id<Workflow> id) {
  const TableInfo& table = table_of<Workflow>();
  {
    const std::lock_guard lock(mutex);
    const auto found = ready.find(id.value);
    if (found != ready.end()) {
      BUREAU_TRY_VOID(run.read([&](View& view) -> Result<int> {
        BUREAU_TRY_VOID(Rows(view, table).find(id.value, [](std::span<const Value>) {}));
        return 0;
      }));
      return found->second;
    }
  }
  auto made = std::make_shared<detail::ReadyWorkflow>();
  BUREAU_TRY(made->row, run.read([&](View& view) { return Repository<Workflow>(view).find(id); }));
  if (made->row.status == WorkflowStatus::draft) {
    return fail(Code::invalid, "workflow: it is a draft; activate it", "workflow");
  }
  made->clock = &access.database().clock();
  BUREAU_TRY(made->graph, detail::graph_of(made->row, access.database().catalog(), nullptr));
  const std::lock_guard lock(mutex);
  if (ready.size() >= graphs_kept) ready.clear();
  ready[id.value] = made;
  return std::shared_ptr<const detail::ReadyWorkflow>(std::move(made));
}

Result<Json> WorkflowAgent::execute(Run& run, const Task& task) {
  if (task.kind == detail::workflow_changes_kind.name) return impl_->look(run);
  if (task.kind == detail::workflow_branch_kind.name) {
    BUREAU_TRY(const auto branch, record_from_json<detail::WorkflowBranch>(task.payload));
    BUREAU_TRY(const auto workflow, impl_->find(run, branch.workflow));
    return detail::WorkflowInterpreter(run, *workflow, impl_->kinds, branch.depth)
        .run_branch(branch);
  }
  BUREAU_TRY(const auto start, record_from_json<WorkflowStart>(task.payload));
  BUREAU_TRY(const auto workflow, impl_->find(run, start.workflow));
  return detail::WorkflowInterpreter(run, *workflow, impl_->kinds, start.depth)
      .run_whole(start.input);
}

Result<Json> WorkflowAgent::Impl::look(Run& run) {
  BUREAU_TRY(const auto batch, run.read([&](View& view) {
    return detail::read_changes(view.reader(), access, run.task().tenant);
  }));
  BUREAU_TRY(const auto done, run.complete([&](Unit& unit) -> Result<detail::ChangesDone> {
    BUREAU_TRY(detail::ChangesDone made, detail::apply_changes(unit, batch));
    if (made.more) BUREAU_TRY_VOID(enqueue_next(unit, run.task()));
    return made;
  }));
  return record_to_json(done);
}

// When there is something to do ----------------------------------------------------------------

Result<std::set<std::int64_t>> WorkflowAgent::Impl::tenants_due() {
  Database& database = access.database();
  std::set<std::int64_t> due;
  std::int64_t head = 0;
  auto known = tables;
  const auto look = [&](Reader& reader) -> Result<void> {
    due.clear();
    known = tables;
    const auto learn = [&](std::int64_t tenant) -> Result<void> {
      BUREAU_TRY(known[tenant], detail::watched_tables(reader, database, Id<Tenant>(tenant)));
      return {};
    };
    BUREAU_TRY(head, database.journal_head(reader));
    if (!knows) {
      std::vector<detail::WorkflowCursor> cursors;
      BUREAU_TRY_VOID(reader.scan(select<detail::WorkflowCursor>(),
                                  [&](std::span<const Value> row) -> Result<bool> {
                                    from_values(row, cursors.emplace_back());
                                    return true;
                                  }));
      for (const auto& cursor : cursors) {
        BUREAU_TRY_VOID(learn(cursor.tenant.value));
        if (cursor.position < head) due.insert(cursor.tenant.value);
      }
      return {};
    }
    if (looked >= head) return {};
    BUREAU_TRY(const auto changed, database.changed_tables(reader, looked));
    for (const auto& change : changed) {
      if (change.table != &table_of<Workflow>()) continue;
      BUREAU_TRY_VOID(learn(change.tenant));
      due.insert(change.tenant);  // one that was retired may not have seen all of its changes
    }
    for (const auto& change : changed) {
      const auto of = known.find(change.tenant);
      if (of != known.end() && of->second.contains(change.table)) due.insert(change.tenant);
    }
    return {};
  };
  BUREAU_TRY_VOID(database.read(database.clock().monotonic() + std::chrono::seconds(30), look));
  tables = std::move(known);
  looked = head;
  knows = true;
  return due;
}

Result<void> WorkflowAgent::on_commits() {
  const std::lock_guard lock(impl_->watch);
  const auto before = std::pair(impl_->knows, impl_->looked);
  BUREAU_TRY(const auto due, impl_->tenants_due());
  for (const std::int64_t tenant : due) {
    auto made = enqueue_look(impl_->access.system(Id<Tenant>(tenant)));
    if (made) continue;
    std::tie(impl_->knows, impl_->looked) = before;  // these are looked at again
    return made;
  }
  return {};
}

BUREAU_END_NAMESPACE
