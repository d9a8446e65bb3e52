// What every entity has: list, show, create, change, delete, export, import.

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "bureau/store/statement.hpp"
#include "commands.hpp"
#include "entity_rules.hpp"
#include "transfer.hpp"

namespace cli {

using namespace bureau;

namespace {

struct RowGiven {
  std::string table, id, file, where, order, format_name;
  std::vector<std::string> ids, fields, columns;
  ListOptions list;
  bool skip_bad = false;
};

struct RowName {
  const TableInfo* table = nullptr;
  std::int64_t id = 0;
};

/// The table and number that an id's text names.
Result<RowName> parse_row_id(const Office& office, const std::string& text) {
  const std::string_view prefix = std::string_view(text).substr(0, text.find('_'));
  for (const TableInfo* table : office.engine->database().catalog().tables()) {
    if (table->prefix != prefix || table->name.starts_with("bureau_")) continue;
    BUREAU_TRY(const auto value, id::from_text(prefix, text));
    return RowName{table, value};
  }
  return fail(Code::invalid,
              fmt::format("id: \"{}\" is of no table; ids begin with a table's prefix, such as "
                          "tkt_...: `bureau tables` lists them",
                          text),
              "id");
}

Result<Field> parse_field(const std::string& text, const EntityRules& rules,
                          FunctionRef<Result<const ColumnInfo*>(std::string_view)> column_of) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) {
    return fail(Code::invalid,
                fmt::format("\"{}\": fields are given as COLUMN=VALUE; COLUMN= is null", text),
                "field");
  }
  BUREAU_TRY(const ColumnInfo* column, column_of(std::string_view(text).substr(0, equals)));
  BUREAU_TRY(OwnedValue value,
             value_of_text(rules, *column, std::string_view(text).substr(equals + 1)));
  return Field{column, std::move(value)};
}

