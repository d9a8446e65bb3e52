// What a migration gives rows that are there, some at a time, while others work.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/store/predicate.hpp"
#include "store/migrator_impl.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// So many rows are looked at in one write of a fill.
constexpr std::uint64_t fill_rows = 500;

/// What a fill gives some rows, so that one statement can write it.
class Filled {
  using Row = std::vector<OwnedValue>;

 public:
  explicit Filled(const TableInfo& table) : table_(table) {}

  Result<void> add(std::span<const Value> row, const FillFunction& fill,
                   const TableInfo* described) {
    ++seen_;
    last_ = row[0].as_integer();
    FillRow asked(table_, row);
    BUREAU_TRY_VOID(fill(asked));
    if (!asked.unknown().empty()) {
      return detail::refuse_migration(Code::invalid,
                                      fmt::format("a fill of {} names the column {}, which is not "
                                                  "there",
                                                  table_.name, asked.unknown()));
    }
    if (asked.changes().empty()) return {};
    Row& one = changed_.emplace_back(row.begin(), row.end());
    for (const FillRow::Change& change : asked.changes()) {
      const ColumnInfo* now = described == nullptr ? nullptr : described->find(change.column->name);
      const bool is_ours = now != nullptr && !change.value.view().is_null();
      BUREAU_TRY_VOID(check_value(table_, is_ours ? *now : *change.column, change.value.view()));
      one[change.column->index] = change.value;
      if (std::find(columns_.begin(), columns_.end(), change.column) == columns_.end()) {
        columns_.push_back(change.column);
      }
    }
    return {};
  }

  Result<void> write(Writer& writer) const {
    if (changed_.empty()) return {};
    std::vector<Value> values;
    values.reserve(changed_.size() * (columns_.size() + 1));
    for (const Row& one : changed_) {
      values.push_back(one[0].view());
      for (const ColumnInfo* column : columns_) values.push_back(one[column->index].view());
    }
    BUREAU_TRY_VOID(writer.update_rows(table_, columns_, values));
    return {};
  }

  [[nodiscard]] std::uint64_t seen() const { return seen_; }
  [[nodiscard]] std::int64_t last() const { return last_; }

 private:
  const TableInfo& table_;
  std::vector<Row> changed_;
  std::vector<const ColumnInfo*> columns_;
  std::uint64_t seen_ = 0;
  std::int64_t last_ = 0;
};

}  // namespace

Result<void> Migrator::Impl::fill(const Row& record, const Step& step,
                                  const MigrateOptions& options) {
  BUREAU_TRY(const Catalog tables, stored());
  const TableInfo* table = tables.find(step.table);
  const bool there = table != nullptr && std::all_of(step.needs.begin(), step.needs.end(),
                                                     [&](const std::string& column) {
                                                       return table->find(column) != nullptr;
                                                     });
  Select some;
  if (there) {
    auto where = Predicate::parse(*table, step.where, &tables);
    if (!where) {
      return detail::refuse_migration(
          Code::invalid, fmt::format("migration {}: a fill of {} where {}: {}", record.id.value,
                                     step.table, step.where, where.error().message));
    }
    Predicate which = *where;
    if (record.position > 0) {
      which = which && detail::compare_column(table->columns[0], Predicate::Op::greater,
                                              {OwnedValue(Value::integer(record.position))});
    }
    some = {table, which, {{&table->columns[0], false}}, fill_rows, {}, false};
  }
  const TableInfo* described = catalog.find(step.table);
  std::int64_t position = 0;
  BUREAU_TRY_VOID(write_if_same(record, [&](Writer& writer, Row& row) -> Result<void> {
    bool more = false;
    if (there) {
      Filled filled(*table);
      BUREAU_TRY_VOID(writer.scan(some, [&](std::span<const Value> values) -> Result<bool> {
        BUREAU_TRY_VOID(filled.add(values, step.fill, described));
        return true;
      }));
      BUREAU_TRY_VOID(filled.write(writer));
      more = filled.seen() == fill_rows;
      position = filled.last();
    }
    row.position = more ? position : 0;
    row.done += more ? 0 : 1;
    return {};
  }));
  if (!options.progress || options.progress({step.table, record.done, 0})) return {};
  return fail(Code::cancelled, fmt::format("migration {} was interrupted; it goes on when it is "
                                           "called again",
                                           record.id.value));
}

BUREAU_END_NAMESPACE
