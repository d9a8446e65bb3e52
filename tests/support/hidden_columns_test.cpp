// Tickets that people work on who do not see all of their columns.

#include "support/office.hpp"

using namespace office;

namespace {

Policies without(const ColumnInfo& column) {
  Policies policies;
  must(policies.hide({.name = "some",
                      .table = "tickets",
                      .columns = {std::string(column.name)},
                      .roles = {"agent"}}));
  return policies;
}

template <Entity T>
void add_rows(Office& office, std::string& text) {
  Query query;
  query.order = {{&table_of<T>().columns[0], false}};
  for (const T& row : must(Repository<T>{office.system()}.list(query))) {
    std::vector<Value> values(table_of<T>().width());
    detail::Scratch scratch;
    to_values(row, values, scratch);
    text += row_to_json(table_of<T>(), values).dump() + "\n";
  }
}

/// What is there after ada has done to some tickets what does not name `column` itself; the first
/// thing that was refused stands in `refused`.
std::string live(Office& office, std::string_view column, std::string& refused) {
  const Session system = office.system();
  must(Triggers{system}.save({.name = "urgent",
                              .events = {TicketEvent::updated},
                              .condition = "priority = \"urgent\"",
                              .actions = {{ActionKind::add_tags, Json::array({"hot"})},
                                          {ActionKind::note, "Look at {subject}."}}}));
  const Ticket a = office.triaged("refund"), b = office.triaged("refund");
  const Tickets mine{office.as("ada")};
  const auto step = [&](std::initializer_list<std::string_view> names, auto&& call) {
    office.clock.advance(std::chrono::hours(1));
    if (std::find(names.begin(), names.end(), column) != names.end()) return;
    const auto done = call();
    if (!done && refused.empty()) refused = to_string(done.error());
  };
  step({"team", "assignee"}, [&] { return mine.route(a.id); });
  step({}, [&] { return mine.reply(a.id, "Soon."); });
  step({}, [&] { return mine.suggest(a.id, "Very soon.", 0.5); });
  step({"status"}, [&] { return mine.move(a.id, "waiting_on_customer"); });
  step({}, [&] { return Tickets{office.as("cora")}.reply(a.id, "It is late."); });
  step({"team", "assignee"},
       [&] { return mine.assign(b.id, office.teams["money"], office.people["ada"]); });
  step({"priority"}, [&] { return mine.prioritize(b.id, Priority::urgent); });
  step({"tags"}, [&] { return mine.tag(b.id, {"late"}); });
  step({}, [&] { return mine.link(a.id, LinkType::related, b.id); });
  step({"status"}, [&] { return mine.move(b.id, "resolved"); });
  step({"status"}, [&] { return mine.move(b.id, "open"); });
  step({"status"}, [&] { return mine.merge(b.id, a.id); });
  const auto messages = must(office.desk().conversation(a.id));
  for (const Message& message : messages) {
    if (message.sender != Sender::customer || message.sequence == 1) continue;
    step({"status"}, [&] { return mine.split(a.id, {{message.id}, "Another matter"}); });
    break;
  }
  std::string text;
  add_rows<Ticket>(office, text);
  add_rows<Message>(office, text);
  add_rows<TicketLink>(office, text);
  add_rows<Workload>(office, text);
  CHECK(must(support::recount_workloads(system)) == 0);
  return text;
}

}  // namespace

TEST_CASE("who does not see a column of tickets leaves behind what others would") {
  const TableInfo& table = table_of<Ticket>();
  for (const ColumnInfo& column : table.columns) {
    const int place = column.index;
    if (place == 0 || place == table.tenant || place == table.version || column.hidden) continue;
    std::string refused;
    Office all, some(without(column));
    const std::string expected = live(all, column.name, refused);
    INFO(column.name);
    CHECK(refused.empty());
    CHECK(live(some, column.name, refused) == expected);
    INFO(refused);
    CHECK(refused.empty());
  }
}

TEST_CASE("a text has nothing where a column is hidden from who sends it") {
  Office seen;
  const Ticket there = seen.open();
  const NewCannedReply canned{.name = "all",
                              .body = "[{number}|{subject}|{priority}|{created_at}|{status}]",
                              .scope = Sharing::office};
  const CannedReply shown = must(CannedReplies{seen.system()}.save(canned));
  const std::string whole = must(CannedReplies{seen.as("ada")}.render(shown.id, there.id));
  CHECK(whole == "[1|Where is it?|normal|2025-10-09|new]");
  for (const auto& [column, text] :
       std::map<std::string, std::string>{{"number", "[|Where is it?|normal|2025-10-09|new]"},
                                          {"subject", "[1||normal|2025-10-09|new]"},
                                          {"priority", "[1|Where is it?||2025-10-09|new]"},
                                          {"created_at", "[1|Where is it?|normal||new]"},
                                          {"status", "[1|Where is it?|normal|2025-10-09|]"}}) {
    Office office(without(*table_of<Ticket>().find(column)));
    const Ticket ticket = office.open();
    const CannedReply reply = must(CannedReplies{office.system()}.save(canned));
    CHECK(must(CannedReplies{office.as("ada")}.render(reply.id, ticket.id)) == text);
    CHECK(must(CannedReplies{office.as("mia")}.render(reply.id, ticket.id)) == whole);
  }
}

TEST_CASE("a saved view whose column is hidden since says so, and shows nothing") {
  Office office(without(*table_of<Ticket>().find("priority")));
  office.open();
  SavedViews all{office.system()};
  const SavedView by_where = must(all.save(
      {.name = "urgent", .condition = "priority >= \"normal\"", .scope = Sharing::office}));
  const SavedView by_sort =
      must(all.save({.name = "sorted", .sort = "priority desc", .scope = Sharing::office}));
  const SavedView by_column =
      must(all.save({.name = "shown", .columns = {"priority"}, .scope = Sharing::office}));
  const Tickets ada{office.as("ada")}, mia{office.as("mia")};
  refused(office, Code::forbidden, "priority", [&] { return ada.view(by_where.id); });
  refused(office, Code::forbidden, "priority", [&] { return ada.view(by_sort.id); });
  CHECK(must(ada.view(by_column.id)).items.front().priority == Priority::low);
  for (const SavedView& view : {by_where, by_sort, by_column}) {
    CHECK(must(mia.view(view.id)).items.size() == 1);
  }
}
