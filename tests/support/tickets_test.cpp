#include "bureau/support/tickets.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "support/office.hpp"
#include "tree.hpp"

using namespace office;

namespace {

std::string_view name_of(TicketState state) {
  return names<TicketState>[static_cast<std::size_t>(state)];
}

/// A ticket in the state, by legal ways only.
Ticket ticket_in(Office& office, TicketState state) {
  Ticket ticket = office.open();
  const auto go = [&](const char* status) { ticket = must(office.desk().move(ticket.id, status)); };
  switch (state) {
    case TicketState::fresh:
      break;
    case TicketState::merged:
      must(office.desk().merge(ticket.id, office.open().id));
      ticket = must(office.desk().find(ticket.id));
      break;
    case TicketState::open:
      go("open");
      break;
    case TicketState::pending:
    case TicketState::on_hold:
    case TicketState::waiting_on_customer:
      go("open");
      go(std::string(name_of(state)).c_str());
      break;
    case TicketState::resolved:
      go("resolved");
      break;
    case TicketState::closed:
      go("resolved");
      go("closed");
      break;
  }
  return ticket;
}

NewMessage customer_says(std::string body) {
  return {Sender::customer, MessageKind::visible, std::move(body)};
}

}  // namespace

TEST_CASE("a ticket opens with its number, its first message and a subject") {
  Office office;
  const Ticket first = office.open("cora", "  Where is it?\nI wait.");
  CHECK(first.number == 1);
  CHECK(first.subject == "Where is it?");
  CHECK(first.status == "new");
  CHECK(first.state == TicketState::fresh);
  CHECK(first.message_count == 1);
  CHECK(first.custom == Json::object());
  CHECK(first.created_at == office.clock.now());
  const auto messages = must(office.desk().conversation(first.id));
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].sequence == 1);
  CHECK(messages[0].sender == Sender::customer);
  CHECK(messages[0].author == office.people["cora"]);
  CHECK(messages[0].body == "  Where is it?\nI wait.");
  CHECK(office.open().number == 2);
  CHECK(must(office.desk().by_number(2))->number == 2);
  CHECK_FALSE(must(office.desk().by_number(3)));
  CHECK(must(office.desk().find(first.id)).number == 1);
}

TEST_CASE("a long first line is cut between characters") {
  Office office;
  std::string body;
  for (int i = 0; i < 100; ++i) body += "\xC3\xA9";
  const Ticket ticket = office.open("cora", body);
  CHECK(is_valid_text(ticket.subject));
  CHECK(ticket.subject.size() == 119);
}

