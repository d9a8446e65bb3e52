#pragma once

// Generated versions of a program, up and down, with rows that both write, beside a model that
// knows nothing of how a storage does it.

#include <algorithm>

#include "store/migration_suite.hpp"

namespace migration_suite {

class History {
 public:
  History(const Place& place, std::uint64_t seed) : storage_(place.open()), random_(seed) {
    columns_ = {{"a", Type::integer, true}, {"b", Type::text, false}, {"c", Type::integer, false}};
    migrations_ = {first_migration()};
    open(version_of(columns_, migrations_)).reset();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      check();
    }
  }

 private:
  struct Column {
    std::string name;
    Type type = Type::integer;
    bool nullable = false;
    friend bool operator==(const Column&, const Column&) = default;
  };
  using Columns = std::vector<Column>;
  enum class Kind { add, add_by_catalog, rename, drop, require, fill };
  struct Operation {
    Kind kind;
    Column column;
    std::string to;
    OwnedValue value;
  };
  using Row = std::map<std::string, OwnedValue>;

  [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_.below(n); }
  [[nodiscard]] bool in_flight() const { return !operations_.empty(); }

  static Version version_of(const Columns& columns, std::vector<Migration> migrations) {
    std::vector<ColumnInfo> infos{column("id", Type::id)};
    static std::deque<std::string> names;
    for (const Column& one : columns) {
      infos.push_back(column(names.emplace_back(one.name), one.type, one.nullable));
    }
    std::vector<detail::IndexDef> indexes;
    if (!columns.empty()) indexes.push_back({"some", {infos[1].name}, false, {}});
    return {&make_table("things", std::move(infos), std::move(indexes)), std::move(migrations)};
  }
  std::unique_ptr<Program> open(const Version& version) {
    return std::make_unique<Program>(version, storage_, OnOpen::refuse);
  }

  // The program as it was, and as it is while a migration is under way.
  [[nodiscard]] Version old_version() const {
    auto list = migrations_;
    if (in_flight()) list.pop_back();
    return version_of(columns_, std::move(list));
  }
  [[nodiscard]] Version new_version() const { return version_of(next_, migrations_); }

  static OwnedValue zero(const Column& column) {
    if (column.nullable) return {};
    return column.type == Type::text ? text("") : number(0);
  }
  OwnedValue any(const Column& column) {
    if (column.nullable && below(3) == 0) return {};
    const auto drawn = static_cast<std::int64_t>(below(50));
    return column.type == Type::text ? text("t'" + std::to_string(drawn)) : number(drawn);
  }

  void step() {
    const std::uint64_t what = below(10);
    if (!in_flight() && what < 4) return up();
    if (in_flight() && what == 0) return down();
    if (in_flight() && what == 1) return finalize();
    write(in_flight() && below(2) == 0);
  }

  // Versions -------------------------------------------------------------------------------------

  void add_operation(Migration& migration) {
    std::vector<Column> free;
    for (const Column& one : next_) {
      if (std::find(columns_.begin(), columns_.end(), one) == columns_.end()) continue;
      const bool touched =
          std::any_of(operations_.begin(), operations_.end(),
                      [&](const Operation& o) { return o.column.name == one.name; });
      if (!touched) free.push_back(one);
    }
    auto kind = static_cast<Kind>(below(6));
    if (free.empty()) kind = Kind::add;
    Operation made{kind, {}, {}, {}};
    if (kind == Kind::add || kind == Kind::add_by_catalog) {
      made.column = {"x" + std::to_string(++names_), below(2) == 0 ? Type::integer : Type::text,
                     below(2) == 0};
      made.value = kind == Kind::add ? any(made.column) : zero(made.column);
      if (kind == Kind::add) {
        migration.add_column("things", made.column.name, json_of(made.value));
        if (made.value.view().is_null()) made.value = zero(made.column);
      }
      next_.insert(next_.begin() + static_cast<std::ptrdiff_t>(below(next_.size() + 1)),
                   made.column);
    } else {
      made.column = free[below(free.size())];
      const auto at = std::find(next_.begin(), next_.end(), made.column);
      if (!change(migration, made, at)) return;
    }
    operations_.push_back(std::move(made));
  }

  bool change(Migration& migration, Operation& made, Columns::iterator at) {
    const std::string& name = made.column.name;
    switch (made.kind) {
      case Kind::rename:
        made.to = "x" + std::to_string(++names_);
        at->name = made.to;
        migration.rename_column("things", name, made.to);
        return true;
      case Kind::drop:
        made.value = zero(made.column);
        if (!made.column.nullable && below(2) == 0) {
          made.value = any(made.column);
          migration.drop_column("things", name, json_of(made.value));
        } else {
          migration.drop_column("things", name);
        }
        next_.erase(at);
        return true;
      case Kind::require:
        if (!made.column.nullable) return false;
        made.value = any({name, made.column.type, false});
        at->nullable = false;
        migration.require("things", name, json_of(made.value));
        return true;
      default:
        if (!made.column.nullable || made.column.type != Type::integer) return false;
        migration.fill("things", name + " is null", "twice the id",
                       [name](FillRow& row) -> Result<void> {
                         row.set(name, Value::integer(row.id() * 2));
                         return {};
                       });
        return true;
    }
  }

