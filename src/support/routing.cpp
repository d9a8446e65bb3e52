#include <limits>

#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

Result<std::optional<Id<Team>>> team_for(Reader& reader, Id<Tenant> tenant,
                                         std::string_view category) {
  std::optional<Id<Team>> team;
  const Select first =
      select<Team>()
          .where(col(&Team::tenant) == tenant && col(&Team::skills).contains(category))
          .order_by(col(&Team::id))
          .limit(1);
  BUREAU_TRY_VOID(reader.scan(first, [&](std::span<const Value> row) -> Result<bool> {
    team = Id<Team>(row[0].as_integer());
    return false;
  }));
  return team;
}

}  // namespace

Result<Place> find_place(Reader& reader, const Ticket& ticket) {
  Place place{ticket.team, ticket.assignee};
  if (!ticket.category) return place;
  BUREAU_TRY(const auto team, team_for(reader, ticket.tenant, *ticket.category));
  if (!team) return place;
  place = {team, {}};
  std::vector<Membership> members;
  const Select available =
      select<Membership>()
          .where(col(&Membership::team) == *team && col(&Membership::available) == true)
          .order_by(col(&Membership::user));
  BUREAU_TRY_VOID(reader.scan(available, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, members.emplace_back());
    return true;
  }));
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const Membership& member : members) {  // by id: of equals the first stays
    BUREAU_TRY(std::int64_t load, open_tickets_of(reader, member.user));
    if (ticket.assignee == member.user) --load;  // this one does not count against him
    if (load >= least || (member.capacity > 0 && load >= member.capacity)) continue;
    BUREAU_TRY(const bool active, is_active_user(reader, ticket.tenant, member.user));
    if (!active) continue;
    least = load;
    place.assignee = member.user;
  }
  return place;
}

}  // namespace detail
BUREAU_END_NAMESPACE
