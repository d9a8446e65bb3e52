#include "support/actions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "store/row_values.hpp"
#include "support/text_template.hpp"
#include "support/ticket_rules.hpp"
#include "support/trigger_runs.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::name_of;
using detail::OnRefused;

namespace {

bool writes_message(ActionKind kind) {
  return kind == ActionKind::reply || kind == ActionKind::note;
}

tl::unexpected<Error> refuse(const TicketAction& action, const std::string& rule,
                             Code code = Code::invalid) {
  return fail(code, fmt::format("actions: {}: {}", name_of(action.kind), rule), "actions");
}

/// An error of something that the action names.
tl::unexpected<Error> refuse(const TicketAction& action, const Error& error) {
  return refuse(action, error.message, error.code);
}

Result<std::vector<std::string>> tags_of(const TicketAction& action) {
  std::vector<std::string> tags;
  const Json::Array* items = action.value.as_array();
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    const std::string* tag = (*items)[i].as_string();
    if (tag == nullptr) return refuse(action, "expected a list of texts");
    tags.push_back(*tag);
  }
  if (tags.empty()) return refuse(action, "expected a list of texts with at least one");
  auto checked = detail::check_tags(std::move(tags));
  if (!checked) return refuse(action, checked.error());
  return checked;
}

Result<void> check_field(const TicketAction& action) {
  constexpr std::size_t max_field = 64;
  if (action.field.empty() || action.field.size() > max_field ||
      !std::all_of(action.field.begin(), action.field.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
      })) {
    return refuse(action, fmt::format("field \"{}\": expected 1 to {} of a-z, 0-9 and _",
                                      detail::shortened(action.field), max_field));
  }
  if (action.value.as_array() != nullptr || action.value.as_object() != nullptr) {
    return refuse(action, fmt::format("field \"{}\": expected a text, a number, a boolean or null",
                                      action.field));
  }
  return {};
}

Result<void> check_message(const TicketAction& action) {
  constexpr std::size_t max_body = 20'000;
  if (!action.canned.empty()) {
    if (action.value.is_null()) return {};
    return refuse(action, "it has a text and a canned reply; expected one of them");
  }
  const std::string* text = action.value.as_string();
  if (text == nullptr) return refuse(action, "expected a text, or the name of a canned reply");
  if (auto ok = detail::check_body("value", *text, max_body); !ok) {
    return refuse(action, ok.error());
  }
  if (auto ok = detail::check_template("value", *text); !ok) return refuse(action, ok.error());
  return {};
}

/// What can be said of an action by itself.
Result<void> check_action(const TicketAction& action) {
  if (action.kind != ActionKind::set_field && !action.field.empty()) {
    return refuse(action, "it has a field; only set_field has one");
  }
  if (!writes_message(action.kind) && !action.canned.empty()) {
    return refuse(action, "it has a canned reply; only reply and note have one");
  }
  const std::string* text = action.value.as_string();
  switch (action.kind) {
    case ActionKind::set_status:
      if (text == nullptr) return refuse(action, "expected the name of a status");
      return {};
    case ActionKind::set_priority:
      if (text != nullptr && std::find(names<Priority>.begin(), names<Priority>.end(), *text) !=
                                 names<Priority>.end()) {
        return {};
      }
      return refuse(action,
                    fmt::format("{} is not one of {}", detail::shortened(action.value.dump()),
                                fmt::join(names<Priority>, ", ")));
    case ActionKind::set_team:
    case ActionKind::set_assignee:
      if (text == nullptr && !action.value.is_null()) {
        return refuse(action, "expected an id, a name or null");
      }
      return {};
    case ActionKind::add_tags:
    case ActionKind::remove_tags: {
      BUREAU_TRY_VOID(tags_of(action));
      return {};
    }
    case ActionKind::reply:
    case ActionKind::note:
      return check_message(action);
    case ActionKind::set_field:
      return check_field(action);
  }
  return {};
}

