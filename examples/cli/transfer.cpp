#include "transfer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "bureau/core/csv.hpp"
#include "commands.hpp"
#include "entity_rules.hpp"
#include "sheet.hpp"

namespace cli {

using namespace bureau;

namespace {

constexpr std::uint64_t rows_a_page = 1000;

std::vector<const ColumnInfo*> shown_columns(const TableInfo& table) {
  std::vector<const ColumnInfo*> columns;
  for (const ColumnInfo& column : table.columns) {
    if (!column.hidden && !column.secret) columns.push_back(&column);
  }
  return columns;
}

/// How far it is, on a terminal; nothing elsewhere.
class Progress {
 public:
  void tell(std::size_t rows) {
    if (!terminal_ || rows % 1000 != 0) return;
    fmt::print(stderr, "\r{} rows ", rows);
    told_ = true;
  }
  ~Progress() {
    if (told_) fmt::print(stderr, "\r");
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool told_ = false;
};

// Import ---------------------------------------------------------------------------------------

struct NewRow {
  std::size_t line = 0;
  std::int64_t id = 0;
  Fields fields;
};

/// What a column of the file is to the table.
struct Target {
  const ColumnInfo* column = nullptr;  // null: passed over
  bool is_id = false;
};

Result<Target> target_of(const TableInfo& table, const EntityRules& rules, std::string_view name) {
  if (const ColumnInfo* column = table.find(name); column != nullptr && !column->hidden) {
    const int at = column->index;
    if (at == 0) return Target{column, true};
    if (at == table.tenant || at == table.version || at == table.created_at ||
        at == table.updated_at) {
      return Target{};
    }
  }
  BUREAU_TRY(const ColumnInfo* column, column_to_create(table, rules, name));
  return Target{column, false};
}

Result<void> take(NewRow& row, const Target& target, OwnedValue value) {
  if (target.is_id) {
    row.id = value.view().is_null() ? 0 : value.view().as_integer();
  } else if (target.column != nullptr) {
    row.fields.push_back({target.column, std::move(value)});
  }
  return {};
}

/// Reads the file's rows; what `bad` takes is left out.
class RowFile {
 public:
  RowFile(const TableInfo& table, const EntityRules& rules, std::string path)
      : table_(table), rules_(rules), path_(std::move(path)) {}

  Result<std::vector<NewRow>> read(std::vector<std::string>* bad) {
    BUREAU_TRY(std::string text, read_file(path_));
    const bool lines =
        path_.ends_with(".jsonl") || path_.ends_with(".ndjson") || path_.ends_with(".json");
    return lines ? read_lines(text, bad) : read_sheet(std::move(text), bad);
  }

 private:
  Error at(std::size_t line, const Error& error) const {
    return {error.code, fmt::format("{}, line {}: {}", path_, line, error.message), error.field};
  }
  Result<void> keep(Result<NewRow> row, std::vector<NewRow>& rows, std::vector<std::string>* bad) {
    if (row) {
      rows.push_back(*std::move(row));
    } else if (bad == nullptr) {
      return fail(std::move(row).error());
    } else {
      bad->push_back(row.error().message);
    }
    return {};
  }

  Result<std::vector<NewRow>> read_lines(std::string_view text, std::vector<std::string>* bad) {
    std::vector<NewRow> rows;
    std::size_t line = 0;
    while (!text.empty()) {
      ++line;
      const std::size_t end = std::min(text.find('\n'), text.size());
      std::string_view one = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (one.ends_with('\r')) one.remove_suffix(1);
      if (one.empty()) continue;
      BUREAU_TRY_VOID(keep(row_of_object(one, line), rows, bad));
    }
    return rows;
  }
  Result<NewRow> row_of_object(std::string_view text, std::size_t line) const {
    auto object = Json::parse(text);
    if (!object) return fail(at(line, object.error()));
    if (object->as_object() == nullptr) {
      return fail(at(line, Error(Code::invalid, "it is no JSON object")));
    }
    NewRow row;
    row.line = line;
    for (const auto& [name, json] : *object->as_object()) {
      auto target = target_of(table_, rules_, name);
      if (!target) return fail(at(line, target.error()));
      if (target->column == nullptr) continue;
      auto value = value_of_json(rules_, *target->column, json);
      if (!value) return fail(at(line, value.error()));
      BUREAU_TRY_VOID(take(row, *target, *std::move(value)));
    }
    return row;
  }

  Result<std::vector<NewRow>> read_sheet(std::string text, std::vector<std::string>* bad) {
    BUREAU_TRY(Sheet sheet, Sheet::open(path_, std::move(text)));
    std::vector<Target> targets;
    for (const std::string& name : sheet.column_names()) {
      auto target = target_of(table_, rules_, name);
      if (!target) return fail(at(1, target.error()));
      for (const Target& known : targets) {
        if (known.column != nullptr && known.column == target->column) {
          return fail(at(1, Error(Code::invalid, fmt::format("{}: it is there twice", name))));
        }
      }
      targets.push_back(*target);
    }
    std::vector<NewRow> rows;
    for (;;) {
      auto more = sheet.next();
      if (more && !*more) break;
      if (!more) {
        if (bad == nullptr) return fail(std::move(more).error());
        bad->push_back(more.error().message);
        continue;
      }
      BUREAU_TRY_VOID(keep(row_of_record(sheet, targets), rows, bad));
    }
    return rows;
  }
  Result<NewRow> row_of_record(const Sheet& sheet, const std::vector<Target>& targets) const {
    NewRow row;
    row.line = sheet.line();
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (targets[i].column == nullptr) continue;
      auto value = value_of_text(rules_, *targets[i].column, sheet.field(i));
      if (!value) return fail(at(row.line, value.error()));
      BUREAU_TRY_VOID(take(row, targets[i], *std::move(value)));
    }
    return row;
  }

