#pragma once

#include <array>
#include <concepts>
#include <deque>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bureau/core/id.hpp"
#include "bureau/core/json.hpp"
#include "bureau/core/timestamp.hpp"
#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE

/// The names of an enumeration's values, in the order of their numbers from 0. Specialize it beside
/// the enumeration; names and numbers reach the disk, so they are frozen.
///   template <> inline constexpr auto bureau::names<Priority> = bureau::enum_names("low", "high");
template <class E>
inline constexpr auto names = nullptr;

template <class... Text>
consteval auto enum_names(const Text&... text) {
  return std::array<std::string_view, sizeof...(Text)>{std::string_view(text)...};
}

/// The description of an entity; specialize it beside the struct (see table() below).
template <class T>
inline constexpr auto schema = nullptr;

/// A struct with a schema.
template <class T>
concept Entity = !std::is_same_v<std::remove_cvref_t<decltype(schema<T>)>, std::nullptr_t>;

/// Raw bytes in a struct, as opposed to text.
struct Bytes {
  std::string data;
  friend bool operator==(const Bytes&, const Bytes&) = default;
};

namespace detail {

/// Texts made while a row is turned into values; must outlive them.
using Scratch = std::deque<std::string>;

template <class M>
struct ColumnTraits;  // a member of a type that has no traits cannot be a column

template <class M>
concept Described = requires {
  ColumnTraits<M>::type;
};

template <std::integral M>
struct ColumnTraits<M> {
  static constexpr Type type = std::is_same_v<M, bool> ? Type::boolean : Type::integer;
  static Value to(const M& m, Scratch&) { return Value::integer(static_cast<std::int64_t>(m)); }
  static void from(const Value& v, M& m) { m = static_cast<M>(v.as_integer()); }
};
template <class M>
requires std::is_enum_v<M>
struct ColumnTraits<M> {
  static constexpr Type type = Type::enumeration;
  static Value to(const M& m, Scratch&) { return Value::integer(static_cast<std::int64_t>(m)); }
  static void from(const Value& v, M& m) { m = static_cast<M>(v.as_integer()); }
};
template <>
struct ColumnTraits<double> {
  static constexpr Type type = Type::real;
  static Value to(const double& m, Scratch&) { return Value::real(m); }
  static void from(const Value& v, double& m) { m = v.as_real(); }
};
template <>
struct ColumnTraits<std::string> {
  static constexpr Type type = Type::text;
  static Value to(const std::string& m, Scratch&) { return Value::text(m); }
  static void from(const Value& v, std::string& m) { m.assign(v.as_text()); }
};
template <>
struct ColumnTraits<Bytes> {
  static constexpr Type type = Type::bytes;
  static Value to(const Bytes& m, Scratch&) { return Value::bytes(m.data); }
  static void from(const Value& v, Bytes& m) { m.data.assign(v.as_text()); }
};
template <>
struct ColumnTraits<Timestamp> {
  static constexpr Type type = Type::timestamp;
  static Value to(const Timestamp& m, Scratch&) { return Value::integer(m.micros()); }
  static void from(const Value& v, Timestamp& m) { m = Timestamp::from_micros(v.as_integer()); }
};
template <>
struct ColumnTraits<Duration> {
  static constexpr Type type = Type::duration;
  static Value to(const Duration& m, Scratch&) { return Value::integer(m.count()); }
  static void from(const Value& v, Duration& m) { m = Duration(v.as_integer()); }
};
template <class T>
struct ColumnTraits<Id<T>> {
  static constexpr Type type = Type::id;
  static Value to(const Id<T>& m, Scratch&) { return Value::integer(m.value); }
  static void from(const Value& v, Id<T>& m) { m.value = v.as_integer(); }
};
template <>
struct ColumnTraits<Json> {
  static constexpr Type type = Type::json;
  static Value to(const Json& m, Scratch& scratch);
  static void from(const Value& v, Json& m);
};
/// A list of texts is a JSON array in the database.
template <>
struct ColumnTraits<std::vector<std::string>> {
  static constexpr Type type = Type::json;
  static Value to(const std::vector<std::string>& m, Scratch& scratch);
  static void from(const Value& v, std::vector<std::string>& m);
};
/// An optional member is a column that may be null.
template <class M>
struct ColumnTraits<std::optional<M>> {
  static constexpr Type type = ColumnTraits<M>::type;
  static Value to(const std::optional<M>& m, Scratch& scratch) {
    return m ? ColumnTraits<M>::to(*m, scratch) : Value();
  }
  static void from(const Value& v, std::optional<M>& m) {
    if (v.is_null()) {
      m.reset();
    } else {
      ColumnTraits<M>::from(v, m.emplace());
    }
  }
};

template <class M>
struct Unwrap {
  using type = M;
  static constexpr bool nullable = false;
};
template <class M>
struct Unwrap<std::optional<M>> {
  using type = M;
  static constexpr bool nullable = true;
};
template <class M>
struct IdOf {
  using type = void;
};
template <class T>
struct IdOf<Id<T>> {
  using type = T;
};

struct ColumnOptions {
  bool secret = false, personal = false, searchable = false, folded = false, subject = false;
  bool immutable = false;
  std::uint32_t max_length = std::numeric_limits<std::uint32_t>::max();
};

template <class T, class M>
struct ColumnDef {
  using Member = M;
  std::string_view name;
  M T::*member;
  ColumnOptions options;
};

struct IndexDef {
  static constexpr std::size_t max_columns = 6;
  std::string_view name;
  std::array<std::string_view, max_columns> columns{};
  bool unique = false;
  std::string_view condition{};
  [[nodiscard]] consteval IndexDef where(std::string_view predicate) const {
    IndexDef copy = *this;
    copy.condition = predicate;
    return copy;
  }
};

template <class X>
inline constexpr bool is_index = std::is_same_v<X, IndexDef>;

struct ByMonthOption {};
template <class X>
inline constexpr bool is_table_option = std::is_same_v<X, ByMonthOption>;

/// The parts of a description, in order. Not a std::tuple: that of a wide table takes a compiler
/// ten times as long.
template <std::size_t I, class Part>
struct Leaf {
  Part part;
};
template <class Places, class... Parts>
struct PackOf;
template <std::size_t... I, class... Parts>
struct PackOf<std::index_sequence<I...>, Parts...> : Leaf<I, Parts>... {};
template <class... Parts>
using Pack = PackOf<std::index_sequence_for<Parts...>, Parts...>;

template <class F, class Part>
constexpr void visit_column([[maybe_unused]] F& f, const Part& part) {
  if constexpr (!is_index<Part> && !is_table_option<Part>) f(part);
}
/// Calls `f` with each column.
template <class F, std::size_t... I, class... Parts>
constexpr void each_column(const PackOf<std::index_sequence<I...>, Parts...>& pack,
                           [[maybe_unused]] F f) {
  (visit_column(f, static_cast<const Leaf<I, Parts>&>(pack).part), ...);
}

template <class Columns, std::size_t Indexes>
struct TableDef {
  std::string_view name;
  std::string_view prefix;
  journal::Mode journal;
  Columns columns;
  std::array<IndexDef, Indexes> indexes;
  bool by_month = false;
};

}  // namespace detail