Result<TicketAction> read_action(const Json& json) {
  const auto refuse_form = [&](std::string_view rule) {
    return fail(Code::invalid,
                fmt::format("actions: {}: {}", detail::shortened(json.dump(), 80), rule),
                "actions");
  };
  const Json::Object* members = json.as_object();
  if (members == nullptr) return refuse_form("expected an object with \"action\"");
  TicketAction action;
  bool named = false;
  for (const auto& [key, value] : *members) {
    const std::string* text = value.as_string();
    if (key == "value") {
      action.value = value;
    } else if (text == nullptr) {
      return refuse_form(fmt::format("{}: expected a text", key));
    } else if (key == "field") {
      action.field = *text;
    } else if (key == "canned") {
      action.canned = *text;
    } else if (key == "action") {
      const auto kind = std::find(names<ActionKind>.begin(), names<ActionKind>.end(), *text);
      if (kind == names<ActionKind>.end()) {
        return refuse_form(
            fmt::format("action: expected one of {}", fmt::join(names<ActionKind>, ", ")));
      }
      action.kind = static_cast<ActionKind>(kind - names<ActionKind>.begin());
      named = true;
    } else {
      return refuse_form(fmt::format("{}: expected action, value, field or canned", key));
    }
  }
  if (!named) return refuse_form("it has no \"action\"");
  return action;
}

Result<void> check_count(std::size_t count) {
  if (count >= 1 && count <= max_actions) return {};
  return fail(Code::invalid,
              fmt::format("actions: {} of them; there must be 1 to {}", count, max_actions),
              "actions");
}

}  // namespace

Json to_json(const std::vector<TicketAction>& actions) {
  Json list = Json::array();
  for (const TicketAction& action : actions) {
    Json one = Json::object({{"action", name_of(action.kind)}});
    if (!action.canned.empty()) {
      one.set("canned", action.canned);
    } else {
      one.set("value", action.value);
    }
    if (!action.field.empty()) one.set("field", action.field);
    list.push_back(std::move(one));
  }
  return list;
}

Result<std::vector<TicketAction>> actions_from_json(const Json& json) {
  const Json::Array* items = json.as_array();
  if (items == nullptr) {
    return fail(Code::invalid, "actions: expected a list of objects", "actions");
  }
  BUREAU_TRY_VOID(check_count(items->size()));
  std::vector<TicketAction> actions;
  for (const Json& item : *items) {
    BUREAU_TRY(TicketAction action, read_action(item));
    BUREAU_TRY_VOID(check_action(action));
    actions.push_back(std::move(action));
  }
  return actions;
}

// Looking up -----------------------------------------------------------------------------------

namespace {

/// An id in its text form, of a row that is in sight, or what `by_name` finds.
template <Entity T>
Result<Json> id_of(const Scope& scope, const TicketAction& action, const Predicate& by_name) {
  const std::string& text = *action.value.as_string();
  const Repository<T> rows{scope};
  if (const auto id = id::from_text(schema<T>.prefix, text)) {
    if (auto found = rows.find(Id<T>(*id)); !found) return refuse(action, found.error());
    return action.value;
  }
  BUREAU_TRY(const auto found, rows.first(by_name));
  if (found) return Json(id::to_text(schema<T>.prefix, found->id.value));
  return refuse(action, fmt::format("there is no \"{}\"", detail::shortened(text)),
                Code::not_found);
}

Result<void> prepare_status(const Scope& scope, const TicketAction& action) {
  const std::string& name = *action.value.as_string();
  const Repository<TicketStatus> statuses{scope};
  BUREAU_TRY(const auto status, statuses.first(col(&TicketStatus::name) == name));
  if (!status) {
    return refuse(action, fmt::format("there is no status \"{}\"", detail::shortened(name)),
                  Code::not_found);
  }
  if (status->state != TicketState::merged) return {};
  return refuse(action, fmt::format("\"{}\" is reached by merging alone", name));
}

Result<void> prepare_action(const Scope& scope, TicketAction& action) {
  BUREAU_TRY_VOID(check_action(action));
  switch (action.kind) {
    case ActionKind::set_status:
      return prepare_status(scope, action);
    case ActionKind::set_team:
      if (action.value.is_null()) return {};
      {
        BUREAU_TRY(action.value,
                   id_of<Team>(scope, action, col(&Team::name) == *action.value.as_string()));
      }
      return {};
    case ActionKind::set_assignee:
      if (action.value.is_null() || *action.value.as_string() == "me") return {};
      {
        BUREAU_TRY(
            action.value,
            id_of<User>(scope, action, col(&User::email).equals_folded(*action.value.as_string())));
      }
      return {};
    case ActionKind::reply:
    case ActionKind::note:
      if (action.canned.empty()) return {};
      if (auto canned = CannedReplies{scope}.named(action.canned); !canned) {
        return refuse(action, canned.error());
      }
      return {};
    default:
      return {};
  }
}

}  // namespace

