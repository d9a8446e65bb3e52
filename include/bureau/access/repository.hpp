#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/session.hpp"

BUREAU_BEGIN_NAMESPACE

/// Where a repository works: a session (each call is a transaction of its own), a view, or a unit.
/// Converts from each; keeps a session, refers to a view or a unit.
class Scope {
 public:
  Scope(Session session) : session_(std::move(session)) {}       // NOLINT
  Scope(View& view) : session_(view.session()), view_(&view) {}  // NOLINT
  Scope(Unit& unit) : session_(unit.session()), unit_(&unit) {}  // NOLINT

  [[nodiscard]] const Session& session() const { return session_; }
  [[nodiscard]] Unit* unit() const { return unit_; }
  /// Whether it is a view or a unit, of one snapshot or transaction.
  [[nodiscard]] bool is_bound() const { return unit_ != nullptr || view_ != nullptr; }
  /// Runs the closure with the reader of the unit, the view, or a snapshot of its own.
  Result<void> read(FunctionRef<Result<void>(Reader&)> closure) const;
  /// Runs `f(Unit&)` as Session::write() does: in the unit, or in one of its own; `invalid` on a
  /// view.
  template <class F>
  auto write(F&& f, CodeLocation where = CodeLocation::current()) const
      -> std::invoke_result_t<F&, Unit&> {
    std::optional<std::invoke_result_t<F&, Unit&>> result;
    BUREAU_TRY_VOID(run_write(
        [&](Unit& unit) -> Result<void> {
          result.emplace(f(unit));
          if (!*result) return fail(result->error());
          return {};
        },
        where));
    return std::move(*result);
  }

 private:
  Result<void> run_write(FunctionRef<Result<void>(Unit&)> closure, CodeLocation where) const;
  friend struct detail::SessionDoor;
  Session session_;
  View* view_ = nullptr;
  Unit* unit_ = nullptr;
};

/// What a list asks for: Query{.where = ..., .order = {...}, .limit = 50}.
struct Query {
  Predicate where = {};
  std::vector<Order> order = {};
  std::uint64_t limit = 100;
  std::string cursor = {};  ///< of the page before; empty: from the start
};

/// The rows of any table with a session's rights: what Repository<T> is made of, and what programs
/// that learn tables at run time (the command line) use. Errors: a hidden row is `not_found`, also
/// when a foreign key names it; a write that policies refuse on a visible row is `forbidden`.
///
/// Secret columns are the system's: a principal reads them as null or the type's zero, cannot name
/// them in a predicate, an order or a figure (`forbidden`), and in an update null or zero leaves
/// them as they are.
class Rows {
 public:
  Rows(Scope scope, const TableInfo& table) : scope_(std::move(scope)), table_(table) {}

  Result<void> find(std::int64_t id, FunctionRef<void(std::span<const Value>)> sink) const;
  /// Rows in order; the sink returns false to stop. Returns the cursor of the next page, empty when
  /// there is none.
  Result<std::string> list(const Query& query,
                           FunctionRef<bool(std::span<const Value>)> sink) const;
  Result<std::uint64_t> count(const Predicate& where) const;
  /// The aggregate over what the session may see; `table` and rights are filled in.
  Result<void> aggregate(Aggregate aggregate, RowSink sink) const;

  /// Inserts whole rows; id, tenant, version (1), created_at and updated_at are filled in place. An
  /// id may be given only by the system. All or none.
  Result<void> insert(std::span<Value> rows) const;
  /// Replaces the row with that id. The version given must be the stored one, else `conflict`;
  /// version and updated_at are filled in place. id, tenant and created_at cannot change.
  Result<void> update(std::span<Value> row) const;
  Result<void> remove(std::int64_t id) const;

  [[nodiscard]] const Scope& scope() const { return scope_; }
  [[nodiscard]] const TableInfo& table() const { return table_; }

 private:
  Scope scope_;
  const TableInfo& table_;
};

template <class T>
struct Page {
  std::vector<T> items;
  std::string next;  ///< the cursor of the next page; empty: this was the last
};

/// The rows of one entity. Made on a session, a view or a unit, and as short-lived as a pointer to
/// it. Errors as Rows.
template <Entity T>
class Repository {
 public:
  explicit Repository(Scope scope) : rows_(std::move(scope), table_of<T>()) {}

  Result<T> find(Id<T> id) const {
    T row;
    BUREAU_TRY_VOID(
        rows_.find(id.value, [&](std::span<const Value> values) { from_values(values, row); }));
    return row;
  }
  Result<Page<T>> page(const Query& query) const {
    Page<T> page;
    BUREAU_TRY(page.next, rows_.list(query, [&](std::span<const Value> values) {
      from_values(values, page.items.emplace_back());
      return true;
    }));
    return page;
  }
  Result<std::vector<T>> list(const Query& query) const {
    BUREAU_TRY(auto page, this->page(query));
    return std::move(page.items);
  }
  /// The first row that matches; none is not an error.
  Result<std::optional<T>> first(Predicate where, std::vector<Order> order = {}) const {
    BUREAU_TRY(auto found, list({std::move(where), std::move(order), 1, {}}));
    if (found.empty()) return std::optional<T>();
    return std::optional<T>(std::move(found.front()));
  }
  Result<std::uint64_t> count(const Predicate& where = {}) const { return rows_.count(where); }

  Result<T> insert(T row) const {
    BUREAU_TRY(auto rows, insert_all(std::vector<T>{std::move(row)}));
    return std::move(rows.front());
  }
  Result<std::vector<T>> insert_all(std::vector<T> rows) const {
    const std::size_t width = table_of<T>().width();
    std::vector<Value> values(rows.size() * width);
    detail::Scratch scratch;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      to_values(rows[i], std::span(values).subspan(i * width, width), scratch);
    }
    BUREAU_TRY_VOID(rows_.insert(values));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      detail::take_kept(std::span<const Value>(values).subspan(i * width, width), rows[i]);
    }
    return rows;
  }
  /// Writes the row back; `conflict` when somebody else has changed it since it was read.
  Result<T> update(T row) const {
    std::vector<Value> values(table_of<T>().width());
    detail::Scratch scratch;
    to_values(row, values, scratch);
    BUREAU_TRY_VOID(rows_.update(values));
    detail::take_kept<T>(values, row);
    return row;
  }
  /// Reads, lets `change(T&)` change, and writes, in one transaction.
  template <class F>
  Result<T> change(Id<T> id, F&& change) const {
    std::optional<T> result;
    BUREAU_TRY_VOID(rows_.scope().write([&](Unit& unit) -> Result<void> {
      const Repository inner{Scope(unit)};
      BUREAU_TRY(T row, inner.find(id));
      if constexpr (std::is_void_v<std::invoke_result_t<F&, T&>>) {
        change(row);
      } else {
        BUREAU_TRY_VOID(change(row));
      }
      BUREAU_TRY(result, inner.update(std::move(row)));
      return {};
    }));
    return std::move(*result);
  }
  Result<void> remove(Id<T> id) const { return rows_.remove(id.value); }

  [[nodiscard]] const Rows& rows() const { return rows_; }

 private:
  Rows rows_;
};

BUREAU_END_NAMESPACE
