// What is done with rows: in a session, in one transaction or in one snapshot.

#include <fmt/format.h>

#include "bureau/work/why.hpp"
#include "domains.hpp"

namespace bureau_python {

const Catalog& catalog_of(const std::shared_ptr<Office>& office) {
  return *unwrap(unlocked([&]() -> Result<const Catalog*> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return &engine->database().catalog();
  }));
}

const Catalog& catalog_of(const ScopePtr& scope) { return catalog_of(scope->office()); }

namespace {

/// The table that an object names: a class of rows or a table's name.
const TableInfo& table_of_name(const ScopePtr& scope, const std::string& name) {
  const TableInfo* table = nullptr;
  std::shared_ptr<Engine> engine = unwrap(scope->office()->use());
  try {
    table = &find_table(*engine, name);
  } catch (...) {
    unlocked([&] { engine.reset(); });
    throw;
  }
  unlocked([&] { engine.reset(); });
  return *table;
}

/// Rows as a storage gives them, kept until Python has the word again.
class RowBuffer {
 public:
  explicit RowBuffer(const TableInfo& table) : width_(table.width()) {}
  void add(std::span<const Value> row) {
    for (const Value& value : row) {
      if (value.kind() < Value::Kind::text) {
        values_.push_back(value);
        continue;
      }
      const std::string_view kept = keep(value.as_text());
      values_.push_back(value.kind() == Value::Kind::text ? Value::text(kept) : Value::bytes(kept));
    }
  }
  [[nodiscard]] std::size_t size() const { return values_.size() / width_; }
  [[nodiscard]] std::span<const Value> operator[](std::size_t i) const {
    return std::span(values_).subspan(i * width_, width_);
  }

 private:
  std::string_view keep(std::string_view text) {
    if (text.size() > left_) {
      const std::size_t size = std::max<std::size_t>(text.size(), 1 << 16);
      blocks_.emplace_back(new char[size]);
      at_ = blocks_.back().get();
      left_ = size;
    }
    std::copy(text.begin(), text.end(), at_);
    const std::string_view kept(at_, text.size());
    at_ += text.size();
    left_ -= text.size();
    return kept;
  }
  std::size_t width_;
  std::vector<Value> values_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  std::size_t left_ = 0;
};

Query query_of(const ScopePtr& scope, const TableInfo& table, const py::object& where,
               const py::object& bindings, const py::object& order, std::uint64_t limit,
               const std::string& cursor) {
  Query query;
  query.where = predicate_from_python(table, catalog_of(scope), where.ptr(), bindings.ptr());
  query.order = order_from_python(table, order.ptr());
  query.limit = limit;
  query.cursor = cursor;
  return query;
}

py::object find(const ScopePtr& scope, const std::string& name, const py::object& id) {
  const TableInfo& table = table_of_name(scope, name);
  const std::int64_t value = id_from_python(table, id.ptr());
  RowBuffer rows(table);
  unwrap(scope->with([&](Scope where, Engine&) {
    return Rows(std::move(where), table).find(value, [&](std::span<const Value> row) {
      rows.add(row);
    });
  }));
  return make_row(table, rows[0]);
}

py::tuple list(const ScopePtr& scope, const std::string& name, const py::object& where,
               const py::object& bindings, const py::object& order, std::uint64_t limit,
               const std::string& cursor) {
  const TableInfo& table = table_of_name(scope, name);
  const Query query = query_of(scope, table, where, bindings, order, limit, cursor);
  RowBuffer rows(table);
  const std::string next = unwrap(scope->with([&](Scope in, Engine&) {
    return Rows(std::move(in), table).list(query, [&](std::span<const Value> row) {
      rows.add(row);
      return true;
    });
  }));
  py::list out(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    PyList_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i),
                    make_row(table, rows[i]).release().ptr());
  }
  return py::make_tuple(out, next);
}

std::uint64_t count(const ScopePtr& scope, const std::string& name, const py::object& where,
                    const py::object& bindings) {
  const TableInfo& table = table_of_name(scope, name);
  const Predicate which =
      predicate_from_python(table, catalog_of(scope), where.ptr(), bindings.ptr());
  return unwrap(
      scope->with([&](Scope in, Engine&) { return Rows(std::move(in), table).count(which); }));
}

// Columns --------------------------------------------------------------------------------------

/// One column of many rows: numbers as an array that numpy takes as it is, the rest as objects.
class ColumnBuffer {
 public:
  explicit ColumnBuffer(const ColumnInfo& column) : column_(column) {}
  void add(const Value& value) {
    if (!is_numeric()) {
      if (value.is_null()) {
        sizes_.push_back(-1);
        return;
      }
      const auto text = value.as_text();
      text_.append(text);
      sizes_.push_back(static_cast<std::int64_t>(text.size()));
      return;
    }
    if (value.is_null() || !nulls_.empty()) note_null(value.is_null());
    if (column_.type == Type::real) {
      reals_.push_back(value.is_null() ? 0 : value.as_real());
    } else {
      integers_.push_back(value.is_null() ? 0 : value.as_integer());
    }
  }
  /// (type, data, nulls or None, names or None)
  py::tuple take() {
    py::object names = py::none();
    if (column_.type == Type::enumeration) {
      py::list list;
      for (const auto one : column_.names) list.append(py::str(one.data(), one.size()));
      names = list;
    }
    const std::string type(to_string(column_.type));
    if (!is_numeric()) return py::make_tuple(type, texts(), py::none(), names);
    if (column_.type == Type::id) return py::make_tuple(type, ids(), py::none(), names);
    py::object nulls = py::none();
    if (!nulls_.empty()) nulls = bytes_of(nulls_);
    return py::make_tuple(type, column_.type == Type::real ? bytes_of(reals_) : bytes_of(integers_),
                          nulls, names);
  }

