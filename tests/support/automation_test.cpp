#include "bureau/support/automation.hpp"

#include <algorithm>
#include <set>

#include "support/office.hpp"

using namespace office;

namespace {

TicketAction act(ActionKind kind, Json value = {}) { return {kind, std::move(value)}; }

std::vector<std::string> said(Office& office, Id<Ticket> ticket, Sender sender) {
  std::vector<std::string> out;
  for (const Message& m : must(office.desk().conversation(ticket))) {
    if (m.sender == sender) out.push_back(m.body);
  }
  return out;
}

NewTrigger trigger(std::string name, TicketEvent event, std::vector<TicketAction> actions,
                   std::string condition = {}) {
  return {std::move(name), {event}, std::move(condition), {}, std::move(actions)};
}

}  // namespace

TEST_CASE("actions are what was written, and what is wrong in them is named") {
  const std::vector<TicketAction> all = {
      act(ActionKind::set_status, "open"),
      act(ActionKind::set_priority, "high"),
      act(ActionKind::set_team, {}),
      act(ActionKind::set_assignee, "me"),
      act(ActionKind::add_tags, Json::array({"vip"})),
      act(ActionKind::remove_tags, Json::array({"new"})),
      {ActionKind::reply, {}, {}, "thanks"},
      act(ActionKind::note, "About {number}"),
      {ActionKind::set_field, 3, "floor", {}},
  };
  const Json json = to_json(all);
  CHECK(to_json(must(actions_from_json(json))) == json);
  CHECK(json.dump().find("set_priority") != std::string::npos);

  for (const char* wrong : {"3",
                            "[]",
                            "[3]",
                            "[{}]",
                            R"([{"action": "fly"}])",
                            R"([{"action": "set_status"}])",
                            R"([{"action": "set_priority", "value": "huge"}])",
                            R"([{"action": "set_priority", "value": 3}])",
                            R"([{"action": "set_team", "value": 3}])",
                            R"([{"action": "add_tags", "value": []}])",
                            R"([{"action": "add_tags", "value": "vip"}])",
                            R"([{"action": "add_tags", "value": [""]}])",
                            R"([{"action": "note", "value": " "}])",
                            R"([{"action": "note"}])",
                            R"([{"action": "note", "value": "x", "canned": "y"}])",
                            R"([{"action": "note", "value": "{nobody}"}])",
                            R"([{"action": "set_field", "value": 3}])",
                            R"([{"action": "set_field", "field": "A b", "value": 3}])",
                            R"([{"action": "set_field", "field": "a", "value": [3]}])",
                            R"([{"action": "set_status", "value": "open", "field": "a"}])",
                            R"([{"action": "set_status", "value": "open", "canned": "a"}])",
                            R"([{"action": "set_status", "value": "open", "when": "now"}])"}) {
    CAPTURE(wrong);
    const auto read = actions_from_json(must(Json::parse(wrong)));
    REQUIRE(!read);
    CHECK(read.error().code == Code::invalid);
    CHECK(read.error().field == "actions");
  }
  const auto unknown =
      actions_from_json(must(Json::parse(R"([{"action": "note", "value": "Dear {nobody}"}])")));
  CHECK(unknown.error().message.find("{nobody}") != std::string::npos);
  CHECK(unknown.error().message.find("{customer}") != std::string::npos);
}

