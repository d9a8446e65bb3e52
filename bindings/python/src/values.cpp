// Values between Python and a storage: one function each way, by the column's type.

// Python.h comes before the rest of Python's headers.
// clang-format off
#include "bridge.hpp"
#include <datetime.h>
// clang-format on

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace bureau_python {

namespace {

constexpr std::int64_t micros_a_second = 1'000'000;
constexpr std::int64_t seconds_a_day = 86'400;

std::string type_name(PyObject* object) { return Py_TYPE(object)->tp_name; }

[[noreturn]] void wrong_type(std::string_view name, std::string_view wanted, PyObject* object) {
  raise(Code::invalid, fmt::format("{}: {} is wanted, not {}", name, wanted, type_name(object)),
        std::string(name));
}

std::int64_t integer_from_python(PyObject* object, std::string_view name) {
  if (!PyLong_Check(object) || PyBool_Check(object)) {
    if (PyFloat_Check(object)) {
      raise(Code::invalid,
            fmt::format("{}: an int is wanted, not a float: nothing is rounded in silence", name),
            std::string(name));
    }
    wrong_type(name, "an int", object);
  }
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0) {
    raise(Code::invalid, fmt::format("{}: the int does not fit 64 bits", name), std::string(name));
  }
  return value;
}

/// Years and days by Howard Hinnant's rule for the proleptic Gregorian calendar.
struct Civil {
  std::int64_t year;
  int month, day;
};
Civil civil_of(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto doe = static_cast<std::int64_t>(days - era * 146'097);
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const int day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  const int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  return {yoe + era * 400 + (month <= 2 ? 1 : 0), month, day};
}
std::int64_t days_of(std::int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t yoe = year - era * 400;
  const std::int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146'097 + doe - 719'468;
}

std::int64_t micros_of_delta(PyObject* delta) {
  return (PyDateTime_DELTA_GET_DAYS(delta) * seconds_a_day + PyDateTime_DELTA_GET_SECONDS(delta)) *
             micros_a_second +
         PyDateTime_DELTA_GET_MICROSECONDS(delta);
}

PyObject* duration_to_python(std::int64_t micros) {
  std::int64_t seconds = micros / micros_a_second, rest = micros % micros_a_second;
  if (rest < 0) rest += micros_a_second, --seconds;
  std::int64_t days = seconds / seconds_a_day;
  seconds %= seconds_a_day;
  if (seconds < 0) seconds += seconds_a_day, --days;
  if (days < -999'999'999 || days > 999'999'999) {
    PyErr_SetString(PyExc_OverflowError, "the duration does not fit datetime.timedelta");
    return nullptr;
  }
  return PyDelta_FromDSU(static_cast<int>(days), static_cast<int>(seconds), static_cast<int>(rest));
}

// Enumerations ---------------------------------------------------------------------------------

struct EnumClass {
  PyObject* type = nullptr;
  std::vector<PyObject*> members;
};
std::unordered_map<const std::string_view*, EnumClass>& enum_classes() {
  static auto* classes = new std::unordered_map<const std::string_view*, EnumClass>;
  return *classes;
}

const EnumClass& enum_of(std::span<const std::string_view> names, std::string_view column) {
  const auto found = enum_classes().find(names.data());
  if (found != enum_classes().end()) return found->second;
  const std::string_view name = enum_name(names);
  py::list texts;
  for (const auto text : names) texts.append(py::str(text.data(), text.size()));
  const auto label = name.empty() ? std::string(column) : std::string(name);
  py::object type = py::reinterpret_steal<py::object>(PyObject_CallFunction(
      hooks().make_enum, "s#O", label.data(), static_cast<Py_ssize_t>(label.size()), texts.ptr()));
  if (!type) throw py::error_already_set();
  EnumClass made;
  for (const auto text : names) {
    made.members.push_back(type(py::str(text.data(), text.size())).release().ptr());
  }
  made.type = type.release().ptr();
  return enum_classes().emplace(names.data(), std::move(made)).first->second;
}

// JSON -----------------------------------------------------------------------------------------

Json json_at(PyObject* object, int depth) {
  if (depth > Json::max_depth) {
    raise(Code::invalid, fmt::format("JSON: more than {} levels", Json::max_depth));
  }
  if (object == Py_None) return {};
  if (PyBool_Check(object)) return object == Py_True;
  if (PyLong_Check(object)) return integer_from_python(object, "JSON");
  if (PyFloat_Check(object)) {
    const double value = PyFloat_AS_DOUBLE(object);
    if (!std::isfinite(value)) raise(Code::invalid, "JSON: a number that is not finite");
    return value;
  }
  if (PyUnicode_Check(object)) return text_from_python(object, "JSON");
  if (PyDict_Check(object)) {
    Json out = Json::object();
    PyObject *key = nullptr, *value = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(object, &at, &key, &value) != 0;) {
      if (!PyUnicode_Check(key)) wrong_type("JSON: a key", "a str", key);
      out.set(text_from_python(key, "JSON"), json_at(value, depth + 1));
    }
    return out;
  }
  if (PyList_Check(object) || PyTuple_Check(object)) {
    Json out = Json::array();
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(object);
    for (Py_ssize_t i = 0; i < size && i < PySequence_Fast_GET_SIZE(object); ++i) {
      out.push_back(json_at(PySequence_Fast_GET_ITEM(object, i), depth + 1));
    }
    return out;
  }
  if (PyDateTime_Check(object)) return timestamp_from_python(object, "JSON").to_string();
  if (is_row(object)) return id::to_text(table_of_row(object).prefix, id_of_row(object));
  wrong_type("JSON", "None, a bool, int, float, str, list, dict, aware datetime or row", object);
}

}  // namespace

