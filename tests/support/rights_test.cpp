#include "support/office.hpp"

using namespace office;

namespace {

/// Tickets of the team "money" (held by ada), of "parcels" (held by eve), and of no team, of either
/// customer, each with a public reply, a note and a suggestion.
struct Scene {
  Office office;
  Ticket money, parcels, unrouted;

  Scene() {
    money = fill(must(office.desk().route(office.triaged("refund", "cora").id)));
    parcels = fill(must(office.desk().route(office.triaged("delivery", "carl").id)));
    unrouted = fill(office.open("cora"));
  }
  Ticket fill(const Ticket& ticket) {
    must(office.desk().reply(ticket.id, "We are looking."));
    must(office.desk().note(ticket.id, "A difficult one."));
    must(office.desk().suggest(ticket.id, "Soon.", 0.5));
    return must(office.desk().find(ticket.id));
  }
  [[nodiscard]] std::vector<const Ticket*> all() const { return {&money, &parcels, &unrouted}; }

  /// What the person may see, in lists and one by one, and counted.
  void sees(const std::string& name, const std::vector<const Ticket*>& tickets) {
    CAPTURE(name);
    const Session session = office.as(name);
    const Tickets mine{session};
    CHECK(must(mine.list({})).size() == tickets.size());
    CHECK(must(mine.count()) == tickets.size());
    std::size_t messages = 0;
    const bool customer = session.principal().role == "customer";
    for (const Ticket* ticket : all()) {
      const bool visible = std::find(tickets.begin(), tickets.end(), ticket) != tickets.end();
      CHECK(mine.find(ticket->id).has_value() == visible);
      CHECK(must(mine.by_number(ticket->number)).has_value() == visible);
      auto conversation = mine.conversation(ticket->id);
      CHECK(conversation.has_value() == visible);
      if (!conversation) continue;
      CHECK(conversation->size() == (customer ? 2 : 4));
      messages += conversation->size();
      for (const Message& m : *conversation) {
        CHECK((!customer || m.kind == MessageKind::visible));
      }
    }
    CHECK(must(mine.messages().count()) == messages);
    // Nor can a condition find out what a list does not show.
    const Predicate hidden = col(&Message::kind) != MessageKind::visible;
    CHECK(must(mine.messages().count(hidden)) == (customer ? 0 : tickets.size() * 2));
  }
};

/// Both errors read the same, but for the id.
void same_error(const Error& hidden, Id<Ticket> hidden_id, const Error& absent,
                Id<Ticket> absent_id) {
  CHECK(hidden.code == Code::not_found);
  CHECK(absent.code == Code::not_found);
  CHECK(hidden.field == absent.field);
  const auto without = [](std::string text, Id<Ticket> id) {
    const std::string name = id::to_text(schema<Ticket>.prefix, id.value);
    const auto at = text.find(name);
    REQUIRE(at != std::string::npos);
    return text.replace(at, name.size(), "#");
  };
  CHECK(without(hidden.message, hidden_id) == without(absent.message, absent_id));
}

}  // namespace

TEST_CASE("each role sees its tickets and messages, and no others") {
  Scene scene;
  scene.sees("cora", {&scene.money, &scene.unrouted});
  scene.sees("carl", {&scene.parcels});
  scene.sees("ada", {&scene.money, &scene.unrouted});
  scene.sees("ben", {&scene.money, &scene.unrouted});  // not his, but his team's
  scene.sees("eve", {&scene.parcels, &scene.unrouted});
  scene.sees("mia", {&scene.money, &scene.parcels, &scene.unrouted});
  scene.sees("amy", {&scene.money, &scene.parcels, &scene.unrouted});
  scene.sees("vic", {});
  scene.sees("uma", {});
}

TEST_CASE("an agent sees what is assigned to him, of whatever team") {
  Scene scene;
  const Session mia = scene.office.as("mia");
  must(Tickets{mia}.assign(scene.parcels.id, {}, scene.office.people["ada"]));
  scene.sees("ada", {&scene.money, &scene.parcels, &scene.unrouted});
}

