#include <fmt/format.h>

#include <algorithm>

#include "store/migration_list.hpp"
#include "store/migrator_impl.hpp"
#include "store/row_values.hpp"
#include "store/table_definition.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::MigrationRow;
using detail::OperationKind;
using detail::Tolerance;

/// Migrations of one office come one after the other, in all processes.
constexpr std::uint32_t migration_lane = 7;

Select one_record(std::int64_t number) {
  return {&table_of<MigrationRow>(),
          col(&MigrationRow::id) == Id<MigrationRow>(number),
          {},
          {},
          {},
          false};
}

Result<void> store_record(Writer& writer, const MigrationRow& row) {
  const TableInfo& table = table_of<MigrationRow>();
  const detail::RowValues values(row);
  Update update{one_record(row.id.value), {}};
  for (const ColumnInfo& column : table.columns) {
    if (column.index != 0) update.set.push_back({&column, values.values()[column.index]});
  }
  BUREAU_TRY_VOID(writer.update(update));
  return {};
}

bool is_same_record(const MigrationRow& a, const MigrationRow& b) {
  return a.state == b.state && a.done == b.done && a.position == b.position;
}

WriteOptions step_options() {
  WriteOptions options;
  options.lane = migration_lane;
  return options;
}

}  // namespace

Unexpected detail::refuse_migration(Code code, std::string what) {
  return fail(code, std::move(what), "migrations");
}

// What the office and the program say -----------------------------------------------------------

std::int64_t Migrator::Impl::version() const { return detail::version_of(migrations); }

const Migration* Migrator::Impl::find(std::int64_t number) const {
  for (const Migration& one : migrations) {
    if (one.number() == number) return &one;
  }
  return nullptr;
}

const MigrationRow* Migrator::Impl::find(const Rows& records, std::int64_t number) {
  for (const Row& one : records) {
    if (one.id.value == number) return &one;
  }
  return nullptr;
}

std::span<const Migration> Migrator::Impl::after(const Migration& migration) const {
  const std::size_t next = static_cast<std::size_t>(&migration - migrations.data()) + 1;
  return std::span(migrations).subspan(next);
}

Result<Catalog> Migrator::Impl::stored() const {
  BUREAU_TRY(const auto tables, storage->stored_tables());
  return make_catalog(tables);
}

Result<void> Migrator::Impl::check_records(const Rows& records) const {
  std::int64_t newest = 0;
  for (const Row& row : records) {
    const std::int64_t number = row.id.value;
    newest = std::max(newest, number);
    if (number > version()) continue;
    const Migration* ours = find(number);
    if (ours == nullptr) {
      return detail::refuse_migration(
          Code::conflict,
          fmt::format("migration {} ({}) was applied, and this program's list does not "
                      "have it",
                      number, row.name));
    }
    if (ours->checksum() == row.checksum) continue;
    return detail::refuse_migration(
        Code::conflict,
        fmt::format("migration {} ({}) was changed after it was applied: its checksum is "
                    "{}, that of what was applied {}; change it back, and make another "
                    "migration of what is new",
                    number, row.name, ours->checksum(), row.checksum));
  }
  for (const Migration& one : migrations) {
    if (one.number() >= newest || find(records, one.number()) != nullptr) continue;
    return detail::refuse_migration(
        Code::conflict,
        fmt::format("migration {} ({}) was not applied, and {} after it was; give it a "
                    "number after that",
                    one.number(), one.name(), newest));
  }
  return {};
}

Tolerance Migrator::Impl::tolerance(const Rows& records) const {
  Tolerance all;
  for (const Migration& migration : migrations) {
    const Row* row = find(records, migration.number());
    if (row != nullptr && row->state == MigrationState::finalized) continue;
    for (const Operation& one : migration.operations()) {
      const std::pair place(one.table, one.column);
      if (one.kind == OperationKind::drop_column || one.kind == OperationKind::rename_column) {
        all.kept.insert(place);
      }
      if (one.kind == OperationKind::rename_column) all.nullable.emplace(one.table, one.to);
      if (one.kind == OperationKind::require) all.nullable.insert(place);
      // In the meantime of several it has a name that is gone again in the end.
      if (one.kind == OperationKind::add_column) all.kept.insert(place);
    }
  }
  return all;
}

