#pragma once

// What views, macros and canned replies have in common: a name, and whose they are.

#include <fmt/format.h>

#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

constexpr std::size_t max_shared_name = 100;

/// `invalid` when the scope, the team and who acts do not fit together.
[[nodiscard]] Result<void> check_sharing(const Session& session, Sharing scope,
                                         const std::optional<Id<Team>>& team);

/// The row of that name that the same people share; `row` has its owner.
template <class T>
Predicate same_place(const T& row) {
  Predicate where = col(&T::name) == row.name && col(&T::scope) == row.scope;
  if (row.scope == Sharing::team) where = where && col(&T::team) == *row.team;
  if (row.scope == Sharing::own) where = where && col(&T::owner) == *row.owner;
  return where;
}

/// Inserts the row, or puts what `take(present, row)` takes of it into the one that is there.
template <class T, class F>
Result<T> save_shared(Unit& unit, T row, F&& take) {
  const Session& session = unit.session();
  BUREAU_TRY_VOID(check_body("name", row.name, max_shared_name));
  BUREAU_TRY_VOID(check_sharing(session, row.scope, row.team));
  if (session.principal().user) row.owner = session.principal().user;
  const Repository<T> rows{Scope(unit)};
  BUREAU_TRY(auto present, rows.first(same_place(row)));
  if (!present) return rows.insert(std::move(row));
  take(*present, row);
  return rows.update(std::move(*present));
}

/// The nearest of that name among those in sight: one's own, a team's, the office's.
template <class T>
Result<T> nearest_named(const Repository<T>& rows, std::string_view what, std::string_view name) {
  BUREAU_TRY(auto found,
             rows.first(col(&T::name) == std::string(name), {{&col(&T::scope).info(), false}}));
  if (found) return std::move(*found);
  return fail(Code::not_found, fmt::format("{}: there is no \"{}\"", what, shortened(name)),
              std::string(what));
}

}  // namespace detail
BUREAU_END_NAMESPACE