void init_values() {
  PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) throw py::error_already_set();
}

PyObject* enum_class(std::span<const std::string_view> names, std::string_view column) {
  return enum_of(names, column).type;
}

void adopt_enum(std::span<const std::string_view> names, PyObject* type) {
  EnumClass made;
  for (const auto text : names) {
    made.members.push_back(py::handle(type)(py::str(text.data(), text.size())).release().ptr());
  }
  made.type = Py_NewRef(type);
  enum_classes().emplace(names.data(), std::move(made));
}

PyObject* timestamp_to_python(Timestamp time) {
  const std::int64_t micros = time.micros();
  std::int64_t seconds = micros / micros_a_second, rest = micros % micros_a_second;
  if (rest < 0) rest += micros_a_second, --seconds;
  std::int64_t days = seconds / seconds_a_day, of_day = seconds % seconds_a_day;
  if (of_day < 0) of_day += seconds_a_day, --days;
  const Civil civil = civil_of(days);
  if (civil.year < 1 || civil.year > 9999) {
    PyErr_SetString(PyExc_OverflowError, "the moment does not fit datetime.datetime");
    return nullptr;
  }
  return PyDateTimeAPI->DateTime_FromDateAndTime(
      static_cast<int>(civil.year), civil.month, civil.day, static_cast<int>(of_day / 3600),
      static_cast<int>(of_day / 60 % 60), static_cast<int>(of_day % 60), static_cast<int>(rest),
      PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
}

Timestamp timestamp_from_python(PyObject* object, std::string_view name) {
  if (!PyDateTime_Check(object)) wrong_type(name, "a datetime with a time zone", object);
  PyObject* zone = PyDateTime_DATE_GET_TZINFO(object);
  std::int64_t offset = 0;
  if (zone != PyDateTime_TimeZone_UTC) {
    py::object delta;
    if (zone != Py_None) {
      delta = py::reinterpret_steal<py::object>(PyObject_CallMethod(object, "utcoffset", nullptr));
      if (!delta) throw py::error_already_set();
    }
    if (!delta || delta.is_none()) {
      raise(Code::invalid,
            fmt::format("{}: a naive datetime does not say which moment it is: give it a time "
                        "zone, as datetime.now(timezone.utc) has one",
                        name),
            std::string(name));
    }
    offset = micros_of_delta(delta.ptr());
  }
  const std::int64_t days = days_of(PyDateTime_GET_YEAR(object), PyDateTime_GET_MONTH(object),
                                    PyDateTime_GET_DAY(object));
  const std::int64_t seconds = days * seconds_a_day + PyDateTime_DATE_GET_HOUR(object) * 3600 +
                               PyDateTime_DATE_GET_MINUTE(object) * 60 +
                               PyDateTime_DATE_GET_SECOND(object);
  return Timestamp::from_micros(seconds * micros_a_second +
                                PyDateTime_DATE_GET_MICROSECOND(object) - offset);
}

Duration duration_from_python(PyObject* object, std::string_view name) {
  if (!PyDelta_Check(object)) wrong_type(name, "a timedelta", object);
  return Duration(micros_of_delta(object));
}

std::string text_from_python(PyObject* object, std::string_view name) {
  if (!PyUnicode_Check(object)) wrong_type(name, "a str", object);
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == nullptr) {
    PyErr_Clear();
    raise(Code::invalid,
          fmt::format("{}: the text has lone surrogates (bytes that were decoded with "
                      "surrogateescape?), which are no Unicode",
                      name),
          std::string(name));
  }
  return {text, static_cast<std::size_t>(size)};
}

