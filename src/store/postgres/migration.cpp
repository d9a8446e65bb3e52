#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "store/internal_tables.hpp"
#include "store/postgres/functions.hpp"
#include "store/postgres/index_build.hpp"
#include "store/postgres/months.hpp"
#include "store/postgres/office_schema.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr std::string_view migrating = "a migration";

/// Tables that are new are made in one transaction. One that is there may be written to meanwhile,
/// by programs that must not wait for an index: whoever changes such a table takes a turn, notes in
/// a transaction which indexes are to come, builds them outside of any, and notes that they are
/// there. What was noted and is not there was cut off, and is built again by whoever comes next.
class Migration {
 public:
  Migration(Connection& connection, const Settings& direct, const LogSink& log,
            const Catalog& catalog, Monotonic deadline)
      : connection_(&connection),
        direct_(direct),
        log_(log),
        catalog_(catalog),
        deadline_(deadline) {}

  Result<bool> run() {
    BUREAU_TRY_VOID(make_pass());
    if (need_ == Need::nothing) return changed_;
    BUREAU_TRY(const bool ours, take_turn());
    if (!ours) return changed_;
    for (;;) {
      BUREAU_TRY_VOID(make_pass());
      if (builds_.empty()) return changed_;
      for (const Build& build : builds_) BUREAU_TRY_VOID(make(build));
    }
  }

 private:
  /// Of a turn.
  enum class Need { nothing, when_free, turn };
  /// An index that is not in its table's stored description.
  struct Build {
    const TableInfo* table = nullptr;
    const IndexInfo* index = nullptr;  ///< null: what is left of one that is not wanted any more
    std::string name;                  ///< as the table describes it
  };

  [[nodiscard]] const std::string& where() const { return connection_->where(); }
  [[nodiscard]] const std::string& schema() const { return connection_->settings().schema; }
  [[nodiscard]] std::string table_name(const TableInfo& table) const {
    return fmt::format("{}.{}", schema(), quoted(table.name));
  }

  Result<Answers> ask(std::string_view text, std::span<const Parameter> parameters = {}) {
    connection_->add_once(text, parameters);
    Answers answers = connection_->exchange(deadline_);
    if (!answers.good()) return fail(to_error(*answers.failure, where(), {migrating}));
    return answers;
  }
  Result<void> execute(std::string_view text, std::span<const Parameter> parameters = {}) {
    BUREAU_TRY_VOID(ask(text, parameters));
    return {};
  }

  Result<bool> take_turn() {
    BUREAU_TRY(auto turn, ChangeTurn::open(direct_, deadline_));
    turn_.emplace(std::move(turn));
    connection_ = &turn_->connection();
    if (need_ == Need::when_free) return turn_->try_take(deadline_);
    BUREAU_TRY_VOID(turn_->take(deadline_));
    return true;
  }

  // In a transaction ------------------------------------------------------------------------------

  Result<void> make_pass() {
    builds_.clear();
    BUREAU_TRY_VOID(begin_alone(*connection_, deadline_));
    const bool before = changed_;
    auto done = bring_all_up();
    const bool stays = done && need_ != Need::turn;
    if (!stays) changed_ = before;
    connection_->add_once(stays ? "COMMIT" : "ROLLBACK");
    const Answers ended = connection_->exchange(deadline_);
    if (stays && !ended.good()) {
      Error error = to_error(*ended.failure, where(), {migrating});
      if (connection_->is_broken()) error.code = Code::unknown_outcome;
      return fail(std::move(error));
    }
    return done;
  }

  Result<void> bring_all_up() {
    BUREAU_TRY_VOID(read_stored());
    need_ = Need::nothing;
    BUREAU_TRY_VOID(look());
    if (need_ == Need::turn) return {};
    for (const TableInfo* table : catalog_.tables()) BUREAU_TRY_VOID(bring_up(*table));
    return {};
  }

  Result<void> read_stored() {
    BUREAU_TRY(auto tables, read_definitions(*connection_, deadline_));
    stored_.clear();
    for (StoredTable& one : tables) {
      stored_.emplace(std::move(one.name), std::move(one.definition));
    }
    return {};
  }

  [[nodiscard]] const Json* stored(const TableInfo& table) const {
    const auto found = stored_.find(table.name);
    return found == stored_.end() ? nullptr : &found->second;
  }

