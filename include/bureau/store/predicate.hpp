#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "bureau/core/function_ref.hpp"
#include "bureau/core/result.hpp"
#include "bureau/core/timestamp.hpp"
#include "bureau/store/schema.hpp"
#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE

/// Values for the $names of a predicate. A value must have the type of the column it meets; a name
/// bound to a list may stand only in `in`.
using Bindings = std::map<std::string, std::vector<OwnedValue>, std::less<>>;

/// What decides about a row: a small immutable expression tree over the columns of one table. The
/// one language of queries, policies, subscriptions and rules; its meaning is the same on every
/// storage (docs/predicates.md). A plain value, cheap to copy, safe to share between threads.
///
/// As text:  status = "open" and (priority >= "high" or not tags contains "vip")
///           team in (select team from memberships where user = $user) and closed_at is null
///           subject icontains "refund" and custom.region = "eu" and created_at > "2026-11-01"
class Predicate {
 public:
  enum class Op : std::uint8_t {
    always,
    never,
    all,       ///< and over `children`
    any,       ///< or over `children`
    negation,  ///< of children[0]
    equal,     ///< column, operand[0]; and so on
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    in,  ///< column, operands
    not_in,
    in_select,  ///< column, select
    not_in_select,
    is_null,
    is_not_null,
    prefix,    ///< text column begins with operand[0]
    contains,  ///< text column has operand[0] inside; JSON array column has it as an element
  };
  /// A literal, a $name to be bound later, or now().
  struct Operand {
    enum class Kind : std::uint8_t { literal, variable, now };
    Kind kind = Kind::literal;
    OwnedValue value;
    std::string name;
    friend bool operator==(const Operand&, const Operand&) = default;
  };
  struct Node;
  using NodePtr = std::shared_ptr<const Node>;
  /// (select column from table where ...): not correlated.
  struct SubSelect {
    const TableInfo* table = nullptr;
    const ColumnInfo* column = nullptr;
    NodePtr where;
  };
  struct Node {
    Op op = Op::always;
    const ColumnInfo* column = nullptr;
    /// Members to follow inside a JSON column; a comparison then has the type of its operand, and
    /// a path that leads to another type is absent (null).
    std::vector<std::string> path;
    /// What the operands of a path are: boolean, integer, real or text.
    Type path_type = Type::text;
    std::vector<Operand> operands;
    std::vector<NodePtr> children;
    std::shared_ptr<const SubSelect> select;
  };

  /// Matches every row.
  Predicate() = default;
  explicit Predicate(NodePtr root) : root_(std::move(root)) {}
  [[nodiscard]] static Predicate never();

  struct ParseLimits {
    std::size_t bytes = 16 * 1024;
    int depth = 32;
  };
  /// Reads the text form. `invalid` points at the column of the mistake (from 1) and says what was
  /// expected there. `catalog` is needed only for sub-selects.
  [[nodiscard]] static Result<Predicate> parse(const TableInfo& table, std::string_view text,
                                               const Catalog* catalog, ParseLimits limits);
  [[nodiscard]] static Result<Predicate> parse(const TableInfo& table, std::string_view text,
                                               const Catalog* catalog = nullptr) {
    return parse(table, text, catalog, ParseLimits{});
  }
  /// Reads the JSON form, in which rules are stored: {"op": "=", "column": "status", "value":
  /// "open"},
  /// {"and": [...]}. The inverse of to_json().
  [[nodiscard]] static Result<Predicate> from_json(const TableInfo& table, const Json& json,
                                                   const Catalog* catalog = nullptr);
  [[nodiscard]] Json to_json() const;
  /// Text that parse() reads back to an equal predicate.
  [[nodiscard]] std::string to_text() const;

  /// The tree; null stands for `always`.
  [[nodiscard]] const Node* root() const { return root_.get(); }
  [[nodiscard]] const NodePtr& node() const { return root_; }
  [[nodiscard]] bool is_always() const { return root_ == nullptr || root_->op == Op::always; }
  [[nodiscard]] bool is_never() const { return root_ != nullptr && root_->op == Op::never; }

  /// Replaces each $name. `invalid` when one is not in `bindings` or of another type.
  [[nodiscard]] Result<Predicate> bind(const Bindings& bindings) const;
  /// The same predicate with now() fixed.
  [[nodiscard]] Predicate at(Timestamp now) const;
  [[nodiscard]] bool uses_now() const;
  [[nodiscard]] bool has_variables() const;
  /// The tables that sub-selects read.
  [[nodiscard]] std::vector<const TableInfo*> reads() const;
  [[nodiscard]] bool has_select() const { return !reads().empty(); }

  friend Predicate operator&&(const Predicate& a, const Predicate& b);
  friend Predicate operator||(const Predicate& a, const Predicate& b);
  friend Predicate operator!(const Predicate& a);
  /// Structural: the same tree.
  friend bool operator==(const Predicate& a, const Predicate& b);

 private:
  NodePtr root_;
};

