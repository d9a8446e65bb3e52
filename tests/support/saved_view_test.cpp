#include "bureau/support/saved_view.hpp"

#include "bureau/support/presence.hpp"
#include "support/office.hpp"

using namespace office;

TEST_CASE("a view shows each what his rights let him see, in its order, page by page") {
  Office office;
  const Session mia = office.as("mia"), ada = office.as("ada"), eve = office.as("eve");
  for (int i = 0; i < 5; ++i) {
    const Ticket ticket = office.open();
    must(office.desk().prioritize(ticket.id, static_cast<Priority>(i % 4)));
    must(office.desk().assign(ticket.id, office.teams[i < 3 ? "money" : "parcels"], {}));
  }
  const SavedView view = must(SavedViews{mia}.save({"by weight",
                                                    "state <= \"open\"",
                                                    "priority desc, number",
                                                    {"number", "subject"},
                                                    Sharing::office}));
  const auto numbers = [&](const Session& who, std::uint64_t limit = 100) {
    std::vector<std::int64_t> out;
    std::string cursor;
    do {
      auto page = must(Tickets{who}.view(view.id, limit, cursor));
      for (const Ticket& t : page.items) out.push_back(t.number);
      cursor = page.next;
    } while (!cursor.empty());
    return out;
  };
  using Numbers = std::vector<std::int64_t>;
  CHECK(numbers(mia) == Numbers{4, 3, 2, 1, 5});
  CHECK(numbers(mia, 2) == Numbers{4, 3, 2, 1, 5});
  CHECK(numbers(ada) == Numbers{3, 2, 1});
  CHECK(numbers(eve) == Numbers{4, 5});
  const Session cora = office.as("cora");
  refused(office, Code::not_found, "id", [&] { return Tickets{cora}.view(view.id); });

  // $user is who looks, not who saved it.
  must(office.desk().assign(must(office.desk().by_number(1))->id, {}, office.people["ada"]));
  const SavedView mine =
      must(SavedViews{mia}.save({"mine", "assignee = $user", "", {}, Sharing::office}));
  CHECK(must(Tickets{ada}.view(mine.id)).items.size() == 1);
  CHECK(must(Tickets{eve}.view(mine.id)).items.empty());
}

TEST_CASE("a view that is wrong is refused when it is saved: field, value, rule") {
  Office office;
  const Session ada = office.as("ada"), eve = office.as("eve");
  const SavedViews views{ada};
  const auto bad = [&](const char* field, const NewView& view) {
    refused(office, Code::invalid, field, [&] { return views.save(view); });
  };
  bad("name", {""});
  bad("condition", {"v", "staus = \"open\""});
  bad("condition", {"v", "priority = \"huge\""});
  bad("condition", {"v", "number = \"three\""});
  bad("condition", {"v", "number ="});
  bad("condition", {"v", "assignee = $nobody"});
  bad("sort", {"v", "", "weight"});
  bad("sort", {"v", "", "number up"});
  bad("sort", {"v", "", "tags"});
  bad("sort", {"v", "", "number, , subject"});
  bad("columns", {"v", "", "", {"number", "weight"}});
  bad("team", {"v", "", "", {}, Sharing::team});
  bad("team", {"v", "", "", {}, Sharing::own, office.teams["money"]});
  refused(office, Code::forbidden, "", [&] {
    return views.save({"v", "", "", {}, Sharing::office});
  });
  refused(office, Code::forbidden, "", [&] {
    return views.save({"v", "", "", {}, Sharing::team, office.teams["parcels"]});
  });
  const SavedView made = must(views.save({"v", "priority >= \"high\"", "number desc"}));
  const SavedView again = must(views.save({"v", "", "number"}));
  CHECK(again.id == made.id);
  CHECK(again.condition.empty());
  CHECK(again.version == 2);
  const Session mia = office.as("mia");
  refused(office, Code::not_found, "id", [&] { return SavedViews{eve}.remove(made.id); });
  refused(office, Code::not_found, "id", [&] { return Tickets{mia}.view(made.id); });
  const SavedView shared =
      must(views.save({"v", "", "", {}, Sharing::team, office.teams["money"]}));
  const Session ben = office.as("ben");
  CHECK(must(Tickets{ben}.view(shared.id)).items.empty());
  refused(office, Code::forbidden, "", [&] { return SavedViews{ben}.remove(shared.id); });
  CHECK(must(views.named("v")).id == made.id);
  must(views.remove(made.id));
  CHECK(must(views.named("v")).id == shared.id);
  refused(office, Code::not_found, "view", [&] { return views.named("w"); });
}

TEST_CASE("presence: who is there, until the clock or he himself says otherwise") {
  Office office;
  const Session ada = office.as("ada"), ben = office.as("ben"), eve = office.as("eve"),
                cora = office.as("cora");
  const Ticket ticket = office.open();
  must(office.desk().assign(ticket.id, office.teams["money"], {}));
  const std::int64_t changes = office.changes();
  must(Presences{ada}.heartbeat(ticket.id));
  office.clock.advance(std::chrono::seconds(20));
  must(Presences{ben}.heartbeat(ticket.id, Doing::writing));
  const auto there = [&](const Session& who) {
    std::vector<std::pair<Id<User>, Doing>> out;
    for (const Presence& p : must(Presences{who}.on(ticket.id))) out.emplace_back(p.user, p.doing);
    return out;
  };
  using Seen = std::vector<std::pair<Id<User>, Doing>>;
  const Id<User> a = office.people["ada"], b = office.people["ben"];
  CHECK(there(ben) == Seen{{a, Doing::looking}, {b, Doing::writing}});
  office.clock.advance(std::chrono::seconds(10));
  CHECK(there(ben) == Seen{{b, Doing::writing}});  // ada was silent for 30 s
  must(Presences{ada}.heartbeat(ticket.id));
  must(Presences{ben}.heartbeat(ticket.id));
  CHECK(there(ada).size() == 2);
  must(Presences{ben}.leave(ticket.id));
  must(Presences{ben}.leave(ticket.id));
  CHECK(there(ada) == Seen{{a, Doing::looking}});
  const Session mia = office.as("mia");
  CHECK(there(mia).size() == 1);
  CHECK(office.changes() == changes);  // no history

  refused(office, Code::not_found, "id", [&] { return Presences{eve}.heartbeat(ticket.id); });
  refused(office, Code::not_found, "id", [&] { return Presences{eve}.on(ticket.id); });
  refused(office, Code::not_found, "id", [&] { return Presences{eve}.leave(ticket.id); });
  refused(office, Code::forbidden, "", [&] { return Presences{cora}.heartbeat(ticket.id); });
  CHECK(must(Presences{cora}.on(ticket.id)).empty());
  refused(office, Code::invalid, "user",
          [&] { return Presences{office.system()}.heartbeat(ticket.id); });
}
