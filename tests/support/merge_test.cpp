#include <algorithm>
#include <map>
#include <set>

#include "bureau/support/automation.hpp"
#include "counts.hpp"
#include "support/office.hpp"

using namespace office;

namespace {

/// What the library itself has written.
bool is_history(const Message& m) {
  if (m.sender != Sender::system || m.kind != MessageKind::internal_note) return false;
  return m.body.find("erged into") != std::string::npos ||
         m.body.find("plit off") != std::string::npos;
}

std::vector<std::string> bodies(Office& office, Id<Ticket> ticket) {
  std::vector<std::string> out;
  for (const Message& m : must(office.desk().conversation(ticket))) {
    if (!is_history(m)) out.push_back(m.body);
  }
  return out;
}

std::string history(Office& office, Id<Ticket> ticket) {
  std::string out;
  for (const Message& m : must(office.desk().conversation(ticket))) {
    if (is_history(m)) out += m.body;
  }
  return out;
}

void is_dense(Office& office, Id<Ticket> id) {
  const auto messages = must(office.desk().conversation(id));
  CHECK(must(office.desk().find(id)).message_count == static_cast<std::int64_t>(messages.size()));
  for (std::size_t i = 0; i < messages.size(); ++i) {
    CHECK(messages[i].sequence == static_cast<std::int64_t>(i + 1));
  }
}

NewMessage customer_says(std::string body) {
  return {Sender::customer, MessageKind::visible, std::move(body)};
}

}  // namespace

TEST_CASE("merging moves messages and links, and both tickets tell it") {
  Office office;
  const Tickets desk = office.desk();
  const Ticket source = office.open("cora", "One"), target = office.open("cora", "Two");
  const Ticket third = office.open("carl", "Three");
  must(desk.assign(source.id, {}, office.people["ada"]));
  must(desk.reply(source.id, "We look."));
  const Message draft = must(desk.suggest(source.id, "Soon.", 0.4));
  must(desk.link(source.id, LinkType::causes, third.id));
  must(desk.link(source.id, LinkType::parent, target.id));
  must(desk.note(target.id, "Hm."));
  CHECK(office.load("ada") == 1);

  const Ticket grown = must(desk.merge(source.id, target.id));
  CHECK(grown.id == target.id);
  CHECK(bodies(office, target.id) ==
        std::vector<std::string>{"Two", "Hm.", "One", "We look.", "Soon."});
  CHECK(bodies(office, source.id).empty());
  is_dense(office, source.id);
  is_dense(office, target.id);
  CHECK(history(office, source.id) == "Merged into ticket 2, with 3 messages.");
  CHECK(history(office, target.id) == "Ticket 1 was merged into this one: messages 3 to 5.");
  const Ticket ended = must(desk.find(source.id));
  CHECK(ended.state == TicketState::merged);
  CHECK(ended.merged_into == target.id);
  CHECK(office.load("ada") == 0);
  // An answered ticket is no new one, and a draft waits where its conversation is.
  CHECK(grown.state == TicketState::open);
  CHECK(grown.first_response_at == ended.first_response_at);
  CHECK(must(desk.messages().find(draft.id)).review == Review::proposed);
  CHECK(must(desk.review(draft.id, Review::accepted)).ticket == target.id);

  const auto links = must(desk.links(target.id));
  REQUIRE(links.size() == 1);  // not the one between the two
  CHECK(links[0].a == target.id);
  CHECK(links[0].b == third.id);
  CHECK(must(desk.links(source.id)).empty());

  must(desk.add_message(source.id, customer_says("And now?")));
  CHECK(bodies(office, target.id).back() == "And now?");
  refused(office, Code::conflict, "status", [&] { return desk.move(source.id, "open"); });
  refused(office, Code::conflict, "status", [&] { return desk.assign(source.id, {}, {}); });
}

TEST_CASE("a reply goes through several mergers to the last, which also takes what is merged") {
  Office office;
  const Tickets desk = office.desk();
  const Ticket a = office.open(), b = office.open(), c = office.open(), d = office.open();
  must(desk.merge(a.id, b.id));
  must(desk.merge(b.id, c.id));
  CHECK(must(desk.merge(d.id, a.id)).id == c.id);
  CHECK(must(desk.find(d.id)).merged_into == c.id);
  CHECK(must(desk.add_message(a.id, customer_says("Hello?"))).ticket == c.id);
  const Session cora = office.as("cora");
  CHECK(must(Tickets{cora}.reply(b.id, "Me again.")).ticket == c.id);
  is_dense(office, c.id);
}

