#pragma once

#include <memory>
#include <string>

#include "bureau/bureau.hpp"

namespace cli {

/// Exit codes: 0 good, 1 the office said no, 2 the command line is wrong.
inline constexpr int failed = 1;
inline constexpr int misused = 2;

struct Settings {
  std::string office = "office.db";
  std::string tenant;  ///< empty: the only one
  bool colour = false;
};

struct Office {
  std::unique_ptr<bureau::Engine> engine;
  bureau::Tenant tenant;
  [[nodiscard]] bureau::Session system() const { return engine->system(tenant.id); }
};

/// Opens an office that is there.
[[nodiscard]] bureau::Result<Office> open_office(const Settings& settings, std::size_t threads = 4);
/// Makes a new one: the file, a tenant, its roles and ticket statuses.
[[nodiscard]] bureau::Result<Office> create_office(const Settings& settings,
                                                   const std::string& name);

/// "tsk_01h..." or, for tickets, a number.
[[nodiscard]] bureau::Result<bureau::Id<bureau::Task>> parse_task(const std::string& text);

}  // namespace cli
