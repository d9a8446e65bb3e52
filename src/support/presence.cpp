#include "bureau/support/presence.hpp"

#include "store/row_values.hpp"
#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

Result<Id<User>> who_acts(const Session& session) {
  const Id<User> user = session.principal().user;
  if (user) return user;
  return fail(Code::invalid, "user: who acts has no account, and so is nowhere present", "user");
}

Predicate place(Id<Ticket> ticket, Id<User> user) {
  return col(&Presence::ticket) == ticket && col(&Presence::user) == user;
}

}  // namespace

Result<Presence> Presences::heartbeat(Id<Ticket> ticket, Doing doing) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Presence> {
    BUREAU_TRY(const Id<User> user, who_acts(unit.session()));
    BUREAU_TRY_VOID(Repository<Ticket>{Scope(unit)}.find(ticket));
    const Repository<Presence> rows{Scope(unit)};
    BUREAU_TRY_VOID(unit.transaction().remove(select<Presence>().where(
        col(&Presence::ticket) == ticket && col(&Presence::expires_at) <= unit.now())));
    BUREAU_TRY(auto present, rows.first(place(ticket, user)));
    Presence row = present ? *present : Presence();
    row.ticket = ticket;
    row.user = user;
    row.doing = doing;
    row.expires_at = unit.now() + time_to_live;
    return present ? rows.update(std::move(row)) : rows.insert(std::move(row));
  });
}

Result<std::vector<Presence>> Presences::on(Id<Ticket> ticket) const {
  const Scope& scope = rows_.rows().scope();
  BUREAU_TRY_VOID(Repository<Ticket>{scope}.find(ticket));
  Query query;
  query.where = col(&Presence::ticket) == ticket &&
                col(&Presence::expires_at) > scope.session().database().clock().now();
  query.limit = 1000;
  return rows_.list(query);
}

Result<void> Presences::leave(Id<Ticket> ticket) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY(const Id<User> user, who_acts(unit.session()));
    BUREAU_TRY_VOID(Repository<Ticket>{Scope(unit)}.find(ticket));
    BUREAU_TRY_VOID(unit.transaction().remove(select<Presence>().where(place(ticket, user))));
    return {};
  });
}

BUREAU_END_NAMESPACE
