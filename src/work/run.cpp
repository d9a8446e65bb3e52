#include <fmt/format.h>

#include "bureau/work/agent.hpp"

BUREAU_BEGIN_NAMESPACE

std::string Run::idempotency_key() const {
  return id::to_text(schema<Task>.prefix, task_.id.value);
}

Result<void> Run::may_go_on() const {
  if (completed_.load(std::memory_order_acquire)) {
    return fail(Code::conflict, "run: it has completed; nothing more can be done through it");
  }
  std::lock_guard lock(mutex_);
  if (ended_) return fail(*ended_);
  return {};
}

void Run::ended(Error error) {
  std::lock_guard lock(mutex_);
  if (!ended_) ended_ = std::move(error);
  stop_.store(true, std::memory_order_release);
}

Result<void> Run::progress(double fraction, std::string_view note) {
  BUREAU_TRY_VOID(may_go_on());
  auto outcome = queue_.progress(task_, fraction, note);
  if (!outcome && outcome.error().code == Code::conflict) ended(outcome.error());
  return outcome;
}

void Run::log(LogLevel level, std::string_view message) const {
  bureau::log(queue_.database().log(), level, "agent", message,
              {{"agent", std::string_view(task_.agent)},
               {"task", task_.id.value},
               {"kind", std::string_view(task_.kind)},
               {"attempt", task_.attempt}});
}

BUREAU_END_NAMESPACE
