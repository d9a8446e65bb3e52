#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/clock.hpp"
#include "bureau/core/json.hpp"
#include "bureau/store/progress.hpp"
#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

class Storage;

/// A row that a migration fills. Columns are those of the table while it has both forms: of a
/// renamed column both names, and what is to be dropped. Lives within the call.
class FillRow {
 public:
  FillRow(const TableInfo& table, std::span<const Value> row) : table_(table), row_(row) {}
  [[nodiscard]] std::int64_t id() const { return row_[0].as_integer(); }
  /// The value before the call; null too where there is no such column, which then is an error of
  /// the whole fill.
  [[nodiscard]] Value get(std::string_view column);
  /// Not the id. Enumerations are numbers, ids integers, times microseconds.
  void set(std::string_view column, const Value& value);

  struct Change {
    const ColumnInfo* column;
    OwnedValue value;
  };
  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }
  /// A column that was named and is not there; empty: none.
  [[nodiscard]] const std::string& unknown() const { return unknown_; }

 private:
  [[nodiscard]] const ColumnInfo* find(std::string_view column);
  const TableInfo& table_;
  std::span<const Value> row_;
  std::vector<Change> changes_;
  std::string unknown_;
};
/// Must depend on nothing but the row: it may be called more than once for one. An error ends the
/// migration where it is.
using FillFunction = std::function<Result<void>(FillRow&)>;

/// What lies between two versions of a program's tables, beside what its catalog says by itself: a
/// number, a name, and operations in order, each of which has an inverse (docs/migrations.md). The
/// number of a program's newest migration is its version. Once released it is not changed: what was
/// applied is compared.
class Migration {
 public:
  /// Numbers rise: 1, 2, 3, or 20260131120000.
  Migration(std::int64_t number, std::string name);

  // Values are as in JSON: an enumeration by its name, a time as RFC 3339.

  /// A table that the catalog describes; named so that going down takes it away.
  Migration& add_table(std::string table);
  /// A column that the catalog describes. Rows that are there, and those of the version before,
  /// hold `value`; null: what a new column holds without a migration.
  Migration& add_column(std::string table, std::string column, Json value = {});
  /// Both names are kept in step until it is finalized.
  Migration& rename_column(std::string table, std::string from, std::string to);
  /// The catalog describes it no more. It goes when the migration is finalized; until then rows of
  /// this version hold null in it for the one before, or, where it may not be null, `stand_in`
  /// (null: the zero of its type).
  Migration& drop_column(std::string table, std::string column, Json stand_in = {});
  Migration& drop_table(std::string table);
  /// A column that could be null and may no longer be. When it is finalized, rows without get
  /// `value`.
  Migration& require(std::string table, std::string column, Json value);
  /// Calls `up` for the rows for which the predicate `where` holds, some at a time, while others
  /// work; and once more when it is finalized, for rows that the version before has written
  /// meanwhile. `label` stands for the function in the checksum. Without `down`, going down leaves
  /// what was filled as it is.
  Migration& fill(std::string table, std::string where, std::string label, FillFunction up,
                  FillFunction down = {}, std::string down_where = {});

  [[nodiscard]] std::int64_t number() const { return number_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// 32 hexadecimal digits over number, name and operations.
  [[nodiscard]] std::string checksum() const;

  struct Operation {
    enum class Kind : std::uint8_t {
      add_table,
      add_column,
      rename_column,
      drop_column,
      drop_table,
      require,
      fill,
    };
    Kind kind;
    std::string table, column, to;
    Json value;
    std::string where, label, down_where;
    FillFunction up, down;
  };
  [[nodiscard]] const std::vector<Operation>& operations() const { return operations_; }

 private:
  std::int64_t number_;
  std::string name_;
  std::vector<Operation> operations_;
};

/// How far a migration is in an office. The names are stored.
enum class MigrationState : std::uint8_t {
  pending,     ///< not applied
  expanding,   ///< being applied, or cut off in that
  expanded,    ///< applied: this version and the one before work
  finalizing,  ///< being finalized, or cut off in that: the one before is refused
  finalized,
  reverting,  ///< being taken back, or cut off in that
};

template <>
inline constexpr auto names<MigrationState> = enum_names("pending", "expanding", "expanded",
                                                         "finalizing", "finalized", "reverting");

struct MigrationStatus {
  std::int64_t number = 0;
  std::string name;
  MigrationState state = MigrationState::pending;
  bool known = true;     ///< false: this program does not have it; it is a newer one's
  bool changed = false;  ///< what was applied has another checksum
  std::optional<Timestamp> applied_at, finalized_at;
  std::string applied_by;
};

/// What a call would do, or has done.
struct MigrationPlan {
  struct Step {
    std::int64_t number = 0;
    std::string text;  ///< for people: "machines.state: new name of machines.condition"
    std::string lost;  ///< what is lost, for people; empty: nothing
  };
  std::vector<Step> steps;
  [[nodiscard]] bool loses() const;
};

struct MigrateOptions {
  bool may_lose = false;  ///< what the plan says is lost may go
  std::string by = {};    ///< who, for the record
  ProgressSink progress = {};
};

/// What Database::open() does about migrations that are not applied.
enum class OnOpen : std::uint8_t {
  expand,    ///< applies them; they are finalized by Migrator::finalize()
  finalize,  ///< and finalizes them, if no older version is at work: for a program of one process
  refuse,    ///< `unavailable`: somebody else calls Migrator::up()
};

/// The migrations of a program and an office. Each call takes one step after the other, in writes
/// of their own, and others may write meanwhile; one that was cut off is gone on with by the next
/// call of up() or the same. Several at a time help each other. Any thread; blocks.
///
/// Errors: those of the storage (`busy` when others hold a table: try again); `invalid`, with field
/// "migrations", for a list that is wrong or does not fit the catalog; `conflict`, same field, when
/// an applied migration was changed, when something would be lost without may_lose, or when data
/// does not allow it; `busy`, field "node", when a process of another version is alive that could
/// not work afterwards; `upgraded` when the office is newer than this program.
class Migrator {
 public:
  /// `catalog`: all tables of the program, as Database::open() was given.
  static Result<Migrator> make(std::shared_ptr<Storage> storage, Catalog catalog,
                               std::vector<Migration> migrations, Clock& clock = Clock::system());

  /// Of the list and of those that the office has beyond it, by number.
  [[nodiscard]] Result<std::vector<MigrationStatus>> status();
  /// "table.index" of those that are being built while others write, or that were cut off in it: a
  /// process was killed, values are there twice. Whoever opens the office or calls up() builds
  /// them.
  [[nodiscard]] Result<std::vector<std::string>> unbuilt_indexes();

  /// Applies what is pending, so that this version and the one before work. When several are
  /// pending, each is finalized before the next is applied.
  Result<MigrationPlan> up(const MigrateOptions& options = {});
  /// Takes the newest applied migration back, which must not be finalized.
  Result<MigrationPlan> down(const MigrateOptions& options = {});
  /// Ends the time of the version before: what only that one needs goes.
  Result<MigrationPlan> finalize(const MigrateOptions& options = {});

  // What each would do now. Reads only.
  [[nodiscard]] Result<MigrationPlan> plan_up();
  [[nodiscard]] Result<MigrationPlan> plan_down();
  [[nodiscard]] Result<MigrationPlan> plan_finalize();

  struct Impl;

 private:
  explicit Migrator(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

BUREAU_END_NAMESPACE