Tolerance::Columns Migrator::Impl::to_be_made(const Rows& records, const Catalog& stored) const {
  Tolerance::Columns made, names;
  for (const Migration& migration : migrations) {
    const Row* row = find(records, migration.number());
    if (row != nullptr && row->state != MigrationState::expanding) continue;
    for (const Operation& one : migration.operations()) {
      const bool renames = one.kind == OperationKind::rename_column;
      if (!renames && one.kind != OperationKind::add_column) continue;
      const TableInfo* table = stored.find(one.table);
      const bool source = !renames || made.count({one.table, one.column}) > 0 ||
                          (table != nullptr && table->find(one.column) != nullptr);
      if (table == nullptr || !source) continue;
      const std::string& name = renames ? one.to : one.column;
      made.emplace(one.table, name);
      const ColumnInfo* end = detail::described_later(catalog, after(migration), one.table, name);
      if (end != nullptr) names.emplace(one.table, end->name);
    }
  }
  return names;
}

Result<void> Migrator::Impl::prepare() {
  BUREAU_TRY(const Catalog there, stored());
  if (there.find(table_of<detail::SettingRow>().name) == nullptr) {
    return fail(Code::not_found, "there is no office here yet: its first program makes it",
                "storage");
  }
  Catalog own;
  for (const TableInfo* table : {&table_of<MigrationRow>(), &table_of<detail::ProgramRow>()}) {
    if (there.find(table->name) == nullptr) BUREAU_TRY_VOID(own.add_internal(*table));
  }
  return own.tables().empty() ? Result<void>() : storage->migrate(own);
}

Result<Migrator::Impl::Rows> Migrator::Impl::records() {
  BUREAU_TRY(Rows rows, detail::read_migrations(*storage));
  BUREAU_TRY_VOID(check_records(rows));
  return rows;
}

// Steps -----------------------------------------------------------------------------------------

Result<bool> Migrator::Impl::write_if_same(const Row& record,
                                           FunctionRef<Result<void>(Writer&, Row&)> change) {
  bool same = false;
  BUREAU_TRY_VOID(storage->write(step_options(), [&](Writer& writer) -> Result<void> {
    BUREAU_TRY(auto now, detail::find_row(writer, record.id));
    same = now && is_same_record(*now, record);
    if (!same) return {};
    BUREAU_TRY_VOID(change(writer, *now));
    return store_record(writer, *now);
  }));
  return same;
}

Result<bool> Migrator::Impl::set_state(const Row& record, MigrationState state) {
  const Timestamp now = clock.now();
  return write_if_same(record, [&](Writer& writer, Row& row) -> Result<void> {
    if (state == MigrationState::finalizing) {
      BUREAU_TRY_VOID(detail::note_newest_change(writer, state, row));
    }
    row.state = state;
    row.done = row.position = 0;
    if (state == MigrationState::finalized) row.finalized_at = now;
    return {};
  });
}

Result<void> Migrator::Impl::make_tables(const Row& record, const Step& step) {
  BUREAU_TRY(const Rows all, detail::read_migrations(*storage));
  BUREAU_TRY(const auto tables, storage->stored_tables());
  Tolerance rules = tolerance(all);
  rules.indexes = step.indexes;
  const bool last = record.id.value == version();
  if (record.state == MigrationState::expanding) {
    BUREAU_TRY(const Catalog there, make_catalog(tables));
    if (step.indexes == Tolerance::Indexes::stored) rules.withheld = to_be_made(all, there);
    // All indexes come when the last has been filled.
    if (!last && step.indexes == Tolerance::Indexes::both) rules.adds = false;
  }
  if (!last) {
    rules.adds = rules.adds && record.state == MigrationState::expanding;
    if (!rules.adds) rules.indexes = Tolerance::Indexes::stored;
  }
  BUREAU_TRY(const Catalog form, detail::tolerant_catalog(catalog, tables, rules));
  auto made = storage->migrate(form);
  BUREAU_TRY(const bool ours, write_if_same(record, [&](Writer&, Row& row) -> Result<void> {
               if (made) ++row.done;
               return {};
             }));
  // Somebody else is beyond this step, and the tables with him.
  return ours ? made : Result<void>();
}