TEST_CASE("a canned reply speaks of the ticket, as who acts sees it") {
  Office office;
  const Session system = office.system(), ada = office.as("ada"), eve = office.as("eve");
  const Ticket ticket = office.open();
  must(office.desk().assign(ticket.id, office.teams["money"], office.people["ada"]));
  const std::string body =
      "Dear {customer}, {number} ({subject}) is {status}, {priority}: {team}, {assignee}, "
      "[{category}] since {created_at}; {} {A} {b.c} {open";
  const CannedReply reply = must(CannedReplies{system}.save({"thanks", body}));
  CHECK(must(CannedReplies{ada}.render(reply.id, ticket.id)) ==
        "Dear cora, 1 (Where is it?) is new, normal: money, ada, [] since " +
            ticket.created_at.to_string().substr(0, 10) + "; {} {A} {b.c} {open");
  refused(office, Code::not_found, "id",
          [&] { return CannedReplies{eve}.render(reply.id, ticket.id); });
  CHECK(text_variables().size() == 9);

  const CannedReplies replies{ada};
  refused(office, Code::invalid, "body", [&] {
    return replies.save({"mine", "Dear {custommer}", Sharing::own});
  });
  refused(office, Code::invalid, "body", [&] { return replies.save({"mine", " ", Sharing::own}); });
  refused(office, Code::invalid, "name", [&] { return replies.save({"", "Hello", Sharing::own}); });
  refused(office, Code::forbidden, "", [&] { return replies.save({"thanks", "Hello"}); });
  refused(office, Code::invalid, "team", [&] {
    return replies.save({"mine", "Hello", Sharing::team});
  });
  refused(office, Code::invalid, "scope", [&] {
    return CannedReplies{system}.save({"mine", "Hello", Sharing::own});
  });
  // One's own comes before the team's, and that before the office's; each is seen by whom it is
  // for.
  const auto nearest = [&](const Session& who) {
    return must(CannedReplies{who}.named("thanks")).body;
  };
  must(replies.save({"thanks", "team", Sharing::team, office.teams["money"]}));
  CHECK(nearest(ada) == "team");
  CHECK(nearest(eve) == body);
  const CannedReply mine = must(replies.save({"thanks", "mine", Sharing::own}));
  CHECK(must(replies.save({"thanks", "mine!", Sharing::own})).id == mine.id);
  CHECK(nearest(ada) == "mine!");
  const Session ben = office.as("ben");
  CHECK(nearest(ben) == "team");
  CHECK(nearest(system) == body);
  refused(office, Code::not_found, "id", [&] { return CannedReplies{eve}.remove(mine.id); });
  refused(office, Code::forbidden, "", [&] { return replies.remove(reply.id); });
  must(replies.remove(mine.id));
  CHECK(nearest(ada) == "team");
  refused(office, Code::not_found, "canned", [&] { return replies.named("nothing"); });
}

TEST_CASE("a macro does all its actions, with the rights of who applies it") {
  Office office;
  const Session system = office.system(), ada = office.as("ada"), cora = office.as("cora");
  must(CannedReplies{system}.save({"thanks", "Thank you, {customer}."}));
  const Macro macro =
      must(Macros{system}.save({"take it",
                                {act(ActionKind::set_team, "money"),
                                 act(ActionKind::set_assignee, "me"),
                                 act(ActionKind::set_priority, "high"),
                                 act(ActionKind::add_tags, Json::array({"vip", "seen"})),
                                 {ActionKind::set_field, "eu", "region", {}},
                                 {ActionKind::reply, {}, {}, "thanks"},
                                 act(ActionKind::note, "{status} now"),
                                 act(ActionKind::remove_tags, Json::array({"seen"})),
                                 act(ActionKind::set_status, "waiting_on_customer")}}));
  const Ticket first = office.open(), second = office.open();
  const std::vector<Id<Ticket>> both = {first.id, second.id, first.id};
  const BulkReport report = must(Macros{ada}.apply(macro.id, both));
  CHECK(report.changed == 2);
  for (const Id<Ticket> id : {first.id, second.id}) {
    const Ticket ticket = must(office.desk().find(id));
    CHECK(ticket.team == office.teams["money"]);
    CHECK(ticket.assignee == office.people["ada"]);
    CHECK(ticket.priority == Priority::high);
    CHECK(ticket.tags == std::vector<std::string>{"vip"});
    CHECK(ticket.custom == Json::object({{"region", "eu"}}));
    CHECK(ticket.status == "waiting_on_customer");
    CHECK(ticket.message_count == 3);
    CHECK(said(office, id, Sender::agent) ==
          std::vector<std::string>{"Thank you, cora.", "open now"});
  }
  CHECK(office.load("ada") == 2);
  // What the customer may not do by hand, no macro does for him, and he does not see them.
  refused(office, Code::not_found, "id", [&] { return Macros{cora}.apply(macro.id, both); });

  const Macros macros{system};
  const auto bad = [&](TicketAction action, Code code) {
    refused(office, code, "actions", [&] { return macros.save({"bad", {action}}); });
  };
  bad(act(ActionKind::set_status, "nowhere"), Code::not_found);
  bad(act(ActionKind::set_status, "merged"), Code::invalid);
  bad(act(ActionKind::set_team, "nobodies"), Code::not_found);
  bad(act(ActionKind::set_team, "tea_00000000004rx"), Code::not_found);
  bad(act(ActionKind::set_assignee, "nobody@example.com"), Code::not_found);
  bad({ActionKind::reply, {}, {}, "nothing"}, Code::not_found);
  refused(office, Code::invalid, "actions", [&] { return macros.save({"bad", {}}); });
  CHECK(must(Macros{ada}.named("take it")).id == macro.id);
}

