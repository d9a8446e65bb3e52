// `bureau tickets link|merge|split|bulk`, `bureau views`, `bureau macros`, `bureau triggers`.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

/// "7", "#7" or "tkt_01h...".
Result<Id<Ticket>> find_ticket(const Tickets& tickets, const std::string& text) {
  const std::string digits = text.substr(text.starts_with('#') ? 1 : 0);
  if (!digits.empty() && digits.size() < 18 &&
      digits.find_first_not_of("0123456789") == std::string::npos) {
    BUREAU_TRY(const auto found, tickets.by_number(std::stoll(digits)));
    if (found) return found->id;
    return fail(Code::not_found, fmt::format("ticket: there is none with the number {}", digits),
                "ticket");
  }
  BUREAU_TRY(const auto id, id::from_text(schema<Ticket>.prefix, text));
  return Id<Ticket>(id);
}

Result<std::vector<Id<Ticket>>> find_tickets(const Tickets& tickets,
                                             const std::vector<std::string>& texts) {
  std::vector<Id<Ticket>> ids;
  for (const std::string& text : texts) {
    BUREAU_TRY(const Id<Ticket> id, find_ticket(tickets, text));
    ids.push_back(id);
  }
  return ids;
}

template <class E>
Result<E> enum_named(const char* field, const std::string& name) {
  const auto found = std::find(names<E>.begin(), names<E>.end(), name);
  if (found != names<E>.end()) return static_cast<E>(found - names<E>.begin());
  return fail(Code::invalid,
              fmt::format("{}: \"{}\" is not one of {}", field, name, fmt::join(names<E>, ", ")),
              field);
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> out;
  std::size_t from = 0;
  while (from <= text.size()) {
    const std::size_t to = std::min(text.find(',', from), text.size());
    if (to > from) out.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return out;
}

/// "set_priority=high", "add_tags=vip,eu", "set_assignee=" (nobody), "reply=@thanks" (a canned
/// one), "set_field=region:eu".
Result<TicketAction> parse_action(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return fail(Code::invalid, fmt::format("--do: \"{}\": expected ACTION=VALUE", text), "do");
  }
  TicketAction action;
  BUREAU_TRY(action.kind, enum_named<ActionKind>("--do", text.substr(0, equals)));
  std::string value = text.substr(equals + 1);
  switch (action.kind) {
    case ActionKind::add_tags:
    case ActionKind::remove_tags:
      action.value = Json::array();
      for (std::string& tag : split_at_commas(value)) action.value.push_back(Json(std::move(tag)));
      return action;
    case ActionKind::reply:
    case ActionKind::note:
      if (value.starts_with('@')) {
        action.canned = value.substr(1);
        return action;
      }
      break;
    case ActionKind::set_field: {
      const std::size_t colon = std::min(value.find(':'), value.size());
      action.field = value.substr(0, colon);
      if (colon < value.size()) action.value = Json(value.substr(colon + 1));
      return action;
    }
    default:
      if (value.empty()) return action;  // null
  }
  action.value = Json(std::move(value));
  return action;
}

Result<std::vector<TicketAction>> parse_actions(const std::vector<std::string>& texts) {
  std::vector<TicketAction> actions;
  for (const std::string& text : texts) {
    BUREAU_TRY(TicketAction action, parse_action(text));
    actions.push_back(std::move(action));
  }
  return actions;
}

/// What the commands were given; lives as long as they do.
struct TicketGiven {
  std::string a, b, type, subject, name, sort, columns, where, message_where;
  std::vector<std::string> tickets, actions, events;
  std::vector<std::int64_t> sequences;
  std::int64_t position = 0;
  bool each = false;
  ListOptions list;
};

void add_actions_option(CLI::App& app, TicketGiven& given) {
  app.add_option("--do", given.actions,
                 fmt::format("ACTION=VALUE, any number of them, such as set_priority=high, "
                             "add_tags=vip,eu or reply=@NAME; actions: {}",
                             fmt::join(names<ActionKind>, ", ")))
      ->required();
}

