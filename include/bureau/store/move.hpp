#pragma once

#include <cstdint>

#include "bureau/core/result.hpp"
#include "bureau/store/progress.hpp"
#include "bureau/store/verify.hpp"

BUREAU_BEGIN_NAMESPACE

class Storage;

struct MoveOptions {
  /// What an earlier move has left in the destination is taken away first, instead of gone on with.
  bool start_over = false;
  ProgressSink progress = {};  ///< in rows; `what` is the table
};

struct MoveReport {
  OfficeDigest office;        ///< what arrived, as it was read back
  std::int64_t moved = 0;     ///< rows that this call wrote
  std::int64_t found = 0;     ///< rows that a move which was cut off had written before
  std::int64_t left_out = 0;  ///< changes that were made in the source meanwhile, and did not move
};

/// Copies an office, of one moment, from any storage into any other: all tables that are stored
/// there, those of other programs too, with the journal and its numbers. The source stays as it is.
/// What is each storage's own stays behind: its format, the places of its nodes (whose leases are
/// void afterwards) and the ids of its commits.
///
/// The destination holds no office, or what an earlier move from the same office has left. It
/// arrives in steps; until all has arrived, was read back and is the same, no program opens it:
/// Database::open() is `unavailable`. A move that was cut off goes on where it stopped when it is
/// called again, unless the source has changed meanwhile: then it starts over.
///
/// Nobody should write the source: what is written to it while the move runs does not travel, and
/// is counted. Errors: those of the storages; `exists` with field "to" (there is an office),
/// `invalid` with field "from" (there is none, or a migration of it is not finalized), `corrupt`
/// when what was read back is not what was sent, `cancelled`. After each of them the move can be
/// called again. Any thread; blocks.
[[nodiscard]] Result<MoveReport> move_office(Storage& from, Storage& to,
                                             const MoveOptions& options = {});

BUREAU_END_NAMESPACE
