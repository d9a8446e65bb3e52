// `bureau inbox ...` and `bureau notifications ...`.

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
  bool all = false;
  Format format = Format::table;
};
using Given = std::shared_ptr<NotifyOptions>;

Result<Id<User>> user_of(const Office& office, const std::string& email) {
  BUREAU_TRY(const auto user,
             Repository<User>{office.system()}.first(col(&User::email).equals_folded(email)));
  if (user) return user->id;
  return fail(Code::not_found, fmt::format("user: nobody has the address \"{}\"", email), "user");
}

template <Entity T>
Result<Id<T>> parse_id(const std::string& text) {
  BUREAU_TRY(const std::int64_t value, id::from_text(schema<T>.prefix, text));
  return Id<T>(value);
}

template <Entity T>
void add_row(EntityPrinter& printer, const T& row) {
  std::vector<Value> values(table_of<T>().width());
  detail::Scratch scratch;
  to_values(row, values, scratch);
  printer.add(values);
}

Result<void> print_inbox(const Office& office, const NotifyOptions& given) {
  BUREAU_TRY(const auto user, user_of(office, given.user));
  const Inbox inbox(office.system(), user);
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
  const Inbox inbox(office.system(), user);
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
  BUREAU_TRY(const auto told, Notifications{office.system()}.notify(given.given));
  fmt::print("{}: {}{}\n", id::to_text(schema<Notification>.prefix, told.id.value),
             names<NotificationStatus>[static_cast<std::size_t>(told.status)],
             told.made ? "" : ", was there already");
  return {};
}

Result<void> print_deliveries(const Office& office, const NotifyOptions& given) {
  BUREAU_TRY(const auto id, parse_id<Notification>(given.id));
  BUREAU_TRY(const auto deliveries, Notifications{office.system()}.deliveries(id));
  EntityPrinter printer(given.format, table_of<NotificationDelivery>(),
                        {"id", "channel", "status", "attempts", "reason"});
  for (const NotificationDelivery& delivery : deliveries) add_row(printer, delivery);
  printer.finish();
  return {};
}

void add_inbox(CLI::App& app, const InOffice& in_office, const Given& given) {
  auto* inbox = app.add_subcommand("inbox", "what a user was told");
  inbox->require_subcommand(1);
  const auto add = [&](const char* name, const char* what) {
    auto* command = inbox->add_subcommand(name, what);
    command->add_option("--user", given->user, "whose: an e-mail address")->required();
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
