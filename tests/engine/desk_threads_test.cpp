// The desk on several threads at once: what each domain's own tests do on one.

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "basics.hpp"
#include "bureau/bureau.hpp"

using namespace bureau;

namespace {

std::shared_ptr<const TextClassifier> small_classifier() {
  std::vector<LabelledText> examples;
  for (const char* text : {"I want my money back", "please refund my order", "refund my money now",
                           "money back please", "a refund please"}) {
    examples.push_back({text, "refund"});
  }
  for (const char* text :
       {"where is my parcel", "the parcel has not arrived", "my delivery is late",
        "late delivery of my parcel", "parcel did not arrive"}) {
    examples.push_back({text, "delivery"});
  }
  return std::make_shared<const TextClassifier>(must(TextClassifier::train(examples, {})));
}

User person(const Session& session, const std::string& name, const std::string& role) {
  User user;
  user.name = name;
  user.email = name + "@example.com";
  user.role = role;
  user.status = UserStatus::active;
  return must(Repository<User>(session).insert(user));
}

}  // namespace

TEST_CASE(
    "Many threads triage, route and draft while others write: each ticket once, loads exact") {
  constexpr int tickets = 40;
  const Folder folder;
  std::mutex mutex;
  std::condition_variable done;
  std::set<std::int64_t> drafted;
  EngineOptions options;
  options.path = folder.file();
  options.threads = 6;
  const auto engine = must(Engine::open(std::move(options)));
  const Session office = engine->system(must(engine->access().create_tenant("Larkfield")).id);
  must(support::create_default_statuses(office));
  must(save_template(office, "*", "Thank you, {customer}."));
  Team team;
  team.name = "money";
  team.skills = {"refund", "delivery"};
  team = must(Repository<Team>(office).insert(team));
  for (const char* const name : {"ada", "ben", "eve"}) {
    Membership member;
    member.team = team.id;
    member.user = person(office, name, "agent").id;
    must(Repository<Membership>(office).insert(member));
  }
  const Id<User> customer = person(office, "cora", "customer").id;
  NewTrigger trigger;
  trigger.name = "mark";
  trigger.events = {TicketEvent::created};
  trigger.actions = {{.kind = ActionKind::add_tags, .value = Json::array({"seen"})}};
  must(Triggers{office}.save(trigger));
  must(engine->add(
      std::make_shared<TriageAgent>(small_classifier(), std::map<std::string, Priority>{})));
  must(engine->add(std::make_shared<RoutingAgent>()));
  must(engine->add(std::make_shared<ResponderAgent>(col(&Message::confidence) >= 0.5)));
  const auto subscription = must(engine->feed().subscribe<Task>(
      office, {.where = col(&Task::kind) == std::string(draft_reply.name)},
      [&](const RowEvent<Task>& event) {
        if (!event.after || event.after->status != TaskStatus::completed) return;
        const std::lock_guard guard(mutex);
        drafted.insert(event.after->id.value);
        if (drafted.size() == tickets) done.notify_all();
      }));
  must(engine->start());
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&, t] {
      for (int i = t; i < tickets; i += 4) {
        const bool refund = i % 2 == 0;
        must(office.write(any_thread, [&](Unit& unit) -> Result<Ticket> {
          NewTicket given;
          given.body = refund ? "please refund my money" : "where is my parcel";
          given.customer = customer;
          BUREAU_TRY(Ticket ticket, Tickets{unit}.open(given));
          BUREAU_TRY_VOID(Tasks{unit}.enqueue(triage_ticket, {ticket.id}));
          return ticket;
        }));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  {
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return drafted.size() == tickets; });
  }
  must(engine->stop());
  const auto all = must(Tickets{office}.repository().list({.limit = 1000}));
  REQUIRE(all.size() == tickets);
  std::set<std::int64_t> numbers;
  std::map<std::int64_t, std::int64_t> loads;
  for (const Ticket& ticket : all) {
    numbers.insert(ticket.number);
    CHECK(ticket.message_count == 2);  // one draft each
    CHECK(ticket.tags == std::vector<std::string>{"seen"});
    REQUIRE(ticket.assignee);
    ++loads[ticket.assignee->value];
  }
  CHECK(*numbers.rbegin() == tickets);
  CHECK(numbers.size() == tickets);
  for (const Workload& load : must(Repository<Workload>(office).list({.limit = 10}))) {
    CHECK(load.open_tickets == loads[load.id.value]);
  }
}
