#include "bureau/support/desk_agents.hpp"

#include "bureau/engine.hpp"
#include "support/office.hpp"

using namespace office;

namespace {

std::shared_ptr<const TextClassifier> small_classifier() {
  static const auto made = [] {
    std::vector<LabelledText> examples;
    for (const char* text :
         {"I want my money back", "please refund my order", "refund the money for this order",
          "give me my money back please", "a refund please, money back", "refund my money now"}) {
      examples.push_back({text, "refund"});
    }
    for (const char* text :
         {"where is my parcel", "the parcel has not arrived", "my delivery is late again",
          "when does the parcel arrive", "late delivery of my parcel", "parcel did not arrive"}) {
      examples.push_back({text, "delivery"});
    }
    TrainingOptions options;
    options.threshold = 0.7;
    return std::make_shared<const TextClassifier>(must(TextClassifier::train(examples, options)));
  }();
  return made;
}

/// A whole engine on memory, driven by poll().
struct Running {
  ManualClock clock;
  SeededRandom random{3};
  std::unique_ptr<Engine> engine;
  Id<Tenant> tenant;
  Id<User> customer;

  Running() {
    EngineOptions options;
    options.storage = make_memory_storage(clock);
    options.clock = &clock;
    options.random = &random;
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield")).id;
    const Session s = engine->system(tenant);
    must(support::create_default_statuses(s));
    Team team;
    team.name = "money";
    team.skills = {"refund"};
    team = must(Repository<Team>{s}.insert(team));
    User user;
    user.status = UserStatus::active;
    user.name = user.email = "ada";
    user.role = "agent";
    const User ada = must(Repository<User>{s}.insert(user));
    Membership member;
    member.team = team.id;
    member.user = ada.id;
    must(Repository<Membership>{s}.insert(member));
    user.name = "Cora";
    user.email = "cora@example.com";
    user.role = "customer";
    customer = must(Repository<User>{s}.insert(user)).id;
  }
  void agents() {
    must(engine->add(std::make_shared<TriageAgent>(
        small_classifier(), std::map<std::string, Priority>{{"refund", Priority::high}})));
    must(engine->add(std::make_shared<RoutingAgent>()));
    must(engine->add(std::make_shared<ResponderAgent>(col(&Message::confidence) >= 0.7)));
    must(engine->start_polled());
  }
  Ticket open(const std::string& body) {
    const Session s = engine->system(tenant);
    return must(s.write([&](Unit& unit) -> Result<Ticket> {
      NewTicket given;
      given.body = body;
      given.customer = customer;
      BUREAU_TRY(Ticket ticket, Tickets{unit}.open(given));
      BUREAU_TRY_VOID(Tasks{unit}.enqueue(triage_ticket, {ticket.id}));
      return ticket;
    }));
  }
  void run() {
    for (int i = 0; i < 1000; ++i) {
      if (engine->poll({100, Duration::max()}).ran == 0) return;
    }
    FAIL("the work does not end");
  }
  Ticket now(const Ticket& ticket) {
    const Session s = engine->system(tenant);
    return must(Tickets{s}.find(ticket.id));
  }
  std::vector<Task> tasks(std::string_view kind) {
    const Session s = engine->system(tenant);
    return must(Tasks{s}.list({.where = col(&Task::kind) == std::string(kind)}));
  }
};

}  // namespace

TEST_CASE("a message becomes a triaged, routed ticket with a draft") {
  Running office;
  const Session s = office.engine->system(office.tenant);
  must(save_template(s, "refund", "Dear {customer}, ticket {number}: money is on its way."));
  must(save_template(s, "*", "Thank you."));
  office.agents();
  const Ticket refund = office.open("please refund my money");
  const Ticket other = office.open("\u00f0\u00f0\u00f0 \u00fe\u00fe");
  office.run();

  const Ticket done = office.now(refund);
  CHECK(done.category == "refund");
  CHECK(done.priority == Priority::high);
  CHECK(done.state == TicketState::open);
  CHECK(done.team);
  CHECK(done.assignee);
  CHECK(done.triaged_at);
  CHECK(done.routed_at);
  CHECK(done.message_count == 2);
  CHECK_FALSE(done.first_response_at);  // nothing was sent
  const Message draft = must(Tickets{s}.conversation(refund.id)).back();
  CHECK(draft.body == "Dear Cora, ticket 1: money is on its way.");
  CHECK(draft.kind == MessageKind::suggestion);
  CHECK(draft.review == Review::accepted);

  const Ticket unsure = office.now(other);
  CHECK_FALSE(unsure.category);
  CHECK_FALSE(unsure.team);
  CHECK(unsure.priority == Priority::normal);
  const Message general = must(Tickets{s}.conversation(other.id)).back();
  CHECK(general.body == "Thank you.");
  CHECK(general.review == Review::left_for_person);

  for (const std::string_view kind : {triage_ticket.name, route_ticket.name, draft_reply.name}) {
    const auto tasks = office.tasks(kind);
    CHECK(tasks.size() == 2);
    for (const Task& task : tasks) {
      CHECK(task.status == TaskStatus::completed);
      CHECK(task.result);
    }
  }
}