TEST_CASE("what cannot be merged is refused, and nothing is changed") {
  Office office;
  const Tickets desk = office.desk();
  const Ticket a = office.open(), b = office.open(), other = office.open("carl");
  refused(office, Code::invalid, "target", [&] { return desk.merge(a.id, a.id); });
  refused(office, Code::invalid, "target", [&] { return desk.merge(a.id, other.id); });
  refused(office, Code::not_found, "id", [&] { return desk.merge(a.id, Id<Ticket>(4711)); });
  refused(office, Code::not_found, "id", [&] { return desk.merge(Id<Ticket>(4711), a.id); });
  must(desk.merge(a.id, b.id));
  refused(office, Code::conflict, "target", [&] { return desk.merge(b.id, a.id); });
  refused(office, Code::conflict, "status", [&] { return desk.merge(a.id, b.id); });
  const Ticket closed = office.open(), open = office.open();
  must(desk.move(closed.id, "resolved"));
  refused(office, Code::conflict, "status", [&] { return desk.merge(closed.id, open.id); });
  must(desk.move(closed.id, "closed"));
  refused(office, Code::conflict, "status", [&] { return desk.merge(open.id, closed.id); });
  // Parents would go in a circle: x above y above z, and z is merged into x.
  const Ticket x = office.open(), y = office.open(), z = office.open();
  must(desk.link(x.id, LinkType::parent, y.id));
  must(desk.link(y.id, LinkType::parent, z.id));
  refused(office, Code::conflict, "link", [&] { return desk.merge(z.id, x.id); });
  CHECK(must(desk.find(z.id)).state == TicketState::fresh);
}

TEST_CASE("who merges must see and change both; a hidden ticket is one that is not there") {
  Office office;
  const Tickets desk = office.desk();
  const Ticket mine = office.open(), theirs = office.open();
  must(desk.assign(mine.id, office.teams["money"], {}));
  must(desk.assign(theirs.id, office.teams["parcels"], {}));
  const Session ada = office.as("ada"), cora = office.as("cora"), mia = office.as("mia");
  refused(office, Code::not_found, "id", [&] { return Tickets{ada}.merge(mine.id, theirs.id); });
  refused(office, Code::not_found, "id", [&] { return Tickets{ada}.merge(theirs.id, mine.id); });
  refused(office, Code::forbidden, "", [&] { return Tickets{cora}.merge(mine.id, theirs.id); });
  refused(office, Code::not_found, "id",
          [&] { return Tickets{ada}.link(mine.id, LinkType::related, theirs.id); });
  refused(office, Code::forbidden, "",
          [&] { return Tickets{cora}.link(mine.id, LinkType::related, theirs.id); });
  const TicketLink link = must(Tickets{mia}.link(mine.id, LinkType::related, theirs.id));
  CHECK(must(Tickets{ada}.links(mine.id)).empty());  // the other end is hidden
  refused(office, Code::not_found, "id", [&] { return Tickets{ada}.unlink(link.id); });
  must(Tickets{mia}.unlink(link.id));
  must(Tickets{mia}.merge(theirs.id, mine.id));
  // Merged into what he does not see, it cannot be written to.
  const Ticket third = office.open();
  must(desk.merge(third.id, must(desk.assign(mine.id, office.teams["parcels"], {})).id));
  refused(office, Code::not_found, "id", [&] { return Tickets{ada}.note(third.id, "Hm."); });
}

TEST_CASE("links: one form, once, no ticket with itself, parents in no circle") {
  Office office;
  const Tickets desk = office.desk();
  const Ticket a = office.open(), b = office.open(), c = office.open();
  const TicketLink up = must(desk.link(b.id, LinkType::child, a.id));
  CHECK(up.type == LinkType::parent);
  CHECK(up.a == a.id);
  CHECK(must(desk.link(a.id, LinkType::parent, b.id)).id == up.id);
  const TicketLink related = must(desk.link(c.id, LinkType::related, a.id));
  CHECK(must(desk.link(a.id, LinkType::related, c.id)).id == related.id);
  must(desk.link(b.id, LinkType::parent, c.id));
  refused(office, Code::conflict, "link", [&] { return desk.link(c.id, LinkType::parent, a.id); });
  refused(office, Code::conflict, "link", [&] { return desk.link(a.id, LinkType::child, c.id); });
  refused(office, Code::invalid, "link", [&] { return desk.link(a.id, LinkType::causes, a.id); });
  must(desk.link(c.id, LinkType::causes, a.id));  // only parents must not go in a circle
  CHECK(must(desk.links(a.id)).size() == 3);
  // An agent may take away what he may make.
  const Session ada = office.as("ada");
  must(Tickets{ada}.unlink(up.id));
  CHECK(must(desk.links(b.id)).size() == 1);
  CHECK(static_cast<int>(LinkType::causes) == 4);
  CHECK(names<LinkType>[0] == "parent");
}

