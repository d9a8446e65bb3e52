// How a write waits for its turn and for its outcome; what happens with the turn is in
// write_queue.cpp.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/store/interruption.hpp"
#include "store/interruptible_wait.hpp"
#include "store/sqlite/write_ticket.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// How often a thread that has been woken ahead looks for its turn before it sleeps again.
constexpr int looks_ahead = 1000;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

/// REQUIRES: mutex_ is held.
WriteQueue::Ticket& WriteQueue::new_ticket() {
  if (spare_.empty()) {
    tickets_.push_back(std::make_unique<Ticket>());
    spare_.push_back(tickets_.back().get());
  }
  Ticket& ticket = *spare_.back();
  spare_.pop_back();
  return ticket;
}

Result<void> WriteQueue::refuse_nested(const WriteOptions& options) const {
  if (!runs_here(this)) return {};
  const CodeLocation& where = options.where;  // none where a repository wrote
  return fail(
      Code::invalid,
      fmt::format("{}: a write inside a write{}; pass the writer or unit on instead",
                  settings_.path,
                  where.line == 0 ? "" : fmt::format(", at {}:{}", where.file, where.line)));
}

Result<void> WriteQueue::write(const WriteOptions& options, WriteClosure closure) {
  BUREAU_TRY_VOID(refuse_nested(options));
  return enter(&options, options.deadline, closure, std::nullopt);
}

void WriteQueue::write_all(std::span<BatchedWrite> writes) {
  if (writes.empty()) return;
  if (runs_here(this)) {
    for (BatchedWrite& one : writes) one.result = refuse_nested(one.options);
    return;
  }
  std::vector<Ticket*> tickets(writes.size());
  {
    const std::lock_guard guard(mutex_);
    for (Ticket*& ticket : tickets) ticket = &new_ticket();
    for (std::size_t i = 0; i < writes.size(); ++i) {
      Ticket& ticket = *tickets[i];
      ticket.options = &writes[i].options;
      ticket.portable = writes[i].options.portable;
      ticket.may_be_lost = writes[i].options.may_be_lost;
      ticket.voice = tickets.back();
      ticket.is_batched = true;
      ticket.deadline = writes[i].options.deadline;
      ticket.careful = false;
      ticket.closure = writes[i].closure;
      ticket.work = std::nullopt;
      ticket.signal.store(Ticket::nothing, std::memory_order_relaxed);
      queue_.push_back(&ticket);
    }
    waiting_ += writes.size();
    if (!turn_taken_) tickets.back()->signal.store(Ticket::turn, std::memory_order_relaxed);
    turn_taken_ = true;
    queued_.store(queue_.size(), std::memory_order_relaxed);
  }
  // When the outcome of the last is known, those of the others are, or are just being told.
  writes.back().result = serve(*tickets.back());
  for (std::size_t i = 0; i + 1 < writes.size(); ++i) writes[i].result = serve(*tickets[i]);
}

Result<void> WriteQueue::run_alone(Monotonic deadline, FunctionRef<Result<void>()> work) {
  if (runs_here(this)) {
    return fail(Code::invalid,
                fmt::format("{}: this cannot be done inside a write", settings_.path));
  }
  return enter(nullptr, deadline, std::nullopt, work);
}

Result<void> WriteQueue::enter(const WriteOptions* options, Monotonic deadline,
                               std::optional<WriteClosure> closure,
                               std::optional<FunctionRef<Result<void>()>> work) {
  std::unique_lock lock(mutex_);
  Ticket& ticket = new_ticket();
  ticket.options = options;
  ticket.portable = options != nullptr && options->portable;
  ticket.may_be_lost = options != nullptr && options->may_be_lost;
  ticket.voice = &ticket;
  ticket.is_batched = false;
  ticket.deadline = deadline;
  ticket.careful = false;
  ticket.closure = closure;
  ticket.work = work;
  // Another's closure is likely to be over before this thread would be asleep.
  const bool next = waiting_++ == 0 && !committing_.load(std::memory_order_relaxed);
  ticket.signal.store(!turn_taken_ ? Ticket::turn
                      : next       ? Ticket::soon
                                   : Ticket::nothing,
                      std::memory_order_relaxed);
  turn_taken_ = true;
  queue_.push_back(&ticket);
  queued_.store(queue_.size(), std::memory_order_relaxed);
  lock.unlock();
  return serve(ticket);
}

