#pragma once

// What a run remembers, and how it is written: what run.cpp (steps) and run_waits.cpp (rests)
// share.

#include <vector>

#include "bureau/work/run.hpp"

BUREAU_BEGIN_NAMESPACE

/// How many steps one run may have: each attempt reads them all. A longer one hands off.
inline constexpr std::size_t max_run_steps = 10'000;

struct Run::History {
  std::vector<RunStep> steps;      // recorded, in order
  std::size_t position = 0;        // of the next call
  std::vector<RunStep> unwritten;  // after them: errors that the run went past, patches
  std::vector<Id<RunStep>> over;   // rests that have ended and are open in the database
  std::optional<RunStep> failure;  // of the last step, while the run has not gone on
  bool unbroken = false;           // the task's failures are of before a step that is recorded

  [[nodiscard]] bool at_end() const { return position >= steps.size(); }
  /// A further call, or the end: the last step's error is history.
  void go_on() {
    if (failure) unwritten.push_back(std::move(*failure));
    failure.reset();
  }
};

namespace detail {

/// A run's lease: `conflict` when it is gone. Returns whether the task is to be cancelled.
[[nodiscard]] Result<bool> check_lease(Reader& reader, const Task& task,
                                       const Database::Node& node);
[[nodiscard]] Result<void> insert_step(Transaction& transaction, RunStep& step);
/// Writes the row over the one with its id.
[[nodiscard]] Result<void> replace_step(Transaction& transaction, const RunStep& before,
                                        const RunStep& after);
/// What was stored of an error.
[[nodiscard]] Error error_of(const std::optional<std::string>& code,
                             const std::optional<std::string>& message);
/// The task to which a completed one has handed off.
[[nodiscard]] Result<std::optional<Id<Task>>> successor_of(Reader& reader, Id<Task> task);
[[nodiscard]] Result<std::vector<RunStep>> steps_of(Reader& reader, Id<Task> task);

/// The name of the signal that carries the answer to a call; its key is the call's.
inline constexpr std::string_view answer_signal = "bureau:answer";
/// What an open step of a request says of its call: its key, and who has begun it.
[[nodiscard]] Json call_state(const RunStep& step, Effect effect);
[[nodiscard]] Json answer_payload(const Result<Json>& answer);
/// Whether an open request must not be made again blindly.
[[nodiscard]] bool is_unsafe_call(const RunStep& step);

}  // namespace detail
BUREAU_END_NAMESPACE