TEST_CASE("splitting makes a linked ticket of some messages, and the others close ranks") {
  Office office;
  const Tickets desk = office.desk();
  const Ticket source = office.open("cora", "One");
  must(desk.assign(source.id, office.teams["money"], office.people["ada"]));
  must(desk.reply(source.id, "We look."));
  office.clock.advance(std::chrono::minutes(1));
  const Message second = must(desk.add_message(source.id, customer_says("Also a refund\nplease")));
  const Message answer = must(desk.reply(source.id, "Granted."));
  must(desk.note(source.id, "Hm."));

  const Session ada = office.as("ada");
  const Ticket made = must(Tickets{ada}.split(source.id, {{answer.id, second.id}}));
  CHECK(made.number == 2);
  CHECK(made.subject == "Also a refund");
  CHECK(made.assignee == office.people["ada"]);
  CHECK(made.state == TicketState::open);  // it was answered
  CHECK(made.first_response_at == answer.created_at);
  CHECK(office.load("ada") == 2);
  CHECK(bodies(office, made.id) == std::vector<std::string>{"Also a refund\nplease", "Granted."});
  CHECK(bodies(office, source.id) == std::vector<std::string>{"One", "We look.", "Hm."});
  is_dense(office, made.id);
  is_dense(office, source.id);
  CHECK(history(office, source.id) == "2 messages were split off: ticket 2.");
  CHECK(history(office, made.id) == "Split off from ticket 1.");
  const auto links = must(desk.links(made.id));
  REQUIRE(links.size() == 1);
  CHECK(links[0].type == LinkType::related);

  const auto first = must(desk.conversation(source.id)).front();
  const auto rest = must(desk.conversation(source.id));
  refused(office, Code::invalid, "messages", [&] { return desk.split(source.id, {}); });
  refused(office, Code::not_found, "messages",
          [&] { return desk.split(source.id, {{second.id}}); });
  refused(office, Code::invalid, "messages", [&] { return desk.split(source.id, {{rest[1].id}}); });
  std::vector<Id<Message>> all;
  for (const Message& m : rest) all.push_back(m.id);
  refused(office, Code::invalid, "messages", [&] { return desk.split(source.id, {all}); });
  refused(office, Code::invalid, "subject", [&] {
    return desk.split(source.id, {{first.id}, std::string(501, 'x')});
  });
  const Session cora = office.as("cora");
  refused(office, Code::forbidden, "",
          [&] { return Tickets{cora}.split(source.id, {{first.id}}); });
}

TEST_CASE("triggers follow a split: the source was updated, the new ticket created, each once") {
  Office office;
  const Session system = office.system();
  const auto note = [&](const char* name, TicketEvent event) {
    NewTrigger trigger;
    trigger.name = name;
    trigger.events = {event};
    trigger.actions = {{ActionKind::note, name}, {ActionKind::add_tags, Json::array({Json(name)})}};
    must(Triggers{system}.save(trigger));
  };
  const Tickets desk = office.desk();
  const Ticket source = office.open("cora", "One");
  const Message second = must(desk.add_message(source.id, customer_says("Two")));
  note("updated", TicketEvent::updated);
  note("created", TicketEvent::created);
  const Ticket made = must(desk.split(source.id, {{second.id}}));
  // What "created" does to the new ticket updates it in its turn.
  CHECK(bodies(office, made.id) == std::vector<std::string>{"Two", "created", "updated"});
  CHECK(made.tags == std::vector<std::string>{"created", "updated"});
  CHECK(bodies(office, source.id) == std::vector<std::string>{"One", "updated"});
  is_dense(office, made.id);
  is_dense(office, source.id);
}

