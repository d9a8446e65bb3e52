// Read-only SQL, and values as a storage has them.

#include "opening.hpp"

namespace bureau_python {

py::object raw_value(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::null:
      return py::none();
    case Value::Kind::integer:
      return py::int_(value.as_integer());
    case Value::Kind::real:
      return py::float_(value.as_real());
    case Value::Kind::text:
      return py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
          value.as_text().data(), static_cast<Py_ssize_t>(value.as_text().size()), "replace"));
    case Value::Kind::bytes:
      return py::bytes(value.as_text().data(), value.as_text().size());
  }
  return py::none();
}

OwnedValue raw_from_python(const py::handle& object) {
  if (object.is_none()) return {};
  if (PyLong_Check(object.ptr())) {
    ColumnInfo column;
    column.name = "parameter";
    if (PyBool_Check(object.ptr()))
      return OwnedValue(Value::integer(object.ptr() == Py_True ? 1 : 0));
    return from_python(column, object.ptr());
  }
  if (PyFloat_Check(object.ptr())) {
    return OwnedValue(Value::real(PyFloat_AS_DOUBLE(object.ptr())));
  }
  if (PyBytes_Check(object.ptr())) return OwnedValue::bytes(object.cast<std::string>());
  return OwnedValue::text(text_from_python(object.ptr(), "parameter"));
}

py::tuple run_sql(const std::shared_ptr<Office>& office, const std::string& text,
                  const py::list& params, std::uint64_t limit, double seconds) {
  SqlQuery query;
  query.text = text;
  for (const py::handle one : params) query.params.push_back(raw_from_python(one));
  query.limit = limit;
  query.timeout = Duration(static_cast<std::int64_t>(seconds * 1e6));
  std::vector<std::vector<OwnedValue>> rows;
  const SqlSummary summary = in_office(office, [&](Engine& engine) {
    return engine.sql(query, [&](std::span<const std::string>, std::span<const Value> row) {
      auto& kept = rows.emplace_back();
      for (const Value& value : row) kept.emplace_back(value);
      return Result<bool>(true);
    });
  });
  py::list out;
  for (const auto& row : rows) {
    py::tuple values(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) values[i] = raw_value(row[i].view());
    out.append(std::move(values));
  }
  py::list columns;
  for (const auto& name : summary.columns) columns.append(name);
  return py::make_tuple(columns, out, summary.more);
}

}  // namespace bureau_python
