#include <rapidcheck.h>

#include "counts.hpp"
#include "support/office.hpp"

using namespace office;

namespace {

std::string holder(Office& office, const Ticket& ticket) {
  for (const auto& [name, id] : office.people) {
    if (ticket.assignee == id) return name;
  }
  return {};
}

Ticket routed(Office& office, const std::string& category) {
  return must(office.desk().route(office.triaged(category).id));
}

/// Counts anew what the workloads say.
std::map<std::string, std::int64_t> recount(Office& office) {
  std::map<std::string, std::int64_t> loads;
  const Session s = office.system();
  for (const Ticket& t : must(Repository<Ticket>{s}.list({.limit = 10'000}))) {
    if (t.assignee && is_open(t.state)) ++loads[holder(office, t)];
  }
  return loads;
}

void check_loads(Office& office) {
  auto counted = recount(office);
  for (const auto& [name, id] : office.people) CHECK(office.load(name) == counted[name]);
}

}  // namespace

TEST_CASE("a ticket goes to the team with its skill, and there to whom has the least to do") {
  Office office;
  const Ticket first = routed(office, "refund");
  CHECK(first.team == office.teams["money"]);
  CHECK(holder(office, first) == "ada");  // equal loads: the lower id
  CHECK(first.routed_at == office.clock.now());
  CHECK(holder(office, routed(office, "invoice")) == "ben");
  CHECK(holder(office, routed(office, "refund")) == "ada");
  must(office.desk().move(first.id, "resolved"));
  CHECK(office.load("ada") == 1);
  CHECK(holder(office, routed(office, "refund")) == "ada");
  CHECK(holder(office, routed(office, "delivery")) == "eve");
}

TEST_CASE("of two teams with the skill, the one with the lower id") {
  Office office;
  office.team("late", {"refund"}, {"eve"});
  CHECK(routed(office, "refund").team == office.teams["money"]);
}

TEST_CASE("without a category, or a team for it, a ticket stays where it is") {
  Office office;
  const Ticket unknown = routed(office, "weather");
  CHECK_FALSE(unknown.team);
  CHECK_FALSE(unknown.assignee);
  CHECK(unknown.routed_at);
  const Ticket unsure = office.triaged("");
  must(office.desk().assign(unsure.id, office.teams["parcels"], office.people["eve"]));
  const Ticket stays = must(office.desk().route(unsure.id));
  CHECK(stays.team == office.teams["parcels"]);
  CHECK(holder(office, stays) == "eve");
  CHECK(office.load("eve") == 1);
}

TEST_CASE("who is full, away or disabled gets nothing; then the team has it") {
  Office office;
  const Session system = office.system();
  office.team("small", {"repair"}, {"ada", "ben"}, 1);
  CHECK(holder(office, routed(office, "repair")) == "ada");
  CHECK(holder(office, routed(office, "repair")) == "ben");
  const Ticket waits = routed(office, "repair");
  CHECK(waits.team == office.teams["small"]);
  CHECK_FALSE(waits.assignee);

  const Repository<Membership> memberships{system};
  for (const Membership& m : must(memberships.list({}))) {
    if (m.team != office.teams["money"] || m.user != office.people["ada"]) continue;
    must(memberships.change(m.id, [](Membership& row) { row.available = false; }));
  }
  CHECK(holder(office, routed(office, "refund")) == "ben");
  must(Repository<User>{system}.change(office.people["ben"],
                                       [](User& u) { u.status = UserStatus::disabled; }));
  CHECK_FALSE(routed(office, "refund").assignee);
}

TEST_CASE("routing again does not count the ticket against its own holder") {
  Office office;
  const Ticket first = routed(office, "refund");
  REQUIRE(holder(office, first) == "ada");
  const Ticket again = must(office.desk().route(first.id));
  CHECK(holder(office, again) == "ada");
  CHECK(office.load("ada") == 1);
  CHECK(office.load("ben") == 0);
}

TEST_CASE("an assignee is active and in the ticket's team") {
  Office office;
  const Ticket ticket = office.open();
  const Tickets desk = office.desk();
  refused(office, Code::invalid, "assignee",
          [&] { return desk.assign(ticket.id, office.teams["money"], office.people["eve"]); });
  refused(office, Code::invalid, "assignee",
          [&] { return desk.assign(ticket.id, {}, Id<User>(4711)); });
  refused(office, Code::not_found, "team",
          [&] { return desk.assign(ticket.id, Id<Team>(4711), {}); });
  CHECK(holder(office, must(desk.assign(ticket.id, {}, office.people["eve"]))) == "eve");
  CHECK(office.load("eve") == 1);
  must(desk.move(ticket.id, "resolved"));
  CHECK(office.load("eve") == 0);
  must(desk.move(ticket.id, "closed"));
  refused(office, Code::conflict, "status", [&] { return desk.assign(ticket.id, {}, {}); });
}

TEST_CASE("workloads are what a recount says, after any history") {
  const int histories = counts::cases(40, 1000);
  for (int seed = 0; seed < histories; ++seed) {
    CAPTURE(seed);
    Office office;
    SeededRandom random(static_cast<std::uint64_t>(seed));
    std::vector<Id<Ticket>> tickets;
    const auto pick = [&](const auto& from) { return from[random.below(from.size())]; };
    const std::vector<std::string> staff = {"ada", "ben", "eve"};
    const std::vector<std::string> categories = {"refund", "invoice", "delivery", "weather", ""};
    for (int step = 0; step < 60; ++step) {
      if (tickets.empty() || random.below(4) == 0) {
        tickets.push_back(office.open().id);
        continue;
      }
      const Id<Ticket> ticket = pick(tickets);
      const Tickets desk = office.desk();
      // Whatever is refused must leave the loads alone, too.
      switch (random.below(6)) {
        case 0:
          (void)desk.classify(ticket, pick(categories), 0.5, Priority::normal);
          break;
        case 1:
          (void)desk.route(ticket);
          break;
        case 2:
          (void)desk.assign(ticket, {}, office.people[pick(staff)]);
          break;
        case 3:
          (void)desk.assign(ticket, {}, {});
          break;
        case 4:
          (void)desk.move(ticket, pick(names<TicketState>));
          break;
        default:
          (void)desk.add_message(ticket, {Sender::customer, MessageKind::visible, "Hello"});
          break;
      }
    }
    check_loads(office);
    CHECK(must(support::recount_workloads(office.system())) == 0);
  }
}

TEST_CASE("a recount mends what was changed by other ways") {
  Office office;
  const Session system = office.system();
  const Ticket ticket = routed(office, "refund");
  must(Repository<Ticket>{system}.change(ticket.id,
                                         [&](Ticket& t) { t.assignee = office.people["ben"]; }));
  CHECK(must(support::recount_workloads(system)) == 2);
  check_loads(office);
  CHECK(office.load("ben") == 1);
  auto person = support::recount_workloads(office.as("mia"));
  REQUIRE(!person);
  CHECK(person.error().code == Code::forbidden);
}