TEST_CASE("a ticket that was resolved meanwhile is left as it is") {
  Running office;
  office.agents();
  const Session s = office.engine->system(office.tenant);
  const Ticket ticket = office.open("please refund my money");
  must(Tickets{s}.move(ticket.id, "resolved"));
  office.run();
  CHECK(office.now(ticket).version == 2);
  CHECK(office.tasks(triage_ticket.name).front().status == TaskStatus::completed);
  CHECK(office.tasks(route_ticket.name).empty());
}

TEST_CASE("without any template the draft is tried again, and dead in the end, with the reason") {
  Running office;
  office.agents();
  const Ticket ticket = office.open("please refund my money");
  office.run();
  for (int i = 0; i < 10; ++i) {
    office.clock.advance(std::chrono::minutes(1));
    office.run();
  }
  CHECK(office.now(ticket).message_count == 1);
  const auto drafts = office.tasks(draft_reply.name);
  REQUIRE(drafts.size() == 1);
  CHECK(drafts[0].status == TaskStatus::dead);
  CHECK(drafts[0].error->find("template") != std::string::npos);
  const Session s = office.engine->system(office.tenant);
  must(save_template(s, "*", "Thank you."));
  must(Tasks{s}.redrive(drafts[0].id));
  office.run();
  CHECK(office.now(ticket).message_count == 2);
}

TEST_CASE("a task for a ticket that is not there is dead at once") {
  Running office;
  office.agents();
  const Session s = office.engine->system(office.tenant);
  must(Tasks{s}.enqueue(triage_ticket, {Id<Ticket>(4711)}));
  office.run();
  const auto tasks = office.tasks(triage_ticket.name);
  CHECK(tasks.front().status == TaskStatus::dead);
  CHECK(tasks.front().error_code == "invalid");
}

TEST_CASE("a reviewer's rule is about the message alone") {
  Running office;
  const Catalog& catalog = office.engine->database().catalog();
  for (const char* text : {"created_at < now()", "author = $user",
                           "ticket in (select id from tickets where number = 1)"}) {
    const Predicate rule = must(Predicate::parse(table_of<Message>(), text, &catalog));
    auto added = office.engine->add(std::make_shared<ResponderAgent>(rule));
    REQUIRE(!added);
    CHECK(added.error().code == Code::invalid);
  }
}

TEST_CASE("templates: variables are replaced, others refused, braces are text") {
  CHECK(render_template("{customer}/{number}/{subject}", "Cora", 7, "{number}") ==
        "Cora/7/{number}");
  CHECK(render_template("a { b } {} {X} {", "c", 1, "s") == "a { b } {} {X} {");
  CHECK(render_template("{{number}}", "c", 1, "s") == "{1}");
  Office office;
  const Session s = office.system();
  refused(office, Code::invalid, "body", [&] { return save_template(s, "x", "Dear {name}"); });
  refused(office, Code::invalid, "body", [&] { return save_template(s, "x", " "); });
  refused(office, Code::invalid, "category", [&] { return save_template(s, "", "Hello"); });
  const ReplyTemplate first = must(save_template(s, "x", "Dear {customer}"));
  CHECK(must(save_template(s, "x", "Dear {customer}")).version == first.version);
  const ReplyTemplate second = must(save_template(s, "x", "Hello {customer}"));
  CHECK(second.id == first.id);
  CHECK(second.version == first.version + 1);
}

TEST_CASE("a stored model predicts as the trained one; the newest version is loaded") {
  Office office;
  const Session s = office.system();
  auto none = load_model(s, "triage");
  REQUIRE(!none);
  CHECK(none.error().code == Code::not_found);
  CHECK(must(store_model(s, "triage", *small_classifier(), 12, "a")) == 1);
  CHECK(must(store_model(s, "triage", must(small_classifier()->with_threshold(0.9)), 12, "b")) ==
        2);
  CHECK(must(store_model(s, "other", *small_classifier(), 12)) == 1);
  const StoredModel loaded = must(load_model(s, "triage"));
  CHECK(loaded.version == 2);
  CHECK(loaded.digest == "b");
  CHECK(loaded.classifier->threshold() == 0.9);
  CHECK(loaded.classifier->top("refund my parcel", 2) ==
        must(small_classifier()->with_threshold(0.9)).top("refund my parcel", 2));
}
