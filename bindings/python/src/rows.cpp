// Rows as a type of Python. A row holds the storage's values in one piece of memory and
// makes Python's objects of them when they are asked for: reading a hundred thousand rows does not
// make millions of objects.

// Python.h comes before the rest of Python's headers.
// clang-format off
#include "row_cells.hpp"
#include <structmember.h>
// clang-format on

#include <fmt/format.h>

#include <cstring>

namespace bureau_python {

namespace {

// A row's values -------------------------------------------------------------------------------

struct Slot {
  Value::Kind kind = Value::Kind::null;
  std::uint32_t size = 0;  // of a text, which begins at `place`
  union {
    std::int64_t integer = 0;
    double real;
    std::uint64_t place;
  };
};

class Packed {
 public:
  explicit Packed(std::span<const Value> values) : width_(values.size()) {
    std::size_t bytes = width_ * sizeof(Slot);
    for (const Value& value : values) {
      if (value.kind() >= Value::Kind::text) bytes += value.as_text().size();
    }
    memory_.reset(new char[bytes]);
    std::size_t at = width_ * sizeof(Slot);
    for (std::size_t i = 0; i < width_; ++i) {
      Slot& slot = *new (memory_.get() + i * sizeof(Slot)) Slot;
      slot.kind = values[i].kind();
      if (slot.kind == Value::Kind::integer) slot.integer = values[i].as_integer();
      if (slot.kind == Value::Kind::real) slot.real = values[i].as_real();
      if (slot.kind < Value::Kind::text) continue;
      const std::string_view text = values[i].as_text();
      std::memcpy(memory_.get() + at, text.data(), text.size());
      slot.place = at;
      slot.size = static_cast<std::uint32_t>(text.size());
      at += text.size();
    }
  }
  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] Value operator[](std::size_t i) const {
    const Slot& slot = slots()[i];
    switch (slot.kind) {
      case Value::Kind::null:
        return {};
      case Value::Kind::integer:
        return Value::integer(slot.integer);
      case Value::Kind::real:
        return Value::real(slot.real);
      case Value::Kind::text:
        return Value::text({memory_.get() + slot.place, slot.size});
      case Value::Kind::bytes:
        return Value::bytes({memory_.get() + slot.place, slot.size});
    }
    return {};
  }
  void set_integer(std::size_t i, std::int64_t value) {
    Slot& slot = slots()[i];
    slot.kind = Value::Kind::integer;
    slot.integer = value;
  }

