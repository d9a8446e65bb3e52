#pragma once

// The entity as the first version of the program has it.

#include <bureau/bureau.hpp>

namespace workshop_1 {

enum class Condition { running, noisy, standing };

struct Machine {
  bureau::Id<Machine> id;
  bureau::Id<bureau::Tenant> tenant;
  std::string name;
  Condition condition = Condition::running;
  std::string note;
};

inline std::vector<bureau::Migration> migrations() {
  return {bureau::Migration(1, "machines").add_table("machines")};
}

}  // namespace workshop_1

template <>
inline constexpr auto bureau::names<workshop_1::Condition> = bureau::enum_names("running", "noisy",
                                                                                "standing");

template <>
inline constexpr auto bureau::schema<workshop_1::Machine> = bureau::table(
    "machines", "mch", bureau::journal::full, bureau::column("id", &workshop_1::Machine::id),
    bureau::column("tenant", &workshop_1::Machine::tenant),
    bureau::column("name", &workshop_1::Machine::name, bureau::max_length(100)),
    bureau::column("condition", &workshop_1::Machine::condition),
    bureau::column("note", &workshop_1::Machine::note),
    bureau::unique_index("name", "tenant", "name"),
    bureau::index("condition", "tenant", "condition"));