namespace detail {

Result<std::vector<TicketAction>> prepare_actions(const Scope& scope,
                                                  std::vector<TicketAction> actions) {
  BUREAU_TRY_VOID(check_count(actions.size()));
  for (TicketAction& action : actions) BUREAU_TRY_VOID(prepare_action(scope, action));
  return actions;
}

}  // namespace detail

// Doing ----------------------------------------------------------------------------------------

namespace {

Json without(const Json& object, std::string_view field) {
  Json out = Json::object();
  for (const auto& [key, value] : *object.as_object()) {
    if (key != field) out.set(key, value);
  }
  return out;
}

class ActionRun {
 public:
  ActionRun(Unit& unit, Ticket ticket, OnRefused on_refused)
      : unit_(unit), before_(ticket), after_(std::move(ticket)), on_refused_(on_refused) {}

  Result<void> act(const TicketAction& action) {
    if (writes_message(action.kind)) BUREAU_TRY_VOID(flush());
    auto done = writes_message(action.kind) ? write(action) : change(action);
    return done ? Result<void>() : on_refused_(action, done.error());
  }

  /// Writes what the columns have become. When that is refused, none of it has been written.
  Result<void> flush() {
    if (changed_by_ == nullptr) return {};
    const TicketAction& last = *std::exchange(changed_by_, nullptr);
    if (auto saved = detail::save(unit_, before_, after_); !saved) {
      after_ = before_;
      return on_refused_(last, saved.error());
    }
    BUREAU_TRY_VOID(detail::run_triggers(unit_, before_.id, TicketEvent::updated, nullptr));
    return read_again();
  }

 private:
  Result<void> read_again() {
    BUREAU_TRY(before_, detail::stored_row(unit_, before_.id));
    after_ = before_;
    return {};
  }

  Result<void> write(const TicketAction& action) {
    const Scope scope(unit_);
    std::string body;
    if (action.canned.empty()) {
      body = *action.value.as_string();
    } else {
      BUREAU_TRY(CannedReply canned, CannedReplies{scope}.named(action.canned));
      body = std::move(canned.body);
    }
    BUREAU_TRY(body, detail::render_for(scope, before_.id, body));
    const Tickets tickets{scope};
    NewMessage message{
        detail::staff(unit_.session()),
        action.kind == ActionKind::reply ? MessageKind::visible : MessageKind::internal_note,
        std::move(body)};
    BUREAU_TRY_VOID(tickets.add_message(before_.id, message));
    return read_again();
  }

  /// An action that fails leaves nothing of itself, nor does it take the others with it: what the
  /// row would not hold is found here, where it is known whose it is.
  Result<void> change(const TicketAction& action) {
    Ticket next = after_;
    BUREAU_TRY_VOID(change(next, action));
    BUREAU_TRY_VOID(check_row(table_of<Ticket>(), detail::RowValues(next).values()));
    after_ = std::move(next);
    changed_by_ = &action;
    return {};
  }

