// `bureau inbox ...`, `bureau notifications ...`, `bureau preferences ...` and `bureau webhooks
// ...`.

#include <fmt/format.h>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

struct NotifyOptions {
  std::string user, id;
  InboxQuery inbox;
  ListOptions list;
  NewNotification given;
  NewWebhook webhook;
  std::string event = "*", channel = "*", reason;
  bool all = false, on = false, off = false;
  Format format = Format::table;
};
using NotifyGiven = std::shared_ptr<NotifyOptions>;

constexpr const char* whose = "whose: an e-mail address; with --as one's own";

/// Whom --user names; of --as, himself.
Result<Id<User>> user_of(const Office& office, const std::string& email) {
  if (email.empty() && office.as) return office.as->principal().user;
  if (email.empty()) {
    return fail(Code::invalid, "user: name one with --user EMAIL, or be one with --as", "user");
  }
  BUREAU_TRY(const auto user,
             Repository<User>{office.session()}.first(col(&User::email).equals_folded(email)));
  if (user) return user->id;
  return fail(Code::not_found, fmt::format("user: nobody has the address \"{}\"", email), "user");
}

Result<void> print_inbox(const Office& office, const NotifyOptions& given) {
  BUREAU_TRY(const auto user, user_of(office, given.user));
  const Inbox inbox(office.session(), user);
  BUREAU_TRY(const auto page, inbox.list(given.inbox));
  EntityPrinter printer(given.format, table_of<InboxItem>(),
                        {"id", "state", "event", "title", "created_at"});
  for (const InboxItem& item : page.items) add_row(printer, item);
  printer.finish();
  if (given.format != Format::table) return {};
  BUREAU_TRY(const auto count, inbox.count());
  fmt::print("{} unread, {} unseen\n", count.unread, count.unseen);
  return {};
}

using Mark = Result<InboxItem> (Inbox::*)(Id<InboxItem>) const;

Result<void> mark(const Office& office, const NotifyOptions& given, Mark one, InboxState state) {
  BUREAU_TRY(const auto user, user_of(office, given.user));
  const Inbox inbox(office.session(), user);
  if (given.all == !given.id.empty()) {
    return fail(Code::invalid, "ITEM: name one, or say --all", "ITEM");
  }
  if (given.all) {
    BUREAU_TRY(const auto changed, inbox.mark_all(state));
    fmt::print("{} changed\n", changed);
    return {};
  }
  BUREAU_TRY(const auto id, parse_id<InboxItem>(given.id));
  BUREAU_TRY(const auto item, (inbox.*one)(id));
  fmt::print("{}: {}\n", given.id, names<InboxState>[static_cast<std::size_t>(item.state)]);
  return {};
}

Result<void> send(const Office& office, NotifyOptions& given) {
  BUREAU_TRY(given.given.user, user_of(office, given.user));
  BUREAU_TRY(const auto told, Notifications{office.session()}.notify(given.given));
  fmt::print("{}: {}{}\n", id::to_text(schema<Notification>.prefix, told.id.value),
             names<NotificationStatus>[static_cast<std::size_t>(told.status)],
             told.made ? "" : ", was there already");
  return {};
}

Result<void> print_deliveries(const Office& office, const NotifyOptions& given) {
  BUREAU_TRY(const auto id, parse_id<Notification>(given.id));
  BUREAU_TRY(const auto deliveries, Notifications{office.session()}.deliveries(id));
  EntityPrinter printer(given.format, table_of<NotificationDelivery>(),
                        {"id", "channel", "status", "attempts", "reason"});
  for (const NotificationDelivery& delivery : deliveries) add_row(printer, delivery);
  printer.finish();
  return {};
}

/// What a user wants. The system keeps anybody's, a user his own.
Preferences preferences_of(const Office& office, Id<User> user) {
  return Preferences(Scope(office.session()), user);
}

Result<void> print_preferences(const Office& office, const NotifyOptions& given) {
  BUREAU_TRY(const auto user, user_of(office, given.user));
  BUREAU_TRY(const auto rows, preferences_of(office, user).list());
  EntityPrinter printer(given.format, table_of<NotificationPreference>(),
                        {"event", "channel", "enabled"});
  for (const NotificationPreference& row : rows) add_row(printer, row);
  printer.finish();
  return {};
}