  /// What is to be done to tables that are there, while nothing is locked yet.
  Result<void> look() {
    changes_.clear();
    for (const TableInfo* table : catalog_.tables()) {
      const Json* const there = stored(*table);
      if (there == nullptr) continue;
      if (same_definition(*there, definition_of(*table))) {
        const bool left = !list_member(*there, unbuilt_member).empty();
        if (left && !turn_) need_ = std::max(need_, Need::when_free);
        continue;
      }
      BUREAU_TRY(TableChange change, change_of(where(), *table, *there));
      for (const IndexInfo* index : change.indexes) {
        if (turn_) BUREAU_TRY_VOID(check_unique(*table, *index, change));
      }
      changes_.emplace(table, std::move(change));
    }
    if (changes_.empty() || turn_) return {};
    BUREAU_TRY(nobody_writes_, is_moving_in());
    if (!nobody_writes_) need_ = Need::turn;
    return {};
  }

  /// Rows that break an index are found before anything is changed; those that come later, or that
  /// a new column makes alike, by the index.
  Result<void> check_unique(const TableInfo& table, const IndexInfo& index,
                            const TableChange& change) {
    const bool is_new =
        std::any_of(index.columns.begin(), index.columns.end(), [&](std::uint16_t column) {
          return std::find(change.columns.begin(), change.columns.end(), &table.columns[column]) !=
                 change.columns.end();
        });
    if (!index.unique || is_new || settled_.contains(index_name(table, index.name))) return {};
    // A condition may ask for a column that is not there yet.
    if (!index.where.empty() && !change.columns.empty()) return {};
    BUREAU_TRY(const std::string query, values_twice(schema(), catalog_, table, index));
    BUREAU_TRY(const Answers twice, ask(query));
    if (PQntuples(twice.results.back().get()) == 0) return {};
    return fail(breaks_index(where(), table, index));
  }

  /// An office that is being moved in is nobody's yet.
  Result<bool> is_moving_in() {
    const TableInfo& settings = table_of<SettingRow>();
    if (stored(settings) == nullptr) return false;
    BUREAU_TRY(const Answers mark, ask(fmt::format("SELECT 1 FROM {} WHERE id={}",
                                                   table_name(settings), moving_setting)));
    return PQntuples(mark.results.back().get()) > 0;
  }

  Result<void> bring_up(const TableInfo& table) {
    const Json* const there = stored(table);
    const auto change = changes_.find(&table);
    if (there == nullptr) {
      BUREAU_TRY_VOID(create(table));
    } else if (change != changes_.end()) {
      BUREAU_TRY_VOID(apply(table, change->second));
    } else if (!turn_ || list_member(*there, unbuilt_member).empty()) {
      return {};
    }
    if (there != nullptr) note_left(table, *there);
    changed_ = true;
    return store(table);
  }

  /// What a process began to build that this table does not want.
  void note_left(const TableInfo& table, const Json& there) {
    for (const Json& one : list_member(there, unbuilt_member)) {
      const std::string name = one.as_string() == nullptr ? "" : *one.as_string();
      const bool known = std::any_of(builds_.begin(), builds_.end(), [&](const Build& build) {
        return build.table == &table && build.name == name;
      });
      if (!known && !settled_.contains(index_name(table, name))) {
        builds_.push_back({&table, nullptr, name});
      }
    }
  }

  Result<void> store(const TableInfo& table) {
    Json definition = definition_of(table);
    Json::Array indexes = list_member(definition, "indexes");
    Json::Array unbuilt;
    for (const Build& build : builds_) {
      if (build.table != &table) continue;
      unbuilt.emplace_back(build.name);
      if (build.index == nullptr) continue;
      std::erase_if(indexes,
                    [&](const Json& one) { return text_member(one, "name") == build.name; });
    }
    if (!unbuilt.empty()) {
      definition.set("indexes", Json::array(std::move(indexes)));
      definition.set(std::string(unbuilt_member), Json::array(std::move(unbuilt)));
    }
    const std::string text = definition.dump();
    const std::vector<Parameter> parameters = {
        {ParameterType::text, false, Value::text(table.name), {}},
        {ParameterType::text, false, Value::text(text), {}}};
    return execute(fmt::format("INSERT INTO {}.bureau_catalog(name,definition) VALUES($1,$2) ON "
                               "CONFLICT(name) DO UPDATE SET definition=excluded.definition",
                               schema()),
                   parameters);
  }

  Result<void> create(const TableInfo& table) {
    std::string columns;
    for (const ColumnInfo& column : table.columns) {
      if (!columns.empty()) columns += ", ";
      columns += quoted(column.name) + " " + column_type(column);
      if (column.index == 0) columns += " PRIMARY KEY";
    }
    BUREAU_TRY_VOID(execute(fmt::format("CREATE TABLE {}({}){}", table_name(table), columns,
                                        table.by_month ? by_range_of_ids : "")));
    if (table.by_month) BUREAU_TRY_VOID(execute(default_partition(schema(), table.name)));
    for (const IndexInfo& index : table.indexes) BUREAU_TRY_VOID(create(table, index, false));
    return {};
  }

