#include "bureau/work/health.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

std::string name_of(HealthStatus status) {
  return std::string(names<HealthStatus>[static_cast<std::size_t>(status)]);
}

}  // namespace

Json to_json(const Health& health) {
  Json components = Json::array();
  for (const HealthComponent& component : health.components) {
    components.push_back(Json::object({{"component", component.name},
                                       {"status", name_of(component.status)},
                                       {"reason", component.reason}}));
  }
  return Json::object({{"at", health.at.to_string()},
                       {"status", name_of(health.status)},
                       {"components", std::move(components)}});
}

BUREAU_END_NAMESPACE
