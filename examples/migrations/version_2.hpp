#pragma once

// The entity as the second version has it: a condition is called a state, notes are no more, and
// each machine stands at a site and has a label.

#include <bureau/bureau.hpp>

namespace workshop_2 {

enum class State { running, noisy, standing };

struct Machine {
  bureau::Id<Machine> id;
  bureau::Id<bureau::Tenant> tenant;
  std::string name;
  State state = State::running;
  std::string site;
  std::optional<std::string> label;
};

/// "lathe 3" is labelled "LAT-3".
inline bureau::Result<void> make_label(bureau::FillRow& row) {
  const std::string_view name = row.get("name").as_text();
  std::string label(name.substr(0, 3));
  for (char& c : label) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  label += '-';
  label += name.substr(name.rfind(' ') + 1);
  row.set("label", bureau::Value::text(label));
  return {};
}

inline std::vector<bureau::Migration> migrations() {
  return {bureau::Migration(1, "machines").add_table("machines"),
          bureau::Migration(2, "sites, states and labels; no notes")
              .rename_column("machines", "condition", "state")
              .add_column("machines", "site", "main hall")
              .add_column("machines", "label")
              .drop_column("machines", "note")
              .fill("machines", "label is null", "labels of names", make_label)};
}

}  // namespace workshop_2

template <>
inline constexpr auto bureau::names<workshop_2::State> = bureau::enum_names("running", "noisy",
                                                                            "standing");

template <>
inline constexpr auto bureau::schema<workshop_2::Machine> = bureau::table(
    "machines", "mch", bureau::journal::full, bureau::column("id", &workshop_2::Machine::id),
    bureau::column("tenant", &workshop_2::Machine::tenant),
    bureau::column("name", &workshop_2::Machine::name, bureau::max_length(100)),
    bureau::column("state", &workshop_2::Machine::state),
    bureau::column("site", &workshop_2::Machine::site),
    bureau::column("label", &workshop_2::Machine::label),
    bureau::unique_index("name", "tenant", "name"), bureau::index("state", "tenant", "state"));
