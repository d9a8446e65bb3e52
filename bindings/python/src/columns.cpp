// Columns as a type of Python: what reads and sets a row's values, and what conditions are made of.

#include <fmt/format.h>

#include "row_cells.hpp"

namespace bureau_python {

namespace {

struct ColumnObject {
  PyObject_HEAD ColumnRef* ref;
};

PyTypeObject* column_type = nullptr;

const ColumnRef& ref_of(PyObject* object) { return *reinterpret_cast<ColumnObject*>(object)->ref; }

PyObject* column_get(PyObject* self, PyObject* object, PyObject*) {
  if (object == nullptr || object == Py_None) return Py_NewRef(self);
  const ColumnRef& ref = ref_of(self);
  if (&table_of_row(object) != ref.table) {
    PyErr_SetString(PyExc_TypeError, "the column is another table's");
    return nullptr;
  }
  return guarded<PyObject*>(nullptr, [&] { return cell(object, *ref.column); });
}

int column_set(PyObject* self, PyObject* object, PyObject* value) {
  return guarded(-1, [&] {
    const ColumnRef& ref = ref_of(self);
    if (value == nullptr) {
      raise(Code::invalid, fmt::format("{}: a column cannot be deleted", ref.column->name),
            std::string(ref.column->name));
    }
    set_cell(object, *ref.column, value);
    return 0;
  });
}

void column_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  delete reinterpret_cast<ColumnObject*>(self)->ref;
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* new_column(ColumnRef ref) {
  auto* made = reinterpret_cast<ColumnObject*>(PyType_GenericAlloc(column_type, 0));
  if (made != nullptr) made->ref = new ColumnRef(std::move(ref));
  return reinterpret_cast<PyObject*>(made);
}

PyObject* column_repr(PyObject* self) {
  const ColumnRef& ref = ref_of(self);
  std::string text = fmt::format("<column {}.{}", ref.table->name, ref.column->name);
  for (const auto& part : ref.path) text += "." + part;
  text += ref.descending ? " desc>" : ">";
  return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
}

PyObject* compare_column(const ColumnRef& ref, Predicate::Op op, std::vector<PyObject*> operands) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    auto node = std::make_shared<Predicate::Node>();
    node->op = op;
    node->column = ref.column;
    node->path = ref.path;
    for (PyObject* operand : operands) {
      Predicate::Operand made;
      if (!ref.path.empty()) {
        const Json json = json_from_python(operand);
        switch (json.kind()) {
          case Json::Kind::boolean:
            node->path_type = Type::boolean;
            made.value = OwnedValue(Value::integer(*json.as_bool() ? 1 : 0));
            break;
          case Json::Kind::integer:
            node->path_type = Type::integer;
            made.value = OwnedValue(Value::integer(*json.as_int()));
            break;
          case Json::Kind::real:
            node->path_type = Type::real;
            made.value = OwnedValue(Value::real(*json.as_double()));
            break;
          case Json::Kind::string:
            node->path_type = Type::text;
            made.value = OwnedValue::text(*json.as_string());
            break;
          default:
            raise(Code::invalid, "a member of JSON is compared with a bool, int, float or str");
        }
      } else if (op == Predicate::Op::prefix || op == Predicate::Op::contains) {
        made.value = OwnedValue::text(text_from_python(operand, ref.column->name));
      } else {
        made.value = from_python(*ref.column, operand);
      }
      node->operands.push_back(std::move(made));
    }
    // Read again from its JSON, so that it keeps every rule of the language.
    const Predicate made{Predicate::NodePtr(node)};
    auto checked = Predicate::from_json(*ref.table, made.to_json());
    return py::cast(unwrap(std::move(checked))).release().ptr();
  });
}

PyObject* column_compare(PyObject* self, PyObject* other, int op) {
  using Op = Predicate::Op;
  static constexpr Op ops[] = {Op::less,      Op::less_equal, Op::equal,
                               Op::not_equal, Op::greater,    Op::greater_equal};
  if (other == Py_None && (op == Py_EQ || op == Py_NE)) {
    return compare_column(ref_of(self), op == Py_EQ ? Op::is_null : Op::is_not_null, {});
  }
  if (Py_TYPE(other) == column_type) {
    PyErr_SetString(PyExc_TypeError, "a column is compared with a value, not with a column");
    return nullptr;
  }
  return compare_column(ref_of(self), ops[op], {other});
}

PyObject* column_in(PyObject* self, PyObject* values, bool negated) {
  if (PyUnicode_Check(values)) {
    PyErr_SetString(PyExc_TypeError, "in_() takes a list of values, not one str");
    return nullptr;
  }
  PyObject* list = PySequence_List(values);
  if (list == nullptr) return nullptr;
  std::vector<PyObject*> items;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) items.push_back(PyList_GET_ITEM(list, i));
  PyObject* made =
      items.empty()
          ? guarded<PyObject*>(
                nullptr,
                [&] {
                  return py::cast(negated ? Predicate() : Predicate::never()).release().ptr();
                })
          : compare_column(ref_of(self), negated ? Predicate::Op::not_in : Predicate::Op::in,
                           items);
  Py_DECREF(list);
  return made;
}

