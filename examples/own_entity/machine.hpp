#pragma once

// A host's own entity: what a struct needs to be a row like the library's.

#include <bureau/bureau.hpp>

namespace workshop {

enum class Condition { running, noisy, standing };

/// One machine of a workshop.
struct Machine {
  bureau::Id<Machine> id;
  bureau::Id<bureau::Tenant> tenant;
  std::string name;
  std::optional<bureau::Id<bureau::Team>> team;  ///< who keeps it
  Condition condition = Condition::running;
  std::optional<bureau::Timestamp> last_service;
  std::int64_t version = 0;
  bureau::Timestamp created_at, updated_at;
};

}  // namespace workshop

template <>
inline constexpr auto bureau::names<workshop::Condition> = bureau::enum_names("running", "noisy",
                                                                              "standing");

template <>
inline constexpr auto bureau::schema<workshop::Machine> = bureau::table(
    "machines", "mch", bureau::journal::full, bureau::column("id", &workshop::Machine::id),
    bureau::column("tenant", &workshop::Machine::tenant),
    bureau::column("name", &workshop::Machine::name, bureau::max_length(100)),
    bureau::column("team", &workshop::Machine::team),
    bureau::column("condition", &workshop::Machine::condition),
    bureau::column("last_service", &workshop::Machine::last_service),
    bureau::column("version", &workshop::Machine::version),
    bureau::column("created_at", &workshop::Machine::created_at),
    bureau::column("updated_at", &workshop::Machine::updated_at),
    bureau::unique_index("name", "tenant", "name"), bureau::index("team", "team"));

// Optional: what the compiler makes of it is made in main.cpp, not in each file that includes this.
BUREAU_DECLARE_ENTITY(workshop::Machine);
