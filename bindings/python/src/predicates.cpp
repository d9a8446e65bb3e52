// Conditions, orders and how they are given.

#include <fmt/format.h>

#include "bridge.hpp"
#include "bureau/store/statement.hpp"

namespace bureau_python {

namespace {

using NodePtr = Predicate::NodePtr;

bool is_of(const TableInfo& table, const ColumnInfo& column) {
  return &column >= table.columns.data() && &column < table.columns.data() + table.width();
}

void check_table(const TableInfo& table, const Predicate::Node* node) {
  if (node == nullptr) return;
  if (node->column != nullptr && !is_of(table, *node->column)) {
    raise(Code::invalid,
          fmt::format("where: the condition is on a column \"{}\" of another table than {}",
                      node->column->name, table.name),
          "where");
  }
  for (const NodePtr& child : node->children) check_table(table, child.get());
}

/// The values of $names: of the type of the column that each meets.
void collect_bindings(const Predicate::Node* node, const py::dict& given, Bindings& out) {
  if (node == nullptr) return;
  for (const auto& operand : node->operands) {
    if (operand.kind != Predicate::Operand::Kind::variable || out.contains(operand.name)) continue;
    if (!given.contains(operand.name)) {
      raise(Code::invalid, fmt::format("where: ${} has no value", operand.name), operand.name);
    }
    const py::object value = given[py::str(operand.name)];
    const auto of_column = [node](const py::handle& one) {
      if (node->path.empty()) return from_python(*node->column, one.ptr());
      ColumnInfo member;
      member.name = node->column->name;
      member.type = node->path_type;
      return from_python(member, one.ptr());
    };
    std::vector<OwnedValue>& values = out[operand.name];
    if (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr()) || PyAnySet_Check(value.ptr())) {
      for (const py::handle one : py::iterable(value)) values.push_back(of_column(one));
    } else {
      values.push_back(of_column(value));
    }
  }
  for (const NodePtr& child : node->children) collect_bindings(child.get(), given, out);
  if (node->select) collect_bindings(node->select->where.get(), given, out);
}

}  // namespace

const ColumnInfo& column_named(const TableInfo& table, std::string_view name) {
  return *unwrap(find_column(table, name));
}

const ColumnInfo& column_from_python(const TableInfo& table, PyObject* object) {
  if (const ColumnRef* ref = as_column(object)) {
    if (ref->table != &table) {
      raise(Code::invalid,
            fmt::format("{}: the column {}.{} is another table's", table.name, ref->table->name,
                        ref->column->name),
            std::string(ref->column->name));
    }
    if (!ref->path.empty()) {
      raise(Code::invalid, fmt::format("{}: a member of JSON cannot stand here", ref->column->name),
            std::string(ref->column->name));
    }
    return *ref->column;
  }
  return column_named(table, text_from_python(object, "column"));
}

std::vector<Order> order_from_python(const TableInfo& table, PyObject* object) {
  std::vector<Order> out;
  if (object == nullptr || object == Py_None) return out;
  const auto add = [&](PyObject* one) {
    if (const ColumnRef* ref = as_column(one)) {
      out.push_back({&column_from_python(table, one), ref->descending});
      return;
    }
    const auto parsed = unwrap(parse_order(table, text_from_python(one, "order")));
    out.insert(out.end(), parsed.begin(), parsed.end());
  };
  if (PyList_Check(object) || PyTuple_Check(object)) {
    for (const py::handle one : py::reinterpret_borrow<py::object>(object)) add(one.ptr());
  } else {
    add(object);
  }
  return out;
}

Predicate predicate_from_python(const TableInfo& table, const Catalog& catalog, PyObject* object,
                                PyObject* bindings) {
  const bool bound = bindings != nullptr && bindings != Py_None && PyDict_Size(bindings) > 0;
  Predicate predicate;
  if (object == nullptr || object == Py_None) {
    if (!bound) return predicate;
  } else if (PyUnicode_Check(object)) {
    predicate = unwrap(Predicate::parse(table, text_from_python(object, "where"), &catalog));
  } else if (py::isinstance<Predicate>(object)) {
    predicate = py::cast<Predicate>(py::handle(object));
    check_table(table, predicate.root());
  } else {
    raise(Code::invalid,
          fmt::format("where: a condition on columns or its text is wanted, not {}",
                      Py_TYPE(object)->tp_name),
          "where");
  }
  if (!predicate.has_variables() && !bound) return predicate;
  const py::dict given = bound ? py::reinterpret_borrow<py::dict>(bindings) : py::dict();
  Bindings values;
  collect_bindings(predicate.root(), given, values);
  for (const auto& [key, value] : given) {
    const auto name = key.cast<std::string>();
    if (values.contains(name)) continue;
    raise(Code::invalid, fmt::format("where: there is no ${} in it", name), name);
  }
  return unwrap(predicate.bind(values));
}

void init_predicates(py::module_& module) {
  py::class_<Predicate>(module, "Predicate", "A condition on the columns of one table.")
      .def(
          "__and__", [](const Predicate& a, const Predicate& b) { return a && b; },
          py::is_operator())
      .def(
          "__or__", [](const Predicate& a, const Predicate& b) { return a || b; },
          py::is_operator())
      .def("__invert__", [](const Predicate& a) { return !a; })
      .def(
          "__eq__", [](const Predicate& a, const Predicate& b) { return a == b; },
          py::is_operator())
      .def("__str__", &Predicate::to_text)
      .def("__repr__",
           [](const Predicate& a) { return fmt::format("<Predicate {}>", a.to_text()); })
      .def("__bool__", [](const Predicate&) -> bool {
        throw py::type_error(
            "a condition is neither true nor false by itself: join conditions with &, | and ~, "
            "each in parentheses");
      });
}

}  // namespace bureau_python
