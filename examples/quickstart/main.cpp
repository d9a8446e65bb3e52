#include <bureau/bureau.hpp>
#include <cstdio>

using namespace bureau;

// A kind of task: what it takes, what it gives, what its handler may touch.
struct Greeting {
  Id<Ticket> ticket;
};
template <>
inline constexpr auto bureau::record<Greeting> = fields(column("ticket", &Greeting::ticket));
inline constexpr auto greet =
    task_kind<Greeting, Nothing>("greet", Effect::database, retry::exponential(5));

// An agent that does it. Its reply and the task's completion are one commit: both or neither.
class Greeter : public AgentOf<greet> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Greeting& greeting) override {
    return run.complete([&](Unit& unit) -> Result<Nothing> {
      BUREAU_TRY_VOID(Tickets{unit}.reply(greeting.ticket, "We have your message."));
      return Nothing{};
    });
  }
};

Result<void> open_for_business(const char* path) {
  BUREAU_TRY(auto office, Engine::open({.path = path}));
  BUREAU_TRY(auto tenant, office->access().create_tenant("Larkfield"));
  const Session desk = office->system(tenant.id);
  BUREAU_TRY_VOID(support::create_default_statuses(desk));
  User ada;
  ada.email = "ada@example.com";
  ada.role = "customer";
  BUREAU_TRY(ada, Repository<User>(desk).insert(ada));

  // Ticket, message, journal records and task commit together.
  BUREAU_TRY(auto ticket, desk.write([&](Unit& unit) -> Result<Ticket> {
    BUREAU_TRY(auto opened, Tickets{unit}.open({.body = "My grinder howls.", .customer = ada.id}));
    BUREAU_TRY_VOID(Tasks{unit}.enqueue(greet, {opened.id}));
    return opened;
  }));

  BUREAU_TRY_VOID(office->add(std::make_shared<Greeter>()));
  BUREAU_TRY_VOID(office->start_polled());  // or start(): the same on threads
  while (office->poll({.tasks = 10}).ran > 0) {
  }
  BUREAU_TRY(auto messages, Tickets{desk}.conversation(ticket.id));
  for (const Message& message : messages) std::printf("%s\n", message.body.c_str());
  return office->stop();
}

int main(int argc, char** argv) {
  const auto done = open_for_business(argc > 1 ? argv[1] : "office.db");
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