 private:
  [[nodiscard]] Slot* slots() const { return reinterpret_cast<Slot*>(memory_.get()); }
  std::size_t width_;
  std::unique_ptr<char[]> memory_;
};

// Types ----------------------------------------------------------------------------------------

struct RowObject {
  PyObject_HEAD const TableInfo* table;
  Packed* values;
  PyObject** cells;  // what was asked for or assigned, by column; null until the first
  PyObject* weak;
};
PyTypeObject* row_type = nullptr;

RowObject* row_of(PyObject* object) { return reinterpret_cast<RowObject*>(object); }

void drop_cells(RowObject* row) {
  PyObject** cells = row->cells;
  row->cells = nullptr;
  if (cells == nullptr) return;
  for (std::size_t i = 0; i < row->table->width(); ++i) Py_XDECREF(cells[i]);
  delete[] cells;
}

PyObject** cells_of(RowObject* row) {
  if (row->cells == nullptr) {
    row->cells = new PyObject* [row->table->width()] {};
    // Until it refers to something it can be in no circle.
    if (PyObject_GC_IsTracked(reinterpret_cast<PyObject*>(row)) == 0) PyObject_GC_Track(row);
  }
  return row->cells;
}

PyObject* value_of(RowObject* row, const ColumnInfo& column) {
  if (row->cells != nullptr && row->cells[column.index] != nullptr) {
    return Py_NewRef(row->cells[column.index]);
  }
  PyObject* made = to_python(column, (*row->values)[column.index]);
  // Numbers and the like are made again as cheaply as they are kept; what is mutable must be kept.
  if (made != nullptr && column.type == Type::json) cells_of(row)[column.index] = Py_NewRef(made);
  return made;
}

bool kept_by_library(const TableInfo& table, int at) {
  return at == 0 || at == table.tenant || at == table.version || at == table.created_at ||
         at == table.updated_at;
}

/// What the value is as this column's, as a Python object: so that a row shows at once what it will
/// be read as.
void assign(RowObject* row, const ColumnInfo& column, PyObject* object) {
  const OwnedValue value = from_python(column, object);
  unwrap(check_value(*row->table, column, value.view()));
  PyObject* made = column.type == Type::json ? Py_NewRef(object) : to_python(column, value.view());
  if (made == nullptr) throw py::error_already_set();
  PyObject** cells = cells_of(row);
  PyObject* old = cells[column.index];
  cells[column.index] = made;
  Py_XDECREF(old);
}

const TableInfo* table_of_type(PyTypeObject* type) {
  const py::object capsule =
      py::getattr(py::handle(reinterpret_cast<PyObject*>(type)), "_table", py::none());
  if (!PyCapsule_CheckExact(capsule.ptr())) {
    raise(Code::invalid, "row: bureau.Row itself has no columns; use a class of a table");
  }
  return static_cast<const TableInfo*>(PyCapsule_GetPointer(capsule.ptr(), "bureau.table"));
}

RowObject* new_row(PyTypeObject* type, const TableInfo& table, std::span<const Value> values) {
  auto* row = reinterpret_cast<RowObject*>(PyType_GenericAlloc(type, 0));
  if (row == nullptr) throw py::error_already_set();
  PyObject_GC_UnTrack(row);
  row->table = &table;
  row->cells = nullptr;
  row->weak = nullptr;
  row->values = new Packed(values);
  return row;
}

PyObject* row_new(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    const TableInfo& table = *table_of_type(type);
    if (PyTuple_GET_SIZE(args) != 0) {
      PyErr_Format(PyExc_TypeError, "%s() takes columns by their names only", type->tp_name);
      return nullptr;
    }
    std::vector<Value> defaults;
    for (const OwnedValue& value : table.defaults) defaults.push_back(value.view());
    const py::object row = py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(new_row(type, table, defaults)));
    PyObject *key = nullptr, *value = nullptr;
    std::vector<std::pair<PyObject*, PyObject*>>
        made_of_columns;  // as an amount is of its currency
    for (Py_ssize_t at = 0; keywords != nullptr && PyDict_Next(keywords, &at, &key, &value) != 0;) {
      const std::string name = text_from_python(key, "column");
      const ColumnInfo* column = table.find(name);
      if (column != nullptr && !column->hidden) {
        assign(row_of(row.ptr()), *column, value);
      } else if (PyObject_HasAttr(reinterpret_cast<PyObject*>(type), key) != 0 && name[0] != '_') {
        made_of_columns.emplace_back(key, value);
      } else {
        static_cast<void>(column_named(table, name));
      }
    }
    for (const auto& [name, amount] : made_of_columns) {
      if (PyObject_SetAttr(row.ptr(), name, amount) != 0) throw py::error_already_set();
    }
    return Py_NewRef(row.ptr());
  });
}