/// Does what the ticket's thread is told, until its outcome is known.
Result<void> WriteQueue::serve(Ticket& ticket) {
  while (await(ticket) != Ticket::done) {
    ticket.signal.store(Ticket::nothing, std::memory_order_relaxed);
    proceed(ticket);
  }
  Result<void> result = std::exchange(ticket.result, {});
  const std::lock_guard guard(mutex_);
  spare_.push_back(&ticket);
  return result;
}

/// Returns `turn` or `done`. A mutex and a condition rather than std::atomic::wait: libstdc++'s
/// yields the processor several times before it sleeps, which with many writers is most of the
/// work.
int WriteQueue::await(Ticket& ticket) {
  // One of a batch is not given up while it waits: when its turn comes, its deadline is looked at.
  Monotonic until = ticket.is_batched ? Monotonic::never() : ticket.deadline;
  bool asks = !ticket.is_batched && Interruption::is_there();
  int looks = 0;
  for (;;) {
    int told = ticket.signal.load(std::memory_order_acquire);
    if (told == Ticket::turn || told == Ticket::done) return told;
    if (told == Ticket::soon) {
      if (++looks < looks_ahead) {
        relax();
      } else {
        ticket.signal.compare_exchange_strong(told, Ticket::nothing, std::memory_order_acq_rel);
      }
      continue;
    }
    looks = 0;
    std::unique_lock lock(ticket.mutex);
    if (ticket.signal.load(std::memory_order_acquire) != Ticket::nothing) continue;
    if (asks) {
      if (wait_between_looks(lock, ticket.condition)) continue;
    } else if (until == Monotonic::never()) {
      ticket.condition.wait(lock);
      continue;
    } else if (settings_.clock->wait_until(lock, ticket.condition, until)) {
      continue;
    }
    lock.unlock();
    if (ticket.signal.load(std::memory_order_acquire) != Ticket::nothing) continue;
    if (asks && !Interruption::is_wanted() &&
        (until == Monotonic::never() || settings_.clock->monotonic() < until)) {
      continue;
    }
    if (leave_queue(ticket)) {
      ticket.result = too_late();
      return Ticket::done;
    }
    // Somebody has claimed it: it will be told before long.
    until = Monotonic::never();
    asks = false;
  }
}

tl::unexpected<Error> WriteQueue::too_late() const {
  return fail(Code::deadline, fmt::format("{}: other writers came first until the deadline{}",
                                          settings_.path, lock_file_.said_of_holder()));
}

bool WriteQueue::leave_queue(Ticket& ticket) {
  const std::lock_guard guard(mutex_);
  const auto place = std::find(queue_.begin(), queue_.end(), &ticket);
  if (place == queue_.end()) return false;
  queue_.erase(place);
  --waiting_;
  queued_.store(queue_.size(), std::memory_order_relaxed);
  return true;
}

void WriteQueue::signal(Ticket& which, int value) {
  Ticket& ticket = value == Ticket::turn ? *which.voice : which;
  // Told `soon`, it is awake or about to be.
  if (ticket.signal.exchange(value, std::memory_order_acq_rel) == Ticket::nothing) wake(ticket);
}

/// The mutex is taken between the signal and the notification: a thread that has seen no signal
/// holds it until it sleeps.
void WriteQueue::wake(Ticket& ticket) {
  { const std::lock_guard guard(ticket.mutex); }
  ticket.condition.notify_one();
}

/// Passes the turn to `line`'s front, and only then, when this thread has nothing more to do, wakes
/// the one after it: awake by the time its turn comes, it need not wait for the scheduler.
void WriteQueue::pass_to_front(const std::deque<Ticket*>& line) {
  Ticket* ahead = line.size() > 1 && !line[1]->is_portable() ? line[1] : nullptr;
  int expected = Ticket::nothing;
  if (ahead != nullptr &&
      !ahead->signal.compare_exchange_strong(expected, Ticket::soon, std::memory_order_acq_rel)) {
    ahead = nullptr;
  }
  signal(*line.front(), Ticket::turn);
  if (ahead != nullptr) wake(*ahead);
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
