#include "bureau/work/orchestrator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "bureau/work/agent_registry.hpp"
#include "work/orchestrator_impl.hpp"

BUREAU_BEGIN_NAMESPACE

Orchestrator::Orchestrator(Database& database, Access& access, OrchestratorOptions options)
    : impl_(std::make_unique<Impl>(database, access, options)) {}
Orchestrator::~Orchestrator() = default;

Result<void> Orchestrator::add(std::shared_ptr<Agent> agent) {
  Impl& self = *impl_;
  if (agent == nullptr) return fail(Code::invalid, "agent: there is none", "agent");
  auto entry = std::make_unique<Impl::AgentEntry>();
  entry->kinds = agent->capabilities();
  {
    std::lock_guard lock(self.mutex);
    if (self.started) return fail(Code::conflict, "agent: the office has started", "agent");
    for (const KindInfo& kind : entry->kinds) {
      if (const auto wrong = check_kind(kind); !wrong.empty()) {
        return fail(Code::invalid, fmt::format("kind \"{}\": {}", kind.name, wrong), "kind");
      }
      if (self.by_kind.contains(kind.name)) {
        return fail(Code::invalid, fmt::format("kind \"{}\": another agent does it", kind.name),
                    "kind");
      }
    }
  }
  try {
    BUREAU_TRY_VOID(agent->on_initialize());
  } catch (const std::exception& e) {
    return fail(Code::internal,
                fmt::format("agent \"{}\": on_initialize threw: {}", agent->name(), e.what()));
  } catch (...) {
    return fail(
        Code::internal,
        fmt::format("agent \"{}\": on_initialize threw what is no std::exception", agent->name()));
  }
  std::lock_guard lock(self.mutex);
  entry->agent = std::move(agent);
  for (const KindInfo& kind : entry->kinds) {
    self.by_kind.emplace(std::string(kind.name), detail::KindEntry{entry.get(), kind, {}});
    self.metrics.kinds.try_emplace(std::string(kind.name));
  }
  self.agents.push_back(std::move(entry));
  return {};
}

Result<void> Orchestrator::start() {
  Impl& self = *impl_;
  std::vector<Impl::AgentEntry*> entries;
  {
    std::lock_guard lock(self.mutex);
    if (self.started) return fail(Code::conflict, "orchestrator: it has started");
    self.started = true;
    for (auto& entry : self.agents) entries.push_back(entry.get());
  }
  std::vector<AgentPresence> present;
  for (Impl::AgentEntry* entry : entries) {
    Result<void> outcome;
    try {
      outcome = entry->agent->on_start();
    } catch (const std::exception& e) {
      outcome = fail(Code::internal, fmt::format("on_start threw: {}", e.what()));
    } catch (...) {
      outcome = fail(Code::internal, "on_start threw what is no std::exception");
    }
    if (!outcome) {
      log(self.database.log(), LogLevel::error, "orchestrator", "an agent did not start",
          {{"agent", entry->agent->name()}, {"error", std::string_view(outcome.error().message)}});
      continue;
    }
    AgentPresence& presence = present.emplace_back();
    presence.name = std::string(entry->agent->name());
    for (const KindInfo& kind : entry->kinds) presence.kinds.emplace_back(kind.name);
    std::lock_guard lock(self.mutex);
    entry->operational = true;
    for (const KindInfo& kind : entry->kinds) {
      auto from = std::find_if(self.queues.begin(), self.queues.end(),
                               [&](const auto& q) { return q.claim.queue == kind.queue; });
      if (from == self.queues.end()) {
        self.queues.push_back({{std::string(kind.queue), {}, 1, {}}, {}});
        from = self.queues.end() - 1;
      }
      from->claim.kinds.emplace_back(kind.name);
    }
  }
  BUREAU_TRY_VOID(announce_agents(self.database, present));
  self.works.store(!present.empty(), std::memory_order_release);
  notice();
  return {};
}

bool Orchestrator::notice() {
  impl_->noticed.store(true, std::memory_order_release);
  impl_->look_for_interrupts.store(true, std::memory_order_release);
  impl_->committed.store(true, std::memory_order_release);
  impl_->schedules_changed.store(true, std::memory_order_release);
  return impl_->works.load(std::memory_order_acquire);
}

void Orchestrator::on_more(std::function<void()> callback) {
  impl_->more_callback = std::move(callback);
}

void Orchestrator::on_outcome(std::function<void()> callback) {
  impl_->outcome_callback = std::move(callback);
}

void Orchestrator::on_stuck(std::function<void()> callback) {
  std::lock_guard lock(impl_->mutex);
  impl_->stuck_callback = std::move(callback);
}

