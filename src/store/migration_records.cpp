#include "store/migration_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "store/journal_age.hpp"
#include "store/row_values.hpp"
#include "store/table_definition.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

template <Entity T>
Result<std::vector<T>> read_rows_of(Reader& reader) {
  std::vector<T> rows;
  BUREAU_TRY_VOID(reader.scan(select<T>(), [&](std::span<const Value> values) -> Result<bool> {
    from_values(values, rows.emplace_back());
    return true;
  }));
  return rows;
}

bool excludes_older(MigrationState state) {
  return state == MigrationState::finalizing || state == MigrationState::finalized;
}

}  // namespace

Result<std::vector<MigrationRow>> read_migrations(Reader& reader) {
  return read_rows_of<MigrationRow>(reader);
}

Result<std::vector<MigrationRow>> read_migrations(Storage& storage) {
  std::vector<MigrationRow> rows;
  auto read = storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(rows, read_migrations(reader));
    return {};
  });
  // Where there is no table for them, there are none.
  if (!read && read.error().code != Code::invalid) return fail(std::move(read).error());
  if (!read) rows.clear();
  return rows;
}

std::int64_t finalized_version(const std::vector<MigrationRow>& records) {
  std::int64_t newest = 0;
  for (const MigrationRow& row : records) {
    if (excludes_older(row.state)) newest = std::max(newest, row.id.value);
  }
  return newest;
}

Result<void> check_version(const std::vector<MigrationRow>& records, std::int64_t version) {
  const std::int64_t finalized = finalized_version(records);
  if (finalized > version) {
    return fail(Code::upgraded,
                fmt::format("this program knows migrations up to {}, and {} is finalized: it is "
                            "older than the office; update the program",
                            version, finalized),
                "migrations");
  }
  for (const MigrationRow& row : records) {
    if (row.state != MigrationState::reverting || row.id.value > version) continue;
    return fail(Code::unavailable,
                fmt::format("migration {} is being taken back; `bureau migrate down` goes on with "
                            "it, `bureau migrate` applies it again",
                            row.id.value),
                "migrations");
  }
  return {};
}

Result<void> register_program(Writer& writer, int node, std::int64_t generation,
                              std::int64_t version) {
  BUREAU_TRY(const auto records, read_migrations(writer));
  BUREAU_TRY_VOID(check_version(records, version));
  const ProgramRow row{Id<ProgramRow>(node + 1), generation, version};
  BUREAU_TRY(const auto known, find_row(writer, row.id));
  const TableInfo& table = table_of<ProgramRow>();
  if (!known) return writer.insert(table, RowValues(row).values());
  Update update{{&table, col(&ProgramRow::id) == row.id}, {}};
  update.set = {{table.find("generation"), Value::integer(generation)},
                {table.find("version"), Value::integer(version)}};
  BUREAU_TRY_VOID(writer.update(update));
  return {};
}

Result<std::optional<LiveProgram>> find_live_program(
    Storage& storage, FunctionRef<bool(std::int64_t version)> concerned) {
  std::vector<NodeRow> nodes;
  std::map<std::int64_t, ProgramRow> programs;
  auto read = storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    programs.clear();
    BUREAU_TRY(nodes, read_rows_of<NodeRow>(reader));
    BUREAU_TRY(const auto rows, read_rows_of<ProgramRow>(reader));
    for (const ProgramRow& row : rows) programs[row.id.value] = row;
    return {};
  });
  BUREAU_TRY_VOID(std::move(read));
  for (const NodeRow& node : nodes) {
    const auto found = programs.find(node.id.value);
    // One that has not said so comes from the time before there were versions.
    const bool said = found != programs.end() && found->second.generation == node.generation;
    const LiveProgram program{static_cast<int>(node.id.value - 1),
                              said ? found->second.version : 0};
    if (!concerned(program.version)) continue;
    BUREAU_TRY(const bool alive, storage.node_is_alive(program.node));
    if (alive) return std::optional(program);
  }
  return std::optional<LiveProgram>();
}