TEST_CASE("a bulk change is made for all or for none, or lists who refuses") {
  Office office;
  const Tickets desk = office.desk();
  const Ticket open = office.open(), resolved = office.open(), third = office.open();
  must(desk.move(resolved.id, "resolved"));
  const std::vector<Id<Ticket>> ids = {open.id, resolved.id, third.id, Id<Ticket>(4711)};
  const std::vector<TicketAction> hold = {act(ActionKind::set_status, "open"),
                                          act(ActionKind::set_status, "on_hold"),
                                          act(ActionKind::add_tags, Json::array({"held"}))};
  refused(office, Code::not_found, "id", [&] { return desk.change_all(ids, hold); });
  const auto two = std::span(ids).first(2);
  must(desk.move(resolved.id, "closed"));
  const auto resolve = std::vector<TicketAction>{act(ActionKind::set_status, "resolved")};
  refused(office, Code::conflict, "status", [&] { return desk.change_all(two, resolve); });
  const auto named = desk.change_all(two, resolve);
  CHECK(named.error().message.find(id::to_text("tkt", resolved.id.value)) != std::string::npos);

  const BulkReport report = must(desk.change_all(ids, resolve, BulkMode::each));
  CHECK(report.changed == 2);
  REQUIRE(report.refused.size() == 2);
  CHECK(report.refused[0].ticket == resolved.id);
  CHECK(report.refused[0].error.code == Code::conflict);
  CHECK(report.refused[1].error.code == Code::not_found);
  CHECK(must(desk.find(third.id)).state == TicketState::resolved);

  const auto urgent = std::vector<TicketAction>{act(ActionKind::set_priority, "urgent")};
  const Predicate where = col(&Ticket::state) == TicketState::resolved;
  CHECK(must(desk.change_where(where, urgent)).changed == 2);
  CHECK(must(desk.count(col(&Ticket::priority) == Priority::urgent)) == 2);
  refused(office, Code::invalid, "actions", [&] { return desk.change_where(where, {}); });
  auto inside = office.system().write(
      [&](Unit& unit) { return Tickets{unit}.change_all(ids, urgent, BulkMode::each); });
  CHECK(inside.error().field == "mode");
  // Rights: eve does not see what the other team has, and nobody changes more than so many.
  must(desk.assign(open.id, {}, {}));
  must(desk.move(open.id, "open"));
  must(desk.assign(open.id, office.teams["money"], {}));
  const Session eve = office.as("eve");
  CHECK(must(Tickets{eve}.change_all(ids, urgent, BulkMode::each)).changed == 2);
  std::vector<Id<Ticket>> many;
  for (std::int64_t i = 1; i <= 1001; ++i) many.emplace_back(i);
  refused(office, Code::exhausted, "tickets", [&] { return desk.change_all(many, urgent); });
}