TEST_CASE("a hidden ticket and an absent one give the same error, whatever is tried") {
  Scene scene;
  const Id<Ticket> hidden = scene.money.id;
  const Id<Ticket> absent(scene.money.id.value + 1);
  for (const char* name : {"carl", "eve", "vic"}) {
    CAPTURE(name);
    const Session session = scene.office.as(name);
    const Tickets tickets{session};
    const auto both = [&](auto call) {
      const auto first = call(hidden), second = call(absent);
      REQUIRE(!first);
      REQUIRE(!second);
      same_error(first.error(), hidden, second.error(), absent);
    };
    both([&](Id<Ticket> id) { return tickets.find(id); });
    both([&](Id<Ticket> id) { return tickets.conversation(id); });
    both([&](Id<Ticket> id) { return tickets.reply(id, "Hello"); });
    both([&](Id<Ticket> id) { return tickets.note(id, "Hello"); });
    both([&](Id<Ticket> id) { return tickets.suggest(id, "Hello", 0.5); });
    both([&](Id<Ticket> id) { return tickets.move(id, "resolved"); });
    both([&](Id<Ticket> id) { return tickets.assign(id, {}, {}); });
    both([&](Id<Ticket> id) { return tickets.tag(id, {"x"}); });
    both([&](Id<Ticket> id) { return tickets.prioritize(id, Priority::low); });
    both([&](Id<Ticket> id) { return tickets.classify(id, "refund", 1, Priority::low); });
    both([&](Id<Ticket> id) { return tickets.route(id); });
  }
}

TEST_CASE("a customer opens tickets and writes, in his own name and in public") {
  Scene scene;
  const Session cora = scene.office.as("cora");
  const Tickets tickets{cora};
  NewTicket given;
  given.body = "One more thing.";
  given.customer = scene.office.people["cora"];
  const Ticket opened = must(tickets.open(given));
  CHECK(opened.number == 4);
  given.customer = scene.office.people["carl"];
  CHECK_FALSE(tickets.open(given));
  given.customer = scene.office.people["cora"];
  given.priority = Priority::urgent;
  auto urgent = tickets.open(given);
  REQUIRE(!urgent);
  CHECK(urgent.error().code == Code::forbidden);

  const Message reply = must(tickets.reply(opened.id, "And hurry."));
  CHECK(reply.sender == Sender::customer);
  CHECK(reply.author == scene.office.people["cora"]);
  CHECK(must(tickets.find(opened.id)).message_count == 2);
  CHECK_FALSE(must(tickets.find(opened.id)).first_response_at);
  NewMessage message{Sender::agent, MessageKind::visible, "I speak for the office."};
  auto forged = tickets.add_message(opened.id, message);
  REQUIRE(!forged);
  CHECK(forged.error().code == Code::forbidden);
  CHECK_FALSE(tickets.note(opened.id, "A note"));
  CHECK_FALSE(tickets.suggest(opened.id, "A suggestion", 0.5));
  CHECK_FALSE(tickets.move(opened.id, "resolved"));
  CHECK_FALSE(tickets.prioritize(opened.id, Priority::urgent));
}

TEST_CASE("a customer's message opens his resolved ticket, though he may not move it") {
  Scene scene;
  must(scene.office.desk().move(scene.money.id, "resolved"));
  CHECK(scene.office.load("ada") == 0);
  const Session cora = scene.office.as("cora");
  must(Tickets{cora}.reply(scene.money.id, "It is not solved."));
  const Ticket now = must(Tickets{cora}.find(scene.money.id));
  CHECK(now.state == TicketState::open);
  CHECK(now.reopen_count == 1);
  CHECK(scene.office.load("ada") == 1);
}

