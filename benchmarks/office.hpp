#pragma once

// An office to measure: a fresh SQLite file with one tenant.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bureau/bureau.hpp"
#include "loop.hpp"

namespace bench {

struct Office {
  std::string path;
  std::unique_ptr<bureau::Engine> engine;
  bureau::Tenant tenant;

  [[nodiscard]] bureau::Session system() const { return engine->system(tenant.id); }
  [[nodiscard]] bureau::User add_user(const std::string& name, const std::string& role) const {
    bureau::User user;
    user.tenant = tenant.id;
    user.email = name + "@example.com";
    user.name = name;
    user.role = role;
    return must(bureau::Repository<bureau::User>(system()).insert(user));
  }
};

/// The row as the statement's parameters, from the first on; its texts must outlive the step.
inline void bind_row(LoopStatement& statement, std::span<const bureau::Value> row) {
  int at = 0;
  for (const bureau::Value& value : row) {
    ++at;
    switch (value.kind()) {
      case bureau::Value::Kind::null:
        statement.bind_null(at);
        break;
      case bureau::Value::Kind::integer:
        statement.bind(at, value.as_integer());
        break;
      case bureau::Value::Kind::real:
        statement.bind(at, value.as_real());
        break;
      default:
        statement.bind(at, value.as_text());
        break;
    }
  }
}

inline Office open_office(const std::string& path, bool power_safe,
                          std::shared_ptr<bureau::Storage> storage = nullptr,
                          std::vector<const bureau::TableInfo*> tables = {}) {
  bureau::EngineOptions options;
  options.path = path;
  options.storage = std::move(storage);
  options.tables = std::move(tables);
  options.durability = power_safe ? bureau::Durability::power_safe : bureau::Durability::relaxed;
  Office office{path, must(bureau::Engine::open(std::move(options))), {}};
  office.tenant = must(office.engine->access().create_tenant("bench"));
  must(bureau::support::create_default_statuses(office.system()));
  return office;
}

}  // namespace bench