  Result<void> change(Ticket& ticket, const TicketAction& action) {
    const std::string* text = action.value.as_string();
    switch (action.kind) {
      case ActionKind::set_status: {
        BUREAU_TRY(const TicketStatus to,
                   detail::status_named(unit_.transaction().reader(), ticket.tenant, *text));
        BUREAU_TRY_VOID(detail::may_move(unit_, ticket, to));
        return detail::enter(ticket, to, unit_.now());
      }
      case ActionKind::set_priority:
        ticket.priority =
            static_cast<Priority>(std::find(names<Priority>.begin(), names<Priority>.end(), *text) -
                                  names<Priority>.begin());
        return {};
      case ActionKind::set_team:
        return set_team(ticket, text);
      case ActionKind::set_assignee:
        return set_assignee(ticket, text);
      case ActionKind::add_tags:
      case ActionKind::remove_tags:
        return change_tags(ticket, action);
      case ActionKind::set_field: {
        BUREAU_TRY_VOID(detail::check_object("custom", ticket.custom));
        const Json custom = ticket.custom.is_null() ? Json::object() : ticket.custom;
        ticket.custom = without(custom, action.field);
        if (!action.value.is_null()) ticket.custom.set(action.field, action.value);
        return {};
      }
      default:
        return {};
    }
  }

  /// Who is not in the new team gives the ticket up.
  Result<void> set_team(Ticket& ticket, const std::string* text) {
    BUREAU_TRY_VOID(detail::refuse_ended(ticket, "it is given to nobody any more"));
    ticket.team.reset();
    if (text != nullptr) {
      BUREAU_TRY(const auto id, id::from_text(schema<Team>.prefix, *text));
      ticket.team = Id<Team>(id);
      BUREAU_TRY_VOID(check_team(*ticket.team));
    }
    if (ticket.assignee && !detail::check_assignee(unit_.transaction().reader(), ticket)) {
      ticket.assignee.reset();
    }
    return {};
  }

  /// It was there when the action was prepared, which may be long ago.
  Result<void> check_team(Id<Team> team) {
    auto found = Repository<Team>{Scope(unit_)}.find(team);
    if (found) return {};
    if (found.error().code != Code::not_found) return fail(std::move(found).error());
    return fail(Code::not_found,
                fmt::format("team: no row {}", id::to_text(schema<Team>.prefix, team.value)),
                "team");
  }

  Result<void> set_assignee(Ticket& ticket, const std::string* text) {
    BUREAU_TRY_VOID(detail::refuse_ended(ticket, "it is given to nobody any more"));
    ticket.assignee.reset();
    if (text == nullptr) return {};
    if (*text == "me") {
      const Id<User> me = unit_.session().principal().user;
      if (!me) {
        return fail(Code::invalid, "assignee: \"me\" has no account to give a ticket to",
                    "assignee");
      }
      ticket.assignee = me;
    } else {
      BUREAU_TRY(const auto id, id::from_text(schema<User>.prefix, *text));
      ticket.assignee = Id<User>(id);
    }
    return detail::check_assignee(unit_.transaction().reader(), ticket);
  }

  static Result<void> change_tags(Ticket& ticket, const TicketAction& action) {
    BUREAU_TRY(const auto named, tags_of(action));
    std::vector<std::string> tags = ticket.tags;
    if (action.kind == ActionKind::add_tags) {
      tags.insert(tags.end(), named.begin(), named.end());
    } else {
      std::erase_if(tags, [&](const std::string& tag) {
        return std::find(named.begin(), named.end(), tag) != named.end();
      });
    }
    BUREAU_TRY(ticket.tags, detail::check_tags(std::move(tags)));
    return {};
  }

  Unit& unit_;
  Ticket before_, after_;
  OnRefused on_refused_;
  const TicketAction* changed_by_ = nullptr;  ///< the last one that is not written yet
};

}  // namespace

namespace detail {

Result<void> do_actions(Unit& unit, Id<Ticket> id, std::span<const TicketAction> actions,
                        OnRefused on_refused) {
  BUREAU_TRY(Ticket ticket, stored_row(unit, id));
  ActionRun run(unit, std::move(ticket), on_refused);
  for (const TicketAction& action : actions) BUREAU_TRY_VOID(run.act(action));
  return run.flush();
}

}  // namespace detail

BUREAU_END_NAMESPACE
