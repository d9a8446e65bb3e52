#pragma once

#include <optional>
#include <type_traits>
#include <vector>

#include "bureau/store/record.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// How the result of a step becomes JSON and is read back: void, Json, records (bureau::record),
/// whatever may be a column (texts, numbers, enumerations, ids, money, moments), and vectors and
/// optionals of these.
template <class T>
struct RunValue {
  static_assert(Recorded<T> || Described<T>,
                "a step gives a record (describe it with bureau::record), what may be a column, or "
                "a vector or an optional of these");
  static Json to(const T& value) {
    if constexpr (Recorded<T>) {
      return record_to_json(value);
    } else {
      Scratch scratch;
      const Value stored = ColumnTraits<T>::to(value, scratch);
      return values_to_json(info(), std::span(&stored, 1));
    }
  }
  static Result<T> from(const Json& json) {
    if constexpr (Recorded<T>) {
      return record_from_json<T>(json);
    } else {
      BUREAU_TRY(const auto values, json_to_values(info(), json));
      T out{};
      ColumnTraits<T>::from(values.front().view(), out);
      return out;
    }
  }

 private:
  static const TableInfo& info() {
    static const TableInfo one = [] {
      TableInfo made;
      made.name = "result";
      made.columns.push_back(make_member<T>("value", ColumnOptions{}));
      return made;
    }();
    return one;
  }
};

template <>
struct RunValue<Json> {
  static Json to(const Json& value) { return value; }
  static Result<Json> from(const Json& json) { return json; }
};

template <class T>
struct RunValue<std::vector<T>> {
  static Json to(const std::vector<T>& values) {
    Json out = Json::array();
    for (const auto& value : values) out.push_back(RunValue<T>::to(value));
    return out;
  }
  static Result<std::vector<T>> from(const Json& json) {
    std::vector<T> out;
    const Json::Array* items = json.as_array();
    if (items == nullptr) return fail(Code::invalid, "result: it is no list", "result");
    for (const Json& item : *items) {
      BUREAU_TRY(T value, RunValue<T>::from(item));
      out.push_back(std::move(value));
    }
    return out;
  }
};

/// A list of one or none, so that a value that is null is not taken for none.
template <class T>
struct RunValue<std::optional<T>> {
  static Json to(const std::optional<T>& value) {
    Json out = Json::array();
    if (value) out.push_back(RunValue<T>::to(*value));
    return out;
  }
  static Result<std::optional<T>> from(const Json& json) {
    BUREAU_TRY(auto values, RunValue<std::vector<T>>::from(json));
    if (values.empty()) return std::optional<T>();
    return std::optional<T>(std::move(values.front()));
  }
};

template <class T>
[[nodiscard]] Json to_run_value(const Result<T>& value) {
  if constexpr (std::is_void_v<T>) {
    return Json();
  } else {
    return RunValue<T>::to(*value);
  }
}
template <class T>
[[nodiscard]] Result<T> from_run_value(const Json& json) {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return RunValue<T>::from(json);
  }
}

}  // namespace detail
BUREAU_END_NAMESPACE
