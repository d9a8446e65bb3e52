#pragma once

#include <fmt/format.h>

#include "bridge.hpp"
#include "bureau/core/money.hpp"

namespace bureau_python {

/// What is given by name: each is taken once, and what is left is unknown.
class Given {
 public:
  Given(const char* what, const py::dict& given) : what_(what), given_(given) {}
  PyObject* at(const char* name) {
    known_.emplace_back(name);
    PyObject* found = PyDict_GetItemString(given_.ptr(), name);
    return found == Py_None ? nullptr : found;
  }
  py::object object(const char* name) {
    PyObject* found = at(name);
    return found == nullptr ? py::none() : py::reinterpret_borrow<py::object>(found);
  }
  std::string text(const char* name) {
    PyObject* found = at(name);
    return found == nullptr ? std::string() : text_from_python(found, name);
  }
  std::optional<std::string> maybe_text(const char* name) {
    PyObject* found = at(name);
    if (found == nullptr) return std::nullopt;
    return text_from_python(found, name);
  }
  template <class T>
  std::optional<Id<T>> maybe_id(const char* name) {
    PyObject* found = at(name);
    if (found == nullptr) return std::nullopt;
    return Id<T>(id_from_python(schema<T>.prefix, found, name));
  }
  std::optional<Timestamp> maybe_time(const char* name) {
    PyObject* found = at(name);
    if (found == nullptr) return std::nullopt;
    return timestamp_from_python(found, name);
  }
  std::optional<Duration> maybe_span(const char* name) {
    PyObject* found = at(name);
    if (found == nullptr) return std::nullopt;
    return duration_from_python(found, name);
  }
  std::optional<std::int64_t> maybe_integer(const char* name) {
    PyObject* found = at(name);
    if (found == nullptr) return std::nullopt;
    ColumnInfo column;
    column.name = name;
    return from_python(column, found).view().as_integer();
  }
  /// How many: none is fewer than none.
  std::uint64_t limit(const char* name, std::uint64_t otherwise) {
    const auto most = maybe_integer(name);
    if (most && *most < 0) raise(Code::invalid, fmt::format("{}: it is negative", name), name);
    return most ? static_cast<std::uint64_t>(*most) : otherwise;
  }
  bool flag(const char* name, bool otherwise = false) {
    PyObject* found = at(name);
    if (found == nullptr) return otherwise;
    ColumnInfo column;
    column.name = name;
    column.type = Type::boolean;
    return from_python(column, found).view().as_integer() != 0;
  }
  std::optional<double> maybe_real(const char* name) {
    PyObject* found = at(name);
    if (found == nullptr) return std::nullopt;
    ColumnInfo column;
    column.name = name;
    column.type = Type::real;
    return from_python(column, found).view().as_real();
  }
  template <class E>
  E choice(const char* name, E otherwise) {
    PyObject* found = at(name);
    if (found == nullptr) return otherwise;
    ColumnInfo column;
    column.name = name;
    column.type = Type::enumeration;
    column.names = names<E>;
    return static_cast<E>(from_python(column, found).view().as_integer());
  }
  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> out;
    if (PyObject* list = at(name)) {
      for (const py::handle one : py::iterable(py::reinterpret_borrow<py::object>(list))) {
        out.push_back(text_from_python(one.ptr(), name));
      }
    }
    return out;
  }
  Json json(const char* name) {
    PyObject* found = at(name);
    return found == nullptr ? Json() : json_from_python(found);
  }
  std::optional<Money> maybe_money(const char* name) {
    const auto value = maybe_text(name);
    if (!value) return std::nullopt;
    return unwrap(Money::parse(*value));
  }
  /// `invalid` when something was given that nobody has asked for.
  void done() const {
    for (const auto& [key, value] : given_) {
      const auto name = key.cast<std::string>();
      bool known = false;
      for (const auto one : known_) known = known || one == name;
      if (known) continue;
      raise(Code::invalid,
            fmt::format("{}: there is no \"{}\"{}", what_, name, suggestion(name, known_)), name);
    }
  }

 private:
  const char* what_;
  const py::dict& given_;
  std::vector<std::string_view> known_;
};

template <class T>
Id<T> id_of(const py::object& object, const char* name) {
  return Id<T>(id_from_python(schema<T>.prefix, object.ptr(), name));
}

}  // namespace bureau_python
