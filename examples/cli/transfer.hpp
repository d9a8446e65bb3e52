#pragma once

#include <string>
#include <string_view>

#include "office.hpp"

namespace cli {

/// A table of the office by its name.
[[nodiscard]] bureau::Result<const bureau::TableInfo*> find_table(const Office& office,
                                                                  const std::string& name);

/// Every row that the session sees, in order of their ids, to stdout.
[[nodiscard]] bureau::Result<void> export_rows(const Office& office, const std::string& table,
                                               const std::string& where, bool csv);
/// All rows of the file, or none; with `skip_bad` the good ones, and the bad ones are listed.
/// Columns that the library keeps (tenant, version, times) are passed over; a row whose id is there
/// already is left as it is.
[[nodiscard]] bureau::Result<void> import_rows(const Office& office, const std::string& table,
                                               const std::string& path, bool skip_bad);

}  // namespace cli
