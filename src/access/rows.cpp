#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "access/cursor.hpp"
#include "access/library_rows.hpp"
#include "access/rights.hpp"
#include "bureau/access/repository.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::BoundRule;
using detail::Rights;
using detail::RowCopy;
using detail::RuleKind;
using detail::SessionDoor;

namespace {

/// The one answer for a row that is absent and for one that policies hide.
tl::unexpected<Error> no_row(const TableInfo& table, std::int64_t id) {
  return fail(Code::not_found,
              fmt::format("{}: no row {}", table.name,
                          id > 0 ? id::to_text(table.prefix, id) : std::to_string(id)),
              "id");
}

tl::unexpected<Error> refused(const TableInfo& table, Command command, std::string_view rule) {
  return fail(Code::forbidden,
              fmt::format("{}: {} is not allowed {}", table.name, to_string(command), rule));
}

Predicate id_is(const TableInfo& table, std::int64_t id) {
  return detail::compare_column(table.columns[0], Predicate::Op::equal,
                                {OwnedValue(Value::integer(id))});
}

Select row_within(const TableInfo& table, std::int64_t id, const BoundRule& rule) {
  Select which;
  which.table = &table;
  which.where = id_is(table, id) && rule.predicate;
  which.limit = 1;
  return which;
}

/// The row when the rule shows it.
Result<bool> find_visible(Reader& reader, const TableInfo& table, std::int64_t id,
                          const BoundRule& rule, FunctionRef<void(std::span<const Value>)> sink) {
  if (rule.never || id <= 0) return false;
  bool visible = false;
  const auto give = [&](std::span<const Value> row) -> Result<bool> {
    visible = true;
    sink(row);
    return false;
  };
  if (rule.selects) {
    // A statement inside the callback of another is not for every storage: one statement does both.
    BUREAU_TRY_VOID(reader.scan(row_within(table, id, rule), give));
    return visible;
  }
  BUREAU_TRY_VOID(reader.find(table, id, [&](std::span<const Value> row) -> Result<bool> {
    BUREAU_TRY(const Truth truth, evaluate(rule.predicate, row));
    if (truth != Truth::yes) return false;
    return give(row);
  }));
  return visible;
}

/// Gives rows on with those columns blank that the reader does not see, where the table has any.
class Blanker {
 public:
  Blanker(const TableInfo& table, const Rights& rights)
      : table_(table), rights_(rights), needed_(rights.hides_some(table)) {}
  std::span<const Value> operator()(std::span<const Value> row) {
    if (!needed_) return row;
    row_.assign(row.begin(), row.end());
    for (const ColumnInfo& column : table_.columns) {
      if (rights_.hides(column)) row_[column.index] = detail::natural_zero(column);
    }
    return row_;
  }

 private:
  const TableInfo& table_;
  const Rights& rights_;
  bool needed_;
  std::vector<Value> row_;
};

Result<void> refuse_hidden(const Rights& rights, const ColumnInfo* column) {
  if (column == nullptr) return {};
  return rights.refuse_hidden(*column, "order or measure");
}

}  // namespace

// Reading --------------------------------------------------------------------------------------

namespace {

Result<void> scan_for(const Scope& scope, const TableInfo& table, std::int64_t id,
                      FunctionRef<void(std::span<const Value>)> sink) {
  Select select;
  std::optional<Blanker> blanker;
  const auto write = [&](const Rights& rights) -> Result<const Select*> {
    BUREAU_TRY(const BoundRule* rule, rights.rule(table, RuleKind::select));
    blanker.emplace(table, rights);
    select = row_within(table, id, *rule);
    return &select;
  };
  bool found = false;
  BUREAU_TRY_VOID(SessionDoor::scan(scope, write, [&](std::span<const Value> row) -> Result<bool> {
    found = true;
    sink((*blanker)(row));
    return false;
  }));
  if (!found) return no_row(table, id);
  return {};
}

}  // namespace

Result<void> Rows::find(std::int64_t id, FunctionRef<void(std::span<const Value>)> sink) const {
  if (SessionDoor::is_remote(scope_)) return scan_for(scope_, table_, id, sink);
  return SessionDoor::read(scope_, [&](Reader& reader, const Rights& rights) -> Result<void> {
    BUREAU_TRY(const BoundRule* rule, rights.rule(table_, RuleKind::select));
    Blanker blanker(table_, rights);
    BUREAU_TRY(const bool found,
               find_visible(reader, table_, id, *rule,
                            [&](std::span<const Value> row) { sink(blanker(row)); }));
    if (!found) return no_row(table_, id);
    return {};
  });
}