void row_dealloc(PyObject* self) {
  RowObject* row = row_of(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (row->weak != nullptr) PyObject_ClearWeakRefs(self);
  drop_cells(row);
  delete row->values;
  type->tp_free(self);
  Py_DECREF(type);
}

int row_traverse(PyObject* self, visitproc visit, void* arg) {
  RowObject* row = row_of(self);
  Py_VISIT(Py_TYPE(self));
  for (std::size_t i = 0; row->cells != nullptr && i < row->table->width(); ++i) {
    Py_VISIT(row->cells[i]);
  }
  return 0;
}
int row_clear(PyObject* self) {
  drop_cells(row_of(self));
  return 0;
}

bool is_shown(const ColumnInfo& column) { return !column.hidden && !column.secret; }

PyObject* row_to_dict(PyObject* self, PyObject*) {
  PyObject* dict = PyDict_New();
  for (const ColumnInfo& column : row_of(self)->table->columns) {
    if (dict == nullptr || !is_shown(column)) continue;
    PyObject* value = value_of(row_of(self), column);
    const bool good = value != nullptr &&
                      PyDict_SetItemString(dict, std::string(column.name).c_str(), value) == 0;
    Py_XDECREF(value);
    if (!good) Py_CLEAR(dict);
  }
  return dict;
}

PyObject* row_to_json_text(PyObject* self, PyObject*) {
  return guarded<PyObject*>(nullptr, [&] {
    std::vector<OwnedValue> kept;
    std::vector<Value> values;
    row_values(self, *row_of(self)->table, kept, values);
    const std::string text = row_to_json(*row_of(self)->table, values).dump();
    return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  });
}

/// The values that say something: neither null nor what a new row has.
PyObject* row_repr(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] {
    RowObject* row = row_of(self);
    std::vector<OwnedValue> kept;
    std::vector<Value> values;
    row_values(self, *row->table, kept, values);
    std::string text = Py_TYPE(self)->tp_name;
    text = text.substr(text.rfind('.') + 1) + "(";
    bool first = true;
    for (const ColumnInfo& column : row->table->columns) {
      const Value value = values[column.index];
      if (!is_shown(column) || value.is_null()) continue;
      if (column.index != 0 && kept_by_library(*row->table, column.index)) continue;
      if (value == row->table->defaults[column.index].view()) continue;
      const py::object object = to_object(column, value);
      const py::object shown =
          py::repr(column.type == Type::enumeration
                       ? py::reinterpret_steal<py::object>(PyUnicode_FromObject(object.ptr()))
                       : object);
      text += fmt::format("{}{}={}", first ? "" : ", ", column.name, shown.cast<std::string>());
      first = false;
    }
    text += ")";
    return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  });
}

PyObject* row_compare(PyObject* self, PyObject* other, int op) {
  if ((op != Py_EQ && op != Py_NE) || !is_row(other)) Py_RETURN_NOTIMPLEMENTED;
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    bool same = row_of(self)->table == row_of(other)->table;
    if (same && self != other) {
      std::vector<OwnedValue> kept_a, kept_b;
      std::vector<Value> a, b;
      row_values(self, *row_of(self)->table, kept_a, a);
      row_values(other, *row_of(other)->table, kept_b, b);
      same = a == b;
    }
    return PyBool_FromLong(same == (op == Py_EQ) ? 1 : 0);
  });
}

PyObject* row_copy(PyObject* self, PyObject*) {
  return guarded<PyObject*>(nullptr, [&] {
    std::vector<OwnedValue> kept;
    std::vector<Value> values;
    row_values(self, *row_of(self)->table, kept, values);
    return reinterpret_cast<PyObject*>(new_row(Py_TYPE(self), *row_of(self)->table, values));
  });
}

int row_setattr(PyObject* self, PyObject* name, PyObject* value) {
  if (PyUnicode_Check(name) && PyUnicode_READ_CHAR(name, 0) != '_' &&
      PyObject_HasAttr(reinterpret_cast<PyObject*>(Py_TYPE(self)), name) == 0) {
    return guarded(-1, [&] {
      static_cast<void>(column_named(*row_of(self)->table, text_from_python(name, "column")));
      return -1;
    });
  }
  return PyObject_GenericSetAttr(self, name, value);
}

