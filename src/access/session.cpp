#include "bureau/access/session.hpp"

#include "access/rights.hpp"
#include "bureau/access/repository.hpp"
#include "store/internal_tables.hpp"

BUREAU_BEGIN_NAMESPACE

const Principal& Session::principal() const { return state_->principal; }
Database& Session::database() const { return state_->access->database; }

Result<Principal> Session::current(Reader& reader) const {
  BUREAU_TRY(const auto rights, state_->live->as_of(reader));
  return rights->principal();
}

Session Session::with_timeouts(Duration read, Duration write) const {
  auto state = std::make_shared<State>(*state_);
  state->read_timeout = read;
  state->write_timeout = write;
  return Session(std::move(state));
}

Session Session::for_task(std::int64_t task) const {
  auto state = std::make_shared<State>(*state_);
  state->task = task;
  return Session(std::move(state));
}

Result<Predicate> Session::rule(Reader& reader, const TableInfo& table, Command command) const {
  constexpr std::array kinds = {detail::RuleKind::select, detail::RuleKind::insert,
                                detail::RuleKind::update, detail::RuleKind::remove};
  BUREAU_TRY(const auto rights, state_->live->as_of(reader));
  BUREAU_TRY(const detail::BoundRule* rule,
             rights->rule(table, kinds[static_cast<std::size_t>(command)]));
  return rule->predicate;
}

Result<Predicate> Session::rule_check(Reader& reader, const TableInfo& table,
                                      Command command) const {
  if (command != Command::update) return rule(reader, table, command);
  BUREAU_TRY(const auto rights, state_->live->as_of(reader));
  BUREAU_TRY(const detail::BoundRule* rule, rights->rule(table, detail::RuleKind::update_check));
  return rule->predicate;
}

Result<void> Session::run_write(FunctionRef<Result<void>(Unit&)> closure, CodeLocation where,
                                bool portable) const {
  return detail::SessionDoor::write(*this, closure, where, portable);
}

bool Unit::hides(const TableInfo& table) const {
  return rights_ != nullptr && rights_->hides_some(table);
}

Result<void> Session::begin_write(std::function<Result<void>(Unit&)> closure,
                                  std::function<void(Result<void>)> done,
                                  CodeLocation where) const {
  return state_->access->database.write_async(
      detail::SessionDoor::options(*state_, where, false),
      detail::SessionDoor::attribution(*state_),
      [session = *this, closure = std::move(closure)](Transaction& transaction) {
        return detail::SessionDoor::in_unit(session, transaction, closure);
      },
      std::move(done));
}

Result<void> Session::run_read(FunctionRef<Result<void>(View&)> closure) const {
  return detail::SessionDoor::read(*this, closure);
}