/// Of a table that only grows and is forgotten by age: a storage may keep its rows apart by the
/// month (UTC) in which their ids were issued, and let whole months go at once
/// (Storage::drop_months()). It has no journal, which would want a record of each row that goes,
/// and no unique index: a month knows of its own rows alone.
inline constexpr detail::ByMonthOption by_month;

// Options of a column.
inline constexpr struct SecretOption {
} secret;
inline constexpr struct PersonalOption {
} personal;
inline constexpr struct SearchableOption {
} searchable;
inline constexpr struct FoldedOption {
} folded;
/// Stays as it was inserted: only the system may change it.
inline constexpr struct ImmutableOption {
} immutable;
/// On an id column: the personal columns of this table are about the row that it names.
inline constexpr struct PersonalSubjectOption {
} personal_subject;
struct MaxLengthOption {
  std::uint32_t code_points;
};
consteval MaxLengthOption max_length(std::uint32_t code_points) { return {code_points}; }

namespace detail {
consteval void apply(ColumnOptions& o, SecretOption) { o.secret = true; }
consteval void apply(ColumnOptions& o, PersonalOption) { o.personal = true; }
consteval void apply(ColumnOptions& o, SearchableOption) { o.searchable = true; }
consteval void apply(ColumnOptions& o, FoldedOption) { o.folded = true; }
consteval void apply(ColumnOptions& o, ImmutableOption) { o.immutable = true; }
consteval void apply(ColumnOptions& o, PersonalSubjectOption) { o.subject = true; }
consteval void apply(ColumnOptions& o, MaxLengthOption m) { o.max_length = m.code_points; }

template <class Part>
consteval void add_index(IndexDef* indexes, std::size_t& next, const Part& part) {
  if constexpr (is_index<Part>) indexes[next++] = part;
}
}  // namespace detail

