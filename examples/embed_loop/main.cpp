// A host that owns its loop: a game, an editor, a server. Nothing of the office runs but in poll(),
// and poll() begins nothing new once its budget is used. Shown on a clock that only the handlers
// move, so that the figures are the same on every machine; then the loop as a host writes it, with
// poll(2) on the engine's descriptor.

#include <poll.h>

#include <algorithm>
#include <bureau/bureau.hpp>
#include <bureau/store/memory_storage.hpp>
#include <cstdio>

using namespace bureau;
using namespace std::chrono_literals;

namespace {

constexpr Duration budget = 4ms;
constexpr int work_items = 10;

struct Step {
  std::int64_t number = 0;
};

}  // namespace

template <>
inline constexpr auto bureau::record<Step> = fields(column("number", &Step::number));

namespace {

inline constexpr auto step = task_kind<Step, Nothing>("step", Effect::pure, retry::exponential(3));

/// Each step takes 1 ms of the clock it was given; none with the system's.
class Stepper : public AgentOf<step> {
 public:
  explicit Stepper(ManualClock* clock) : clock_(clock) {}
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Step&) override {
    if (clock_ != nullptr) clock_->advance(1ms);
    ++done;
    return Nothing{};
  }
  int done = 0;

 private:
  ManualClock* clock_;
};

Result<void> enqueue_steps(Engine& office, Id<Tenant> tenant) {
  const Tasks tasks(office.system(tenant));
  for (int i = 0; i < work_items; ++i) BUREAU_TRY_VOID(tasks.enqueue(step, {i}));
  return {};
}

/// Frames of a game: each gives the office at most 4 ms.
Result<void> frames() {
  ManualClock clock;
  EngineOptions options;
  options.storage = make_memory_storage(clock);
  options.clock = &clock;
  BUREAU_TRY(auto office, Engine::open(std::move(options)));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("game"));
  const auto stepper = std::make_shared<Stepper>(&clock);
  BUREAU_TRY_VOID(office->add(stepper));
  BUREAU_TRY_VOID(office->start_polled());
  BUREAU_TRY_VOID(enqueue_steps(*office, tenant.id));
  Duration longest{0};
  int calls = 0;
  while (stepper->done < work_items) {
    const Monotonic before = clock.monotonic();
    office->poll({.tasks = 100, .time = budget});
    longest = std::max(longest, clock.monotonic() - before);
    ++calls;
    clock.advance(12ms);  // the rest of the frame: the host's own work
  }
  std::printf("%d steps in %d frames; the longest took %lld us of %lld\n", stepper->done, calls,
              static_cast<long long>(longest.count()), static_cast<long long>(budget.count()));
  return office->stop();
}

/// A server's loop: it sleeps in poll(2) until the office, or anything else of its own, has work.
Result<void> server(const char* path) {
  BUREAU_TRY(auto office, Engine::open({.path = path}));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("server"));
  const auto stepper = std::make_shared<Stepper>(nullptr);
  BUREAU_TRY_VOID(office->add(stepper));
  BUREAU_TRY_VOID(office->start_polled());
  BUREAU_TRY(const int handle, office->wake_handle());
  BUREAU_TRY_VOID(enqueue_steps(*office, tenant.id));
  while (stepper->done < work_items) {
    const PollResult result = office->poll({.tasks = 10, .time = budget});
    if (result.ran > 0) continue;
    const Duration pause = result.next_due - Clock::system().monotonic();
    const auto ms = std::clamp<std::int64_t>(pause / 1ms, 0, 1000);
    pollfd descriptors[] = {{handle, POLLIN, 0}};  // and the host's own
    ::poll(descriptors, 1, static_cast<int>(ms));
  }
  std::printf("%d steps in a loop with poll(2)\n", stepper->done);
  return office->stop();
}

}  // namespace

int main(int argc, char** argv) {
  auto done = frames();
  if (done && argc > 1) done = server(argv[1]);
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