PyMethodDef row_methods[] = {
    {"to_dict", row_to_dict, METH_NOARGS, "The columns by name, without secret ones."},
    {"to_json", row_to_json_text, METH_NOARGS, "The row as canonical JSON text."},
    {"__copy__", row_copy, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyMemberDef row_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(RowObject, weak), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

}  // namespace

void init_rows(py::module_& module) {
  static PyType_Slot row_slots[] = {{Py_tp_new, slot(row_new)},
                                    {Py_tp_dealloc, slot(row_dealloc)},
                                    {Py_tp_traverse, slot(row_traverse)},
                                    {Py_tp_clear, slot(row_clear)},
                                    {Py_tp_repr, slot(row_repr)},
                                    {Py_tp_richcompare, slot(row_compare)},
                                    {Py_tp_hash, slot(PyObject_HashNotImplemented)},
                                    {Py_tp_setattro, slot(row_setattr)},
                                    {Py_tp_methods, row_methods},
                                    {Py_tp_members, row_members},
                                    {Py_tp_doc, const_cast<char*>("A row of a table.")},
                                    {0, nullptr}};
  static PyType_Spec row_spec = {"bureau.Row", sizeof(RowObject), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                 row_slots};
  row_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&row_spec));
  if (row_type == nullptr) throw py::error_already_set();
  module.add_object("Row", reinterpret_cast<PyObject*>(row_type));
  init_columns(module);
}

bool is_row(PyObject* object) { return PyObject_TypeCheck(object, row_type) != 0; }
const TableInfo& table_of_row(PyObject* row) { return *row_of(row)->table; }

PyObject* cell(PyObject* row, const ColumnInfo& column) { return value_of(row_of(row), column); }
void set_cell(PyObject* row, const ColumnInfo& column, PyObject* object) {
  assign(row_of(row), column, object);
}

std::int64_t id_of_row(PyObject* row) {
  const py::object id =
      py::reinterpret_steal<py::object>(value_of(row_of(row), row_of(row)->table->columns[0]));
  if (!id) throw py::error_already_set();
  if (id.is_none()) return 0;
  return from_python(row_of(row)->table->columns[0], id.ptr()).view().as_integer();
}

py::object make_row(const TableInfo& table, std::span<const Value> values) {
  static auto* classes = new std::unordered_map<const TableInfo*, PyTypeObject*>;
  PyTypeObject*& type = (*classes)[&table];
  if (type == nullptr) {
    PyObject* made = PyObject_CallFunction(hooks().make_row, "s#", table.name.data(),
                                           static_cast<Py_ssize_t>(table.name.size()));
    if (made == nullptr) throw py::error_already_set();
    type = reinterpret_cast<PyTypeObject*>(made);
  }
  return py::reinterpret_steal<py::object>(
      reinterpret_cast<PyObject*>(new_row(type, table, values)));
}

void row_values(PyObject* object, const TableInfo& table, std::vector<OwnedValue>& kept,
                std::vector<Value>& out) {
  RowObject* row = row_of(object);
  if (row->table != &table) {
    raise(Code::invalid, fmt::format("{}: a row of {} is given", table.name, row->table->name),
          "row");
  }
  kept.clear();
  kept.reserve(2 * table.width());  // they are pointed into
  out.resize(table.width());
  for (const ColumnInfo& column : table.columns) {
    if (column.hidden) continue;
    PyObject* cell = row->cells == nullptr ? nullptr : row->cells[column.index];
    out[column.index] = cell == nullptr ? (*row->values)[column.index]
                                        : kept.emplace_back(from_python(column, cell)).view();
  }
  for (const ColumnInfo& column : table.columns) {
    if (!column.folded) continue;
    const Value value = out[column.index];
    out[column.folded_index] =
        value.is_null() ? Value()
                        : kept.emplace_back(OwnedValue::text(fold_case(value.as_text()))).view();
  }
}

void take_kept(PyObject* object, std::span<const Value> values) {
  RowObject* row = row_of(object);
  for (const ColumnInfo& column : row->table->columns) {
    if (!kept_by_library(*row->table, column.index)) continue;
    if (row->cells != nullptr) Py_CLEAR(row->cells[column.index]);
    row->values->set_integer(column.index, values[column.index].as_integer());
  }
}

}  // namespace bureau_python