PyObject* column_in_list(PyObject* self, PyObject* values) {
  return column_in(self, values, false);
}
PyObject* column_not_in(PyObject* self, PyObject* values) { return column_in(self, values, true); }
PyObject* column_is_null(PyObject* self, PyObject*) {
  return compare_column(ref_of(self), Predicate::Op::is_null, {});
}
PyObject* column_is_not_null(PyObject* self, PyObject*) {
  return compare_column(ref_of(self), Predicate::Op::is_not_null, {});
}
PyObject* column_startswith(PyObject* self, PyObject* text) {
  return compare_column(ref_of(self), Predicate::Op::prefix, {text});
}
PyObject* column_contains(PyObject* self, PyObject* text) {
  return compare_column(ref_of(self), Predicate::Op::contains, {text});
}
PyObject* compare_folded(PyObject* self, PyObject* text, Predicate::Op op) {
  return guarded<PyObject*>(nullptr, [&] {
    const ColumnRef& ref = ref_of(self);
    if (!ref.column->folded) {
      raise(Code::invalid,
            fmt::format("{}: only a column that is kept folded is compared without case",
                        ref.column->name),
            std::string(ref.column->name));
    }
    return py::cast(detail::compare_folded(*ref.table, *ref.column, op,
                                           text_from_python(text, ref.column->name)))
        .release()
        .ptr();
  });
}
PyObject* column_iequals(PyObject* self, PyObject* text) {
  return compare_folded(self, text, Predicate::Op::equal);
}
PyObject* column_icontains(PyObject* self, PyObject* text) {
  return compare_folded(self, text, Predicate::Op::contains);
}
PyObject* column_directed(PyObject* self, bool descending) {
  ColumnRef ref = ref_of(self);
  ref.descending = descending;
  return new_column(std::move(ref));
}
PyObject* column_desc(PyObject* self, PyObject*) { return column_directed(self, true); }
PyObject* column_asc(PyObject* self, PyObject*) { return column_directed(self, false); }

PyObject* column_member(PyObject* self, PyObject* key) {
  return guarded<PyObject*>(nullptr, [&] {
    ColumnRef ref = ref_of(self);
    if (ref.column->type != Type::json) {
      raise(Code::invalid, fmt::format("{}: only a JSON column has members", ref.column->name),
            std::string(ref.column->name));
    }
    ref.path.push_back(text_from_python(key, ref.column->name));
    return new_column(std::move(ref));
  });
}

PyObject* column_name(PyObject* self, void*) {
  const auto name = ref_of(self).column->name;
  return PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()));
}

PyMethodDef column_methods[] = {
    {"in_", column_in_list, METH_O, "One of these values."},
    {"not_in", column_not_in, METH_O, "None of these values."},
    {"is_null", column_is_null, METH_NOARGS, "There is no value."},
    {"is_not_null", column_is_not_null, METH_NOARGS, "There is a value."},
    {"startswith", column_startswith, METH_O, "Text that begins so."},
    {"contains", column_contains, METH_O, "Text with that inside, or a list that has it."},
    {"iequals", column_iequals, METH_O, "The same text but for case, of a folded column."},
    {"icontains", column_icontains, METH_O, "Text with that inside but for case."},
    {"desc", column_desc, METH_NOARGS, "In an order: the largest first."},
    {"asc", column_asc, METH_NOARGS, "In an order: the smallest first."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef column_getset[] = {{"name", column_name, nullptr, "Its name.", nullptr},
                               {nullptr, nullptr, nullptr, nullptr, nullptr}};

}  // namespace

void init_columns(py::module_& module) {
  static PyType_Slot column_slots[] = {{Py_tp_dealloc, slot(column_dealloc)},
                                       {Py_tp_repr, slot(column_repr)},
                                       {Py_tp_descr_get, slot(column_get)},
                                       {Py_tp_descr_set, slot(column_set)},
                                       {Py_tp_richcompare, slot(column_compare)},
                                       {Py_tp_hash, slot(_Py_HashPointer)},
                                       {Py_mp_subscript, slot(column_member)},
                                       {Py_tp_methods, column_methods},
                                       {Py_tp_getset, column_getset},
                                       {Py_tp_doc, const_cast<char*>("A column of a table.")},
                                       {0, nullptr}};
  static PyType_Spec column_spec = {"bureau.Column", sizeof(ColumnObject), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                    column_slots};
  column_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&column_spec));
  if (column_type == nullptr) throw py::error_already_set();
  module.add_object("Column", reinterpret_cast<PyObject*>(column_type));
}

const ColumnRef* as_column(PyObject* object) {
  return Py_TYPE(object) == column_type ? &ref_of(object) : nullptr;
}

py::object column_object(const TableInfo& table, const ColumnInfo& column) {
  return py::reinterpret_steal<py::object>(new_column({&table, &column, {}, false}));
}

}  // namespace bureau_python
