#pragma once

// What is done by hand, and by whom: the inside of rewards/.

#include "bureau/access/repository.hpp"
#include "rewards/books.hpp"
#include "rewards/criteria.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

[[nodiscard]] Result<bool> is_manager(Unit& unit);
/// `forbidden` unless the session is the system's, an admin's or a manager's.
[[nodiscard]] Result<void> require_manager(Unit& unit, std::string_view what);
/// The same, but also for the user himself.
[[nodiscard]] Result<void> require_self(Unit& unit, Id<User> user, std::string_view what);
/// `invalid` unless he is an active user of the tenant.
[[nodiscard]] Result<void> check_user(Unit& unit, Id<User> user);

/// Books about one user, for what happens now. `days`: those of entries that are taken back.
[[nodiscard]] Result<Books> open_books(Unit& unit, Id<User> user,
                                       std::vector<std::int64_t> days = {});

/// Where new criteria begin to count: from now on, or from the oldest change that is kept. The
/// evaluation goes back there; what others have counted they do not count again.
[[nodiscard]] Result<std::int64_t> begin_counting(Unit& unit, bool history);

/// Runs `f(Scope)` on one snapshot, so that what several queries say belongs together.
template <class F>
[[nodiscard]] Result<void> on_snapshot(const Scope& scope, F&& f) {
  if (scope.unit() != nullptr) return f(scope);
  return scope.session().read([&](View& view) -> Result<void> { return f(Scope(view)); });
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
