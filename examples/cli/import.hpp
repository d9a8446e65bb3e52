#pragma once

#include <string>

#include "office.hpp"

namespace cli {

struct ImportReport {
  std::size_t imported = 0;
  std::size_t present = 0;       ///< rows whose id an earlier import brought
  std::vector<std::string> bad;  ///< what was wrong with the rows left out
};

/// Makes a ticket, its first message and a task to triage it of each row of a CSV file. Needs a
/// column `text` (or `message` or `body`); knows id, subject, customer, email. All rows or none,
/// unless `skip_bad`: then those that are good.
[[nodiscard]] bureau::Result<ImportReport> import_tickets(const Office& office,
                                                          const std::string& path, bool skip_bad);

/// Trains the triage classifier on the columns text and category, and stores it.
struct TrainReport {
  std::size_t examples = 0;
  std::int64_t version = 0;
  double accuracy = 0;  ///< in cross-validation
};
[[nodiscard]] bureau::Result<TrainReport> train(const Office& office, const std::string& path);

}  // namespace cli