namespace detail {

Result<void> SessionDoor::write(const Session& session, FunctionRef<Result<void>(Unit&)> closure,
                                CodeLocation where, bool portable) {
  const Session::State& state = session.state();
  return state.access->database.write(
      options(state, where, portable), attribution(state),
      [&](Transaction& transaction) { return in_unit(session, transaction, closure); });
}

WriteOptions SessionDoor::options(const Session::State& state, CodeLocation where, bool portable) {
  WriteOptions options;
  options.deadline = state.access->database.clock().monotonic() + state.write_timeout;
  options.portable = portable;
  options.where = where;
  return options;
}

Attribution SessionDoor::attribution(const Session::State& state) {
  return {state.principal.tenant.value, state.principal.user.value, state.task};
}

Session system_of(Access::Impl& access, Id<Tenant> tenant) {
  auto state = std::make_shared<Session::State>();
  state->access = &access;
  state->principal = Principal::of_system(tenant);
  state->live = access.live(state->principal);
  return Session(std::move(state));
}

Session system_beside(const Session& session) {
  return system_of(*session.state().access, session.principal().tenant);
}

Result<void> SessionDoor::in_unit(const Session& session, Transaction& transaction,
                                  FunctionRef<Result<void>(Unit&)> closure) {
  Unit unit(session, transaction);
  BUREAU_TRY_VOID(rights(unit));
  return closure(unit);
}

Result<void> SessionDoor::write(const Scope& scope, FunctionRef<Result<void>(Unit&)> closure,
                                bool portable) {
  if (scope.unit_ != nullptr) return closure(*scope.unit_);
  if (scope.view_ != nullptr) {
    return fail(Code::invalid, "a view only reads; make the repository on a unit or a session");
  }
  return write(scope.session_, closure, CodeLocation{}, portable);
}

Result<void> SessionDoor::read(const Session& session, FunctionRef<Result<void>(View&)> closure) {
  const Session::State& state = session.state();
  Database& database = state.access->database;
  return database.read(database.clock().monotonic() + state.read_timeout,
                       [&](Reader& reader) -> Result<void> {
                         View view(session, reader);
                         BUREAU_TRY_VOID(rights(view));
                         return closure(view);
                       });
}

Result<void> SessionDoor::read(const Scope& scope,
                               FunctionRef<Result<void>(Reader&, const Rights&)> closure) {
  if (scope.unit_ != nullptr) {
    BUREAU_TRY(const Rights* held, rights(*scope.unit_));
    return closure(scope.unit_->transaction().reader(), *held);
  }
  const auto with_view = [&](View& view) -> Result<void> {
    BUREAU_TRY(const Rights* held, rights(view));
    return closure(view.reader(), *held);
  };
  if (scope.view_ != nullptr) return with_view(*scope.view_);
  return read(scope.session_, with_view);
}

namespace {

/// Whether the epoch of the tenant's rights is the one that is known, and `select` if it is. False:
/// it is another.
Result<bool> scan_as_known(Reader& reader, std::int64_t tenant, std::int64_t known,
                           const Select& select, RowSink sink) {
  const Select row = bureau::select<RightsRow>().where(col(&RightsRow::id) ==
                                                       Id<RightsRow>(rights_row_of(tenant)));
  bool is_known = known == RightsRow().epoch;  // unless there is a row that says so
  const auto look = [&](std::span<const Value> values) -> Result<bool> {
    RightsRow now;
    from_values(values, now);
    is_known = now.epoch == known;
    return false;
  };
  const auto show = [&](std::span<const Value> values) -> Result<bool> {
    if (!is_known) return false;
    return sink(values);
  };
  const Scan scans[] = {{&row, look}, {&select, show}};
  BUREAU_TRY_VOID(reader.scan_all(scans));
  return is_known;
}

}  // namespace

/// The system's rights never change, and a unit or view has asked for its own already.
bool SessionDoor::is_remote(const Scope& scope) {
  if (scope.unit_ != nullptr || scope.view_ != nullptr) return false;
  const Session::State& state = scope.session_.state();
  return !state.principal.system && state.access->database.storage().capabilities().remote;
}

Result<void> SessionDoor::scan(const Scope& scope,
                               FunctionRef<Result<const Select*>(const Rights&)> write,
                               RowSink sink) {
  const auto plainly = [&](Reader& reader, const Rights& rights) -> Result<void> {
    BUREAU_TRY(const Select* const select, write(rights));
    return reader.scan(*select, sink);
  };
  if (!is_remote(scope)) return read(scope, plainly);
  const Session::State& state = scope.session_.state();
  const LiveRights::Seen seen = state.live->seen();
  if (seen.rights == nullptr || seen.rights->denied()) return read(scope, plainly);
  Database& database = state.access->database;
  const Monotonic deadline = database.clock().monotonic() + state.read_timeout;
  return database.read(deadline, [&](Reader& reader) -> Result<void> {
    if (const auto select = write(*seen.rights)) {
      BUREAU_TRY(const bool shown,
                 scan_as_known(reader, state.principal.tenant.value, seen.epoch, **select, sink));
      if (shown) return {};
    }
    View view(scope.session_, reader);
    BUREAU_TRY(const Rights* rights, SessionDoor::rights(view));
    return plainly(reader, *rights);
  });
}

Result<const Rights*> SessionDoor::rights(View& view) {
  if (!view.rights_) {
    BUREAU_TRY(view.rights_, view.session_.state().live->as_of(view.reader_));
  }
  return view.rights_.get();
}

Result<const Rights*> SessionDoor::rights(Unit& unit) {
  if (!unit.rights_) {
    BUREAU_TRY(unit.rights_, unit.session_.state().live->as_of(unit.transaction_.reader()));
  }
  return unit.rights_.get();
}

}  // namespace detail

Result<void> Scope::read(FunctionRef<Result<void>(Reader&)> closure) const {
  return detail::SessionDoor::read(
      *this, [&](Reader& reader, const detail::Rights&) { return closure(reader); });
}

Result<void> Scope::run_write(FunctionRef<Result<void>(Unit&)> closure, CodeLocation where) const {
  if (unit_ != nullptr || view_ != nullptr) {
    return detail::SessionDoor::write(*this, closure, false);
  }
  return detail::SessionDoor::write(session_, closure, where, false);
}

BUREAU_END_NAMESPACE