TEST_CASE("an agent works on his tickets, in his own name") {
  Scene scene;
  const Session ada = scene.office.as("ada");
  const Tickets tickets{ada};
  const Message reply = must(tickets.reply(scene.unrouted.id, "Hello."));
  CHECK(reply.sender == Sender::agent);
  CHECK(reply.author == scene.office.people["ada"]);
  NewMessage forged{Sender::agent, MessageKind::visible, "Hello."};
  forged.author = scene.office.people["eve"];
  auto refusal = tickets.add_message(scene.unrouted.id, forged);
  REQUIRE(!refusal);
  CHECK(refusal.error().code == Code::forbidden);
  must(tickets.move(scene.money.id, "resolved"));
  const auto messages = must(tickets.conversation(scene.unrouted.id));
  must(tickets.review(messages[3].id, Review::accepted));
  // Handing it on to a team that is not his own is the last that he sees of it.
  must(tickets.assign(scene.unrouted.id, scene.office.teams["parcels"], {}));
  CHECK_FALSE(tickets.find(scene.unrouted.id));
}

TEST_CASE("statuses, templates and loads are the managers' to keep") {
  Scene scene;
  const Session mia = scene.office.as("mia"), ada = scene.office.as("ada"),
                cora = scene.office.as("cora");
  CHECK(support::add_status(mia, "in the workshop", TicketState::on_hold));
  CHECK_FALSE(support::add_status(ada, "mine", TicketState::on_hold));
  CHECK(must(Repository<TicketStatus>{cora}.count()) == 9);
  must(save_template(mia, "refund", "Hello {customer}"));
  CHECK_FALSE(save_template(ada, "refund", "Hello"));
  CHECK(must(Repository<ReplyTemplate>{ada}.count()) == 1);
  CHECK(must(Repository<ReplyTemplate>{cora}.count()) == 0);
  CHECK(must(Repository<Workload>{mia}.count()) == 2);
  CHECK(must(Repository<Workload>{ada}.count()) == 0);
  CHECK(must(Repository<TicketCounter>{mia}.count()) == 0);
}

TEST_CASE("an AI agent works on every ticket, in its own name and no other") {
  Scene scene;
  Office& office = scene.office;
  const Session ai = office.access->agent(office.tenant, "triage");
  const Tickets desk{ai};
  CHECK(must(desk.list({})).size() == 3);
  must(desk.classify(scene.unrouted.id, "refund", 0.9, Priority::high));
  const Ticket routed = must(desk.route(scene.unrouted.id));
  CHECK(routed.team);
  CHECK(must(desk.find(routed.id)).team == routed.team);  // it still sees it
  const Message draft = must(desk.suggest(routed.id, "Soon.", 0.9));
  CHECK(draft.sender == Sender::ai);
  CHECK_FALSE(draft.author);
  CHECK(must(desk.review(draft.id, Review::accepted)).review == Review::accepted);
  CHECK(must(desk.reply(routed.id, "We are looking.")).sender == Sender::ai);
  CHECK(must(desk.note(routed.id, "Looks easy.")).sender == Sender::ai);

  NewMessage forged;
  forged.body = "I never said this";
  for (const Sender sender : {Sender::customer, Sender::agent, Sender::system}) {
    forged.sender = sender;
    refused(office, Code::forbidden, "", [&] { return desk.add_message(routed.id, forged); });
  }
  forged.sender = Sender::ai;
  forged.author = office.people.at("ada");
  refused(office, Code::forbidden, "", [&] { return desk.add_message(routed.id, forged); });
  refused(office, Code::forbidden, "", [&] { return Repository<Ticket>{ai}.remove(routed.id); });
  refused(office, Code::forbidden, "", [&] { return save_template(ai, "refund", "Never."); });
  // With another role it has that role's rights, as a person has.
  const Session viewer = office.access->agent(office.tenant, "triage", "viewer");
  CHECK(must(Tickets{viewer}.count()) == 0);
}