TEST_CASE("a trigger acts in the transaction of the change, in order, as the system") {
  Office office;
  const Session mia = office.as("mia");
  const Triggers triggers{mia};
  must(CannedReplies{mia}.save({"hello", "Welcome, {customer}."}));
  NewTrigger second =
      trigger("second", TicketEvent::created, {act(ActionKind::note, "second sees {priority}")});
  second.position = 2;
  must(triggers.save(second));
  NewTrigger first =
      trigger("first", TicketEvent::created,
              {act(ActionKind::set_priority, "high"), {ActionKind::reply, {}, {}, "hello"}},
              "subject contains \"invoice\"");
  first.position = 1;
  must(triggers.save(first));

  const Session cora = office.as("cora");
  NewTicket given;
  given.body = "My invoice";
  given.customer = office.people["cora"];
  const Ticket opened = must(Tickets{cora}.open(given));
  CHECK(opened.priority == Priority::high);  // what is returned is what it has become
  CHECK(opened.state == TicketState::open);
  CHECK(said(office, opened.id, Sender::system) ==
        std::vector<std::string>{"Welcome, cora.", "second sees high"});
  given.body = "My parcel";
  const Ticket other = must(Tickets{cora}.open(given));
  CHECK(said(office, other.id, Sender::system) == std::vector<std::string>{"second sees normal"});

  // With the change or not at all.
  const std::int64_t before = office.changes();
  auto undone = office.system().write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(Tickets{unit}.open(given));
    return fail(Code::invalid, "no");
  });
  CHECK(!undone);
  CHECK(office.changes() == before);

  first.active = false;
  must(triggers.save(first));
  second.active = false;
  must(triggers.save(second));
  given.body = "My invoice again";
  CHECK(said(office, must(Tickets{cora}.open(given)).id, Sender::system).empty());
}

TEST_CASE(
    "a trigger that makes itself act does not go round, nor do two that make each other act") {
  Office office;
  const Session system = office.system();
  const Triggers triggers{system};
  must(triggers.save(trigger("answers", TicketEvent::message_added,
                             {act(ActionKind::note, "noted"), act(ActionKind::note, "twice")})));
  must(triggers.save(trigger(
      "up", TicketEvent::updated,
      {act(ActionKind::set_priority, "high"), act(ActionKind::add_tags, Json::array({"up"}))},
      "priority <= \"normal\"")));
  must(triggers.save(trigger(
      "down", TicketEvent::updated,
      {act(ActionKind::set_priority, "low"), act(ActionKind::add_tags, Json::array({"down"}))},
      "priority >= \"high\"")));
  const Ticket ticket = office.open(), other = office.open();
  must(office.desk().reply(ticket.id, "Hello"));
  CHECK(said(office, ticket.id, Sender::system) ==
        std::vector<std::string>{"Hello", "noted", "twice"});
  const Ticket turned = must(office.desk().prioritize(ticket.id, Priority::urgent));
  CHECK(turned.priority == Priority::high);  // down, then up, then no more
  CHECK(turned.tags == std::vector<std::string>{"down", "up"});
  // Once for each ticket in a transaction, and again in the next one.
  must(system.write([&](Unit& unit) -> Result<void> {
    const Tickets desk{unit};
    for (int i = 0; i < 3; ++i) {
      for (const Id<Ticket> id : {ticket.id, other.id}) {
        BUREAU_TRY_VOID(desk.note(id, "by hand"));
      }
    }
    return {};
  }));
  CHECK(said(office, ticket.id, Sender::system).size() == 3 + 3 + 2);
  CHECK(said(office, other.id, Sender::system).size() == 3 + 2);
}