namespace {

/// What a cursor is good for: the same principal with the same rights asking the same thing.
std::string cursor_scope(const Rights& rights, const BoundRule& rule, const Query& query) {
  const Principal& who = rights.principal();
  std::string scope = fmt::format("{}/{}/{}/{}/{}/", who.tenant.value, who.user.value, who.agent,
                                  rule.text, query.where.to_text());
  for (const Order& order : query.order) {
    scope += order.column->name;
    scope += order.descending ? '-' : '+';
  }
  return scope;
}

}  // namespace

Result<std::string> Rows::list(const Query& query,
                               FunctionRef<bool(std::span<const Value>)> sink) const {
  std::string next;
  if (query.limit == 0) return next;
  const Database& database = scope_.session().database();
  Select select;
  const Rights* held = nullptr;
  const BoundRule* rule = nullptr;
  std::optional<Blanker> blanker;
  const auto write = [&](const Rights& rights) -> Result<const Select*> {
    held = &rights;
    BUREAU_TRY(rule, rights.rule(table_, RuleKind::select));
    for (const Order& order : query.order) {
      BUREAU_TRY_VOID(refuse_hidden(rights, order.column));
    }
    select = {};
    select.table = &table_;
    BUREAU_TRY(select.where, rights.admit(query.where, database.clock().now()));
    select.where = rule->predicate && select.where;
    select.order = query.order;
    // One more row says whether there is a next page.
    if (query.limit < std::numeric_limits<std::uint32_t>::max()) select.limit = query.limit + 1;
    if (!query.cursor.empty()) {
      BUREAU_TRY_VOID(detail::apply_cursor(
          database.cursor_key(), cursor_scope(rights, *rule, query), query.cursor, select));
    }
    blanker.emplace(table_, rights);
    return &select;
  };
  std::uint64_t given = 0;
  RowCopy last;
  const auto show = [&](std::span<const Value> row) -> Result<bool> {
    if (given == query.limit) {
      next = detail::make_cursor(database.cursor_key(), cursor_scope(*held, *rule, query), select,
                                 last.values());
      return false;
    }
    if (++given == query.limit) last.assign(row);
    return sink((*blanker)(row));
  };
  BUREAU_TRY_VOID(SessionDoor::scan(scope_, write, show));
  return next;
}

Result<std::uint64_t> Rows::count(const Predicate& where) const {
  Aggregate aggregate;
  aggregate.where = where;
  aggregate.measures = {{Aggregate::Function::count, nullptr}};
  std::uint64_t count = 0;
  BUREAU_TRY_VOID(
      this->aggregate(std::move(aggregate), [&](std::span<const Value> row) -> Result<bool> {
        count = static_cast<std::uint64_t>(row[0].as_integer());
        return true;
      }));
  return count;
}

Result<void> Rows::aggregate(Aggregate aggregate, RowSink sink) const {
  return SessionDoor::read(scope_, [&](Reader& reader, const Rights& rights) -> Result<void> {
    for (const ColumnInfo* column : aggregate.group_by) {
      BUREAU_TRY_VOID(refuse_hidden(rights, column));
    }
    for (const auto& measure : aggregate.measures) {
      BUREAU_TRY_VOID(refuse_hidden(rights, measure.column));
    }
    BUREAU_TRY(const BoundRule* rule, rights.rule(table_, RuleKind::select));
    Aggregate mine = aggregate;
    mine.table = &table_;
    BUREAU_TRY(mine.where,
               rights.admit(aggregate.where, scope_.session().database().clock().now()));
    mine.where = rule->predicate && mine.where;
    return reader.aggregate(mine, sink);
  });
}

// Writing --------------------------------------------------------------------------------------

namespace {

/// One write of one table in one unit.
class TableWrite {
 public:
  TableWrite(Unit& unit, const TableInfo& table, const Rights& rights)
      : unit_(unit),
        reader_(unit.transaction().reader()),
        table_(table),
        rights_(rights),
        access_(*unit.session().state().access) {}

  Result<void> insert(std::span<Value> rows);
  /// What these columns name is not looked for.
  void take_over(std::span<const std::string_view> columns) { taken_over_ = columns; }
  /// These are the library's: written as given, whoever does not see them.
  void work_out(std::span<const std::string_view> columns) { worked_out_ = columns; }
  /// `row` becomes what is written; it points into the caller's row and the stored one, which is
  /// gone when this returns.
  Result<void> update(std::span<const Value> given, std::vector<Value>& row);
  Result<void> remove(std::int64_t id);