/// column("subject", &Ticket::subject, max_length(500), searchable)
template <class T, detail::Described M, class... Options>
consteval auto column(std::string_view name, M T::*member, Options... options) {
  detail::ColumnDef<T, M> def{name, member, {}};
  (detail::apply(def.options, options), ...);
  return def;
}

/// index("by_team", "team", "status").where("status < \"closed\""): names and predicate are checked
/// when the table enters a catalog. Index names are unique within their table.
template <class... Columns>
consteval detail::IndexDef index(std::string_view name, Columns... columns) {
  return {name, {std::string_view(columns)...}, false, {}};
}
template <class... Columns>
consteval detail::IndexDef unique_index(std::string_view name, Columns... columns) {
  return {name, {std::string_view(columns)...}, true, {}};
}

/// table("tickets", "tkt", journal::full, column(...), ..., index(...), ...)
/// table("samples", "smp", journal::none, by_month, column(...), ...)
template <class... Parts>
consteval auto table(std::string_view name, std::string_view prefix, journal::Mode mode,
                     Parts... parts) {
  constexpr std::size_t index_count = (std::size_t{0} + ... + (detail::is_index<Parts> ? 1 : 0));
  std::array<detail::IndexDef, index_count> indexes{};
  std::size_t next = 0;
  (detail::add_index(indexes.data(), next, parts), ...);
  return detail::TableDef<detail::Pack<Parts...>, index_count>{
      name, prefix, mode, {{parts}...}, indexes, (false || ... || detail::is_table_option<Parts>)};
}

namespace detail {

/// The position of a member among the columns; does not compile for one that is not described.
template <class T, class M>
consteval std::uint16_t position_of(M T::*member) {
  std::uint16_t found = UINT16_MAX;
  std::uint16_t at = 0;
  each_column(schema<T>.columns, [&](const auto& column) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(column.member)>, M T::*>) {
      if (column.member == member) found = at;
    }
    ++at;
  });
  if (found == UINT16_MAX) throw "this member is not described as a column in the schema";
  return found;
}

[[nodiscard]] ColumnInfo make_column(std::string_view name, Type type, bool nullable,
                                     const ColumnOptions& options);
/// Adds the hidden companions, resolves positions and indexes.
void finish_table(TableInfo& table, std::span<const IndexDef> indexes);
/// Fills the companions of folded columns.
void fill_folded(const TableInfo& table, std::span<Value> row, Scratch& scratch);

template <class M>
ColumnInfo make_member(std::string_view name, const ColumnOptions& options) {
  using Plain = typename Unwrap<M>::type;
  ColumnInfo c = make_column(name, ColumnTraits<M>::type, Unwrap<M>::nullable, options);
  if constexpr (std::is_enum_v<Plain>) c.names = names<Plain>;
  using Target = typename IdOf<Plain>::type;
  if constexpr (!std::is_void_v<Target>) {
    if constexpr (Entity<Target>) {
      c.references = schema<Target>.name;
      c.id_prefix = schema<Target>.prefix;
    }
  }
  return c;
}

