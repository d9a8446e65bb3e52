#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a caller can do about a failure. Nobody needs to read a message to decide; each value says
/// when to choose it over its neighbours. The numbers are frozen: tasks store them.
enum class Code {
  /// The caller passed something that breaks a rule and would break it again: fix the input.
  invalid = 1,
  /// There is no such row for this caller. A row that policies hide is also `not_found`, so that
  /// an error never tells a hidden row from an absent one.
  not_found = 2,
  /// A value that must be unique is taken. Choose `conflict` when the trouble is a state.
  exists = 3,
  /// The row is not in the state that the call needs: a stale version, an illegal transition, a
  /// lease that is gone. Read again, then decide.
  conflict = 4,
  /// The caller may see the row but not do this. Asking again will not help.
  forbidden = 5,
  /// Somebody else holds what the call needs; try again later. Nothing was changed.
  busy = 6,
  /// The deadline that the caller set has passed. Nothing was changed.
  deadline = 7,
  /// The caller, or the owner of the work, cancelled it.
  cancelled = 8,
  /// What was asked for existed once and is no longer kept (a trimmed journal): start anew.
  gone = 9,
  /// Not a failure: a run has stopped here and will be resumed. Handlers pass it on.
  suspended = 10,
  /// The storage or a peer cannot be used now (disk full, I/O error, no connection). The write was
  /// not made.
  unavailable = 11,
  /// The write may or may not have been made. Look before doing it again.
  unknown_outcome = 12,
  /// Data that was stored breaks its own rules, or the file is not ours or too new.
  corrupt = 13,
  /// A limit was reached: size, count, budget. A larger limit or less input would help.
  exhausted = 14,
  /// A defect in bureau or in a host's handler (an exception that escaped it).
  internal = 15,
  /// A newer program has changed the file so that this one may not use it any more: end, and start
  /// the newer one. Nothing was changed.
  upgraded = 16,
};

/// The stable lower-case name of a code, as logs, JSON and the command line show it.
[[nodiscard]] std::string_view to_string(Code code) noexcept;

/// Why something failed. `message` is for people and names the field, the value and the rule;
/// `field` repeats the field's name alone for programs (empty when no one field is at fault).
struct [[nodiscard]] Error {
  Code code = Code::internal;
  std::string message;
  std::string field;

  Error() = default;
  Error(Code error_code, std::string text, std::string field_name = {})
      : code(error_code), message(std::move(text)), field(std::move(field_name)) {}

  friend bool operator==(const Error&, const Error&) = default;
};

/// "code: message", for logs and terminals.
[[nodiscard]] std::string to_string(const Error& error);

BUREAU_END_NAMESPACE