template <class ColumnOf>
Result<Fields> parse_fields(const std::vector<std::string>& texts, const EntityRules& rules,
                            ColumnOf&& column_of) {
  Fields fields;
  for (const std::string& text : texts) {
    BUREAU_TRY(Field field, parse_field(text, rules, column_of));
    for (const Field& known : fields) {
      if (known.column == field.column) {
        return fail(Code::invalid, fmt::format("{}: given twice", field.column->name),
                    std::string(field.column->name));
      }
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

/// The columns of a table's listing when nobody has said which: its id, and the first that are
/// short and not kept by the library.
std::vector<std::string_view> usual_columns(const TableInfo& table) {
  std::vector<std::string_view> names{table.columns[0].name};
  for (const ColumnInfo& column : table.columns) {
    if (names.size() == 8) break;
    const int at = column.index;
    if (at == 0 || at == table.tenant || at == table.version || at == table.created_at ||
        at == table.updated_at || column.hidden || column.secret || column.type == Type::json ||
        column.type == Type::bytes || (column.type == Type::text && column.max_length > 1000)) {
      continue;
    }
    names.push_back(column.name);
  }
  return names;
}

Result<void> print_tables(const Office& office, Format format) {
  RowPrinter printer(format, {"table", "prefix", "journal", "columns"});
  for (const TableInfo* table : office.engine->database().catalog().tables()) {
    if (table->name.starts_with("bureau_")) continue;
    std::vector<std::string_view> columns;
    Json json = Json::array();
    for (const ColumnInfo& column : table->columns) {
      if (column.hidden) continue;
      columns.push_back(column.name);
      json.push_back(Json::object({{"name", column.name},
                                   {"type", to_string(column.type)},
                                   {"nullable", column.nullable},
                                   {"secret", column.secret},
                                   {"personal", column.personal}}));
    }
    const std::string_view kept = table->journal == journal::full    ? "full"
                                  : table->journal == journal::after ? "after"
                                                                     : "none";
    printer.add({std::string(table->name), std::string(table->prefix), std::string(kept),
                 fmt::format("{}", fmt::join(columns, " "))},
                Json::object({{"table", table->name},
                              {"prefix", table->prefix},
                              {"journal", kept},
                              {"columns", std::move(json)}}));
  }
  printer.finish();
  return {};
}

Result<void> list(const Office& office, RowGiven& given) {
  BUREAU_TRY(const TableInfo* table, find_table(office, given.table));
  BUREAU_TRY(auto order, parse_order(*table, given.order));
  std::vector<std::string_view> columns;
  for (const std::string& name : given.columns) {
    BUREAU_TRY(const ColumnInfo* column, find_column(*table, name));
    if (column->secret) {
      return fail(Code::forbidden,
                  fmt::format("--columns: {}: it is secret; no command lists it", column->name),
                  std::string(column->name));
    }
    columns.push_back(column->name);
  }
  return list_rows(office, *table, given.list, std::move(order), usual_columns(*table),
                   std::move(columns));
}

Result<void> show(const Office& office, const std::vector<std::string>& ids, Format format) {
  const Session session = office.session();
  Json all = Json::array();
  for (const std::string& text : ids) {
    BUREAU_TRY(const RowName row, parse_row_id(office, text));
    BUREAU_TRY_VOID(
        Rows(Scope(session), *row.table).find(row.id, [&](std::span<const Value> values) {
          if (format == Format::json) return all.push_back(row_to_json(*row.table, values));
          for (const ColumnInfo& c : row.table->columns) {
            if (c.hidden || c.secret) continue;
            const std::string value = to_text(c, values[c.index]);
            if (!value.empty()) fmt::print("{:<18}{}\n", c.name, without_controls(value));
          }
          if (ids.size() > 1) fmt::print("\n");
        }));
  }
  if (format == Format::json) fmt::print("{}\n", printable(all));
  return {};
}

Result<void> create(const Office& office, const RowGiven& given) {
  BUREAU_TRY(const TableInfo* table, find_table(office, given.table));
  const EntityRules rules = rules_of(*table);
  BUREAU_TRY(const Fields fields, parse_fields(given.fields, rules, [&](std::string_view name) {
               return column_to_create(*table, rules, name);
             }));
  const Session session = office.session();
  BUREAU_TRY(const std::int64_t id, session.write([&](Unit& unit) -> Result<std::int64_t> {
    return create_row(unit, *table, rules, fields);
  }));
  fmt::print("{}\n", id::to_text(table->prefix, id));
  return {};
}

Result<void> change(const Office& office, const RowGiven& given) {
  BUREAU_TRY(const RowName row, parse_row_id(office, given.id));
  const EntityRules rules = rules_of(*row.table);
  if (!rules.refuse_change.empty()) {
    return fail(Code::invalid, fmt::format("{}: {}", row.table->name, rules.refuse_change));
  }
  BUREAU_TRY(const Fields fields, parse_fields(given.fields, rules, [&](std::string_view name) {
               return column_to_change(*row.table, rules, name);
             }));
  const Session session = office.session();
  BUREAU_TRY_VOID(session.write([&](Unit& unit) -> Result<void> {
    return change_row(unit, *row.table, rules, row.id, fields);
  }));
  fmt::print("{}: changed\n", given.id);
  return {};
}

/// All of them or none.
Result<void> remove(const Office& office, const RowGiven& given) {
  std::vector<RowName> rows;
  for (const std::string& text : given.ids) {
    BUREAU_TRY(const RowName row, parse_row_id(office, text));
    rows.push_back(row);
  }
  const Session session = office.session();
  BUREAU_TRY_VOID(session.write([&](Unit& unit) -> Result<void> {
    for (const RowName& row : rows) {
      BUREAU_TRY_VOID(remove_row(unit, *row.table, rules_of(*row.table), row.id));
    }
    return {};
  }));
  fmt::print("{} deleted\n", rows.size());
  return {};
}

void add_table_argument(CLI::App& app, std::string& table) {
  app.add_option("TABLE", table, "its name; `bureau tables` lists them")->required();
}

}  // namespace

Result<const TableInfo*> find_table(const Office& office, const std::string& name) {
  const Catalog& catalog = office.engine->database().catalog();
  if (const TableInfo* table = catalog.find(name); table && !name.starts_with("bureau_")) {
    return table;
  }
  return fail(Code::not_found,
              fmt::format("table: there is no \"{}\"; `bureau tables` lists those there are", name),
              "table");
}

void add_rows_commands(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<RowGiven>();

  auto* tables = app.add_subcommand("tables", "what kinds of rows there are");
  add_format_option(*tables, given->list.format);
  tables->callback(
      in_office([given](Office& office) { return print_tables(office, given->list.format); }));

  auto* list_app = app.add_subcommand("list", "list rows of any table");
  add_table_argument(*list_app, given->table);
  add_list_options(*list_app, given->list, "state = \"open\" and team is null");
  list_app->add_option("--order", given->order, "such as 'priority desc, number'");
  list_app->add_option("--columns", given->columns, "these alone, in every format")->delimiter(',');
  list_app->callback(in_office([given](Office& office) { return list(office, *given); }));

  auto* show_app = app.add_subcommand("show", "all that is known of rows");
  show_app->add_option("ID", given->ids, "their ids")->required();
  add_format_option(*show_app, given->list.format);
  show_app->callback(
      in_office([given](Office& office) { return show(office, given->ids, given->list.format); }));

  auto* create_app = app.add_subcommand("create", "make a row, and print its id");
  add_table_argument(*create_app, given->table);
  create_app->add_option("FIELD", given->fields, "COLUMN=VALUE; the others are as a new row's are");
  create_app->callback(in_office([given](Office& office) { return create(office, *given); }));

  auto* change_app = app.add_subcommand("change", "change a row");
  change_app->add_option("ID", given->id, "its id")->required();
  change_app->add_option("FIELD", given->fields, "COLUMN=VALUE; COLUMN= is null")->required();
  change_app->callback(in_office([given](Office& office) { return change(office, *given); }));

  auto* delete_app = app.add_subcommand("delete", "remove rows: all of them or none");
  delete_app->add_option("ID", given->ids, "their ids")->required();
  delete_app->callback(in_office([given](Office& office) { return remove(office, *given); }));

  auto* export_app = app.add_subcommand("export", "write all rows of a table to stdout");
  add_table_argument(*export_app, given->table);
  export_app->add_option("--where", given->where, "only rows for which this holds");
  export_app
      ->add_option("--format", given->format_name,
                   "jsonl is exact; in csv a text that a spreadsheet would run gets an apostrophe")
      ->check(CLI::IsMember({"jsonl", "csv"}))
      ->default_str("jsonl");
  export_app->callback(in_office([given](Office& office) {
    return export_rows(office, given->table, given->where, given->format_name == "csv");
  }));

  auto* import_app =
      app.add_subcommand("import", "make a row of each line of a CSV or JSON lines file");
  add_table_argument(*import_app, given->table);
  import_app->add_option("FILE", given->file, "NAME.csv with a header, or NAME.jsonl")->required();
  import_app->add_flag("--skip-bad", given->skip_bad, "import the good rows and list the bad ones");
  import_app->callback(in_office([given](Office& office) {
    return import_rows(office, given->table, given->file, given->skip_bad);
  }));
}

}  // namespace cli