namespace {

/// A write that others do not hold up has ended by then, however soon stop() is to be over.
constexpr Duration stop_grace = std::chrono::seconds(1);

/// Whether it was locked by then. A claim may wait for the write lock for as long as another
/// process likes.
bool lock_until(std::unique_lock<std::mutex>& wanted, const Clock& clock, Monotonic deadline) {
  Clock& real = Clock::system();
  const Monotonic grace = real.monotonic() + stop_grace;
  std::mutex mutex;
  std::condition_variable never;
  while (!wanted.try_lock()) {
    if (clock.monotonic() >= deadline && real.monotonic() >= grace) return false;
    std::unique_lock lock(mutex);
    real.wait_until(lock, never, real.monotonic() + std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace

Result<void> Orchestrator::stop(Monotonic deadline) {
  Impl& self = *impl_;
  {
    std::lock_guard lock(self.mutex);
    self.stopping = true;
    for (auto& [run, entry] : self.running) entry.run->stop_.store(true);
  }
  std::vector<Task> unbegun;
  {
    // A claim in progress ends first.
    std::unique_lock claiming(self.claim_mutex, std::defer_lock);
    if (!lock_until(claiming, self.clock(), deadline)) {
      return fail(Code::deadline,
                  "stop: still running: a claim of tasks, which waits for the write lock");
    }
    std::lock_guard lock(self.mutex);
    for (auto& leased : self.buffer) unbegun.push_back(std::move(leased.task));
    self.buffer.clear();
    self.next_try = Monotonic{};  // what could not be committed has one more chance
  }
  self.settle();
  self.pay();
  // What is not handed back goes to others when this process ends.
  auto released = self.queue.release(unbegun, Duration(0),
                                     std::max(deadline, self.clock().monotonic() + stop_grace));
  std::string names_of_stuck;
  {
    std::unique_lock lock(self.mutex);
    while (!self.running.empty() || self.beginning > 0) {
      if (!self.clock().wait_until(lock, self.idle, deadline)) break;
    }
    for (const auto& [run, entry] : self.running) {
      names_of_stuck += fmt::format("{}{} ({})", names_of_stuck.empty() ? "" : ", ",
                                    entry.agent->agent->name(), entry.run->idempotency_key());
    }
  }
  if (!names_of_stuck.empty()) {
    return fail(Code::deadline, fmt::format("stop: still running: {}", names_of_stuck));
  }
  for (auto& entry : self.agents) {
    if (!entry->operational) continue;
    Result<void> outcome;
    try {
      outcome = entry->agent->on_stop();
    } catch (const std::exception& e) {
      outcome = fail(Code::internal, e.what());
    } catch (...) {
      outcome = fail(Code::internal, "on_stop threw what is no std::exception");
    }
    entry->operational = false;
    if (!outcome) {
      log(self.database.log(), LogLevel::warning, "orchestrator", "an agent's on_stop failed",
          {{"agent", entry->agent->name()}, {"error", std::string_view(outcome.error().message)}});
    }
  }
  return released;
}

std::vector<AgentState> Orchestrator::agents() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<AgentState> out;
  for (const auto& entry : impl_->agents) {
    out.push_back({std::string(entry->agent->name()), entry->operational, entry->running,
                   entry->completed, entry->failed});
  }
  return out;
}

void Orchestrator::write_metrics(PrometheusText& text) const {
  std::lock_guard lock(impl_->mutex);  // against add(): what counts needs none
  impl_->metrics.write(text);
}

std::vector<HeldTask> Orchestrator::held() const {
  const Monotonic now = impl_->clock().monotonic();
  const Timestamp today = impl_->clock().now();
  const auto describe = [](const Task& task) {
    HeldTask held;
    held.task = task.id;
    held.tenant = task.tenant;
    held.kind = task.kind;
    held.queue = task.queue;
    held.agent = task.agent;
    held.attempt = task.attempt;
    held.node = task.node;
    held.here = true;
    held.limit = task.time_limit;
    return held;
  };
  std::lock_guard lock(impl_->mutex);
  std::vector<HeldTask> out;
  for (const auto& [run, entry] : impl_->running) {
    HeldTask& held = out.emplace_back(describe(entry.run->task()));
    held.age = now - entry.began;
    held.limit = entry.limit - entry.began;
    held.step = entry.run->current_step();
  }
  for (const auto& leased : impl_->buffer) {
    HeldTask& held = out.emplace_back(describe(leased.task));
    held.begun = false;
    if (leased.task.started_at) held.age = today - *leased.task.started_at;
  }
  return out;
}

std::optional<Duration> Orchestrator::heartbeat_age() const {
  const std::int64_t last = impl_->last_heartbeat.load(std::memory_order_acquire);
  if (last < 0) return std::nullopt;
  return impl_->clock().monotonic() - Monotonic{Duration(last)};
}

std::vector<std::string> Orchestrator::stuck() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<std::string> out;
  for (const auto& [run, entry] : impl_->running) {
    if (entry.expired)
      out.push_back(
          fmt::format("{} ({})", entry.agent->agent->name(), entry.run->idempotency_key()));
  }
  return out;
}

BUREAU_END_NAMESPACE
