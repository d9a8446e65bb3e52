#pragma once

#include <string>
#include <vector>

#include "bureau/core/json.hpp"
#include "bureau/support/ticket.hpp"

BUREAU_BEGIN_NAMESPACE

enum class ActionKind {
  set_status,    ///< value: the status's name
  set_priority,  ///< value: its name
  set_team,      ///< value: the team's id or name; null: none
  set_assignee,  ///< value: a user's id or address; "me": who acts; null: nobody
  add_tags,      ///< value: a list of texts
  remove_tags,   ///< value: a list of texts
  reply,         ///< value: a text with variables; or `canned`: the name of a canned reply
  note,          ///< the same, as an internal note
  set_field,     ///< `field`: of the ticket's custom ones; value: text, number or boolean; null:
                 ///< the field goes
};
template <>
inline constexpr auto names<ActionKind> = enum_names("set_status", "set_priority", "set_team",
                                                     "set_assignee", "add_tags", "remove_tags",
                                                     "reply", "note", "set_field");

/// One step of what is done to a ticket by a macro, a trigger or a bulk change.
struct TicketAction {
  ActionKind kind = ActionKind::set_status;
  Json value = {};
  std::string field = {};   ///< of set_field
  std::string canned = {};  ///< of reply and note
};

inline constexpr std::size_t max_actions = 50;

/// The form in which they are stored and written by hand, a list of objects:
///   [{"action": "set_priority", "value": "high"}, {"action": "reply", "canned": "thanks"},
///    {"action": "set_field", "field": "region", "value": "eu"}]
[[nodiscard]] Json to_json(const std::vector<TicketAction>& actions);
/// `invalid` names the action and what is wrong with it. Whether what it names is there (a status,
/// a team) is looked up where it is saved or done.
[[nodiscard]] Result<std::vector<TicketAction>> actions_from_json(const Json& json);

enum class BulkMode {
  all_or_none,  ///< one transaction; the first ticket that refuses is the error, and names itself
  each,         ///< one transaction a ticket; those that refuse are listed
};
/// How many tickets one call changes at most.
inline constexpr std::size_t bulk_max = 1000;

struct BulkReport {
  struct Refused {
    Id<Ticket> ticket;
    Error error;
  };
  std::uint64_t changed = 0;
  std::vector<Refused> refused = {};
};

BUREAU_END_NAMESPACE