  const TableInfo& table_;
  const EntityRules& rules_;
  std::string path_;
};

struct Imported {
  std::size_t made = 0, present = 0;
  std::vector<std::string> bad;
};

/// An id that stands twice in a file is an error of the second row: it would pass for one that was
/// there before, and be left out without a word.
Result<void> refuse_twins(std::vector<NewRow>& rows, const std::string& path,
                          std::vector<std::string>* bad) {
  std::map<std::int64_t, std::int64_t> lines;
  std::vector<NewRow> kept;
  for (NewRow& row : rows) {
    const auto [first, is_new] = lines.try_emplace(row.id, row.line);
    if (row.id == 0 || is_new) {
      kept.push_back(std::move(row));
      continue;
    }
    const std::string said = fmt::format("{}, line {}: id: the row of line {} has the same", path,
                                         row.line, first->second);
    if (bad == nullptr) return fail(Code::invalid, said, "id");
    bad->push_back(said);
  }
  rows = std::move(kept);
  return {};
}

/// Whether the row was made; false when its id is there.
Result<bool> import_one(Unit& unit, const TableInfo& table, const EntityRules& rules,
                        const NewRow& row) {
  if (row.id != 0) {
    const auto there = Rows(Scope(unit), table).find(row.id, [](std::span<const Value>) {});
    if (there) return false;
    if (there.error().code != Code::not_found) return fail(there.error());
  }
  BUREAU_TRY_VOID(create_row(unit, table, rules, row.fields, row.id));
  return true;
}

}  // namespace

Result<void> export_rows(const Office& office, const std::string& name, const std::string& where,
                         bool csv) {
  BUREAU_TRY(const TableInfo* table, find_table(office, name));
  const Session session = office.session();
  Query query;
  BUREAU_TRY(query.where, parse_where(office, *table, where));
  query.order = {{&table->columns[0], false}};
  query.limit = rows_a_page;
  const auto columns = shown_columns(*table);
  std::string line;
  const auto put = [&line](std::string_view end) {
    line += end;
    std::fwrite(line.data(), 1, line.size(), stdout);
    line.clear();
  };
  if (csv) {
    for (const ColumnInfo* column : columns) {
      if (!line.empty()) line += ',';
      append_csv_field(line, column->name);
    }
    put("\r\n");
  }
  std::size_t rows = 0;
  Progress progress;
  // Each page is a look of its own: a snapshot held for all of them would keep the log from
  // shrinking.
  const Rows all{Scope(session), *table};
  do {
    BUREAU_TRY(query.cursor, all.list(query, [&](std::span<const Value> row) {
      if (csv) {
        for (const ColumnInfo* column : columns) {
          if (column != columns.front()) line += ',';
          append_csv_field(line, to_text(*column, row[column->index]));
        }
      } else {
        row_to_json(*table, row).dump_to(line);
      }
      put(csv ? "\r\n" : "\n");
      progress.tell(++rows);
      return std::ferror(stdout) == 0;
    }));
  } while (!query.cursor.empty() && std::ferror(stdout) == 0);
  return {};
}

Result<void> import_rows(const Office& office, const std::string& name, const std::string& path,
                         bool skip_bad) {
  BUREAU_TRY(const TableInfo* table, find_table(office, name));
  const EntityRules rules = rules_of(*table);
  if (!rules.refuse_create.empty()) {
    return fail(Code::invalid, fmt::format("{}: {}", table->name, rules.refuse_create), name);
  }
  std::vector<std::string> bad;
  BUREAU_TRY(auto rows, RowFile(*table, rules, path).read(skip_bad ? &bad : nullptr));
  BUREAU_TRY_VOID(refuse_twins(rows, path, skip_bad ? &bad : nullptr));
  const Session session = office.session();
  Imported report;
  if (!skip_bad) {
    BUREAU_TRY(report, session.write([&](Unit& unit) -> Result<Imported> {
      Imported now;
      Progress progress;
      for (const NewRow& row : rows) {
        auto made = import_one(unit, *table, rules, row);
        if (!made) {
          return fail(made.error().code,
                      fmt::format("{}, line {}: {}", path, row.line, made.error().message),
                      made.error().field);
        }
        ++(*made ? now.made : now.present);
        progress.tell(now.made);
      }
      return now;
    }));
  } else {
    // Each by itself: what a row that fails has done so far must not stay.
    Progress progress;
    for (const NewRow& row : rows) {
      auto made = session.write(
          [&](Unit& unit) -> Result<bool> { return import_one(unit, *table, rules, row); });
      if (made) {
        ++(*made ? report.made : report.present);
      } else if (made.error().code == Code::unavailable || made.error().code == Code::busy) {
        return fail(std::move(made).error());
      } else {
        bad.push_back(fmt::format("{}, line {}: {}", path, row.line, made.error().message));
      }
      progress.tell(report.made);
    }
  }
  for (const std::string& line : bad) {
    fmt::print(stderr, "bureau: left out: {}\n", without_controls(line));
  }
  fmt::print("{} imported, {} already there, {} left out\n", report.made, report.present,
             bad.size());
  return {};
}

}  // namespace cli
