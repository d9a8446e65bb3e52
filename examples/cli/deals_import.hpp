#pragma once

#include <string>

#include "office.hpp"

namespace cli {

struct DealsReport {
  std::size_t imported = 0;
  std::size_t present = 0;  ///< opportunities that an earlier import brought
  // What was made besides.
  std::size_t accounts = 0, products = 0, people = 0, teams = 0;
  // To how many of the imported each rule for gaps was applied (docs/deals.md).
  std::size_t respelled = 0;        ///< the product is spelled in another way than in products.csv
  std::size_t without_account = 0;  ///< no account is named
  std::size_t without_close = 0;    ///< no close date is known
};

/// Reads accounts.csv, products.csv, sales_teams.csv and sales_pipeline.csv of a folder into
/// accounts, products, teams with their people, and deals with their history. All or nothing: an
/// error names file, line, column and rule. What is there already stays as it is.
[[nodiscard]] bureau::Result<DealsReport> import_deals(const Office& office,
                                                       const std::string& folder,
                                                       const std::string& currency);

}  // namespace cli