void add_choice_options(CLI::App& app, TicketGiven& given) {
  app.add_option("TICKET", given.tickets, "numbers or ids");
  app.add_option("--where", given.where, "those for which this holds, at most 1000");
  app.add_flag("--each", given.each, "change those that can be, and list the others");
}

Result<void> print_report(const BulkReport& report) {
  for (const auto& refused : report.refused) {
    fmt::print(stderr, "bureau: {}: {}\n", id::to_text(schema<Ticket>.prefix, refused.ticket.value),
               without_controls(to_string(refused.error)));
  }
  fmt::print("{} changed, {} refused\n", report.changed, report.refused.size());
  if (report.refused.empty()) return {};
  return fail(Code::conflict, fmt::format("{} tickets were not changed", report.refused.size()));
}

Result<std::vector<Id<Ticket>>> chosen(const Office& office, const TicketGiven& given) {
  const Tickets tickets(office.session());
  BUREAU_TRY(auto ids, find_tickets(tickets, given.tickets));
  if (given.where.empty()) return ids;
  BUREAU_TRY(const auto where, parse_where(office, table_of<Ticket>(), given.where));
  BUREAU_TRY(const auto found, tickets.list({where, {}, bulk_max + 1, {}}));
  for (const Ticket& ticket : found) ids.push_back(ticket.id);
  return ids;
}

void print_ticket(const char* what, const Ticket& ticket) {
  fmt::print("{}: ticket {} ({}), {} messages\n", what, ticket.number,
             id::to_text(schema<Ticket>.prefix, ticket.id.value), ticket.message_count);
}

Result<void> split_ticket(const Office& office, const TicketGiven& given) {
  const Tickets tickets(office.session());
  BUREAU_TRY(const Id<Ticket> source, find_ticket(tickets, given.a));
  SplitTicket split;
  split.subject = given.subject;
  BUREAU_TRY(const auto messages,
             tickets.messages().list(
                 {col(&Message::ticket) == source && col(&Message::sequence).in(given.sequences),
                  {},
                  given.sequences.size() + 1,
                  {}}));
  if (messages.size() != given.sequences.size()) {
    return fail(Code::not_found,
                fmt::format("--messages: {} of the {} numbers are in the ticket", messages.size(),
                            given.sequences.size()),
                "messages");
  }
  for (const Message& message : messages) split.messages.push_back(message.id);
  BUREAU_TRY(const Ticket made, tickets.split(source, split));
  print_ticket("split off", made);
  return {};
}

Result<void> show_view(const Office& office, const TicketGiven& given) {
  const Session session = office.session();
  BUREAU_TRY(const SavedView view, SavedViews{session}.named(given.name));
  BUREAU_TRY(const auto page, Tickets{session}.view(view.id, given.list.limit));
  std::vector<std::string_view> columns(view.columns.begin(), view.columns.end());
  if (columns.empty()) columns = {"number", "status", "priority", "category", "subject"};
  EntityPrinter printer(given.list.format, table_of<Ticket>(), columns);
  for (const Ticket& ticket : page.items) {
    std::vector<Value> values(table_of<Ticket>().width());
    bureau::detail::Scratch scratch;
    to_values(ticket, values, scratch);
    printer.add(values);
  }
  printer.finish();
  return {};
}

using Shared = std::shared_ptr<TicketGiven>;

CLI::App* sub(CLI::App& app, const char* name, const char* text) {
  return app.add_subcommand(name, text);
}

/// `NAME list`, for a table.
void add_list(CLI::App& app, const InOffice& in_office, const Shared& given, const TableInfo& table,
              std::vector<std::string_view> columns) {
  auto* list = sub(app, "list", "list them");
  add_list_options(*list, given->list, "name prefix \"a\"");
  list->callback(in_office([given, &table, columns](Office& office) {
    return list_rows(office, table, given->list, {{table.find("name"), false}}, columns);
  }));
}

