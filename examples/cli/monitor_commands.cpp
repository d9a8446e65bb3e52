// What a monitoring system asks: `bureau metrics`, `bureau health`.

#include <fmt/format.h>

#include <memory>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

int exit_code_of(HealthStatus status) {
  switch (status) {
    case HealthStatus::ok:
      return 0;
    case HealthStatus::degraded:
      return degraded;
    case HealthStatus::failed:
      break;
  }
  return failed;
}

std::string_view name_of(HealthStatus status) {
  return names<HealthStatus>[static_cast<std::size_t>(status)];
}

Result<void> print_health(const Office& office, Format format) {
  BUREAU_TRY(const Health health, office.engine->health());
  if (format == Format::json) {
    fmt::print("{}\n", printable(to_json(health)));
  } else {
    fmt::print("{}\n", name_of(health.status));
    for (const HealthComponent& component : health.components) {
      fmt::print("{:<10}{:<14}{}\n", name_of(component.status), component.name,
                 without_controls(component.reason));
    }
  }
  end_with(exit_code_of(health.status));
  return {};
}

}  // namespace

void add_monitor_commands(CLI::App& app, const InOffice& any) {
  const InOffice in_office = for_whole_office(any);
  app.add_subcommand("metrics",
                     "what the office holds, in Prometheus's text format; what a program has "
                     "counted, it says itself: Engine::metrics_text()")
      ->callback(in_office([](Office& office) -> Result<void> {
        BUREAU_TRY(const std::string text, office.engine->metrics_text());
        fmt::print("{}", text);
        return {};
      }));
  auto format = std::make_shared<Format>(Format::table);
  auto* health =
      app.add_subcommand("health", "whether all is well; exit code 0, 3 (degraded) or 1 (failed)");
  health
      ->add_option_function<std::string>(
          "--format", [format](const std::string& name) { *format = formats.at(name); },
          "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
  health->callback(in_office([format](Office& office) { return print_health(office, *format); }));
}

}  // namespace cli