namespace {
std::string note_of(MigrationState state) {
  return fmt::format("{}_after", names<MigrationState>[static_cast<std::size_t>(state)]);
}

Result<Json> taken_back_list(const SettingRow& noted) {
  auto list = Json::parse(noted.value.data);
  if (list && list->as_array() != nullptr) return list;
  return fail(Code::corrupt, "bureau_settings: the list of migrations taken back cannot be read");
}
}  // namespace

Result<void> note_newest_change(Reader& reader, MigrationState state, MigrationRow& row) {
  BUREAU_TRY(const std::int64_t newest, newest_change(reader));
  row.operations.set(note_of(state), newest);
  return {};
}

std::optional<std::int64_t> newest_change_before(const MigrationRow& row, MigrationState state) {
  const Json* const noted = row.operations.find(note_of(state));
  const std::int64_t* const number = noted == nullptr ? nullptr : noted->as_int();
  return number == nullptr ? std::nullopt : std::optional(*number);
}

Result<void> note_taken_back(Writer& writer, const MigrationRow& row) {
  BUREAU_TRY(const auto noted, find_row(writer, Id<SettingRow>(taken_back_setting)));
  Json all = Json::array();
  if (noted) {
    BUREAU_TRY(all, taken_back_list(*noted));
  }
  Json one = Json::object({{"number", row.id.value}, {"name", row.name}});
  if (const auto after = newest_change_before(row, MigrationState::expanding)) {
    one.set("after", *after);
  }
  all.push_back(std::move(one));
  const SettingRow next{Id<SettingRow>(taken_back_setting), "taken_back", {all.dump()}};
  const TableInfo& settings = table_of<SettingRow>();
  if (!noted) return writer.insert(settings, RowValues(next).values());
  Update update{{&settings, col(&SettingRow::id) == next.id}, {}};
  update.set = {{settings.find("value"), Value::bytes(next.value.data)}};
  BUREAU_TRY_VOID(writer.update(update));
  return {};
}

Result<std::vector<TakenBack>> read_taken_back(Reader& reader) {
  std::vector<TakenBack> all;
  BUREAU_TRY(const auto noted, find_row(reader, Id<SettingRow>(taken_back_setting)));
  if (!noted) return all;
  BUREAU_TRY(const Json list, taken_back_list(*noted));
  for (const Json& one : *list.as_array()) {
    const auto number = [&](std::string_view key) -> std::optional<std::int64_t> {
      const Json* const found = one.find(key);
      const std::int64_t* const value = found == nullptr ? nullptr : found->as_int();
      return value == nullptr ? std::nullopt : std::optional(*value);
    };
    all.push_back({number("number").value_or(0), text_member(one, "name"), number("after")});
  }
  return all;
}

Result<std::vector<Renamed>> read_renames(Reader& reader) {
  BUREAU_TRY(const auto records, read_migrations(reader));
  std::vector<Renamed> renames;
  for (const MigrationRow& row : records) {
    for (const Json& one : list_member(row.operations, "operations")) {
      if (text_member(one, "op") != "rename_column") continue;
      renames.push_back(
          {text_member(one, "table"), text_member(one, "column"), text_member(one, "to")});
    }
  }
  return renames;
}

std::vector<UnknownColumn> unknown_columns(const std::vector<MigrationRow>& records) {
  std::vector<UnknownColumn> unknown;
  for (const MigrationRow& row : records) {
    if (excludes_older(row.state)) continue;
    for (const Json& one : list_member(row.operations, "operations")) {
      const Json* const value = one.find("value");
      const std::string op = text_member(one, "op");
      if (value == nullptr || (op != "add_column" && op != "drop_column")) continue;
      unknown.push_back(
          {text_member(one, "table"), text_member(one, "column"), *value, op == "drop_column"});
    }
  }
  return unknown;
}

}  // namespace detail
BUREAU_END_NAMESPACE
