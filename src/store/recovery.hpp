#pragma once

#include <optional>

#include "bureau/core/timestamp.hpp"
#include "bureau/store/progress.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

struct ReplayOptions {
  std::int64_t after = 0;  ///< the newest change that the office has
  /// At most one of the two; none: all.
  std::optional<std::int64_t> to_sequence = {};
  std::optional<Timestamp> to_moment = {};
  const ProgressSink& progress;  ///< in changes
};

struct ReplayReport {
  std::int64_t sequence = 0;
  std::int64_t changes = 0;
  std::int64_t erased = 0;  ///< keys of persons that the history has destroyed since
};

/// Makes the changes that the history's journal has after the office's last one, and takes their
/// records over. What the journal does not tell (secret values, tables without one) stays. Errors
/// as restore_backup(). The office is of no use after an error.
Result<ReplayReport> replay_journal(Storage& history, Storage& office,
                                    const ReplayOptions& options);

}  // namespace detail
BUREAU_END_NAMESPACE
