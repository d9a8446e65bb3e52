// A host's own tables, described by a dataclass.

#include <fmt/format.h>

#include <deque>

#include "bureau/store/schema.hpp"
#include "given.hpp"

namespace bureau_python {

namespace {

/// Names live as long as the process, as ColumnInfo promises.
std::string_view keep(std::string text) {
  static auto* kept = new std::deque<std::string>;
  return kept->emplace_back(std::move(text));
}
std::span<const std::string_view> keep_names(const py::list& names) {
  static auto* kept = new std::deque<std::vector<std::string_view>>;
  auto& list = kept->emplace_back();
  for (const py::handle one : names) list.push_back(keep(text_from_python(one.ptr(), "name")));
  return list;
}

Type type_named(const std::string& name) {
  for (const Type type : {Type::boolean, Type::integer, Type::real, Type::text, Type::timestamp,
                          Type::duration, Type::id, Type::enumeration, Type::json, Type::bytes}) {
    if (to_string(type) == name) return type;
  }
  raise(Code::invalid, fmt::format("type: there is no \"{}\"", name), "type");
}

ColumnInfo column_of(const py::dict& fields) {
  Given given("column", fields);
  detail::ColumnOptions options;
  options.secret = given.flag("secret");
  options.personal = given.flag("personal");
  options.searchable = given.flag("searchable");
  options.folded = given.flag("folded");
  options.immutable = given.flag("immutable");
  if (const auto most = given.maybe_integer("max_length")) {
    options.max_length = static_cast<std::uint32_t>(*most);
  }
  const Type type = type_named(given.text("type"));
  ColumnInfo column =
      detail::make_column(keep(given.text("name")), type, given.flag("nullable"), options);
  column.references = keep(given.text("references"));
  column.id_prefix = keep(given.text("prefix"));
  if (PyObject* names = given.at("names")) {
    column.names = keep_names(py::reinterpret_borrow<py::list>(names));
    adopt_enum(column.names, given.at("enum"));
  }
  given.at("default");
  given.at("enum");
  given.done();
  return column;
}

OwnedValue default_of(const ColumnInfo& column, const py::dict& fields) {
  if (fields.contains("default") && !fields["default"].is_none()) {
    return from_python(column, py::object(fields["default"]).ptr());
  }
  if (column.nullable) return {};
  switch (column.type) {
    case Type::text:
      return OwnedValue::text("");
    case Type::json:
      return OwnedValue::text("null");
    case Type::bytes:
      return OwnedValue::bytes("");
    case Type::real:
      return OwnedValue(Value::real(0));
    default:
      return OwnedValue(Value::integer(0));
  }
}

}  // namespace

py::capsule make_table(const std::string& name, const std::string& prefix, const py::list& columns,
                       const py::list& indexes) {
  auto table = std::make_unique<TableInfo>();
  table->name = keep(name);
  table->prefix = keep(prefix);
  table->journal = journal::full;
  for (const py::handle one : columns) table->columns.push_back(column_of(one.cast<py::dict>()));
  std::vector<detail::IndexDef> made;
  for (const py::handle one : indexes) {
    const auto fields = one.cast<py::dict>();
    Given given("index", fields);
    detail::IndexDef& index = made.emplace_back();
    index.name = keep(given.text("name"));
    index.unique = given.flag("unique");
    index.condition = keep(given.text("where"));
    std::size_t place = 0;
    for (const py::handle column : py::reinterpret_borrow<py::list>(given.at("columns"))) {
      if (place == detail::IndexDef::max_columns) {
        raise(Code::invalid,
              fmt::format("index {}: it has more than {} columns", index.name,
                          detail::IndexDef::max_columns),
              "index");
      }
      index.columns[place++] = keep(text_from_python(column.ptr(), "index"));
    }
    given.done();
  }
  detail::finish_table(*table, made);
  if (!table->error.empty()) raise(Code::invalid, table->error, name);
  std::size_t at = 0;
  for (const py::handle one : columns) {
    table->defaults.push_back(default_of(table->columns[at++], one.cast<py::dict>()));
  }
  while (table->defaults.size() < table->width()) {
    const bool null = table->columns[table->defaults.size()].nullable;
    table->defaults.push_back(null ? OwnedValue() : OwnedValue::text(""));
  }
  // It lives as long as the process: rows and classes point to it.
  return py::capsule(table.release(), "bureau.table");
}

std::unique_ptr<TableInfo> make_record(const py::list& columns) {
  auto record = std::make_unique<TableInfo>();
  record->name = "payload";
  for (const py::handle one : columns) {
    ColumnInfo column = column_of(one.cast<py::dict>());
    column.index = static_cast<std::uint16_t>(record->columns.size());
    record->columns.push_back(column);
  }
  return record;
}

}  // namespace bureau_python