template <class T>
TableInfo make_table_info() {
  TableInfo info;
  info.name = schema<T>.name;
  info.prefix = schema<T>.prefix;
  info.journal = schema<T>.journal;
  info.by_month = schema<T>.by_month;
  each_column(schema<T>.columns, [&](const auto& column) {
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    if (column.options.subject) info.personal_subject = static_cast<int>(info.width());
    info.columns.push_back(make_member<M>(column.name, column.options));
  });
  finish_table(info, schema<T>.indexes);
  const T row{};
  Scratch scratch;
  each_column(schema<T>.columns, [&](const auto& column) {
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    info.defaults.emplace_back(ColumnTraits<M>::to(row.*column.member, scratch));
  });
  while (info.defaults.size() < info.width()) {  // companions of folded columns
    const bool null = info.columns[info.defaults.size()].nullable;
    info.defaults.push_back(null ? OwnedValue() : OwnedValue::text(""));
  }
  return info;
}

}  // namespace detail

/// The table of an entity. Made once; lives as long as the process; safe from any thread.
template <Entity T>
const TableInfo& table_of() {
  static const TableInfo info = detail::make_table_info<T>();
  return info;
}

/// Fills `out` (table_of<T>().width() values, hidden companions too). The values point into `row`
/// and `scratch`.
template <Entity T>
void to_values(const T& row, std::span<Value> out, detail::Scratch& scratch) {
  std::size_t at = 0;
  detail::each_column(schema<T>.columns, [&](const auto& column) {
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    out[at++] = detail::ColumnTraits<M>::to(row.*column.member, scratch);
  });
  const TableInfo& info = table_of<T>();
  if (at < info.width()) detail::fill_folded(info, out, scratch);
}

/// The inverse. REQUIRES: a row of that table, as a storage gave it.
template <Entity T>
void from_values(std::span<const Value> values, T& row) {
  std::size_t at = 0;
  detail::each_column(schema<T>.columns, [&](const auto& column) {
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    const Value& v = values[at++];
    if (detail::Unwrap<M>::nullable || !v.is_null()) {
      detail::ColumnTraits<M>::from(v, row.*column.member);
    }
  });
}

namespace detail {

/// The columns that the library keeps (id, tenant, version and the two times), back into the
/// struct; the others stay as they are.
template <Entity T>
void take_kept(std::span<const Value> values, T& row) {
  const TableInfo& table = table_of<T>();
  int at = 0;
  each_column(schema<T>.columns, [&](const auto& column) {
    using M = typename std::remove_cvref_t<decltype(column)>::Member;
    const int place = at++;
    if (place == 0 || place == table.tenant || place == table.version ||
        place == table.created_at || place == table.updated_at) {
      ColumnTraits<M>::from(values[static_cast<std::size_t>(place)], row.*column.member);
    }
  });
}

}  // namespace detail

BUREAU_END_NAMESPACE

/// What a compiler makes of an entity's description, made in one file instead of in each that uses
/// it: the first beside the schema, the second in one source. Optional, and outside of namespaces;
/// worth it for an entity that many files include.
#define BUREAU_DECLARE_ENTITY(...) BUREAU_ENTITY_FUNCTIONS(extern template, __VA_ARGS__)
#define BUREAU_DEFINE_ENTITY(...) BUREAU_ENTITY_FUNCTIONS(template, __VA_ARGS__)
#define BUREAU_ENTITY_FUNCTIONS(kind, ...)                                       \
  kind const ::bureau::TableInfo& bureau::table_of<__VA_ARGS__>();               \
  kind void bureau::to_values(const __VA_ARGS__&, std::span<::bureau::Value>,    \
                              ::bureau::detail::Scratch&);                       \
  kind void bureau::from_values(std::span<const ::bureau::Value>, __VA_ARGS__&); \
  kind void bureau::detail::take_kept(std::span<const ::bureau::Value>, __VA_ARGS__&)
