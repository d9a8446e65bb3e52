#pragma once

#include "desk.hpp"

namespace helpdesk {

/// What became of the inbox, read back from the office.
struct Summary {
  std::uint64_t tickets = 0, triaged = 0, drafted = 0, accepted = 0, left_for_people = 0;
  std::optional<double> accuracy;  ///< top label, unsure ones included; none without labels
  double coverage = 0;             ///< the share that the classifier was sure of
  std::optional<double> accuracy_at_threshold;
  std::int64_t changes = 0;
  std::optional<std::uint64_t> file_bytes;  ///< none on a server

  struct Line {
    std::uint64_t tickets = 0, accepted = 0;
  };
  std::map<std::string, Line> categories, teams;

  // What was measured beside it.
  double tickets_per_second = 0, training_seconds = 0;
  std::optional<double> routed_ms_p50, routed_ms_p99;
};

bureau::Result<Summary> summarize(Desk& desk, const std::vector<InboxMessage>& messages);

/// For people.
std::string to_table(const Summary& summary);
/// One JSON object on one line.
std::string to_json_line(const Summary& summary);

}  // namespace helpdesk