 private:
  Result<void> fill_new(std::span<Value> row);
  Result<void> check_references(std::span<const Value> before, std::span<const Value> after,
                                std::span<const Value> batch);
  /// What a layer above asks of the table's rows.
  Result<void> check_required(std::span<const Value> before, std::span<const Value> after) const;
  Result<bool> may_refer(const TableInfo& target, std::int64_t id);
  /// The stored row, when the principal sees it.
  Result<RowCopy> visible_row(std::int64_t id);
  /// Fills in what the library keeps, and the secrets that the principal does not know. `conflict`
  /// when the version is not the stored one.
  Result<void> keep_columns(std::span<const Value> before, std::span<Value> row);
  Result<void> keep_hidden(std::span<const Value> before, std::span<Value> row) const;

  Unit& unit_;
  Reader& reader_;
  const TableInfo& table_;
  const Rights& rights_;
  const Access::Impl& access_;
  std::span<const std::string_view> taken_over_, worked_out_;
  // What was last found to be referable: rows of one call mostly refer to the same ones.
  const TableInfo* known_table_ = nullptr;
  std::int64_t known_id_ = 0;
};

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value& kept(std::span<Value> row, int place) { return row[static_cast<std::size_t>(place)]; }

Result<void> TableWrite::fill_new(std::span<Value> row) {
  if (row[0].is_null() || row[0].as_integer() == 0) {
    BUREAU_TRY(const std::int64_t id, unit_.transaction().next_id());
    row[0] = Value::integer(id);
  }
  if (table_.tenant != TableInfo::absent) {
    Value& tenant = kept(row, table_.tenant);
    if (!tenant.is_null() && tenant.as_integer() != 0 && tenant.as_integer() != rights_.tenant()) {
      return fail(Code::invalid, "tenant: the row would belong to another tenant than the session",
                  "tenant");
    }
    tenant = Value::integer(rights_.tenant());
  }
  const Value now = Value::integer(unit_.now().micros());
  if (table_.version != TableInfo::absent) kept(row, table_.version) = Value::integer(1);
  if (table_.created_at != TableInfo::absent) kept(row, table_.created_at) = now;
  if (table_.updated_at != TableInfo::absent) kept(row, table_.updated_at) = now;
  return {};
}

Result<bool> TableWrite::may_refer(const TableInfo& target, std::int64_t id) {
  if (&target == known_table_ && id == known_id_) return true;
  BUREAU_TRY(const BoundRule* rule, rights_.rule(target, RuleKind::select));
  BUREAU_TRY(const bool found,
             find_visible(reader_, target, id, *rule, [](std::span<const Value>) {}));
  if (found) {
    known_table_ = &target;
    known_id_ = id;
  }
  return found;
}

Result<void> TableWrite::check_references(std::span<const Value> before,
                                          std::span<const Value> after,
                                          std::span<const Value> batch) {
  const detail::PoliciesOfTable* known = access_.policies.find(table_);
  if (known == nullptr) return {};
  for (const auto& [column_place, target] : known->references) {
    const ColumnInfo& column = table_.columns[column_place];
    const Value& value = after[column.index];
    if (value.is_null() || value.kind() != Value::Kind::integer || value.as_integer() <= 0) {
      continue;  // nothing is named; whether it may be so is check_row's business
    }
    if (!before.empty() && before[column.index] == value) continue;
    if (contains(taken_over_, column.name)) continue;
    bool found = false;
    if (target == &table_) {
      for (std::size_t at = 0; at < batch.size() && !found; at += table_.width()) {
        found = batch[at] == value;
      }
    }
    if (!found) {
      BUREAU_TRY(found, may_refer(*target, value.as_integer()));
    }
    if (!found) {
      return fail(Code::not_found,
                  fmt::format("{}: no row {}", column.name,
                              id::to_text(target->prefix, value.as_integer())),
                  std::string(column.name));
    }
  }
  return {};
}

Result<void> TableWrite::check_required(std::span<const Value> before,
                                        std::span<const Value> after) const {
  const detail::PoliciesOfTable* known = access_.policies.find(table_);
  if (known == nullptr) return {};
  for (const RowRule& rule : known->required) BUREAU_TRY_VOID(rule(before, after));
  return {};
}

Result<RowCopy> TableWrite::visible_row(std::int64_t id) {
  BUREAU_TRY(const BoundRule* rule, rights_.rule(table_, RuleKind::select));
  RowCopy copy;
  BUREAU_TRY(const bool found, find_visible(reader_, table_, id, *rule,
                                            [&](std::span<const Value> row) { copy.assign(row); }));
  if (!found) return no_row(table_, id);
  return copy;
}

Result<void> TableWrite::insert(std::span<Value> rows) {
  BUREAU_TRY(const BoundRule* rule, rights_.rule(table_, RuleKind::insert));
  if (rule->never) return refused(table_, Command::insert, "by any policy");
  const std::size_t width = table_.width();
  for (std::size_t at = 0; at < rows.size(); at += width) {
    BUREAU_TRY_VOID(fill_new(rows.subspan(at, width)));
  }
  for (std::size_t at = 0; at < rows.size(); at += width) {
    const std::span<const Value> row = rows.subspan(at, width);
    BUREAU_TRY_VOID(check_row(table_, row));
    BUREAU_TRY_VOID(check_required({}, row));
    BUREAU_TRY_VOID(check_references({}, row, rows));
    BUREAU_TRY(const bool allowed, detail::satisfies(*rule, reader_, row));
    if (!allowed) return refused(table_, Command::insert, "of such a row");
    BUREAU_TRY_VOID(detail::check_identity(rights_, access_, reader_, table_, {}, row));
  }
  return unit_.transaction().insert(table_, rows);
}

Result<void> TableWrite::keep_columns(std::span<const Value> before, std::span<Value> row) {
  if (table_.version != TableInfo::absent) {
    const std::int64_t stored = before[static_cast<std::size_t>(table_.version)].as_integer();
    Value& given = kept(row, table_.version);
    if (given.is_null() || given.as_integer() != stored) {
      return fail(Code::conflict,
                  fmt::format("version: {} was given, the row {} has {}; read it again",
                              given.is_null() ? 0 : given.as_integer(),
                              id::to_text(table_.prefix, before[0].as_integer()), stored),
                  "version");
    }
    given = Value::integer(stored + 1);
  }
  if (table_.tenant != TableInfo::absent) {
    const Value& stored = before[static_cast<std::size_t>(table_.tenant)];
    Value& given = kept(row, table_.tenant);
    if (!given.is_null() && given.as_integer() != 0 && !(given == stored)) {
      return fail(Code::invalid, "tenant: a row cannot move to another tenant", "tenant");
    }
    given = stored;
  }
  std::int64_t updated = unit_.now().micros();
  if (table_.created_at != TableInfo::absent) {
    const Value& created = before[static_cast<std::size_t>(table_.created_at)];
    kept(row, table_.created_at) = created;
    updated = std::max(updated, created.as_integer());  // the clock may have stepped back since
  }
  if (table_.updated_at != TableInfo::absent) {
    kept(row, table_.updated_at) = Value::integer(updated);
  }
  if (rights_.system()) return {};
  if (rights_.hides_some(table_)) BUREAU_TRY_VOID(keep_hidden(before, row));
  for (const ColumnInfo& column : table_.columns) {
    if (!column.immutable || row[column.index] == before[column.index]) continue;
    if (contains(worked_out_, column.name)) continue;
    return fail(Code::invalid, fmt::format("{}: an update does not change it", column.name),
                std::string(column.name));
  }
  return {};
}

Result<void> TableWrite::keep_hidden(std::span<const Value> before, std::span<Value> row) const {
  for (const ColumnInfo& column : table_.columns) {
    const bool library =
        static_cast<int>(column.index) == table_.updated_at || contains(worked_out_, column.name);
    if (!rights_.hides(column) || library) continue;
    Value& value = row[column.index];
    if (value.is_null() || value == detail::natural_zero(column)) value = before[column.index];
    if (column.secret || column.hidden || value == before[column.index]) continue;
    return fail(Code::forbidden, fmt::format("{}: a hidden column cannot be changed", column.name),
                std::string(column.name));
  }
  return {};
}

Result<void> TableWrite::update(std::span<const Value> given, std::vector<Value>& row) {
  const std::int64_t id = given[0].is_null() ? 0 : given[0].as_integer();
  BUREAU_TRY(const RowCopy copy, visible_row(id));
  const std::span<const Value> before = copy.values();
  BUREAU_TRY(const BoundRule* using_rule, rights_.rule(table_, RuleKind::update));
  BUREAU_TRY(const bool may, detail::satisfies(*using_rule, reader_, before));
  if (!may) return refused(table_, Command::update, "of this row");
  row.assign(given.begin(), given.end());
  BUREAU_TRY_VOID(keep_columns(before, row));
  BUREAU_TRY_VOID(check_row(table_, row));
  BUREAU_TRY_VOID(check_required(before, row));
  BUREAU_TRY_VOID(check_references(before, row, {}));
  BUREAU_TRY(const BoundRule* check, rights_.rule(table_, RuleKind::update_check));
  BUREAU_TRY(const bool allowed, detail::satisfies(*check, reader_, row));
  if (!allowed) return refused(table_, Command::update, "to such a row");
  BUREAU_TRY_VOID(detail::check_identity(rights_, access_, reader_, table_, before, row));
  return unit_.transaction().replace(table_, before, row);
}

Result<void> TableWrite::remove(std::int64_t id) {
  BUREAU_TRY(const RowCopy copy, visible_row(id));
  BUREAU_TRY(const BoundRule* rule, rights_.rule(table_, RuleKind::remove));
  BUREAU_TRY(const bool may, detail::satisfies(*rule, reader_, copy.values()));
  if (!may) return refused(table_, Command::remove, "of this row");
  BUREAU_TRY_VOID(detail::check_identity(rights_, access_, reader_, table_, copy.values(), {}));
  Select which;
  which.table = &table_;
  which.where = id_is(table_, id);
  BUREAU_TRY_VOID(unit_.transaction().remove(which));
  return {};
}

Result<void> write_table(const Scope& scope, const TableInfo& table,
                         FunctionRef<Result<void>(TableWrite&)> work) {
  return SessionDoor::write(
      scope,
      [&](Unit& unit) -> Result<void> {
        BUREAU_TRY(const Rights* rights, SessionDoor::rights(unit));
        TableWrite write(unit, table, *rights);
        return work(write);
      },
      true);
}

Result<void> check_width(const TableInfo& table, std::size_t size, std::size_t expected) {
  if (size == expected) return {};
  return fail(Code::invalid, fmt::format("{}: {} values were given, a row has {}", table.name, size,
                                         table.width()));
}

}  // namespace

