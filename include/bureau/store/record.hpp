#pragma once

#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

/// The description of a plain struct that travels as a JSON object (a task's payload or result), in
/// the words of schema<T> but without a table:
///   template <> inline constexpr auto bureau::record<Reply> =
///       bureau::fields(bureau::column("text", &Reply::text, bureau::max_length(10'000)));
template <class T>
inline constexpr auto record = nullptr;

template <class... Columns>
consteval auto fields(Columns... columns) {
  return detail::Pack<Columns...>{{columns}...};
}

template <class T>
concept Recorded = !std::is_same_v<std::remove_cvref_t<decltype(record<T>)>, std::nullptr_t>;

/// For kinds of task that take or give nothing.
struct Nothing {
  friend bool operator==(const Nothing&, const Nothing&) = default;
};
template <>
inline constexpr auto record<Nothing> = fields();

namespace detail {

template <class T>
TableInfo make_record_info() {
  TableInfo info;
  info.name = "payload";
  each_column(record<T>, [&](const auto& column) {
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    info.columns.push_back(make_member<M>(column.name, column.options));
  });
  for (std::size_t i = 0; i < info.columns.size(); ++i) {
    info.columns[i].index = static_cast<std::uint16_t>(i);
  }
  return info;
}

template <Recorded T>
const TableInfo& record_info() {
  static const TableInfo info = make_record_info<T>();
  return info;
}

[[nodiscard]] Json values_to_json(const TableInfo& info, std::span<const Value> values);
/// Checks names, types and limits; members that are not fields are `invalid`, missing ones too
/// unless they may be null.
[[nodiscard]] Result<std::vector<OwnedValue>> json_to_values(const TableInfo& info,
                                                             const Json& json);

}  // namespace detail

template <Recorded T>
[[nodiscard]] Json record_to_json(const T& value) {
  const TableInfo& info = detail::record_info<T>();
  std::vector<Value> values(info.width());
  detail::Scratch scratch;
  [[maybe_unused]] std::size_t at = 0;
  detail::each_column(record<T>, [&](const auto& column) {
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    values[at++] = detail::ColumnTraits<M>::to(value.*column.member, scratch);
  });
  return detail::values_to_json(info, values);
}

template <Recorded T>
[[nodiscard]] Result<T> record_from_json(const Json& json) {
  BUREAU_TRY(auto values, detail::json_to_values(detail::record_info<T>(), json));
  T out{};
  [[maybe_unused]] std::size_t at = 0;
  detail::each_column(record<T>, [&](const auto& column) {
    const Value v = values[at++].view();
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    if (detail::Unwrap<M>::nullable || !v.is_null()) {
      detail::ColumnTraits<M>::from(v, out.*column.member);
    }
  });
  return out;
}

BUREAU_END_NAMESPACE