void add_views(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<TicketGiven>();
  auto* views = sub(app, "views", "saved lists of tickets");
  views->require_subcommand(1);
  add_list(*views, in_office, given, table_of<SavedView>(),
           {"name", "scope", "condition", "sort", "columns"});
  auto* save = sub(*views, "save", "save one for the office, in place of the one of that name");
  save->add_option("NAME", given->name)->required();
  save->add_option("--where", given->where, "which tickets; $user and $teams are who looks");
  save->add_option("--sort", given->sort, "such as \"priority desc, number\"");
  save->add_option("--columns", given->columns, "what is shown, with commas between");
  save->callback(in_office([given](Office& office) -> Result<void> {
    BUREAU_TRY(const SavedView saved, SavedViews{office.session()}.save(
                                          {given->name, given->where, given->sort,
                                           split_at_commas(given->columns), Sharing::office}));
    fmt::print("{}: saved\n", without_controls(saved.name));
    return {};
  }));
  auto* show = sub(*views, "show", "the tickets in it");
  show->add_option("NAME", given->name)->required();
  add_format_option(*show, given->list.format);
  show->add_option("--limit", given->list.limit, "at most so many")->capture_default_str();
  show->callback(in_office([given](Office& office) { return show_view(office, *given); }));
  auto* remove = sub(*views, "remove", "forget it");
  remove->add_option("NAME", given->name)->required();
  remove->callback(in_office([given](Office& office) -> Result<void> {
    const SavedViews all(office.session());
    BUREAU_TRY(const SavedView view, all.named(given->name));
    return all.remove(view.id);
  }));
}

void add_macros(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<TicketGiven>();
  auto* macros = sub(app, "macros", "actions under a name");
  macros->require_subcommand(1);
  add_list(*macros, in_office, given, table_of<Macro>(), {"name", "scope", "actions"});
  auto* save = sub(*macros, "save", "save one for the office, in place of the one of that name");
  save->add_option("NAME", given->name)->required();
  add_actions_option(*save, *given);
  save->callback(in_office([given](Office& office) -> Result<void> {
    BUREAU_TRY(auto actions, parse_actions(given->actions));
    BUREAU_TRY(const Macro saved, Macros{office.session()}.save({given->name, std::move(actions)}));
    fmt::print("{}: saved\n", without_controls(saved.name));
    return {};
  }));
  auto* apply = sub(*macros, "apply", "do its actions to tickets");
  apply->add_option("NAME", given->name)->required();
  add_choice_options(*apply, *given);
  apply->callback(in_office([given](Office& office) -> Result<void> {
    const Macros all(office.session());
    BUREAU_TRY(const Macro macro, all.named(given->name));
    BUREAU_TRY(const auto ids, chosen(office, *given));
    BUREAU_TRY(const auto report,
               all.apply(macro.id, ids, given->each ? BulkMode::each : BulkMode::all_or_none));
    return print_report(report);
  }));
}