Result<void> Migrator::Impl::alter(const Row& record, const Step& step) {
  BUREAU_TRY(const Catalog tables, stored());
  BUREAU_TRY(const auto alterations, step.alterations(tables));
  BUREAU_TRY_VOID(write_if_same(record, [&](Writer& writer, Row& row) -> Result<void> {
    for (const Alteration& one : alterations) BUREAU_TRY_VOID(writer.alter(one));
    ++row.done;
    return {};
  }));
  return {};
}

Result<void> Migrator::Impl::run_step(const Row& record, const Step& step,
                                      const MigrateOptions& options) {
  switch (step.kind) {
    case Step::Kind::tables:
      return make_tables(record, step);
    case Step::Kind::alter:
      return alter(record, step);
    case Step::Kind::rows:
      break;
  }
  return fill(record, step, options);
}

/// Until the steps of that state are made, by whomever.
Result<void> Migrator::Impl::run(std::int64_t number, MigrationState state, const Steps& steps,
                                 const MigrateOptions& options) {
  for (;;) {
    BUREAU_TRY(const Rows all, detail::read_migrations(*storage));
    const Row* record = find(all, number);
    if (record == nullptr || record->state != state) return {};
    const auto next = static_cast<std::size_t>(record->done);
    if (next >= steps.size()) return {};
    BUREAU_TRY_VOID(run_step(*record, steps[next], options));
  }
}

// Up --------------------------------------------------------------------------------------------

Result<void> Migrator::Impl::insert_pending(const Rows& records, const MigrateOptions& options) {
  BUREAU_TRY(const auto tables, storage->stored_tables());
  BUREAU_TRY(const Catalog there, make_catalog(tables));
  const auto withheld = to_be_made(records, there);
  const Timestamp now = clock.now();
  return storage->write(step_options(), [&](Writer& writer) -> Result<void> {
    for (const Migration& one : migrations) {
      const Id<MigrationRow> id(one.number());
      BUREAU_TRY(const auto known, detail::find_row(writer, id));
      if (known) continue;
      Row row{id,  one.name(), one.checksum(), MigrationState::expanding, Json(), 0, 0,
              now, {},         options.by};
      row.operations.set("operations", detail::operations_json(one));
      if (one.number() == version()) {
        row.operations.set("added", detail::added_by_catalog(catalog, tables, withheld));
      }
      BUREAU_TRY_VOID(detail::note_newest_change(writer, row.state, row));
      BUREAU_TRY_VOID(writer.insert(table_of<Row>(), detail::RowValues(row).values()));
    }
    return {};
  });
}

Result<void> Migrator::Impl::apply(const Migration& migration, const MigrateOptions& options) {
  const std::int64_t number = migration.number();
  BUREAU_TRY_VOID(run(number, MigrationState::expanding, steps_up(migration), options));
  BUREAU_TRY(const Rows all, detail::read_migrations(*storage));
  const Row* record = find(all, number);
  if (record == nullptr || record->state != MigrationState::expanding) return {};
  BUREAU_TRY_VOID(set_state(*record, MigrationState::expanded));
  return {};
}

namespace {

Unexpected refuse_loss(const MigrationPlan& plan) {
  std::string lost;
  for (const auto& step : plan.steps) {
    if (!step.lost.empty()) lost += (lost.empty() ? "" : "; ") + step.lost;
  }
  return detail::refuse_migration(Code::conflict,
                                  "this would be lost: " + lost + "; say that it may be");
}

}  // namespace

Result<MigrationPlan> Migrator::Impl::up(const MigrateOptions& options) {
  BUREAU_TRY_VOID(prepare());
  BUREAU_TRY(Rows all, records());
  BUREAU_TRY(MigrationPlan plan, plan_up(all));
  for (const Row& row : all) {
    if (row.state == MigrationState::reverting && row.id.value <= version()) {
      BUREAU_TRY_VOID(set_state(row, MigrationState::expanding));
    }
  }
  BUREAU_TRY(all, records());
  BUREAU_TRY_VOID(detail::check_version(all, version()));
  if (plan.loses() && !options.may_lose) return refuse_loss(plan);
  // Before anything is begun: each but the last is finalized.
  for (const Migration& one : migrations) {
    const Row* row = find(all, one.number());
    const bool last = &one == &migrations.back();
    if (last || (row != nullptr && row->state == MigrationState::finalized)) continue;
    Row wanted;
    wanted.id = Id<Row>(one.number());
    wanted.name = one.name();
    BUREAU_TRY_VOID(refuse_while_alive(wanted, wanted));
  }
  BUREAU_TRY_VOID(insert_pending(all, options));
  for (const Migration& one : migrations) {
    BUREAU_TRY_VOID(apply(one, options));
    const bool last = &one == &migrations.back();
    if (!last || (find(all, one.number()) != nullptr &&
                  find(all, one.number())->state == MigrationState::finalizing)) {
      BUREAU_TRY_VOID(finalize(one, options));
    }
  }
  return plan;
}

