#pragma once

#include "bureau/core/function_ref.hpp"

BUREAU_BEGIN_NAMESPACE

/// While it is there, a call of its thread that waits for its turn to write, for another process's
/// write, or for a server (a connection, an answer) asks some times a second whether it is to stop.
/// True: it ends as at its deadline, with `deadline`, and what it was to write is not written. A
/// commit that is under way is waited for. Of several the innermost is asked.
class Interruption {
 public:
  /// `asked` outlives it, and does not use the storage.
  explicit Interruption(FunctionRef<bool()> asked);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // For storages.
  /// Whether this thread has one.
  [[nodiscard]] static bool is_there();
  /// Whether it wants the call to stop; false without one.
  [[nodiscard]] static bool is_wanted();

 private:
  FunctionRef<bool()> asked_;
  Interruption* outer_;
};

BUREAU_END_NAMESPACE
