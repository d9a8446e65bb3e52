#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/support/canned_reply.hpp"
#include "bureau/support/ticket_action.hpp"

BUREAU_BEGIN_NAMESPACE

/// Actions under a name, done to tickets when somebody says so, with his rights.
struct Macro {
  Id<Macro> id;
  Id<Tenant> tenant;
  std::string name;
  Json actions;  ///< as actions_from_json() reads them
  Sharing scope = Sharing::office;
  std::optional<Id<User>> owner;
  std::optional<Id<Team>> team;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto schema<Macro> = table(
    "macros", "mac", journal::full, column("id", &Macro::id), column("tenant", &Macro::tenant),
    column("name", &Macro::name, max_length(100)), column("actions", &Macro::actions),
    column("scope", &Macro::scope), column("owner", &Macro::owner), column("team", &Macro::team),
    column("version", &Macro::version), column("created_at", &Macro::created_at),
    column("updated_at", &Macro::updated_at),
    unique_index("of_office", "tenant", "name").where("scope = \"office\""),
    unique_index("of_team", "team", "name").where("scope = \"team\""),
    unique_index("of_owner", "owner", "name").where("scope = \"personal\""));

struct NewMacro {
  std::string name;
  std::vector<TicketAction> actions;
  Sharing scope = Sharing::office;
  std::optional<Id<Team>> team = {};
};

/// The macros of a tenant, with a session's rights.
class Macros {
 public:
  explicit Macros(const Scope& scope) : rows_(scope) {}
  /// Replaces the one of that name that the same people share. An action that is wrong, or names
  /// what is not there, is refused: `invalid` or `not_found`, field "actions".
  Result<Macro> save(const NewMacro& macro) const;
  /// The nearest of that name: one's own, then a team's, then the office's. `not_found`.
  Result<Macro> named(std::string_view name) const;
  /// As Tickets::change_all().
  Result<BulkReport> apply(Id<Macro> macro, std::span<const Id<Ticket>> tickets,
                           BulkMode mode = BulkMode::all_or_none) const;
  /// Whoever may change it may.
  Result<void> remove(Id<Macro> macro) const;
  [[nodiscard]] const Repository<Macro>& repository() const { return rows_; }

 private:
  Repository<Macro> rows_;
};

enum class TicketEvent { created, updated, message_added };
template <>
inline constexpr auto names<TicketEvent> = enum_names("created", "updated", "message_added");

/// Actions that the office itself does, in the transaction of the change that they follow from:
/// when the event has happened to a ticket for which the condition holds. Managers and admins keep
/// them.
///
/// They act with the system's rights, for whoever made the change, and say what they say as the
/// system. What they do may make other triggers act; each acts at most once for a ticket in one
/// transaction, so none goes round for ever. An action that the ticket does not admit (a move that
/// is no transition, say) is passed over and logged: the change that it follows from stands.
struct Trigger {
  Id<Trigger> id;
  Id<Tenant> tenant;
  std::string name;
  std::int64_t position = 0;        ///< they are asked in this order; of equals the older first
  std::vector<std::string> events;  ///< names of TicketEvent
  std::string condition;            ///< over tickets, as the change left it; empty: any
  std::string message_condition;    ///< over messages: the one that was added; empty: any
  Json actions;
  bool active = true;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto schema<Trigger> =
    table("triggers", "trg", journal::full, column("id", &Trigger::id),
          column("tenant", &Trigger::tenant), column("name", &Trigger::name, max_length(100)),
          column("position", &Trigger::position), column("events", &Trigger::events),
          column("condition", &Trigger::condition, max_length(16'384)),
          column("message_condition", &Trigger::message_condition, max_length(16'384)),
          column("actions", &Trigger::actions), column("active", &Trigger::active),
          column("version", &Trigger::version), column("created_at", &Trigger::created_at),
          column("updated_at", &Trigger::updated_at), unique_index("name", "tenant", "name"));

struct NewTrigger {
  std::string name;
  std::vector<TicketEvent> events;
  std::string condition = {};
  std::string message_condition = {};  ///< only where message_added is the one event
  std::vector<TicketAction> actions;
  std::int64_t position = 0;
  bool active = true;
};

/// The triggers of a tenant, with a session's rights. What is saved acts from the next transaction
/// on, in every process.
class Triggers {
 public:
  explicit Triggers(const Scope& scope) : rows_(scope) {}
  /// Replaces the one of that name. `invalid` or `not_found` for what could not act later: no
  /// event, a condition that does not parse or asks about more than the row (variables,
  /// sub-selects), an action as in Macros::save(), or one for "me".
  Result<Trigger> save(const NewTrigger& trigger) const;
  Result<void> remove(Id<Trigger> trigger) const;
  [[nodiscard]] const Repository<Trigger>& repository() const { return rows_; }

 private:
  Repository<Trigger> rows_;
};

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Macro);
BUREAU_DECLARE_ENTITY(bureau::Trigger);