// Its end ---------------------------------------------------------------------------------------

/// What is finalized must not have an older program, what is taken back none that has it.
/// `record`: as it is now; it is put back to `before`.
Result<void> Migrator::Impl::refuse_while_alive(const Row& before, const Row& record) {
  const std::int64_t number = record.id.value;
  const bool reverting = record.state == MigrationState::reverting;
  const auto concerned = [&](std::int64_t version) {
    return reverting ? version >= number : version < number;
  };
  BUREAU_TRY(const auto alive, detail::find_live_program(*storage, concerned));
  if (!alive) return {};
  if (before.state != record.state) BUREAU_TRY_VOID(set_state(record, before.state));
  return fail(Code::busy,
              fmt::format("migration {} ({}): node {} is a process of {}, and could not work "
                          "afterwards; end it first",
                          number, record.name, alive->node,
                          alive->version == 0 ? std::string("a version without migrations")
                                              : fmt::format("version {}", alive->version)),
              "node");
}

Result<void> Migrator::Impl::finalize(const Migration& migration, const MigrateOptions& options) {
  const std::int64_t number = migration.number();
  BUREAU_TRY(Rows all, detail::read_migrations(*storage));
  const Row* record = find(all, number);
  if (record == nullptr || record->state == MigrationState::finalized) return {};
  const Row before = *record;
  if (record->state == MigrationState::expanded) {
    // From now on no older program begins; then it is looked whether one has.
    BUREAU_TRY_VOID(set_state(*record, MigrationState::finalizing));
    BUREAU_TRY(all, detail::read_migrations(*storage));
    record = find(all, number);
    if (record == nullptr) return {};
  }
  if (record->state == MigrationState::finalizing && record->done == 0) {
    Row back = before;
    back.state = MigrationState::expanded;
    BUREAU_TRY_VOID(refuse_while_alive(back, *record));
  }
  BUREAU_TRY_VOID(run(number, MigrationState::finalizing, steps_finalize(migration), options));
  BUREAU_TRY(all, detail::read_migrations(*storage));
  record = find(all, number);
  if (record == nullptr || record->state != MigrationState::finalizing) return {};
  BUREAU_TRY_VOID(set_state(*record, MigrationState::finalized));
  return {};
}

Result<MigrationPlan> Migrator::Impl::finalize_all(const MigrateOptions& options) {
  BUREAU_TRY_VOID(prepare());
  BUREAU_TRY(const Rows all, records());
  BUREAU_TRY_VOID(detail::check_version(all, version()));
  for (const Migration& one : migrations) {
    const Row* row = find(all, one.number());
    if (row != nullptr && row->state != MigrationState::expanding) continue;
    return detail::refuse_migration(
        Code::conflict,
        fmt::format("migration {} ({}) is not applied; apply it first", one.number(), one.name()));
  }
  BUREAU_TRY(MigrationPlan plan, plan_finalize(all));
  if (plan.loses() && !options.may_lose) return refuse_loss(plan);
  for (const Migration& one : migrations) BUREAU_TRY_VOID(finalize(one, options));
  return plan;
}

// Down ------------------------------------------------------------------------------------------

