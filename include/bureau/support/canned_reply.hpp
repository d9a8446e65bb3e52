#pragma once

#include <optional>
#include <span>
#include <string>

#include "bureau/access/repository.hpp"
#include "bureau/support/ticket.hpp"

BUREAU_BEGIN_NAMESPACE

/// Whose a view, a macro or a canned reply is: its owner's alone, a team's, or everybody's who
/// works on tickets. Who owns one keeps it; managers and admins keep all that are not another's
/// own.
enum class Sharing { own, team, office };
template <>
inline constexpr auto names<Sharing> = enum_names("personal", "team", "office");

/// A variable that a text may name as {customer}: what it stands for comes from the ticket.
struct TextVariable {
  std::string_view name;
  Type type = Type::text;  ///< a timestamp is written as its date, in the tenant's zone
};
/// All there are. One that a ticket has no value for is empty.
[[nodiscard]] std::span<const TextVariable> text_variables();

/// A text that is used again and again, as a public reply or as a note.
struct CannedReply {
  Id<CannedReply> id;
  Id<Tenant> tenant;
  std::string name;
  std::string body;
  Sharing scope = Sharing::office;
  std::optional<Id<User>> owner;  ///< who saved it; none: the system
  std::optional<Id<Team>> team;   ///< set when it is a team's
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto schema<CannedReply> = table(
    "canned_responses", "cnd", journal::full, column("id", &CannedReply::id),
    column("tenant", &CannedReply::tenant), column("name", &CannedReply::name, max_length(100)),
    column("body", &CannedReply::body, max_length(20'000)), column("scope", &CannedReply::scope),
    column("owner", &CannedReply::owner), column("team", &CannedReply::team),
    column("version", &CannedReply::version), column("created_at", &CannedReply::created_at),
    column("updated_at", &CannedReply::updated_at),
    unique_index("of_office", "tenant", "name").where("scope = \"office\""),
    unique_index("of_team", "team", "name").where("scope = \"team\""),
    unique_index("of_owner", "owner", "name").where("scope = \"personal\""));

struct NewCannedReply {
  std::string name;
  std::string body;
  Sharing scope = Sharing::office;
  std::optional<Id<Team>> team = {};
};

/// The canned replies of a tenant, with a session's rights. Errors of save(): `invalid` for an
/// empty name or body, for a {variable} that there is not, and for a scope that does not fit.
class CannedReplies {
 public:
  explicit CannedReplies(const Scope& scope) : rows_(scope) {}
  /// Replaces the one of that name that the same people share.
  Result<CannedReply> save(const NewCannedReply& reply) const;
  /// The nearest of that name: one's own, then a team's, then the office's. `not_found`.
  Result<CannedReply> named(std::string_view name) const;
  /// What the reply says to a ticket.
  Result<std::string> render(Id<CannedReply> reply, Id<Ticket> ticket) const;
  /// Whoever may change it may.
  Result<void> remove(Id<CannedReply> reply) const;
  [[nodiscard]] const Repository<CannedReply>& repository() const { return rows_; }

 private:
  Repository<CannedReply> rows_;
};

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::CannedReply);