TEST_CASE("a trigger may ask about the message; what a ticket does not admit is passed over") {
  Office office;
  const Session system = office.system();
  NewTrigger reopen = trigger("thanks", TicketEvent::message_added,
                              {act(ActionKind::set_status, "on_hold"),  // not from new
                               act(ActionKind::add_tags, Json::array({"thankful"}))});
  reopen.message_condition = "sender = \"customer\" and body contains \"thank\"";
  must(Triggers{system}.save(reopen));
  const Ticket ticket = office.open();
  const Session cora = office.as("cora");
  must(Tickets{cora}.reply(ticket.id, "Hello?"));
  CHECK(must(office.desk().find(ticket.id)).tags.empty());
  must(Tickets{cora}.reply(ticket.id, "Many thanks"));
  CHECK(must(office.desk().find(ticket.id)).tags == std::vector<std::string>{"thankful"});
  CHECK(must(office.desk().find(ticket.id)).state == TicketState::fresh);
}

TEST_CASE("a trigger that names a team which was removed since stops nobody") {
  Office office;
  const Session system = office.system();
  const Id<Team> gone = office.team("gone", {}, {});
  const std::vector<TicketAction> actions = {
      act(ActionKind::note, "Looked at."), act(ActionKind::set_priority, "high"),
      act(ActionKind::set_team, "gone"), act(ActionKind::add_tags, Json::array({"seen"}))};
  NewTrigger both = trigger("to the gone", TicketEvent::created, actions);
  both.events.push_back(TicketEvent::message_added);
  must(Triggers{system}.save(both));
  const Macro macro = must(Macros{system}.save({"to the gone", actions}));
  must(Repository<Team>{system}.remove(gone));

  const Session cora = office.as("cora");
  NewTicket given;
  given.body = "Hello?";
  given.customer = office.people["cora"];
  const Ticket opened = must(Tickets{cora}.open(given));
  const auto check = [&] {
    const Ticket ticket = must(office.desk().find(opened.id));
    CHECK(ticket.priority == Priority::high);  // the actions beside it are done
    CHECK(ticket.tags == std::vector<std::string>{"seen"});
    CHECK_FALSE(ticket.team);
  };
  check();
  CHECK(said(office, opened.id, Sender::system) == std::vector<std::string>{"Looked at."});
  must(office.desk().prioritize(opened.id, Priority::low));
  must(Tickets{cora}.reply(opened.id, "Is anybody there?"));
  check();
  CHECK(said(office, opened.id, Sender::system).size() == 2);
  // Who asks for it himself is told.
  const std::vector<Id<Ticket>> only = {opened.id};
  refused(office, Code::not_found, "actions", [&] { return Macros{system}.apply(macro.id, only); });
}

TEST_CASE("a field is set in an object, and what else stands there is not thrown away") {
  Office office;
  const Session system = office.system();
  Ticket ticket = office.open();
  ticket.custom = Json::array({1, 2});
  for (const Session& session : {system, office.as("mia")}) {
    refused(office, Code::invalid, "custom",
            [&] { return Repository<Ticket>{session}.update(ticket); });
  }
  // An older program let it in.
  must(office.database->write({}, {}, [&](Transaction& transaction) -> Result<void> {
    BUREAU_TRY_VOID(
        transaction.update({select<Ticket>().where(col(&Ticket::id) == ticket.id),
                            {{table_of<Ticket>().find("custom"), Value::text("[1,2]"), false}}}));
    return {};
  }));
  const std::vector<Id<Ticket>> ids = {ticket.id};
  const TicketAction set{ActionKind::set_field, "eu", "region", {}};
  refused(office, Code::invalid, "custom", [&] { return office.desk().change_all(ids, {set}); });
  must(Triggers{system}.save(trigger("field", TicketEvent::message_added, {set})));
  must(office.desk().reply(ticket.id, "Hello."));
  ticket = must(office.desk().find(ticket.id));
  CHECK(ticket.custom == Json::array({1, 2}));
  ticket.custom = Json();
  must(office.desk().repository().update(ticket));
  must(office.desk().change_all(ids, {set}));
  CHECK(must(office.desk().find(ticket.id)).custom == Json::object({{"region", "eu"}}));
}