 private:
  [[nodiscard]] bool is_numeric() const {
    return column_.type != Type::text && column_.type != Type::json && column_.type != Type::bytes;
  }
  /// Most columns have none: those before the first are noted with it.
  void note_null(bool null) {
    if (nulls_.empty()) nulls_.resize(integers_.size() + reals_.size());
    nulls_.push_back(null ? 1 : 0);
  }
  [[nodiscard]] bool is_null(std::size_t row) const { return !nulls_.empty() && nulls_[row] != 0; }
  template <class T>
  static py::object bytes_of(const std::vector<T>& data) {
    return py::bytearray(reinterpret_cast<const char*>(data.data()), data.size() * sizeof(T));
  }
  py::object texts() const {
    py::list out(sizes_.size());
    const char* at = text_.data();
    std::string_view last;
    PyObject* last_made = nullptr;  // a text that follows its like is the same object
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      PyObject* made = nullptr;
      if (sizes_[i] < 0) {
        made = Py_NewRef(Py_None);
      } else {
        const std::string_view text(at, static_cast<std::size_t>(sizes_[i]));
        at += sizes_[i];
        if (column_.type == Type::text && last_made != nullptr && text == last) {
          PyList_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), Py_NewRef(last_made));
          continue;
        }
        last = text;
        last_made = made = to_python(
            column_, column_.type == Type::bytes ? Value::bytes(text) : Value::text(text));
      }
      if (made == nullptr) throw py::error_already_set();
      PyList_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), made);
    }
    return out;
  }
  /// Ids come in runs, such as a tenant's: the text of the one before is used again.
  py::object ids() const {
    py::list out(integers_.size());
    py::object last = py::none();
    for (std::size_t i = 0; i < integers_.size(); ++i) {
      if (is_null(i)) {
        PyList_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), Py_NewRef(Py_None));
        continue;
      }
      if (i == 0 || is_null(i - 1) || integers_[i] != integers_[i - 1]) {
        last = to_object(column_, Value::integer(integers_[i]));
      }
      PyList_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), Py_NewRef(last.ptr()));
    }
    return out;
  }

  const ColumnInfo& column_;
  std::vector<std::int64_t> integers_, sizes_;
  std::vector<double> reals_;
  std::vector<char> nulls_;  ///< of every row, once there was one; else empty
  std::string text_;
};

py::dict columns(const ScopePtr& scope, const std::string& name, const py::object& wanted,
                 const py::object& where, const py::object& bindings, const py::object& order,
                 std::uint64_t limit) {
  const TableInfo& table = table_of_name(scope, name);
  const Query query = query_of(scope, table, where, bindings, order, limit, {});
  std::vector<const ColumnInfo*> which;
  if (wanted.is_none()) {
    for (const ColumnInfo& column : table.columns) {
      if (!column.hidden && !column.secret) which.push_back(&column);
    }
  } else {
    for (const py::handle one : py::iterable(wanted)) {
      which.push_back(&column_from_python(table, one.ptr()));
    }
  }
  std::vector<ColumnBuffer> buffers;
  for (const ColumnInfo* column : which) buffers.emplace_back(*column);
  unwrap(scope->with([&](Scope in, Engine&) {
    return Rows(std::move(in), table).list(query, [&](std::span<const Value> row) {
      for (std::size_t i = 0; i < which.size(); ++i) buffers[i].add(row[which[i]->index]);
      return true;
    });
  }));
  py::dict out;
  for (std::size_t i = 0; i < which.size(); ++i) {
    out[py::str(which[i]->name.data(), which[i]->name.size())] = buffers[i].take();
  }
  return out;
}

Aggregate::Function function_named(const std::string& name) {
  if (name == "count") return Aggregate::Function::count;
  if (name == "sum") return Aggregate::Function::sum;
  if (name == "min") return Aggregate::Function::minimum;
  if (name == "max") return Aggregate::Function::maximum;
  if (name == "avg") return Aggregate::Function::average;
  raise(Code::invalid, fmt::format("aggregate: \"{}\" is none of count, sum, min, max, avg", name),
        "aggregate");
}

