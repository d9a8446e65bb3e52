#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bureau/core/json.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

class Run;
namespace detail {
struct CallDoor;
}  // namespace detail

/// The near end of a call that was begun outside: by it the answer comes back. A plain value, from
/// any thread; it may outlive the run, and the office, after which it does nothing.
class PendingCall {
 public:
  /// Names this call: the same when it is begun again after a crash. What an outside that knows
  /// idempotency keys is given, and what Runs::answer() takes in another process.
  [[nodiscard]] const std::string& key() const { return key_; }
  /// False once nobody wants the answer: the run was cancelled or is over, or had its answer. Reads
  /// a row.
  [[nodiscard]] bool wanted() const;
  /// The answer, or the error with which the call failed; the first one counts (true: it was).
  /// Makes a commit. `conflict` when the run is over, `gone` when the office is closed.
  Result<bool> answer(const Result<Json>& answer) const;

 private:
  friend class Run;
  PendingCall(std::shared_ptr<detail::CallDoor> door, const Task& task, std::int64_t position,
              std::string key)
      : door_(std::move(door)),
        task_(task.id),
        tenant_(task.tenant),
        position_(position),
        key_(std::move(key)) {}
  std::shared_ptr<detail::CallDoor> door_;
  Id<Task> task_;
  Id<Tenant> tenant_;
  std::int64_t position_ = 0;
  std::string key_;
};

/// A call whose answer comes later: Run::request().
struct OutsideCall {
  /// external_idempotent: when the process that began it is gone and nobody can be asked, it is
  /// begun again, with the same key. external_unsafe: the task is in doubt instead.
  Effect effect = Effect::external_idempotent;
  std::optional<Spend> spend = {};
  std::optional<Duration> within = {};  ///< then it has failed, with `deadline`
  /// How often a run that rests looks whether who began it lives, and asks `look`.
  Duration look_every = std::chrono::minutes(1);
  /// Begins it and returns; must not wait for the answer.
  std::function<Result<void>(const PendingCall&)> begin = {};
  /// What became of the call with this key: the answer, or none while it goes on. `not_found`: it
  /// was never begun. May be empty: nobody can be asked.
  std::function<Result<std::optional<Json>>(const std::string& key)> look = {};
  /// What the call has used; `used` is what was reserved, with the time that it took.
  std::function<void(const Result<Json>& answer, Amounts& used)> used = {};
};

BUREAU_END_NAMESPACE
