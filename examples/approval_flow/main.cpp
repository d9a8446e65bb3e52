// A refund that a person must approve: the run waits three days for her, in virtual time, while its
// process is started anew twice.

#include <bureau/bureau.hpp>
#include <cstdio>

using namespace bureau;
using namespace std::chrono_literals;

struct RefundOrder {
  std::string customer;
  std::int64_t cents = 0;
};
template <>
inline constexpr auto bureau::record<RefundOrder> =
    fields(column("customer", &RefundOrder::customer, max_length(200)),
           column("cents", &RefundOrder::cents));

struct Outcome {
  std::string text;
};
template <>
inline constexpr auto bureau::record<Outcome> = fields(column("text", &Outcome::text));

inline constexpr auto refund =
    task_kind<RefundOrder, Outcome>("refund", Effect::database, retry::fixed(3, 1min));

class Refunder final : public AgentOf<refund> {
 public:
  using AgentOf::execute;
  Result<Outcome> execute(Run& run, const RefundOrder& order) override {
    BUREAU_TRY(const auto fee, run.step("work out the fee", [&]() -> Result<std::int64_t> {
      std::printf("  the fee is worked out\n");
      return order.cents / 100;
    }));
    // What she approves is all that the effect depends on.
    const Json what = Json::object({{"customer", order.customer}, {"cents", order.cents - fee}});
    BUREAU_TRY(const Verdict verdict, run.approval({.title = "Refund " + order.customer + "?",
                                                    .subject = what,
                                                    .within = std::chrono::hours(24 * 7)}));
    if (!verdict.approved()) return Outcome{"not refunded: " + verdict.comment};
    return run.complete([&](Unit& unit) -> Result<Outcome> {
      // Once, for exactly this: approval, refund and the run's end are one commit.
      BUREAU_TRY_VOID(Approvals::use(unit, verdict.approval, what));
      return Outcome{"refunded, as approved: " + verdict.comment};
    });
  }
};

/// One life of the program.
Result<std::unique_ptr<Engine>> start(const char* path, ManualClock& clock) {
  BUREAU_TRY(auto office, Engine::open({.path = path, .clock = &clock}));
  BUREAU_TRY_VOID(office->add(std::make_shared<Refunder>()));
  BUREAU_TRY_VOID(office->start_polled());
  return office;
}

void work(Engine& office) {
  while (office.poll({.tasks = 10}).ran > 0) {
  }
}

Result<void> approval_flow(const char* path) {
  ManualClock clock;
  BUREAU_TRY(auto office, start(path, clock));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("Larkfield"));
  User mara;
  mara.email = "mara@example.com";
  mara.name = "Mara";
  mara.role = "manager";
  BUREAU_TRY(mara, Repository<User>(office->system(tenant.id)).insert(mara));
  BUREAU_TRY(const Task task,
             Tasks(office->system(tenant.id)).enqueue(refund, {"Ines Vidal", 9'000}));

  for (int day = 0; day < 3; ++day) {
    work(*office);
    BUREAU_TRY(const Task now, Tasks(office->system(tenant.id)).find(task.id));
    std::printf("day %d: the run is %s\n", day,
                std::string(names<TaskStatus>[static_cast<std::size_t>(now.status)]).c_str());
    office.reset();  // the program ends, and is started again
    clock.advance(24h);
    BUREAU_TRY(office, start(path, clock));
  }

  BUREAU_TRY(const Session desk, office->session(tenant.id, mara.id));
  BUREAU_TRY(const auto open, Approvals(desk).list());
  for (const Approval& asked : open) {
    std::printf("Mara reads: %s %s\n", asked.title.c_str(), asked.subject.dump().c_str());
    BUREAU_TRY_VOID(Approvals(desk).decide(asked.id, true, "she was right"));
    const auto again = Approvals(desk).decide(asked.id, true);
    std::printf("a second time: %s\n", again ? "?" : to_string(again.error()).c_str());
  }
  work(*office);
  BUREAU_TRY(const Outcome outcome,
             Tasks(office->system(tenant.id)).wait(refund, task.id, Duration(0)));
  std::printf("day 3: %s\n", outcome.text.c_str());
  BUREAU_TRY(const auto steps, Runs(office->system(tenant.id)).steps(task.id));
  for (const RunStep& step : steps) {
    std::printf("step %lld: %s\n", static_cast<long long>(step.position), step.name.c_str());
  }
  return office->stop();
}

int main(int argc, char** argv) {
  const auto done = approval_flow(argc > 1 ? argv[1] : "office.db");
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