TEST_CASE("work on a ticket goes on after its customer, its team or its person was removed") {
  Office office;
  const Session system = office.system(), mia = office.as("mia");
  const Tickets desk{mia};
  office.team("gone", {}, {"ben"});
  const Ticket ticket = office.open("carl", "One");
  must(desk.assign(ticket.id, office.teams["gone"], office.people["ben"]));
  const Message second = must(desk.add_message(ticket.id, customer_says("Two")));
  must(Repository<Team>{system}.remove(office.teams["gone"]));
  must(Repository<User>{system}.remove(office.people["ben"]));
  must(Repository<User>{system}.remove(office.people["carl"]));

  must(desk.note(ticket.id, "He has left."));
  must(desk.reply(ticket.id, "We close it."));
  const CannedReply reply =
      must(CannedReplies{mia}.save({"bye", "Dear {customer}: {team}, {assignee}, {number}"}));
  CHECK(must(CannedReplies{mia}.render(reply.id, ticket.id)) == "Dear : , , 1");
  const std::vector<Id<Ticket>> ids = {ticket.id};
  must(desk.change_all(ids, {{ActionKind::reply, {}, {}, "bye"}}));
  const Ticket made = must(desk.split(ticket.id, {{second.id}}));
  CHECK(made.customer == office.people["carl"]);
  CHECK(made.team == office.teams["gone"]);
  CHECK(made.assignee == office.people["ben"]);
  must(desk.note(made.id, "And this."));
  is_dense(office, ticket.id);
  is_dense(office, made.id);
  // What is named anew must be there.
  const Ticket other = office.open();
  refused(office, Code::not_found, "team",
          [&] { return desk.assign(other.id, office.teams["gone"], {}); });
  NewMessage as_ben{Sender::agent, MessageKind::visible, "Me"};
  as_ben.author = office.people["ben"];
  refused(office, Code::not_found, "author", [&] { return desk.add_message(made.id, as_ben); });
  NewTicket anew;
  anew.body = "Again";
  anew.customer = office.people["carl"];
  refused(office, Code::not_found, "customer", [&] { return desk.open(anew); });
}

// The whole of it against a model that is too simple to be wrong -------------------------------

namespace {

struct Model {
  struct Row {
    std::vector<std::string> messages;  // bodies, without history
    int into = -1;
    bool is_open = true;
    std::string holder;
  };
  std::vector<Row> rows;
  [[nodiscard]] int final_of(int at) const {
    while (rows[static_cast<std::size_t>(at)].into >= 0)
      at = rows[static_cast<std::size_t>(at)].into;
    return at;
  }
};

bool parents_in_circle(const std::vector<TicketLink>& links) {
  std::multimap<std::int64_t, std::int64_t> down;
  std::set<std::int64_t> nodes;
  for (const TicketLink& link : links) {
    if (link.type != LinkType::parent) continue;
    down.emplace(link.a.value, link.b.value);
    nodes.insert(link.a.value);
  }
  for (const std::int64_t start : nodes) {
    std::set<std::int64_t> seen;
    std::vector<std::int64_t> open = {start};
    while (!open.empty()) {
      const std::int64_t at = open.back();
      open.pop_back();
      const auto range = down.equal_range(at);
      for (auto it = range.first; it != range.second; ++it) {
        if (it->second == start) return true;
        if (seen.insert(it->second).second) open.push_back(it->second);
      }
    }
  }
  return false;
}

/// One ticket may stand for itself or for the one that it went into; whatever is refused must be
/// refused by the model too.
struct Play {
  Office office;
  Model model;
  std::vector<Id<Ticket>> ids;
  int next = 0;

