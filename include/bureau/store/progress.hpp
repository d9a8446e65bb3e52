#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

/// How far something long has come.
struct Progress {
  std::string_view what;  ///< what it is at: a table's name, or a word for the step
  std::int64_t done = 0;  ///< bytes or rows, as the call says
  std::int64_t all = 0;   ///< 0: not known
};
/// Called now and then on the thread of the call. False: the call ends with `cancelled`, and undoes
/// what it has begun.
using ProgressSink = std::function<bool(const Progress&)>;

BUREAU_END_NAMESPACE