/// One tuple a group: its values, then the figures.
py::list aggregate(const ScopePtr& scope, const std::string& name, const py::list& measures,
                   const py::list& group_by, const py::object& where, const py::object& bindings) {
  const TableInfo& table = table_of_name(scope, name);
  Aggregate wanted;
  wanted.where = predicate_from_python(table, catalog_of(scope), where.ptr(), bindings.ptr());
  std::vector<const ColumnInfo*> shown;
  for (const py::handle one : group_by) {
    wanted.group_by.push_back(&column_from_python(table, one.ptr()));
    shown.push_back(wanted.group_by.back());
  }
  static const ColumnInfo number = [] {
    ColumnInfo column;
    column.name = "count";
    return column;
  }();
  static const ColumnInfo mean = [] {
    ColumnInfo column;
    column.name = "avg";
    column.type = Type::real;
    return column;
  }();
  for (const py::handle one : measures) {
    const auto pair = one.cast<py::tuple>();
    Aggregate::Measure measure;
    measure.function = function_named(pair[0].cast<std::string>());
    const py::object column = pair[1];
    if (!column.is_none()) measure.column = &column_from_python(table, column.ptr());
    if ((measure.column == nullptr) != (measure.function == Aggregate::Function::count)) {
      raise(Code::invalid, "aggregate: count has no column, the others have one", "aggregate");
    }
    wanted.measures.push_back(measure);
    shown.push_back(measure.function == Aggregate::Function::count     ? &number
                    : measure.function == Aggregate::Function::average ? &mean
                                                                       : measure.column);
  }
  std::vector<std::vector<OwnedValue>> rows;
  unwrap(scope->with([&](Scope in, Engine&) {
    return Rows(std::move(in), table)
        .aggregate(wanted, [&](std::span<const Value> row) -> Result<bool> {
          auto& kept = rows.emplace_back();
          for (const Value& value : row) kept.emplace_back(value);
          return true;
        });
  }));
  py::list out;
  for (const auto& row : rows) {
    py::tuple values(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) values[i] = to_object(*shown[i], row[i].view());
    out.append(std::move(values));
  }
  return out;
}

// Writing --------------------------------------------------------------------------------------

void insert(const ScopePtr& scope, const std::string& name, const py::list& rows) {
  const TableInfo& table = table_of_name(scope, name);
  std::vector<std::vector<OwnedValue>> kept(rows.size());
  std::vector<Value> values, one;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const py::object row = rows[i];
    if (!is_row(row.ptr())) {
      raise(Code::invalid,
            fmt::format("{}: rows are wanted, not {}", table.name, Py_TYPE(row.ptr())->tp_name),
            "row");
    }
    row_values(row.ptr(), table, kept[i], one);
    values.insert(values.end(), one.begin(), one.end());
  }
  unwrap(scope->with_write(
      [&](Scope in, Engine&) { return Rows(std::move(in), table).insert(std::span(values)); }));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    take_kept(rows[i].ptr(), std::span(values).subspan(i * table.width(), table.width()));
  }
}

void update(const ScopePtr& scope, const std::string& name, const py::object& row) {
  const TableInfo& table = table_of_name(scope, name);
  if (!is_row(row.ptr())) {
    raise(Code::invalid,
          fmt::format("{}: a row is wanted, not {}", table.name, Py_TYPE(row.ptr())->tp_name),
          "row");
  }
  std::vector<OwnedValue> kept;
  std::vector<Value> values;
  row_values(row.ptr(), table, kept, values);
  unwrap(scope->with_write(
      [&](Scope in, Engine&) { return Rows(std::move(in), table).update(values); }));
  take_kept(row.ptr(), values);
}

void remove(const ScopePtr& scope, const std::string& name, const py::object& id) {
  const TableInfo& table = table_of_name(scope, name);
  const std::int64_t value = id_from_python(table, id.ptr());
  unwrap(scope->with_write(
      [&](Scope in, Engine&) { return Rows(std::move(in), table).remove(value); }));
}

py::dict principal(const ScopePtr& scope) {
  const Principal& who = scope->session().principal();
  py::dict out;
  out["tenant"] = id::to_text(schema<Tenant>.prefix, who.tenant.value);
  out["user"] =
      who.user ? py::object(py::str(id::to_text(schema<User>.prefix, who.user.value))) : py::none();
  out["role"] = who.role;
  out["system"] = who.system;
  out["agent"] = who.agent;
  return out;
}

}  // namespace

void init_scope(py::module_& module) {
  py::class_<PyScope, ScopePtr> scope(module, "Scope");
  scope.def("find", find)
      .def("list", list)
      .def("count", count)
      .def("columns", columns)
      .def("aggregate", aggregate)
      .def("insert", insert)
      .def("update", update)
      .def("remove", remove)
      .def("principal", principal)
      .def_property_readonly("bound", &PyScope::bound)
      .def("why", [](const ScopePtr& self, const py::object& task) {
        const Id<Task> id(id_from_python(table_of<Task>(), task.ptr()));
        return json_object(unwrap(self->with([&](const Scope& in, Engine&) -> Result<Json> {
          BUREAU_TRY(const auto reasons, why(in.session(), id));
          return to_json(reasons);
        })));
      });
  init_verbs(scope);
  init_units(module, scope);
  init_desk_agents(module, scope);
  init_workflows(module, scope);
  init_housekeeping(module, scope);
}

}  // namespace bureau_python