  std::string body() { return "m" + std::to_string(next++); }
  void open() {
    const std::string text = body();
    ids.push_back(office.open("cora", text).id);
    model.rows.push_back({{text}, -1, true, {}});
  }
  void write(int at) {
    const std::string text = body();
    const int into = model.final_of(at);
    const auto made = must(office.desk().add_message(ids[static_cast<std::size_t>(at)],
                                                     {Sender::agent, MessageKind::visible, text}));
    CHECK(made.ticket == ids[static_cast<std::size_t>(into)]);
    model.rows[static_cast<std::size_t>(into)].messages.push_back(text);
  }
  void merge(int from, int to) {
    Model::Row& source = model.rows[static_cast<std::size_t>(from)];
    const int into = model.final_of(to);
    const auto merged =
        office.desk().merge(ids[static_cast<std::size_t>(from)], ids[static_cast<std::size_t>(to)]);
    const bool may = source.into < 0 && source.is_open && into != from;
    if (!may) {
      CHECK_FALSE(merged);
      return;
    }
    if (!merged) {  // only because of links
      CHECK(merged.error().field == "link");
      return;
    }
    Model::Row& target = model.rows[static_cast<std::size_t>(into)];
    target.messages.insert(target.messages.end(), source.messages.begin(), source.messages.end());
    source.messages.clear();
    source.into = into;
  }
  void split(int at) {
    Model::Row& source = model.rows[static_cast<std::size_t>(at)];
    const Id<Ticket> id = ids[static_cast<std::size_t>(at)];
    const auto messages = must(office.desk().conversation(id));
    std::vector<Id<Message>> chosen;
    std::vector<std::string> gone, kept;
    for (const Message& m : messages) {
      if (is_history(m)) continue;
      const bool goes = chosen.empty() ? m.sender == Sender::customer && m.sequence > 1
                                       : office.random.below(2) == 0;
      (goes ? gone : kept).push_back(m.body);
      if (goes) chosen.push_back(m.id);
    }
    const auto made = office.desk().split(id, {chosen});
    if (chosen.empty() || source.into >= 0) {
      CHECK_FALSE(made);
      return;
    }
    source.messages = kept;
    ids.push_back(must(made).id);
    Model::Row part{gone, -1, source.is_open, source.holder};
    part.is_open = true;
    model.rows.push_back(part);
  }
  void check() {
    std::map<std::string, std::int64_t> loads;
    std::size_t messages = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      CHECK(bodies(office, ids[i]) == model.rows[i].messages);
      is_dense(office, ids[i]);
      messages += model.rows[i].messages.size();
      const Ticket ticket = must(office.desk().find(ids[i]));
      CHECK(ticket.number == static_cast<std::int64_t>(i + 1));
      CHECK((ticket.state == TicketState::merged) == ticket.merged_into.has_value());
      CHECK(ticket.merged_into.has_value() == (model.rows[i].into >= 0));
      if (ticket.merged_into) continue;  // what it was answered at stays
      std::optional<Timestamp> first;
      for (const Message& m : must(office.desk().conversation(ids[i]))) {
        if (m.sender == Sender::customer || m.kind != MessageKind::visible) continue;
        if (!first || m.created_at < *first) first = m.created_at;
      }
      CHECK(ticket.first_response_at == first);
    }
    CHECK(messages == static_cast<std::size_t>(next));  // none was lost or doubled
    CHECK(must(support::recount_workloads(office.system())) == 0);
    const Session system = office.system();
    const auto links = must(Repository<TicketLink>{system}.list({.limit = 10'000}));
    CHECK_FALSE(parents_in_circle(links));
    std::set<std::tuple<std::int64_t, std::int64_t, int>> once;
    for (const TicketLink& link : links) {
      CHECK(link.a != link.b);
      CHECK(once.emplace(link.a.value, link.b.value, static_cast<int>(link.type)).second);
      for (const Id<Ticket> end : {link.a, link.b}) {
        CHECK(must(office.desk().find(end)).state != TicketState::merged);
      }
    }
  }
};

}  // namespace

TEST_CASE("no message is lost or doubled, and parents go in no circle, after any history") {
  const int histories = counts::cases(30, 500);
  for (int seed = 0; seed < histories; ++seed) {
    CAPTURE(seed);
    Play play;
    SeededRandom random(static_cast<std::uint64_t>(seed));
    const auto any = [&] { return static_cast<int>(random.below(play.ids.size())); };
    for (int i = 0; i < 5; ++i) play.open();
    for (int step = 0; step < 50; ++step) {
      play.office.clock.advance(std::chrono::seconds(1));
      const int at = any(), other = any();
      const Id<Ticket> a = play.ids[static_cast<std::size_t>(at)],
                       b = play.ids[static_cast<std::size_t>(other)];
      switch (random.below(8)) {
        case 0:
          play.open();
          break;
        case 1:
          play.merge(at, other);
          break;
        case 2:
          play.split(at);
          break;
        case 3:
        case 4:
          (void)play.office.desk().link(a, static_cast<LinkType>(random.below(5)), b);
          break;
        case 5:
          (void)play.office.desk().assign(a, {}, play.office.people["ada"]);
          break;
        case 6: {
          const std::string text = play.body();
          const int into = play.model.final_of(at);
          must(play.office.desk().add_message(a, customer_says(text)));
          play.model.rows[static_cast<std::size_t>(into)].messages.push_back(text);
          break;
        }
        default:
          play.write(at);
          break;
      }
    }
    play.check();
  }
}
