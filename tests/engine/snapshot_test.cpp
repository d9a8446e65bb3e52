// What is stuck: Engine::snapshot(), and SQL for the host.

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <future>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/store/memory_storage.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

inline constexpr auto wait_kind =
    task_kind<Nothing, Nothing>("wait", Effect::database, retry::never);
inline constexpr auto fail_kind =
    task_kind<Nothing, Nothing>("fail", Effect::database, retry::never);

/// Says that it has begun, and returns when it is told to.
class Waiter : public AgentOf<wait_kind> {
 public:
  Result<Nothing> execute(Run& run, const Nothing&) override {
    must(run.progress(0.5, "half way"));
    begun.set_value();
    go.get_future().wait();
    return Nothing{};
  }
  std::promise<void> begun, go;
};

class Failer : public AgentOf<fail_kind> {
 public:
  Result<Nothing> execute(Run&, const Nothing&) override { return fail(Code::forbidden, "never"); }
};

struct Office {
  explicit Office(std::shared_ptr<Storage> storage = {}) {
    EngineOptions options;
    options.path = folder.file();
    options.storage = std::move(storage);
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield"));
  }
  Folder folder;
  std::unique_ptr<Engine> engine;
  Tenant tenant;
};

}  // namespace

TEST_CASE("a snapshot shows what runs here and how long, what waits, and what was given up") {
  Office office;
  auto waiter = std::make_shared<Waiter>();
  must(office.engine->add(waiter));
  must(office.engine->add(std::make_shared<Failer>()));
  const Tasks tasks(office.engine->system(office.tenant.id));
  const Task held = must(tasks.enqueue(wait_kind, Nothing{}));
  must(tasks.enqueue(fail_kind, Nothing{}));
  const Snapshot before = must(office.engine->snapshot());
  REQUIRE(before.queues.size() == 1);
  CHECK(before.queues[0].ready == 2);
  CHECK(before.queues[0].first == held.id);
  CHECK(before.tasks.empty());
  CHECK(before.feed_head > 0);
  CHECK(before.feed_lag == 0);

  must(office.engine->start());
  waiter->begun.get_future().wait();
  Snapshot during = must(office.engine->snapshot());
  while (during.dead.empty()) during = must(office.engine->snapshot());
  const auto it = std::find_if(during.tasks.begin(), during.tasks.end(),
                               [&](const HeldTask& t) { return t.task == held.id; });
  REQUIRE(it != during.tasks.end());
  CHECK(it->here);
  CHECK(it->begun);
  CHECK(it->kind == "wait");
  CHECK(it->agent == "wait");
  CHECK(it->attempt == 1);
  CHECK(it->progress == 0.5);
  CHECK(it->note == "half way");
  CHECK(it->age >= Duration(0));
  REQUIRE(during.nodes.size() == 1);
  CHECK(during.nodes[0].here);
  CHECK(during.nodes[0].alive);
  CHECK(during.nodes[0].held >= 1);
  CHECK(during.nodes[0].agents.size() == 2);
  CHECK(during.dead[0].kind == "fail");
  CHECK(during.dead[0].error_code == "forbidden");
  CHECK(during.dead[0].count == 1);
  CHECK(during.storage.file_bytes > 0);
  const std::string json = to_json(during).dump();
  CHECK(json.find("\"note\":\"half way\"") != std::string::npos);

  waiter->go.set_value();
  must(office.engine->stop());
  const Snapshot after = must(office.engine->snapshot());
  CHECK(after.tasks.empty());
}

TEST_CASE("a snapshot names the write that holds the lock, by the line that called it") {
  Office office;
  const int line = __LINE__ + 1;
  auto seen = office.engine->system(office.tenant.id).write([&](Unit&) -> Result<Snapshot> {
    return office.engine->snapshot();
  });
  const Snapshot snapshot = must(std::move(seen));
  REQUIRE(snapshot.storage.writer);
  CHECK(snapshot.storage.writer->here);
  CHECK(snapshot.storage.writer->line == line);
  CHECK(snapshot.storage.writer->file.find("snapshot_test.cpp") != std::string::npos);
  CHECK(snapshot.storage.readers == 0);
}

TEST_CASE("SQL for the host sees the rows, and no secret") {
  Office office;
  SqlQuery query;
  query.text = "SELECT name FROM tenants";
  std::string name;
  const SqlSummary summary = must(office.engine->sql(
      query, [&](std::span<const std::string>, std::span<const Value> row) -> Result<bool> {
        name = std::string(row[0].as_text());
        return true;
      }));
  CHECK(name == "Larkfield");
  CHECK(summary.rows == 1);
  const auto none = [](std::span<const std::string>, std::span<const Value>) -> Result<bool> {
    return true;
  };
  for (const char* text : {"SELECT value FROM bureau_settings", "SELECT key FROM bureau_keys"}) {
    query.text = text;
    const auto refused = office.engine->sql(query, none);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::forbidden);
  }
}

TEST_CASE("an office without SQL takes snapshots all the same") {
  Office office(make_memory_storage());
  const Snapshot snapshot = must(office.engine->snapshot());
  CHECK(snapshot.tasks.empty());
  CHECK_FALSE(snapshot.storage.writer);
  const auto refused = office.engine->sql(
      {"SELECT 1"},
      [](std::span<const std::string>, std::span<const Value>) -> Result<bool> { return true; });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().field == "storage");
}

TEST_CASE("a program that is too old for the file claims no more tasks") {
  Office office;
  must(office.engine->add(std::make_shared<Failer>()));
  must(office.engine->start_polled());
  const Tasks tasks(office.engine->system(office.tenant.id));
  must(tasks.enqueue(fail_kind, Nothing{}));
  REQUIRE(office.engine->agents()[0].operational);
  sqlite3* newer = nullptr;
  REQUIRE(sqlite3_open(office.folder.file().c_str(), &newer) == SQLITE_OK);
  CHECK(sqlite3_exec(newer,
                     "PRAGMA user_version=2;"
                     "UPDATE bureau_meta SET value='2' WHERE key='oldest_reader'",
                     nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(newer);
  for (int i = 0; i < 3; ++i) static_cast<void>(office.engine->poll({10, Duration::max()}));
  CHECK_FALSE(office.engine->agents()[0].operational);
  CHECK(office.engine->agents()[0].failed == 0);
  const auto refused = tasks.enqueue(fail_kind, Nothing{});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::upgraded);
  CHECK(refused.error().field == "format");
}