void add_triggers(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<TicketGiven>();
  auto* triggers = sub(app, "triggers", "what the office does by itself when a ticket changes");
  triggers->require_subcommand(1);
  add_list(*triggers, in_office, given, table_of<Trigger>(),
           {"name", "position", "active", "events", "condition", "actions"});
  auto* save = sub(*triggers, "save", "save one, in place of the one of that name");
  save->add_option("NAME", given->name)->required();
  save->add_option("--on", given->events, "created, updated or message_added")->required();
  save->add_option("--where", given->where, "only tickets for which this holds");
  save->add_option("--message", given->message_where, "only messages for which this holds");
  save->add_option("--position", given->position, "they are asked in this order")
      ->capture_default_str();
  add_actions_option(*save, *given);
  save->callback(in_office([given](Office& office) -> Result<void> {
    NewTrigger trigger;
    trigger.name = given->name;
    trigger.condition = given->where;
    trigger.message_condition = given->message_where;
    trigger.position = given->position;
    for (const std::string& name : given->events) {
      BUREAU_TRY(const auto event, enum_named<TicketEvent>("--on", name));
      trigger.events.push_back(event);
    }
    BUREAU_TRY(trigger.actions, parse_actions(given->actions));
    BUREAU_TRY(const Trigger saved, Triggers{office.session()}.save(trigger));
    fmt::print("{}: saved\n", without_controls(saved.name));
    return {};
  }));
  auto* remove = sub(*triggers, "remove", "forget it");
  remove->add_option("NAME", given->name)->required();
  remove->callback(in_office([given](Office& office) -> Result<void> {
    const Triggers all(office.session());
    BUREAU_TRY(const auto found, all.repository().first(col(&Trigger::name) == given->name));
    if (found) return all.remove(found->id);
    return fail(Code::not_found, fmt::format("trigger: there is no \"{}\"", given->name),
                "trigger");
  }));
}

void add_of_tickets(CLI::App& tickets, const InOffice& in_office) {
  auto given = std::make_shared<TicketGiven>();
  auto* link = sub(tickets, "link", "say what a ticket is to another");
  link->add_option("A", given->a, "a ticket's number or id")->required();
  link->add_option("TYPE", given->type, "parent, child, related, duplicate or causes")->required();
  link->add_option("B", given->b, "of which it is that")->required();
  link->callback(in_office([given](Office& office) -> Result<void> {
    const Tickets desk(office.session());
    BUREAU_TRY(const LinkType type, enum_named<LinkType>("type", given->type));
    BUREAU_TRY(const Id<Ticket> a, find_ticket(desk, given->a));
    BUREAU_TRY(const Id<Ticket> b, find_ticket(desk, given->b));
    BUREAU_TRY(const TicketLink made, desk.link(a, type, b));
    fmt::print("{}: linked\n", id::to_text(schema<TicketLink>.prefix, made.id.value));
    return {};
  }));
  auto* merge = sub(tickets, "merge", "make a ticket part of another of the same customer");
  merge->add_option("SOURCE", given->a, "a ticket's number or id")->required();
  merge->add_option("TARGET", given->b, "that it goes into")->required();
  merge->callback(in_office([given](Office& office) -> Result<void> {
    const Tickets desk(office.session());
    BUREAU_TRY(const Id<Ticket> source, find_ticket(desk, given->a));
    BUREAU_TRY(const Id<Ticket> target, find_ticket(desk, given->b));
    BUREAU_TRY(const Ticket grown, desk.merge(source, target));
    print_ticket("merged into", grown);
    return {};
  }));
  auto* split = sub(tickets, "split", "make a new ticket of some messages of another");
  split->add_option("TICKET", given->a, "its number or id")->required();
  split->add_option("--messages", given->sequences, "their numbers in it")->required();
  split->add_option("--subject", given->subject, "of the new one");
  split->callback(in_office([given](Office& office) { return split_ticket(office, *given); }));
  auto* bulk = sub(tickets, "bulk", "do actions to many tickets: to all, or to none of them");
  add_choice_options(*bulk, *given);
  add_actions_option(*bulk, *given);
  bulk->callback(in_office([given](Office& office) -> Result<void> {
    BUREAU_TRY(auto actions, parse_actions(given->actions));
    BUREAU_TRY(const auto ids, chosen(office, *given));
    BUREAU_TRY(const auto report,
               Tickets{office.session()}.change_all(
                   ids, std::move(actions), given->each ? BulkMode::each : BulkMode::all_or_none));
    return print_report(report);
  }));
}

}  // namespace

void add_tickets_commands(CLI::App& app, CLI::App& tickets, const InOffice& in_office) {
  add_of_tickets(tickets, in_office);
  add_views(app, in_office);
  add_macros(app, in_office);
  add_triggers(app, in_office);
}

}  // namespace cli