Result<void> set_preference(const Office& office, const NotifyOptions& given) {
  if (given.on == given.off) {
    return fail(Code::invalid, "preference: say either --on or --off", "enabled");
  }
  BUREAU_TRY(const auto user, user_of(office, given.user));
  BUREAU_TRY_VOID(preferences_of(office, user).set(given.event, given.channel, given.on));
  fmt::print("{} on {}: {}\n", given.event, given.channel, given.on ? "on" : "off");
  return {};
}

Result<void> clear_preference(const Office& office, const NotifyOptions& given) {
  BUREAU_TRY(const auto user, user_of(office, given.user));
  BUREAU_TRY_VOID(preferences_of(office, user).clear(given.event, given.channel));
  fmt::print("{} on {}: as what is more general says\n", given.event, given.channel);
  return {};
}

void add_preferences(CLI::App& app, const InOffice& in_office, const NotifyGiven& given) {
  auto* preferences = app.add_subcommand("preferences", "what a user wants to be told of");
  preferences->require_subcommand(1);
  const auto add = [&](const char* name, const char* what,
                       Result<void> (*act)(const Office&, const NotifyOptions&)) {
    auto* command = preferences->add_subcommand(name, what);
    command->add_option("--user", given->user, whose);
    command->callback(in_office([given, act](Office& office) { return act(office, *given); }));
    return command;
  };
  add_format_option(*add("list", "what he has said", print_preferences), given->format);
  auto* set = add("set", "want, or do not want", set_preference);
  auto* clear = add("clear", "back to what is more general", clear_preference);
  for (CLI::App* command : {set, clear}) {
    command->add_option("--event", given->event, "such as ticket.assigned; *: every event")
        ->capture_default_str();
    command->add_option("--channel", given->channel, "such as in_app; *: every channel")
        ->capture_default_str();
  }
  set->add_flag("--on", given->on, "he wants it");
  set->add_flag("--off", given->off, "he does not");
}

/// By its name or its id.
Result<Id<Webhook>> find_webhook(const Webhooks& webhooks, const std::string& text) {
  BUREAU_TRY(const auto named, webhooks.repository().first(col(&Webhook::name) == text));
  if (named) return named->id;
  if (const auto id = parse_id<Webhook>(text)) return *id;
  return fail(Code::not_found, fmt::format("webhook: there is none named \"{}\"", text), "webhook");
}

void add_webhooks(CLI::App& app, const InOffice& in_office, const NotifyGiven& given) {
  auto* webhooks = app.add_subcommand("webhooks", "addresses that are told of events, signed");
  webhooks->require_subcommand(1);
  auto* list = webhooks->add_subcommand("list", "which there are, and how they do");
  add_list_options(*list, given->list, "enabled = false");
  list->callback(in_office([given](Office& office) {
    const TableInfo& table = table_of<Webhook>();
    return list_rows(office, table, given->list, {{table.find("name"), false}},
                     {"name", "url", "events", "enabled", "failures", "disabled_reason"});
  }));
  auto* add = webhooks->add_subcommand("add", "add one; its secret is shown this once");
  add->add_option("NAME", given->webhook.name, "a name of its own")->required();
  add->add_option("URL", given->webhook.url, "https://...")->required();
  add->add_option("--event", given->webhook.events, "which it is told of; *: every one")
      ->capture_default_str();
  add->callback(in_office([given](Office& office) -> Result<void> {
    BUREAU_TRY(const Webhook made, Webhooks(office.session()).add(given->webhook));
    fmt::print("{}: secret {}\n", without_controls(made.name), made.secret);
    return {};
  }));
  const auto change = [&](const char* name, const char* what, auto act) {
    auto* command = webhooks->add_subcommand(name, what);
    command->add_option("WEBHOOK", given->id, "its name, or its id")->required();
    command->callback(in_office([given, act](Office& office) -> Result<void> {
      const Webhooks desk(office.session());
      BUREAU_TRY(const auto id, find_webhook(desk, given->id));
      return act(desk, id, *given);
    }));
    return command;
  };
  change("enable", "enable it again, its failures forgotten",
         [](const Webhooks& desk, Id<Webhook> id, const NotifyOptions&) -> Result<void> {
           BUREAU_TRY(const Webhook now, desk.enable(id));
           fmt::print("{}: enabled\n", without_controls(now.name));
           return {};
         });
  change("disable", "send it nothing",
         [](const Webhooks& desk, Id<Webhook> id, const NotifyOptions& options) -> Result<void> {
           BUREAU_TRY(const Webhook now, desk.disable(id, options.reason));
           fmt::print("{}: disabled\n", without_controls(now.name));
           return {};
         })
      ->add_option("--reason", given->reason, "why")
      ->required();
  change("renew-secret", "a new secret, shown this once; the old one is gone",
         [](const Webhooks& desk, Id<Webhook> id, const NotifyOptions&) -> Result<void> {
           BUREAU_TRY(const Webhook now, desk.renew_secret(id));
           fmt::print("{}: secret {}\n", without_controls(now.name), now.secret);
           return {};
         });
  change("remove", "remove it",
         [](const Webhooks& desk, Id<Webhook> id, const NotifyOptions&) -> Result<void> {
           return desk.remove(id);
         });
}