  Result<void> create(const TableInfo& table, const IndexInfo& index, bool concurrently) {
    BUREAU_TRY(const std::string text,
               create_index(schema(), catalog_, table, index, concurrently));
    auto made = execute(text);
    if (made || made.error().code != Code::exists) return made;
    return fail(breaks_index(where(), table, index));
  }

  Result<void> apply(const TableInfo& table, const TableChange& change) {
    for (const ColumnInfo* column : change.columns) BUREAU_TRY_VOID(add(table, *column));
    for (const ColumnInfo* column : change.folded) {
      BUREAU_TRY_VOID(execute(fmt::format("UPDATE {} SET {}={}", table_name(table),
                                          quoted(table.columns[column->folded_index].name),
                                          folded_sql(quoted(column->name)))));
    }
    for (const std::string& index : change.dropped) {
      BUREAU_TRY_VOID(
          execute(fmt::format("DROP INDEX {}.{}", schema(), quoted(index_name(table, index)))));
    }
    // The server builds none beside writers on a table that it has in parts.
    const bool at_once = nobody_writes_ || table.by_month || is_by_month(*stored(table));
    for (const IndexInfo* index : change.indexes) {
      if (settled_.contains(index_name(table, index->name))) continue;
      if (at_once) {
        BUREAU_TRY_VOID(create(table, *index, false));
      } else {
        builds_.push_back({&table, index, std::string(index->name)});
      }
    }
    return {};
  }

  Result<void> add(const TableInfo& table, const ColumnInfo& column) {
    Sql sql(schema());
    sql << "ALTER TABLE " << table_name(table) << " ADD COLUMN " << quoted(column.name) << " "
        << column_type(column);
    if (!column.nullable) {
      sql << " DEFAULT ";
      sql.literal(natural_zero(column));
    }
    return execute(sql.text);
  }

  // Outside of one --------------------------------------------------------------------------------

  Result<void> make(const Build& build) {
    const std::string name = index_name(*build.table, build.name);
    BUREAU_TRY_VOID(remove(name));  // what is left of a build that was cut off
    if (build.index != nullptr) {
      log(log_, LogLevel::info, "postgres",
          "an index is built; others write meanwhile, and what they began before is waited for",
          {{"table", build.table->name}, {"index", build.index->name}});
      auto made = create(*build.table, *build.index, true);
      if (!made) {
        // One that is not whole takes part in writes, and refuses values.
        if (!connection_->is_broken()) static_cast<void>(remove(name));
        return made;
      }
    }
    settled_.insert(name);
    return {};
  }

  Result<void> remove(const std::string& name) {
    return execute(fmt::format("DROP INDEX CONCURRENTLY IF EXISTS {}.{}", schema(), quoted(name)));
  }

  Connection* connection_;
  const Settings& direct_;
  const LogSink& log_;
  const Catalog& catalog_;
  Monotonic deadline_;
  std::optional<ChangeTurn> turn_;
  std::map<std::string, Json, std::less<>> stored_;
  std::map<const TableInfo*, TableChange> changes_;
  std::vector<Build> builds_;
  std::set<std::string> settled_;  ///< indexes that were built, or removed, in this turn
  Need need_ = Need::nothing;
  bool nobody_writes_ = false;
  bool changed_ = false;
};

}  // namespace

Result<std::vector<StoredTable>> read_definitions(Connection& connection, Monotonic deadline) {
  connection.add_once(fmt::format("SELECT name,definition FROM {}.bureau_catalog ORDER BY name",
                                  connection.settings().schema));
  const Answers answers = connection.exchange(deadline);
  if (!answers.good()) {
    return fail(to_error(*answers.failure, connection.where(), {"reading what it holds"}));
  }
  std::vector<StoredTable> tables;
  const PGresult* const result = answers.results.back().get();
  for (int row = 0; row < PQntuples(result); ++row) {
    const std::string name(value_at(result, row, 0).as_text());
    BUREAU_TRY(Json definition, detail::read_definition(connection.where(), name,
                                                        value_at(result, row, 1).as_text()));
    tables.push_back({name, std::move(definition)});
  }
  return tables;
}

Result<bool> migrate_tables(Connection& connection, const Settings& direct, const LogSink& log,
                            const Catalog& catalog, Monotonic deadline) {
  return Migration(connection, direct, log, catalog, deadline).run();
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
