#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bureau/access/identity.hpp"
#include "bureau/access/policy.hpp"
#include "bureau/store/database.hpp"

BUREAU_BEGIN_NAMESPACE

class Access;
class Session;
namespace detail {
class Rights;
struct SessionDoor;
}  // namespace detail

/// Who acts. A plain value.
struct Principal {
  Id<Tenant> tenant;
  Id<User> user;     ///< none for the system and for agents
  std::string role;  ///< the name of the user's or agent's role
  std::vector<Id<Team>> teams;
  bool system = false;  ///< no policies apply; still bound to one tenant
  std::string agent;    ///< the name of an agent that acts on its own behalf; empty: it is none

  [[nodiscard]] PrincipalKind kind() const {
    if (system) return PrincipalKind::system;
    return agent.empty() ? PrincipalKind::user : PrincipalKind::agent;
  }
  [[nodiscard]] static Principal of_system(Id<Tenant> tenant) {
    return {tenant, {}, {}, {}, true, {}};
  }
};

/// A snapshot seen with a session's rights. Belongs to the closure that was given it.
class View {
 public:
  [[nodiscard]] Reader& reader() { return reader_; }
  [[nodiscard]] const Session& session() const { return session_; }

 private:
  friend class Session;
  friend struct detail::SessionDoor;
  View(const Session& session, Reader& reader) : session_(session), reader_(reader) {}
  const Session& session_;
  Reader& reader_;
  std::shared_ptr<const detail::Rights> rights_;  // as of the snapshot, once they were asked for
};

/// One transaction with a session's rights: rows, journal and tasks commit together or not at all.
/// Belongs to the closure that was given it.
class Unit {
 public:
  Unit(const Session& session, Transaction& transaction)
      : session_(session), transaction_(transaction) {}
  [[nodiscard]] Transaction& transaction() { return transaction_; }
  [[nodiscard]] const Session& session() const { return session_; }
  [[nodiscard]] Timestamp now() const { return transaction_.now(); }
  /// Whether some columns of the table are not shown to the session: repositories give rows without
  /// them.
  [[nodiscard]] bool hides(const TableInfo& table) const;

 private:
  friend struct detail::SessionDoor;
  const Session& session_;
  Transaction& transaction_;
  std::shared_ptr<const detail::Rights> rights_;  // as of the transaction's start
};

/// Says of a write's closure that it may run on another thread of this process that is writing just
/// then, while its own waits for the outcome. With many writers that saves waking a thread for each
/// write. The closure must be quick, and must not depend on its thread: no thread-local state, no
/// lock that its thread holds, no interpreter bound to it.
struct AnyThread {};
inline constexpr AnyThread any_thread;

/// A principal's view of one tenant. Cheap to copy; thread-safe; valid while its Access lives.
/// Rights are judged by what each snapshot says of the user, his role and his teams: once he is no
/// longer active, or his tenant is suspended, every call is `forbidden`.
class Session {
 public:
  /// As it was when the session was made; the role and the teams may have changed since.
  [[nodiscard]] const Principal& principal() const;
  /// As the snapshot has it. `forbidden` when the principal may do nothing any more.
  [[nodiscard]] Result<Principal> current(Reader& reader) const;
  [[nodiscard]] Database& database() const;

  /// Runs `f(Unit&)`, which returns a Result, in a transaction that commits when it succeeds. It
  /// may run more than once and so must have no effect but through the unit. A write inside a write
  /// is `invalid`; a model call or a request inside one holds up every other writer.
  template <class F>
  auto write(F&& f, CodeLocation where = CodeLocation::current()) const
      -> std::invoke_result_t<F&, Unit&> {
    return write(f, where, false);
  }
  template <class F>
  auto write(AnyThread, F&& f, CodeLocation where = CodeLocation::current()) const
      -> std::invoke_result_t<F&, Unit&> {
    return write(f, where, true);
  }

  /// Begins such a write and returns: it never waits for the storage. `f(Unit&)` and `done(Result)`
  /// run later, on the engine's scheduler or inside poll(); writes are made, and told of, in the
  /// order in which they were begun. `done` is called exactly once, when the write is durable or
  /// its failure is known. Rights are judged when `f` runs. More: Database::write_async().
  template <class F, class Done>
  Result<void> write_async(F f, Done done, CodeLocation where = CodeLocation::current()) const {
    using R = std::invoke_result_t<F&, Unit&>;
    struct Pending {
      F f;
      Done done;
      std::optional<R> result;
    };
    auto pending = std::make_shared<Pending>(Pending{std::move(f), std::move(done), {}});
    return begin_write(
        [pending](Unit& unit) -> Result<void> {
          pending->result.emplace(pending->f(unit));
          if (!*pending->result) return fail(pending->result->error());
          return {};
        },
        [pending](Result<void> outcome) {
          if (!outcome) return static_cast<void>(pending->done(R(fail(outcome.error()))));
          pending->done(std::move(*pending->result));
        },
        where);
  }

  /// Runs `f(View&)` on one snapshot.
  template <class F>
  auto read(F&& f) const -> std::invoke_result_t<F&, View&> {
    using R = std::invoke_result_t<F&, View&>;
    std::optional<R> result;
    auto outcome = run_read([&](View& view) -> Result<void> {
      result.emplace(f(view));
      if (!*result) return fail(result->error());
      return {};
    });
    if (!outcome) return fail(std::move(outcome).error());
    return std::move(*result);
  }

  /// How long reads and writes may take in all, waiting included. The default is 5 s for reads and
  /// none for writes.
  [[nodiscard]] Session with_timeouts(Duration read, Duration write) const;
  /// The same rights, with changes attributed to a task.
  [[nodiscard]] Session for_task(std::int64_t task) const;

  /// The predicate over `table` that this principal's rights come to for `command`: tenant,
  /// permissions of the role, permissive policies or-ed, restrictive ones and-ed. Bound; never()
  /// when nothing allows it. For update, `using` of the row as it is; see rule_check for the row as
  /// it becomes. Uses the snapshot to see whether rights have changed.
  [[nodiscard]] Result<Predicate> rule(Reader& reader, const TableInfo& table,
                                       Command command) const;
  [[nodiscard]] Result<Predicate> rule_check(Reader& reader, const TableInfo& table,
                                             Command command) const;

  struct State;
  explicit Session(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  friend struct detail::SessionDoor;
  template <class F>
  auto write(F& f, CodeLocation where, bool portable) const -> std::invoke_result_t<F&, Unit&> {
    using R = std::invoke_result_t<F&, Unit&>;
    std::optional<R> result;
    auto outcome = run_write(
        [&](Unit& unit) -> Result<void> {
          result.emplace(f(unit));
          if (!*result) return fail(result->error());
          return {};
        },
        where, portable);
    if (!outcome) return fail(std::move(outcome).error());
    return std::move(*result);
  }
  Result<void> run_write(FunctionRef<Result<void>(Unit&)> closure, CodeLocation where,
                         bool portable) const;
  Result<void> begin_write(std::function<Result<void>(Unit&)> closure,
                           std::function<void(Result<void>)> done, CodeLocation where) const;
  Result<void> run_read(FunctionRef<Result<void>(View&)> closure) const;
  std::shared_ptr<const State> state_;
};

BUREAU_END_NAMESPACE