TEST_CASE("numbers go on over many tickets, each tenant for itself") {
  Office office;
  std::vector<NewTicket> many(5);
  for (NewTicket& t : many) {
    t.body = "Hello";
    t.customer = office.people["cora"];
  }
  const auto opened = must(office.desk().open_all(many));
  REQUIRE(opened.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK(opened[i].number == static_cast<std::int64_t>(i + 1));
  CHECK(office.open().number == 6);
  CHECK(must(office.desk().open_all({})).empty());

  const Id<Tenant> other = must(office.access->create_tenant("Other")).id;
  const Session there = office.access->system(other);
  must(support::create_default_statuses(there));
  User user;
  user.email = "x@example.com";
  user.role = "customer";
  user.status = UserStatus::active;
  user = must(Repository<User>{there}.insert(user));
  NewTicket given;
  given.body = "Hello";
  given.customer = user.id;
  CHECK(must(Tickets{there}.open(given)).number == 1);
  CHECK_FALSE(office.desk().find(must(Tickets{there}.by_number(1))->id));
}

TEST_CASE("a message is taken once: its external id is unique") {
  Office office;
  NewTicket given;
  given.body = "Hello";
  given.customer = office.people["cora"];
  given.external_id = "mail-1";
  const Ticket ticket = must(office.desk().open(given));
  refused(office, Code::exists, "external_id", [&] { return office.desk().open(given); });
  NewMessage again = customer_says("Hello");
  again.external_id = "mail-1";
  refused(office, Code::exists, "external_id",
          [&] { return office.desk().add_message(ticket.id, again); });
  CHECK(must(office.desk().count()) == 1);
  // Within one batch too, and then nothing of the batch is there.
  given.external_id = "mail-2";
  const std::vector<NewTicket> twice = {given, given};
  refused(office, Code::exists, "external_id", [&] { return office.desk().open_all(twice); });
  CHECK(must(office.desk().count()) == 1);
  CHECK(office.open().number == 2);  // no number was lost
}

TEST_CASE("bad tickets name field, value and rule, and change nothing") {
  Office office;
  NewTicket good;
  good.body = "Hello";
  good.customer = office.people["cora"];
  const auto with = [&](auto change) {
    NewTicket given = good;
    change(given);
    return [&office, given] { return office.desk().open(given); };
  };
  refused(office, Code::invalid, "body", with([](NewTicket& t) { t.body = ""; }));
  refused(office, Code::invalid, "body", with([](NewTicket& t) { t.body = " \r\n\t "; }));
  refused(office, Code::invalid, "body",
          with([](NewTicket& t) { t.body = std::string("a\0b", 3); }));
  refused(office, Code::invalid, "body", with([](NewTicket& t) { t.body = "\xC3"; }));
  refused(office, Code::invalid, "body",
          with([](NewTicket& t) { t.body = std::string(100'001, 'x'); }));
  refused(office, Code::invalid, "subject",
          with([](NewTicket& t) { t.subject = std::string(501, 'x'); }));
  refused(office, Code::invalid, "subject",
          with([](NewTicket& t) { t.subject = std::string("a\0", 2); }));
  refused(office, Code::invalid, "external_id", with([](NewTicket& t) { t.external_id = ""; }));
  refused(office, Code::invalid, "external_id",
          with([](NewTicket& t) { t.external_id = std::string(201, 'x'); }));
  refused(office, Code::invalid, "customer", with([](NewTicket& t) { t.customer = {}; }));
  refused(office, Code::not_found, "customer",
          with([](NewTicket& t) { t.customer = Id<User>(4711); }));
  refused(office, Code::invalid, "custom", with([](NewTicket& t) { t.custom = Json(3); }));
  CHECK(must(office.desk().count()) == 0);
  CHECK(office.open().number == 1);
}

TEST_CASE("bad messages name field, value and rule, and change nothing") {
  Office office;
  const Ticket ticket = office.open();
  const Tickets desk = office.desk();
  refused(office, Code::invalid, "body", [&] { return desk.reply(ticket.id, " "); });
  refused(office, Code::invalid, "body",
          [&] { return desk.note(ticket.id, std::string("a\0b", 3)); });
  for (const double wrong : {1.5, -0.1, std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity()}) {
    refused(office, Code::invalid, "confidence",
            [&] { return desk.suggest(ticket.id, "Soon.", wrong); });
  }
  NewMessage message{Sender::agent, MessageKind::visible, "Hello"};
  message.confidence = 0.5;
  refused(office, Code::invalid, "confidence",
          [&] { return desk.add_message(ticket.id, message); });
  message = {Sender::customer, MessageKind::internal_note, "Hello"};
  refused(office, Code::invalid, "kind", [&] { return desk.add_message(ticket.id, message); });
  refused(office, Code::not_found, "id", [&] { return desk.reply(Id<Ticket>(4711), "Hello"); });
  refused(office, Code::invalid, "confidence",
          [&] { return desk.classify(ticket.id, "refund", 1.5, Priority::low); });
  refused(office, Code::invalid, "category",
          [&] { return desk.classify(ticket.id, std::string(101, 'x'), 0.5, Priority::low); });
  refused(office, Code::not_found, "status", [&] { return desk.move(ticket.id, "nowhere"); });
  refused(office, Code::invalid, "tags", [&] { return desk.tag(ticket.id, {"good", ""}); });
  refused(office, Code::invalid, "tags",
          [&] { return desk.tag(ticket.id, {std::string(65, 'x')}); });
  std::vector<std::string> many;
  for (int i = 0; i < 51; ++i) many.push_back(std::to_string(i));
  refused(office, Code::invalid, "tags", [&] { return desk.tag(ticket.id, many); });
  CHECK(must(desk.find(ticket.id)).version == 1);
}

TEST_CASE("every transition: those of the table are made, all others are refused") {
  for (std::size_t f = 0; f < names<TicketState>.size(); ++f) {
    const auto from = static_cast<TicketState>(f);
    for (std::size_t t = 0; t < names<TicketState>.size(); ++t) {
      const auto to = static_cast<TicketState>(t);
      CAPTURE(name_of(from));
      CAPTURE(name_of(to));
      Office office;
      const Ticket before = ticket_in(office, from);
      REQUIRE(before.state == from);
      const auto move = [&] { return office.desk().move(before.id, name_of(to)); };
      // Only merging leads to merged.
      if (from != to && (!may_become(from, to) || to == TicketState::merged)) {
        refused(office, Code::conflict, "status", move);
        continue;
      }
      const Ticket after = must(move());
      CHECK(after.state == to);
      CHECK(after.status == name_of(to));
      const bool ended = to == TicketState::resolved || to == TicketState::closed;
      CHECK(after.resolved_at.has_value() == ended);
      CHECK(after.closed_at.has_value() == (to == TicketState::closed));
      const bool reopened =
          (from == TicketState::resolved || from == TicketState::closed) && to == TicketState::open;
      CHECK(after.reopen_count == (reopened ? 1 : 0));
      CHECK(must(office.desk().find(before.id)).state == to);
    }
  }
}

TEST_CASE("the numbers and names of what reaches the disk are frozen") {
  CHECK(static_cast<int>(TicketState::fresh) == 0);
  CHECK(static_cast<int>(TicketState::waiting_on_customer) == 4);
  CHECK(static_cast<int>(TicketState::merged) == 7);
  CHECK(names<TicketState>[0] == "new");
  CHECK(static_cast<int>(MessageKind::suggestion) == 2);
  CHECK(names<MessageKind>[0] == "public");
  CHECK(static_cast<int>(Review::rejected) == 4);
  CHECK(static_cast<int>(Sender::system) == 3);
  CHECK(static_cast<int>(TicketSource::api) == 4);
}

TEST_CASE("the picture in docs/tickets.md is what the table says") {
  std::string picture = "```mermaid\nstateDiagram-v2\n    [*] --> new\n";
  for (const TicketTransition& edge : ticket_transitions) {
    picture +=
        "    " + std::string(name_of(edge.from)) + " --> " + std::string(name_of(edge.to)) + "\n";
  }
  picture += "```\n";
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/docs/tickets.md");
  std::stringstream text;
  text << file.rdbuf();
  INFO(picture);
  CHECK(text.str().find(picture) != std::string::npos);
}

TEST_CASE("an office's own statuses: several of one state, one initial") {
  Office office;
  const Session system = office.system();
  must(support::create_default_statuses(system));  // they are there
  must(support::add_status(system, "in the workshop", TicketState::on_hold));
  refused(office, Code::exists, "name",
          [&] { return support::add_status(system, "in the workshop", TicketState::open); });
  refused(office, Code::exists, "initial",
          [&] { return support::add_status(system, "just in", TicketState::fresh, true); });
  refused(office, Code::invalid, "name",
          [&] { return support::add_status(system, "", TicketState::open); });
  refused(office, Code::invalid, "name",
          [&] { return support::add_status(system, std::string(65, 'x'), TicketState::open); });
  const Ticket ticket = ticket_in(office, TicketState::on_hold);
  const Ticket moved = must(office.desk().move(ticket.id, "in the workshop"));
  CHECK(moved.status == "in the workshop");
  CHECK(moved.state == TicketState::on_hold);
}

TEST_CASE("an office without statuses says how to make them") {
  Office office;
  const Id<Tenant> bare = must(office.access->create_tenant("Bare")).id;
  const Session there = office.access->system(bare);
  User user;
  user.email = "x@example.com";
  user.role = "customer";
  user = must(Repository<User>{there}.insert(user));
  NewTicket given;
  given.body = "Hello";
  given.customer = user.id;
  auto opened = Tickets{there}.open(given);
  REQUIRE(!opened);
  CHECK(opened.error().code == Code::not_found);
  CHECK(opened.error().message.find("create_default_statuses") != std::string::npos);
}

TEST_CASE("the first response is the first public message that is not the customer's") {
  Office office;
  const Ticket ticket = office.open();
  const Tickets desk = office.desk();
  office.clock.advance(std::chrono::minutes(1));
  must(desk.note(ticket.id, "Looks easy."));
  must(desk.suggest(ticket.id, "Soon.", 0.5));
  must(desk.add_message(ticket.id, customer_says("Hello?")));
  CHECK_FALSE(must(desk.find(ticket.id)).first_response_at);
  CHECK(must(desk.find(ticket.id)).state == TicketState::fresh);
  office.clock.advance(std::chrono::minutes(1));
  const Timestamp responded = office.clock.now();
  must(desk.reply(ticket.id, "It is on its way."));
  office.clock.advance(std::chrono::minutes(1));
  must(desk.reply(ticket.id, "And here."));
  const Ticket now = must(desk.find(ticket.id));
  CHECK(now.first_response_at == responded);
  CHECK(now.state == TicketState::open);
  CHECK(now.message_count == 6);
  const auto messages = must(desk.conversation(ticket.id));
  for (std::size_t i = 0; i < messages.size(); ++i) {
    CHECK(messages[i].sequence == static_cast<std::int64_t>(i + 1));
  }
  CHECK(must(desk.conversation(ticket.id, 4)).size() == 2);
  CHECK(must(desk.conversation(ticket.id, 0, 3)).size() == 3);
}

TEST_CASE("what a customer writes opens a ticket that waits for him or has ended") {
  for (std::size_t s = 0; s < names<TicketState>.size(); ++s) {
    const auto state = static_cast<TicketState>(s);
    if (state == TicketState::merged) continue;  // see merge_test
    CAPTURE(name_of(state));
    Office office;
    const Ticket before = ticket_in(office, state);
    must(office.desk().add_message(before.id, customer_says("Still broken.")));
    const Ticket after = must(office.desk().find(before.id));
    const bool ended = state == TicketState::resolved || state == TicketState::closed;
    const bool opens = state == TicketState::waiting_on_customer || ended;
    CHECK(after.state == (opens ? TicketState::open : state));
    CHECK(after.reopen_count == (ended ? 1 : 0));
    CHECK_FALSE(after.resolved_at);
    CHECK_FALSE(after.closed_at);
    CHECK(after.message_count == before.message_count + 1);
  }
}

TEST_CASE("a closed ticket opens again within the office's window, and after it a new one does") {
  Office office;
  const Session system = office.system();
  const Tickets desk = office.desk();
  CHECK(must(support::reopen_window(system)) == std::chrono::hours(24 * 14));
  must(support::set_reopen_window(system, std::chrono::hours(1)));
  CHECK(must(support::reopen_window(system)) == std::chrono::hours(1));

  const Ticket ticket = ticket_in(office, TicketState::closed);
  refused(office, Code::conflict, "status", [&] { return desk.reply(ticket.id, "Hello"); });
  refused(office, Code::conflict, "status", [&] { return desk.note(ticket.id, "Hello"); });
  office.clock.advance(std::chrono::hours(1));
  const Session cora = office.as("cora");
  CHECK(must(Tickets{cora}.reply(ticket.id, "Broken again.")).ticket == ticket.id);
  const Ticket again = must(desk.find(ticket.id));
  CHECK(again.state == TicketState::open);
  CHECK(again.reopen_count == 1);

  must(desk.move(ticket.id, "resolved"));
  must(desk.move(ticket.id, "closed"));
  office.clock.advance(std::chrono::hours(1) + Duration(1));
  refused(office, Code::conflict, "status", [&] { return desk.move(ticket.id, "open"); });
  const Message message = must(Tickets{cora}.reply(ticket.id, "And again."));
  CHECK(message.ticket != ticket.id);
  CHECK(message.sequence == 1);
  const Ticket made = must(desk.find(message.ticket));
  CHECK(made.subject == ticket.subject);
  CHECK(made.state == TicketState::fresh);
  const auto links = must(desk.links(ticket.id));
  REQUIRE(links.size() == 1);
  CHECK(links[0].type == LinkType::related);
  CHECK(links[0].b == made.id);
  CHECK(must(desk.find(ticket.id)).state == TicketState::closed);

  must(support::set_reopen_window(system, Duration(0)));
  const Ticket third = ticket_in(office, TicketState::closed);
  refused(office, Code::conflict, "status", [&] { return desk.move(third.id, "open"); });
  refused(office, Code::invalid, "reopen_window_s",
          [&] { return support::set_reopen_window(system, std::chrono::seconds(-1)); });
  refused(office, Code::forbidden, "",
          [&] { return support::set_reopen_window(office.as("ada"), std::chrono::hours(1)); });
}

TEST_CASE("a suggestion is decided on once, or again after it was left for a person") {
  Office office;
  const Ticket ticket = office.open();
  const Tickets desk = office.desk();
  const Message proposed = must(desk.suggest(ticket.id, "Soon.", 0.5));
  CHECK(proposed.review == Review::proposed);
  CHECK(proposed.sender == Sender::ai);
  for (const Review verdict : {Review::none, Review::proposed}) {
    refused(office, Code::invalid, "review", [&] { return desk.review(proposed.id, verdict); });
  }
  CHECK(must(desk.review(proposed.id, Review::left_for_person)).review == Review::left_for_person);
  CHECK(must(desk.review(proposed.id, Review::accepted)).review == Review::accepted);
  refused(office, Code::conflict, "review",
          [&] { return desk.review(proposed.id, Review::rejected); });
  const Message first = must(desk.conversation(ticket.id)).front();
  refused(office, Code::conflict, "review",
          [&] { return desk.review(first.id, Review::accepted); });
}

TEST_CASE("a reviewer's rule decides with the suggestion") {
  Office office;
  const Ticket ticket = office.open();
  const Predicate sure = col(&Message::confidence) >= 0.8;
  CHECK(must(office.desk().suggest(ticket.id, "Soon.", 0.8, sure)).review == Review::accepted);
  CHECK(must(office.desk().suggest(ticket.id, "Soon.", 0.79, sure)).review ==
        Review::left_for_person);
  const Predicate now = must(Predicate::parse(table_of<Message>(), "created_at < now()"));
  refused(office, Code::invalid, "",
          [&] { return office.desk().suggest(ticket.id, "Soon.", 0.8, now); });
}

TEST_CASE("priority and tags are what was set last") {
  Office office;
  const Ticket ticket = office.open();
  CHECK(must(office.desk().prioritize(ticket.id, Priority::urgent)).priority == Priority::urgent);
  const Ticket tagged = must(office.desk().tag(ticket.id, {"vip", "parcel", "vip"}));
  CHECK(tagged.tags == std::vector<std::string>{"vip", "parcel"});
  CHECK(must(office.desk().tag(ticket.id, {})).tags.empty());
}

TEST_CASE("what triage found opens a new ticket; unsure keeps no category") {
  Office office;
  const Ticket ticket = office.open();
  const Ticket sure = must(office.desk().classify(ticket.id, "refund", 0.9, Priority::high));
  CHECK(sure.category == "refund");
  CHECK(sure.confidence == 0.9);
  CHECK(sure.priority == Priority::high);
  CHECK(sure.state == TicketState::open);
  CHECK(sure.triaged_at == office.clock.now());
  const Ticket unsure = must(office.desk().classify(ticket.id, "", 0.2, Priority::high));
  CHECK_FALSE(unsure.category);
  CHECK(unsure.confidence == 0.2);
  must(office.desk().move(ticket.id, "resolved"));
  refused(office, Code::conflict, "status",
          [&] { return office.desk().classify(ticket.id, "refund", 0.9, Priority::high); });
  refused(office, Code::conflict, "status", [&] { return office.desk().route(ticket.id); });
}

TEST_CASE("what several calls on one unit do is there together, or not at all") {
  Office office;
  const Ticket ticket = office.open();
  const std::int64_t before = office.changes();
  auto outcome = office.system().write([&](Unit& unit) -> Result<Ticket> {
    BUREAU_TRY_VOID(Tickets{unit}.reply(ticket.id, "Hello"));
    BUREAU_TRY_VOID(Tickets{unit}.move(ticket.id, "resolved"));
    return Tickets{unit}.move(ticket.id, "on_hold");  // not from resolved
  });
  CHECK(outcome.error().code == Code::conflict);
  CHECK(office.changes() == before);
  CHECK(must(office.desk().find(ticket.id)).message_count == 1);
}