Result<void> Rows::insert(std::span<Value> rows) const {
  if (rows.empty()) return {};
  const std::size_t width = table_.width();
  BUREAU_TRY_VOID(check_width(table_, rows.size(), rows.size() / width * width));
  if (!scope_.session().principal().system) {
    for (std::size_t at = 0; at < rows.size(); at += width) {
      if (rows[at].is_null() || rows[at].as_integer() == 0) continue;
      // It would tell whether a hidden row has it.
      return fail(Code::invalid, "id: new rows are given their id", "id");
    }
  }
  // A second run keeps the ids of the first.
  return write_table(scope_, table_, [&](TableWrite& write) { return write.insert(rows); });
}

namespace detail {

Result<void> insert_taking_over(const Rows& rows, std::span<Value> row,
                                std::span<const std::string_view> columns) {
  BUREAU_TRY_VOID(check_width(rows.table(), row.size(), rows.table().width()));
  return write_table(rows.scope(), rows.table(), [&](TableWrite& write) {
    write.take_over(columns);
    return write.insert(row);
  });
}

}  // namespace detail

namespace detail {

Result<void> update_working_out(const Rows& rows, std::span<Value> row,
                                std::span<const std::string_view> columns) {
  const TableInfo& table = rows.table();
  BUREAU_TRY_VOID(check_width(table, row.size(), table.width()));
  // The closure may run twice: what was given stays as it is until the write has succeeded.
  std::vector<Value> written;
  BUREAU_TRY_VOID(write_table(rows.scope(), table, [&](TableWrite& write) {
    write.work_out(columns);
    return write.update(row, written);
  }));
  for (const int place : {table.tenant, table.version, table.created_at, table.updated_at}) {
    if (place != TableInfo::absent) kept(row, place) = kept(written, place);
  }
  return {};
}

}  // namespace detail

Result<void> Rows::update(std::span<Value> row) const {
  return detail::update_working_out(*this, row, {});
}

Result<void> Rows::remove(std::int64_t id) const {
  return write_table(scope_, table_, [&](TableWrite& write) { return write.remove(id); });
}

BUREAU_END_NAMESPACE