/// Answers a sub-select for evaluate(): does the select yield `value`, and does it yield a null?
/// Asked about a null, `found` says whether it yields anything at all.
struct SelectAnswer {
  bool found = false;
  bool has_null = false;
};
using SelectOracle = FunctionRef<Result<SelectAnswer>(const Predicate::SubSelect&, const Value&)>;

enum class Truth : std::uint8_t { no, yes, unknown };

/// What the predicate says of one row, in Kleene logic. REQUIRES: bound, and now() fixed by at();
/// `invalid` otherwise. A predicate with sub-selects needs the oracle; `invalid` without one.
[[nodiscard]] Result<Truth> evaluate(const Predicate& predicate, std::span<const Value> row);
[[nodiscard]] Result<Truth> evaluate(const Predicate& predicate, std::span<const Value> row,
                                     SelectOracle oracle);

namespace detail {

template <class M>
OwnedValue operand_value(const M& value) {
  Scratch scratch;
  return OwnedValue(ColumnTraits<M>::to(value, scratch));
}

[[nodiscard]] Predicate compare_column(const ColumnInfo& column, Predicate::Op op,
                                       std::vector<OwnedValue> operands);
/// On a `folded` column: the companion against the folded text.
[[nodiscard]] Predicate compare_folded(const TableInfo& table, const ColumnInfo& column,
                                       Predicate::Op op, std::string_view text);

}  // namespace detail

/// A column of T whose member has type M, as col(&T::member) gives it. Comparisons make predicates;
/// operands have the member's own type (without optional).
template <class T, class M>
class Column {
 public:
  using Plain = typename detail::Unwrap<M>::type;

  consteval explicit Column(std::uint16_t position) : position_(position) {}
  [[nodiscard]] const ColumnInfo& info() const { return table_of<T>().columns[position_]; }

  friend Predicate operator==(Column c, const Plain& v) { return c.make(Predicate::Op::equal, v); }
  friend Predicate operator!=(Column c, const Plain& v) {
    return c.make(Predicate::Op::not_equal, v);
  }
  friend Predicate operator<(Column c, const Plain& v) { return c.make(Predicate::Op::less, v); }
  friend Predicate operator<=(Column c, const Plain& v) {
    return c.make(Predicate::Op::less_equal, v);
  }
  friend Predicate operator>(Column c, const Plain& v) { return c.make(Predicate::Op::greater, v); }
  friend Predicate operator>=(Column c, const Plain& v) {
    return c.make(Predicate::Op::greater_equal, v);
  }
  [[nodiscard]] Predicate in(const std::vector<Plain>& values) const {
    return many(Predicate::Op::in, values);
  }
  [[nodiscard]] Predicate not_in(const std::vector<Plain>& values) const {
    return many(Predicate::Op::not_in, values);
  }
  [[nodiscard]] Predicate is_null() const {
    return detail::compare_column(info(), Predicate::Op::is_null, {});
  }
  [[nodiscard]] Predicate is_not_null() const {
    return detail::compare_column(info(), Predicate::Op::is_not_null, {});
  }
  [[nodiscard]] Predicate starts_with(
      std::string_view text) const requires std::is_same_v<Plain, std::string> {
    return detail::compare_column(info(), Predicate::Op::prefix, {OwnedValue(Value::text(text))});
  }
  /// Text that has `text` inside; or a list of texts that has it as an element.
  [[nodiscard]] Predicate contains(std::string_view text) const
      requires(std::is_same_v<Plain, std::string> ||
               std::is_same_v<Plain, std::vector<std::string>>) {
    return detail::compare_column(info(), Predicate::Op::contains, {OwnedValue(Value::text(text))});
  }
  /// Case-insensitive; only a column declared `folded` matches anything else than an error at use.
  [[nodiscard]] Predicate equals_folded(
      std::string_view text) const requires std::is_same_v<Plain, std::string> {
    return detail::compare_folded(table_of<T>(), info(), Predicate::Op::equal, text);
  }
  [[nodiscard]] Predicate contains_folded(
      std::string_view text) const requires std::is_same_v<Plain, std::string> {
    return detail::compare_folded(table_of<T>(), info(), Predicate::Op::contains, text);
  }

 private:
  [[nodiscard]] Predicate make(Predicate::Op op, const Plain& v) const {
    std::vector<OwnedValue> operands;
    operands.push_back(detail::operand_value(v));
    return detail::compare_column(info(), op, std::move(operands));
  }
  [[nodiscard]] Predicate many(Predicate::Op op, const std::vector<Plain>& values) const {
    std::vector<OwnedValue> operands;
    operands.reserve(values.size());
    for (const auto& v : values) operands.push_back(detail::operand_value(Plain(v)));
    return detail::compare_column(info(), op, std::move(operands));
  }
  std::uint16_t position_;
};

/// col(&Ticket::priority) >= Priority::high. A member that is not a column does not compile.
template <class T, class M>
consteval Column<T, M> col(M T::*member) {
  return Column<T, M>(detail::position_of<T, M>(member));
}

BUREAU_END_NAMESPACE