PyObject* json_to_python(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::null:
      Py_RETURN_NONE;
    case Json::Kind::boolean:
      return PyBool_FromLong(*json.as_bool() ? 1 : 0);
    case Json::Kind::integer:
      return PyLong_FromLongLong(*json.as_int());
    case Json::Kind::real:
      return PyFloat_FromDouble(*json.as_double());
    case Json::Kind::string:
      return PyUnicode_DecodeUTF8(json.as_string()->data(),
                                  static_cast<Py_ssize_t>(json.as_string()->size()), "replace");
    case Json::Kind::array: {
      const Json::Array& items = *json.as_array();
      PyObject* list = PyList_New(static_cast<Py_ssize_t>(items.size()));
      if (list == nullptr) return nullptr;
      for (std::size_t i = 0; i < items.size(); ++i) {
        PyObject* item = json_to_python(items[i]);
        if (item == nullptr) {
          Py_DECREF(list);
          return nullptr;
        }
        PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), item);
      }
      return list;
    }
    case Json::Kind::object: {
      PyObject* dict = PyDict_New();
      if (dict == nullptr) return nullptr;
      for (const auto& [key, value] : *json.as_object()) {
        PyObject* name = PyUnicode_DecodeUTF8(key.data(), static_cast<Py_ssize_t>(key.size()), "");
        PyObject* item = name == nullptr ? nullptr : json_to_python(value);
        const bool good = item != nullptr && PyDict_SetItem(dict, name, item) == 0;
        Py_XDECREF(name);
        Py_XDECREF(item);
        if (!good) {
          Py_DECREF(dict);
          return nullptr;
        }
      }
      return dict;
    }
  }
  Py_RETURN_NONE;
}

py::object json_object(const Json& json) {
  auto made = py::reinterpret_steal<py::object>(json_to_python(json));
  if (!made) throw py::error_already_set();
  return made;
}

Json json_from_python(PyObject* object) { return json_at(object, 0); }

PyObject* to_python(const ColumnInfo& column, const Value& value) {
  if (value.is_null()) Py_RETURN_NONE;
  switch (column.type) {
    case Type::boolean:
      return PyBool_FromLong(value.as_integer() != 0 ? 1 : 0);
    case Type::integer:
      return PyLong_FromLongLong(value.as_integer());
    case Type::real:
      return PyFloat_FromDouble(value.as_real());
    case Type::text: {
      const auto text = value.as_text();
      return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
    }
    case Type::timestamp:
      return timestamp_to_python(Timestamp::from_micros(value.as_integer()));
    case Type::duration:
      return duration_to_python(value.as_integer());
    case Type::id: {
      if (value.as_integer() == 0) Py_RETURN_NONE;
      if (column.id_prefix.empty()) return PyLong_FromLongLong(value.as_integer());
      const std::string text = id::to_text(column.id_prefix, value.as_integer());
      return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
    }
    case Type::enumeration: {
      const auto& members = enum_of(column.names, column.name).members;
      const auto at = static_cast<std::size_t>(value.as_integer());
      if (at >= members.size()) return PyLong_FromLongLong(value.as_integer());
      return Py_NewRef(members[at]);
    }
    case Type::json: {
      if (value.as_text() == "{}") return PyDict_New();
      if (value.as_text() == "[]") return PyList_New(0);
      const auto json = Json::parse(value.as_text());
      if (!json) Py_RETURN_NONE;
      return json_to_python(*json);
    }
    case Type::bytes: {
      const auto bytes = value.as_text();
      return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
    }
  }
  Py_RETURN_NONE;
}

