#pragma once

// What statements find on the shelf.

#include "bureau/core/clock.hpp"
#include "bureau/store/storage.hpp"
#include "shelf_rows.hpp"

namespace shelf {

/// How a transaction sees the time: for now() and for its deadline.
struct Moment {
  bureau::Clock& clock;
  bureau::Monotonic deadline;
  /// `deadline` once it has passed.
  [[nodiscard]] bureau::Result<void> check() const;
};

/// The rows of a select, in its order. Checks the select.
[[nodiscard]] bureau::Result<std::vector<Row>> select_rows(const State& state,
                                                           const bureau::Select& select,
                                                           const Moment& moment);
[[nodiscard]] bureau::Result<void> aggregate_rows(const State& state,
                                                  const bureau::Aggregate& aggregate,
                                                  const Moment& moment, bureau::RowSink sink);

}  // namespace shelf
