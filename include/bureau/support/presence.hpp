#pragma once

#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/support/ticket.hpp"

BUREAU_BEGIN_NAMESPACE

enum class Doing { looking, writing };
template <>
inline constexpr auto names<Doing> = enum_names("looking", "writing");

/// That somebody has a ticket before him. Good until `expires_at`, by the clock: who goes away
/// without a word is gone then. Liveness, not history: the journal knows nothing of it.
struct Presence {
  Id<Presence> id;
  Id<Tenant> tenant;
  Id<Ticket> ticket;
  Id<User> user;
  Doing doing = Doing::looking;
  Timestamp expires_at;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;  ///< since when, and when he was heard of last
};
template <>
inline constexpr auto schema<Presence> =
    table("presences", "pre", journal::none, column("id", &Presence::id),
          column("tenant", &Presence::tenant), column("ticket", &Presence::ticket, immutable),
          column("user", &Presence::user, immutable), column("doing", &Presence::doing),
          column("expires_at", &Presence::expires_at), column("version", &Presence::version),
          column("created_at", &Presence::created_at), column("updated_at", &Presence::updated_at),
          unique_index("who", "ticket", "user"));

/// Who is looking at which ticket. People who work on tickets see one another; customers do not see
/// them. A ticket that one does not see is `not_found`.
class Presences {
 public:
  static constexpr Duration time_to_live = std::chrono::seconds(30);
  explicit Presences(const Scope& scope) : rows_(scope) {}
  /// Says that who acts has the ticket before him; to be said again well before `time_to_live` has
  /// passed. Rows on this ticket that have expired go. `invalid` for who has no account.
  Result<Presence> heartbeat(Id<Ticket> ticket, Doing doing = Doing::looking) const;
  /// Who has it before him now, himself too, in the order in which they came.
  Result<std::vector<Presence>> on(Id<Ticket> ticket) const;
  /// He goes. Not an error: he was not there.
  Result<void> leave(Id<Ticket> ticket) const;

 private:
  Repository<Presence> rows_;
};

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Presence);