py::object to_object(const ColumnInfo& column, const Value& value) {
  auto made = py::reinterpret_steal<py::object>(to_python(column, value));
  if (!made) throw py::error_already_set();
  return made;
}

std::int64_t id_from_python(std::string_view prefix, PyObject* object, std::string_view name) {
  if (is_row(object)) {
    const TableInfo& table = table_of_row(object);
    if (table.prefix != prefix) {
      raise(Code::invalid,
            fmt::format("{}: a row of {} is none of the \"{}_...\"", name, table.name, prefix),
            std::string(name));
    }
    const std::int64_t id = id_of_row(object);
    if (id == 0) {
      raise(Code::invalid, fmt::format("{}: the row has no id yet: insert it first", name),
            std::string(name));
    }
    return id;
  }
  if (prefix.empty()) return integer_from_python(object, name);
  if (!PyUnicode_Check(object)) {
    wrong_type(name, fmt::format("an id (\"{}_...\") or a row", prefix), object);
  }
  const std::string text = text_from_python(object, name);
  auto id = id::from_text(prefix, text);
  if (!id)
    raise(id.error().code, fmt::format("{}: {}", name, id.error().message), std::string(name));
  return *id;
}

std::int64_t id_from_python(const TableInfo& table, PyObject* object) {
  return id_from_python(table.prefix, object, table.name);
}

namespace {

std::int64_t enum_from_python(const ColumnInfo& column, PyObject* object) {
  if (!PyUnicode_Check(object)) wrong_type(column.name, "one of its names", object);
  const std::string text = text_from_python(object, column.name);
  const auto found = std::find(column.names.begin(), column.names.end(), text);
  if (found != column.names.end()) return found - column.names.begin();
  raise(Code::invalid,
        fmt::format("{}: \"{}\" is none of {}{}", column.name, text, fmt::join(column.names, ", "),
                    suggestion(text, {column.names.begin(), column.names.end()})),
        std::string(column.name));
}

double real_from_python(PyObject* object, std::string_view name) {
  if (PyFloat_Check(object)) return PyFloat_AS_DOUBLE(object);
  if (!PyLong_Check(object) || PyBool_Check(object)) wrong_type(name, "a float", object);
  const double value = PyLong_AsDouble(object);
  if (value == -1.0 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    raise(Code::invalid, fmt::format("{}: the int does not fit a float", name), std::string(name));
  }
  return value;
}

}  // namespace

OwnedValue from_python(const ColumnInfo& column, PyObject* object) {
  if (object == Py_None && column.type != Type::json) {
    if (column.type == Type::id)
      return column.nullable ? OwnedValue() : OwnedValue(Value::integer(0));
    if (column.nullable) return {};
    raise(Code::invalid, fmt::format("{}: None is not allowed there", column.name),
          std::string(column.name));
  }
  switch (column.type) {
    case Type::boolean:
      if (!PyBool_Check(object)) wrong_type(column.name, "a bool", object);
      return OwnedValue(Value::integer(object == Py_True ? 1 : 0));
    case Type::integer:
      return OwnedValue(Value::integer(integer_from_python(object, column.name)));
    case Type::real:
      return OwnedValue(Value::real(real_from_python(object, column.name)));
    case Type::text:
      return OwnedValue::text(text_from_python(object, column.name));
    case Type::timestamp:
      return OwnedValue(Value::integer(timestamp_from_python(object, column.name).micros()));
    case Type::duration:
      return OwnedValue(Value::integer(duration_from_python(object, column.name).count()));
    case Type::id:
      return OwnedValue(Value::integer(id_from_python(column.id_prefix, object, column.name)));
    case Type::enumeration:
      return OwnedValue(Value::integer(enum_from_python(column, object)));
    case Type::json:
      if (object == Py_None && column.nullable) return {};
      return OwnedValue::text(json_from_python(object).dump());
    case Type::bytes: {
      if (!PyObject_CheckBuffer(object) || PyUnicode_Check(object)) {
        wrong_type(column.name, "bytes", object);
      }
      Py_buffer buffer;
      if (PyObject_GetBuffer(object, &buffer, PyBUF_SIMPLE) != 0) throw py::error_already_set();
      std::string data(static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len));
      PyBuffer_Release(&buffer);
      return OwnedValue::bytes(std::move(data));
    }
  }
  return {};
}

}  // namespace bureau_python
