#pragma once

#include "desk.hpp"

namespace helpdesk {

/// How long a ticket waits from the commit that made it to the commit that routed it, while they
/// arrive steadily.
struct Latency {
  std::uint64_t tickets = 0;
  double seconds = 0;  ///< of arriving
  double p50_ms = 0, p99_ms = 0;
  double from_due_p99_ms = 0;  ///< from the moment it should have arrived, its own commit included
};

/// Repeats the messages in a new office at `path` until `tickets` have arrived, `per_second` of
/// them in a second.
bureau::Result<Latency> measure_latency(const DeskOptions& options, const Setup& setup,
                                        std::shared_ptr<const bureau::TextClassifier> classifier,
                                        const std::vector<InboxMessage>& messages,
                                        std::uint64_t tickets, double per_second,
                                        const std::function<void(std::uint64_t)>& watch);

}  // namespace helpdesk