void add_inbox(CLI::App& app, const InOffice& in_office, const NotifyGiven& given) {
  auto* inbox = app.add_subcommand("inbox", "what a user was told");
  inbox->require_subcommand(1);
  const auto add = [&](const char* name, const char* what) {
    auto* command = inbox->add_subcommand(name, what);
    command->add_option("--user", given->user, whose);
    return command;
  };
  auto* list = add("list", "the newest first");
  list->add_flag("--unread", given->inbox.unread, "only what was not read");
  list->add_flag("--archived", given->inbox.archived, "what was archived");
  list->add_flag("--snoozed", given->inbox.snoozed, "what is out of sight for now");
  list->add_option("--limit", given->inbox.limit, "at most so many")->capture_default_str();
  add_format_option(*list, given->format);
  list->callback(in_office([given](Office& office) { return print_inbox(office, *given); }));
  const auto add_mark = [&](const char* name, const char* what, Mark one, InboxState state) {
    auto* command = add(name, what);
    command->add_option("ITEM", given->id, "its id");
    command->add_flag("--all", given->all, "all that is in sight");
    command->callback(in_office(
        [given, one, state](Office& office) { return mark(office, *given, one, state); }));
  };
  add_mark("read", "mark as read", &Inbox::mark_read, InboxState::read);
  add_mark("archive", "out of the inbox", &Inbox::archive, InboxState::archived);
}

}  // namespace

void add_notify_commands(CLI::App& app, const InOffice& in_office) {
  const auto given = std::make_shared<NotifyOptions>();
  add_inbox(app, in_office, given);
  add_preferences(app, in_office, given);
  add_webhooks(app, in_office, given);
  auto* notifications = app.add_subcommand("notifications", "who was told what, and how it went");
  notifications->require_subcommand(1);
  auto* list = notifications->add_subcommand("list", "list notifications, the newest first");
  add_list_options(*list, given->list, "status = \"failed\"");
  list->callback(in_office([given](Office& office) {
    const TableInfo& table = table_of<Notification>();
    return list_rows(office, table, given->list, {{&table.columns[0], true}},
                     {"id", "event", "status", "title", "reason", "created_at"});
  }));
  auto* deliveries = notifications->add_subcommand("deliveries", "those of one notification");
  deliveries->add_option("NOTIFICATION", given->id, "its id")->required();
  add_format_option(*deliveries, given->format);
  deliveries->callback(
      in_office([given](Office& office) { return print_deliveries(office, *given); }));
  auto* tell = notifications->add_subcommand("send", "tell a user something, once for its key");
  tell->add_option("--user", given->user, "whom: an e-mail address")->required();
  tell->add_option("--event", given->given.event, "such as ticket.assigned")->required();
  tell->add_option("--key", given->given.key, "what makes it the one it is")->required();
  tell->add_option("--title", given->given.title, "in one line")->required();
  tell->add_option("--body", given->given.body, "and in more");
  tell->add_option("--channel", given->given.channels, "which; else the inbox");
  tell->callback(in_office([given](Office& office) { return send(office, *given); }));
}

}  // namespace cli