Result<MigrationPlan> Migrator::Impl::down(const MigrateOptions& options) {
  BUREAU_TRY_VOID(prepare());
  BUREAU_TRY(Rows all, records());
  BUREAU_TRY(MigrationPlan plan, plan_down(all));
  if (all.empty()) return plan;
  if (plan.loses() && !options.may_lose) return refuse_loss(plan);
  const Row before = all.back();
  const std::int64_t number = before.id.value;
  BUREAU_TRY(const bool ours, set_state(before, MigrationState::reverting));
  BUREAU_TRY(all, detail::read_migrations(*storage));
  const Row* record = find(all, number);
  if (!ours || record == nullptr) {
    return detail::refuse_migration(Code::conflict,
                                    fmt::format("migration {}: somebody else is at it", number));
  }
  if (before.state != MigrationState::reverting) {
    BUREAU_TRY_VOID(refuse_while_alive(before, *record));
  }
  BUREAU_TRY_VOID(storage->write(
      step_options(), [&](Writer& writer) { return detail::note_taken_back(writer, *record); }));
  const Migration& migration = *find(number);
  BUREAU_TRY_VOID(run(number, MigrationState::reverting, steps_down(migration, *record), options));
  BUREAU_TRY_VOID(storage->write(step_options(), [&](Writer& writer) -> Result<void> {
    BUREAU_TRY(const auto now, detail::find_row(writer, Id<Row>(number)));
    if (!now || now->state != MigrationState::reverting) return {};
    BUREAU_TRY_VOID(writer.remove(one_record(number),
                                  [](std::span<const Value>) -> Result<bool> { return true; }));
    return {};
  }));
  return plan;
}

Result<std::vector<MigrationStatus>> Migrator::Impl::status() {
  BUREAU_TRY(const Rows all, detail::read_migrations(*storage));
  std::vector<MigrationStatus> list;
  for (const Migration& one : migrations) {
    if (find(all, one.number()) == nullptr) {
      MigrationStatus status;
      status.number = one.number();
      status.name = one.name();
      list.push_back(std::move(status));
    }
  }
  for (const Row& row : all) {
    MigrationStatus status{row.id.value, row.name,       row.state,        true,
                           false,        row.applied_at, row.finalized_at, row.applied_by};
    const Migration* ours = find(status.number);
    status.known = ours != nullptr;
    status.changed = ours != nullptr && ours->checksum() != row.checksum;
    list.push_back(std::move(status));
  }
  std::sort(list.begin(), list.end(),
            [](const MigrationStatus& a, const MigrationStatus& b) { return a.number < b.number; });
  return list;
}

// The public face -------------------------------------------------------------------------------

Result<Migrator> Migrator::make(std::shared_ptr<Storage> storage, Catalog catalog,
                                std::vector<Migration> migrations, Clock& clock) {
  if (storage == nullptr) return fail(Code::invalid, "storage: must be given", "storage");
  BUREAU_TRY_VOID(detail::add_internal_tables(catalog));
  BUREAU_TRY_VOID(detail::check_migrations(catalog, migrations));
  return Migrator(std::make_shared<Impl>(
      Impl{std::move(storage), std::move(catalog), std::move(migrations), clock}));
}

Result<std::vector<MigrationStatus>> Migrator::status() { return impl_->status(); }
Result<std::vector<std::string>> Migrator::unbuilt_indexes() {
  BUREAU_TRY(const auto tables, impl_->storage->stored_tables());
  std::vector<std::string> names;
  for (const StoredTable& table : tables) {
    for (const Json& one : detail::list_member(table.definition, detail::unbuilt_member)) {
      const std::string* name = one.as_string();
      names.push_back(fmt::format("{}.{}", table.name, name == nullptr ? "" : *name));
    }
  }
  return names;
}
Result<MigrationPlan> Migrator::up(const MigrateOptions& options) { return impl_->up(options); }
Result<MigrationPlan> Migrator::down(const MigrateOptions& options) { return impl_->down(options); }
Result<MigrationPlan> Migrator::finalize(const MigrateOptions& options) {
  return impl_->finalize_all(options);
}
Result<MigrationPlan> Migrator::plan_up() {
  BUREAU_TRY(const auto records, impl_->records());
  return impl_->plan_up(records);
}
Result<MigrationPlan> Migrator::plan_down() {
  BUREAU_TRY(const auto records, impl_->records());
  return impl_->plan_down(records);
}
Result<MigrationPlan> Migrator::plan_finalize() {
  BUREAU_TRY(const auto records, impl_->records());
  return impl_->plan_finalize(records);
}

BUREAU_END_NAMESPACE
