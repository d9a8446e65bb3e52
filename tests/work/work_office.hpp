#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "bureau/core/key_ring.hpp"
#include "bureau/work/agent_network.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/housekeeping.hpp"
#include "bureau/work/orchestrator.hpp"
#include "bureau/work/task_policies.hpp"
#include "bureau/work/tasks.hpp"
#include "storages.hpp"

namespace bureau::work_test {

/// Unwraps a Result; a test that cannot go on stops with the error's message.
template <class R>
auto must(R result) {
  if (!result) {
    MESSAGE(to_string(result.error()));
    REQUIRE(result.has_value());
  }
  if constexpr (!std::is_void_v<typename R::value_type>) return *std::move(result);
}

template <class R>
Code code_of(const R& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}

using tests::new_storage;

/// One process's view of a storage: what a program has after it opened an office.
struct Process {
  Process(std::shared_ptr<Storage> storage, Clock& clock, Random& random, LogSink log = {},
          std::shared_ptr<const KeyRing> keys = {}) {
    DatabaseOptions options;
    options.storage = std::move(storage);
    options.clock = &clock;
    options.random = &random;
    options.log = std::move(log);
    options.keys = std::move(keys);
    must(Access::add_tables(options.catalog));
    must(add_task_tables(options.catalog));
    must(add_network_tables(options.catalog));
    must(add_housekeeping_tables(options.catalog));
    database = must(Database::open(std::move(options)));
    Policies policies;
    must(add_task_policies(policies));
    must(add_network_policies(policies));
    must(add_housekeeping_policies(policies));
    access = must(Access::open(*database, policies));
  }
  std::unique_ptr<Database> database;
  std::unique_ptr<Access> access;
};

/// A tenant on a storage of its own with a clock that stands still.
struct Office {
  ManualClock clock;
  SeededRandom random{7};
  std::shared_ptr<Storage> storage = new_storage(clock);
  Process process{storage, clock, random};
  Tenant tenant = must(process.access->create_tenant("Larkfield"));

  [[nodiscard]] Session system() { return process.access->system(tenant.id); }
  [[nodiscard]] Tasks tasks() { return Tasks(session_); }
  [[nodiscard]] Task find(Id<Task> id) { return must(tasks().find(id)); }

 private:
  Session session_ = process.access->system(tenant.id);
};

struct Sum {
  std::int64_t a = 0, b = 0;
};
struct Total {
  std::int64_t value = 0;
};

}  // namespace bureau::work_test

template <>
inline constexpr auto bureau::record<bureau::work_test::Sum> =
    bureau::fields(bureau::column("a", &bureau::work_test::Sum::a),
                   bureau::column("b", &bureau::work_test::Sum::b));
template <>
inline constexpr auto bureau::record<bureau::work_test::Total> =
    bureau::fields(bureau::column("value", &bureau::work_test::Total::value));

namespace bureau::work_test {

inline constexpr auto add_up =
    task_kind<Sum, Total>("add_up", Effect::database, retry::fixed(3, std::chrono::seconds(10)));
inline constexpr auto send_out =
    task_kind<Sum, Total>("send_out", Effect::external_unsafe, retry::never);

/// An agent that does what its test says.
template <const auto& kind>
class Doer : public AgentOf<kind> {
 public:
  using Body = std::function<Result<Total>(Run&, const Sum&)>;
  explicit Doer(Body body) : body_(std::move(body)) {}
  using AgentOf<kind>::execute;
  [[nodiscard]] std::string_view role() const override { return "manager"; }  // it adds teams
  Result<Total> execute(Run& run, const Sum& sum) override { return body_(run, sum); }

 private:
  Body body_;
};

}  // namespace bureau::work_test