TEST_CASE("a trigger that could not act is refused when it is saved") {
  Office office;
  const Session system = office.system(), ada = office.as("ada");
  const Triggers triggers{system};
  const std::vector<TicketAction> fine = {act(ActionKind::set_priority, "high")};
  const auto bad = [&](Code code, const char* field, const NewTrigger& given) {
    refused(office, code, field, [&] { return triggers.save(given); });
  };
  const auto with = [&](std::string condition) {
    return trigger("bad", TicketEvent::updated, fine, std::move(condition));
  };
  bad(Code::invalid, "name", trigger("", TicketEvent::updated, fine));
  bad(Code::invalid, "events", NewTrigger{"bad", {}, {}, {}, fine});
  bad(Code::invalid, "condition", with("staus = \"open\""));
  bad(Code::invalid, "condition", with("priority = \"huge\""));
  bad(Code::invalid, "condition", with("assignee = $user"));
  bad(Code::invalid, "condition", with("team in (select id from teams where name = \"x\")"));
  NewTrigger message = with("");
  message.message_condition = "body contains \"x\"";
  bad(Code::invalid, "message_condition", message);
  message.events = {TicketEvent::message_added};
  message.message_condition = "subject contains \"x\"";
  bad(Code::invalid, "message_condition", message);
  bad(Code::invalid, "actions", trigger("bad", TicketEvent::updated, {}));
  bad(Code::not_found, "actions",
      trigger("bad", TicketEvent::updated, {act(ActionKind::set_status, "nowhere")}));
  bad(Code::invalid, "actions",
      trigger("bad", TicketEvent::updated, {act(ActionKind::set_assignee, "me")}));
  refused(office, Code::forbidden, "",
          [&] { return Triggers{ada}.save(trigger("mine", TicketEvent::updated, fine)); });
  must(triggers.save(with("created_at < now()")));
}

TEST_CASE("what was not committed does not act, and what another session saved acts at once") {
  Office office;
  const Session system = office.system();
  const NewTrigger made =
      trigger("tag", TicketEvent::created, {act(ActionKind::add_tags, Json::array({"made"}))});
  NewTicket given;
  given.body = "Hello";
  given.customer = office.people["cora"];
  auto undone = system.write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(Triggers{unit}.save(made));
    BUREAU_TRY(const Ticket ticket, Tickets{unit}.open(given));
    CHECK(ticket.tags == std::vector<std::string>{"made"});
    return fail(Code::invalid, "no");
  });
  CHECK(!undone);
  CHECK(office.open().tags.empty());
  const Trigger saved = must(Triggers{system}.save(made));
  CHECK(office.open().tags == std::vector<std::string>{"made"});
  must(Triggers{system}.remove(saved.id));
  CHECK(office.open().tags.empty());
  // Those of one tenant are no other's.
  must(Triggers{system}.save(made));
  const Session other = office.access->system(must(office.access->create_tenant("Other")).id);
  must(support::create_default_statuses(other));
  User user;
  user.email = "x@example.com";
  user.role = "customer";
  given.customer = must(Repository<User>{other}.insert(user)).id;
  CHECK(must(Tickets{other}.open(given)).tags.empty());
}

TEST_CASE("numbers and names of what macros and triggers store are frozen") {
  CHECK(static_cast<int>(ActionKind::set_field) == 8);
  CHECK(names<ActionKind>[0] == "set_status");
  CHECK(static_cast<int>(TicketEvent::message_added) == 2);
  CHECK(static_cast<int>(Sharing::office) == 2);
  CHECK(names<Sharing>[0] == "personal");
}