  static Json json_of(const OwnedValue& value) {
    const Value view = value.view();
    if (view.is_null()) return {};
    if (view.kind() == Value::Kind::text) return Json(view.as_text());
    return Json(view.as_integer());
  }

  void fill(const Operation& one) {
    for (auto& [id, row] : rows_) {
      OwnedValue& value = row[one.column.name];
      if (value.view().is_null()) value = number(id * 2);
    }
  }

  void up() {
    next_ = columns_;
    Migration migration(static_cast<std::int64_t>(migrations_.size()) + 1, "generated");
    for (std::uint64_t i = 0; i < 1 + below(3) || operations_.empty(); ++i) {
      add_operation(migration);
    }
    migrations_.push_back(std::move(migration));
    must(migrator_of(new_version(), storage_).up());
    for (const Operation& one : operations_) {
      for (auto& [id, row] : rows_) {
        if (one.kind == Kind::add || one.kind == Kind::add_by_catalog) {
          row[one.column.name] = one.value;
        }
        if (one.kind == Kind::rename) row[one.to] = row[one.column.name];
      }
      if (one.kind == Kind::fill) fill(one);
    }
  }

  void down() {
    must(migrator_of(new_version(), storage_).down(losing()));
    for (const Operation& one : operations_) {
      for (auto& [id, row] : rows_) {
        if (one.kind == Kind::add || one.kind == Kind::add_by_catalog) row.erase(one.column.name);
        if (one.kind == Kind::rename) row.erase(one.to);
      }
    }
    migrations_.pop_back();
    operations_.clear();
  }

  void finalize() {
    must(migrator_of(new_version(), storage_).finalize(losing()));
    for (const Operation& one : operations_) {
      if (one.kind == Kind::fill) fill(one);
      for (auto& [id, row] : rows_) {
        OwnedValue& value = row[one.column.name];
        if (one.kind == Kind::require && value.view().is_null()) value = one.value;
        if (one.kind == Kind::rename || one.kind == Kind::drop) row.erase(one.column.name);
      }
    }
    columns_ = next_;
    operations_.clear();
  }

  // Rows -----------------------------------------------------------------------------------------

  void write(bool as_new) {
    const Columns& known = as_new ? next_ : columns_;
    const auto program = open(as_new ? new_version() : old_version());
    const std::uint64_t writes = 1 + below(3);
    for (std::uint64_t i = 0; i < writes; ++i) {
      if (rows_.empty() || below(2) == 0) {
        insert(*program, known, as_new);
      } else if (!known.empty()) {
        const auto at = std::next(rows_.begin(), static_cast<std::ptrdiff_t>(below(rows_.size())));
        const Column& one = known[below(known.size())];
        const OwnedValue value = any(one);
        must(program->set(at->first, one.name, value));
        at->second[one.name] = value;
        follow(at->second, one.name, value);
      }
    }
  }

  void insert(Program& program, const Columns& known, bool as_new) {
    const std::int64_t id = ++ids_;
    Row row;
    for (const Column& one : known) row[one.name] = any(one);
    must(program.insert(id, row));
    for (const Operation& one : operations_) {
      const bool adds = one.kind == Kind::add || one.kind == Kind::add_by_catalog;
      if ((adds && !as_new) || (one.kind == Kind::drop && as_new)) {
        row[one.column.name] = one.value;
      }
      if (one.kind != Kind::rename) continue;
      (as_new ? row[one.column.name] : row[one.to]) = row[as_new ? one.to : one.column.name];
    }
    rows_[id] = std::move(row);
  }

  void follow(Row& row, const std::string& name, const OwnedValue& value) {
    for (const Operation& one : operations_) {
      if (one.kind != Kind::rename) continue;
      if (one.column.name == name) row[one.to] = value;
      if (one.to == name) row[one.column.name] = value;
    }
  }

  void check() {
    check(old_version(), columns_);
    if (in_flight()) check(new_version(), next_);
  }
  void check(const Version& version, const Columns& known) {
    const auto seen = open(version)->rows();
    REQUIRE(seen.size() == rows_.size());
    for (const auto& [id, row] : rows_) {
      for (const Column& one : known) {
        const bool same = seen.at(id).at(one.name) == row.at(one.name);
        const std::string where = one.name + " of row " + std::to_string(id);
        REQUIRE_MESSAGE(same, where);
      }
    }
  }

  std::shared_ptr<Storage> storage_;
  SeededRandom random_;
  Columns columns_, next_;
  std::vector<Migration> migrations_;
  std::vector<Operation> operations_;  // of the migration under way
  std::map<std::int64_t, Row> rows_;
  std::int64_t ids_ = 0;
  int names_ = 0;
};

}  // namespace migration_suite
