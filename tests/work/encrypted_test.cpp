// Kinds whose tasks rest encrypted: what is in the database, and who reads it.

#include <doctest/doctest.h>

#include <set>

#include "bureau/work/outside_call.hpp"
#include "bureau/work/schedule.hpp"
#include "store/internal_tables.hpp"
#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

struct Patient {
  std::string name;
};
struct Letter {
  std::string text;
};

}  // namespace

template <>
inline constexpr auto bureau::record<Patient> = bureau::fields(bureau::column("name",
                                                                              &Patient::name));
template <>
inline constexpr auto bureau::record<Letter> = bureau::fields(bureau::column("text",
                                                                             &Letter::text));

namespace {

constexpr auto write_letter =
    task_kind<Patient, Letter>("write_letter", Effect::database, retry::fixed(3, 10s)).encrypted();
constexpr auto plain_parent =
    task_kind<Patient, Letter>("plain_parent", Effect::database, retry::fixed(3, 10s));
constexpr Signal<Letter> answered{"answered"};

using Handler = std::function<Result<Letter>(Run&, const Patient&)>;

template <const auto& kind>
class Scribe final : public AgentOf<kind> {
 public:
  explicit Scribe(Handler handler) : handler_(std::move(handler)) {}
  using AgentOf<kind>::execute;
  Result<Letter> execute(Run& run, const Patient& patient) override {
    return handler_(run, patient);
  }

 private:
  Handler handler_;
};

std::shared_ptr<const KeyRing> ring(std::initializer_list<std::pair<const char*, int>> keys) {
  auto made = std::make_shared<KeyRing>();
  for (const auto& [name, byte] : keys) {
    must(made->add(name, std::vector<std::byte>(KeyRing::key_bytes, std::byte(byte))));
  }
  return made;
}

/// An office whose processes have the keys that they were given.
struct Surgery {
  ManualClock clock;
  SeededRandom random{7};
  std::shared_ptr<Storage> storage = new_storage(clock);
  Id<Tenant> tenant;

  std::unique_ptr<Process> open(std::shared_ptr<const KeyRing> keys) {
    auto process = std::make_unique<Process>(storage, clock, random, LogSink(), std::move(keys));
    if (!tenant) tenant = must(process->access->create_tenant("Larkfield")).id;
    return process;
  }
};

void run_all(Orchestrator& orchestrator) {
  do {
    orchestrator.notice();
  } while (must(orchestrator.step()));
}

/// Everything that the office's rows and its journal hold, as text.
std::string all_that_rests(Process& process, const Session& session) {
  std::string out;
  for (const Task& task : must(Tasks(session).list({}))) {
    out += task.payload.dump() + task.result.value_or(Json()).dump();
    for (const RunStep& step : must(Runs(session).steps(task.id))) {
      out += step.result.value_or(Json()).dump();
    }
    for (const RunSignal& signal : must(Runs(session).signals_of(task.id))) {
      out += signal.payload.dump();
    }
  }
  must(process.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    return reader.scan(
        select<detail::JournalRow>(), [&](std::span<const Value> row) -> Result<bool> {
          for (const Value& value : row) {
            const bool is_text =
                value.kind() == Value::Kind::text || value.kind() == Value::Kind::bytes;
            if (is_text) out += value.as_text();
          }
          return true;
        });
  }));
  return out;
}

}  // namespace

TEST_CASE(
    "Payload, result, steps, signals and a child's result rest sealed, and the run reads them") {
  Surgery surgery;
  auto process = surgery.open(ring({{"2026", 1}}));
  const Session session = process->access->system(surgery.tenant);
  Orchestrator orchestrator(*process->database, *process->access, {});
  int attempts = 0;
  must(orchestrator.add(std::make_shared<Scribe<write_letter>>(
      [&](Run& run, const Patient& patient) -> Result<Letter> {
        ++attempts;
        BUREAU_TRY(const auto draft, run.step("draft", [&]() -> Result<std::string> {
          return "Dear " + patient.name;
        }));
        BUREAU_TRY(const auto answer, run.wait_for(answered));
        return Letter{draft + ", " + answer->text};
      })));
  must(orchestrator.add(std::make_shared<Scribe<plain_parent>>(
      [&](Run& run, const Patient& patient) -> Result<Letter> {
        BUREAU_TRY(const auto letter, run.call(write_letter, Patient{patient.name + "ius"}));
        BUREAU_TRY_VOID(run.sleep(1s));
        return Letter{std::to_string(letter.text.size())};
      })));
  must(orchestrator.start());
  const Id<Task> parent = must(Tasks(session).enqueue(plain_parent, {"Octav"})).id;
  run_all(orchestrator);
  const auto children = must(Runs(session).children(parent));
  REQUIRE(children.size() == 1);
  const Task child = children.front();
  CHECK(child.sealed_with == "2026");
  CHECK(must(Tasks(session).payload(write_letter, child)).name == "Octavius");
  CHECK(must(Runs(session).signal(child.id, answered, Letter{"come on Monday"})));
  for (int i = 0; i < 3; ++i) {
    run_all(orchestrator);
    surgery.clock.advance(1s);
  }
  CHECK(attempts == 2);  // the second had the draft from what was sealed
  CHECK(must(Tasks(session).wait(write_letter, child.id, 0s)).text ==
        "Dear Octavius, come on Monday");
  CHECK(must(Tasks(session).wait(plain_parent, parent, 0s)).text == "29");
  const std::string rests = all_that_rests(*process, session);
  CHECK(rests.find("Octav") != std::string::npos);  // the plain kind's payload: the search works
  CHECK(rests.find("Octavius") == std::string::npos);
  CHECK(rests.find("Monday") == std::string::npos);
  // A fork has the same behind it.
  const Task fork = must(Runs(session).fork_from(child.id, 1));
  must(Runs(session).signal(fork.id, answered, Letter{"or not"}));
  run_all(orchestrator);
  CHECK(must(Tasks(session).wait(write_letter, fork.id, 0s)).text == "Dear Octavius, or not");
}

TEST_CASE("A process without the key leaves the task to one that has it") {
  Surgery surgery;
  auto with = surgery.open(ring({{"old", 1}, {"new", 2}}));
  auto without = surgery.open(ring({{"old", 1}}));
  auto keyless = surgery.open(nullptr);
  const auto id =
      must(Tasks(with->access->system(surgery.tenant)).enqueue(write_letter, {"Ada"})).id;
  std::vector<std::string> did;
  const auto worker = [&](Process& process, const char* name) {
    auto made =
        std::make_unique<Orchestrator>(*process.database, *process.access, OrchestratorOptions{});
    must(made->add(std::make_shared<Scribe<write_letter>>(
        [&did, name](Run&, const Patient& patient) -> Result<Letter> {
          did.push_back(std::string(name) + " " + patient.name);
          return Letter{"done"};
        })));
    must(made->start());
    return made;
  };
  for (Process* process : {without.get(), keyless.get()}) {
    auto orchestrator = worker(*process, "keyless");
    run_all(*orchestrator);
    const Session session = process->access->system(surgery.tenant);
    const Task task = must(Tasks(session).find(id));
    CHECK(task.status == TaskStatus::scheduled);
    CHECK(task.failures == 0);
    CHECK(code_of(Tasks(session).payload(write_letter, task)) == Code::not_found);
    surgery.clock.advance(1min);
  }
  CHECK(did.empty());
  auto orchestrator = worker(*with, "keeper");
  run_all(*orchestrator);
  CHECK(did == std::vector<std::string>{"keeper Ada"});
}

TEST_CASE("A payload that was moved from another tenant, or changed, does not open") {
  Surgery surgery;
  auto process = surgery.open(ring({{"k", 1}}));
  const Session session = process->access->system(surgery.tenant);
  const Session other =
      process->access->system(must(process->access->create_tenant("Elsewhere")).id);
  Task task = must(Tasks(session).enqueue(write_letter, {"Ada"}));
  task.tenant = other.principal().tenant;
  CHECK(code_of(Tasks(other).payload(write_letter, task)) == Code::corrupt);
  CHECK(code_of(Tasks(session).payload(plain_parent, task)) == Code::invalid);
}

TEST_CASE("Without a key nothing is enqueued, and a schedule shows no secrets") {
  Surgery surgery;
  auto keyless = surgery.open(nullptr);
  const Session session = keyless->access->system(surgery.tenant);
  const auto refused = Tasks(session).enqueue(write_letter, {"Ada"});
  CHECK(code_of(refused) == Code::invalid);
  CHECK(refused.error().field == "kind");
  CHECK(must(Tasks(session).count()) == 0);
  auto keeper = surgery.open(ring({{"k", 1}}));
  const auto scheduled =
      Schedules(keeper->access->system(surgery.tenant))
          .save({.name = "letters", .expression = "@daily"}, write_letter, {"Ada"});
  CHECK(code_of(scheduled) == Code::invalid);
}

TEST_CASE("A step in doubt of an encrypted run is resolved with a result that rests sealed") {
  Surgery surgery;
  auto process = surgery.open(ring({{"k", 1}}));
  const Session session = process->access->system(surgery.tenant);
  Orchestrator orchestrator(*process->database, *process->access, {});
  must(orchestrator.add(
      std::make_shared<Scribe<write_letter>>([&](Run& run, const Patient&) -> Result<Letter> {
        BUREAU_TRY(const auto sent,
                   run.step("send", Effect::external_unsafe, []() -> Result<std::string> {
                     return fail(Code::unknown_outcome, "the line was cut");
                   }));
        return Letter{sent};
      })));
  must(orchestrator.start());
  const auto id = must(Tasks(session).enqueue(write_letter, {"Ada"})).id;
  run_all(orchestrator);
  REQUIRE(must(Tasks(session).find(id)).status == TaskStatus::in_doubt);
  must(Runs(session).resolve_step(id, Json::object({{"value", "receipt of Ada"}}), "she has it"));
  run_all(orchestrator);
  CHECK(must(Tasks(session).wait(write_letter, id, 0s)).text == "receipt of Ada");
  CHECK(all_that_rests(*process, session).find("receipt") == std::string::npos);
}

TEST_CASE("An answer that comes later rests sealed, whoever brings it; its key does not") {
  for (const bool by_another : {false, true}) {
    CAPTURE(by_another);
    Surgery surgery;
    const auto keys = ring({{"2026", 1}});
    auto process = surgery.open(keys);
    const Session session = process->access->system(surgery.tenant);
    Orchestrator orchestrator(*process->database, *process->access, {});
    std::optional<PendingCall> pending;
    int attempts = 0;
    must(orchestrator.add(
        std::make_shared<Scribe<write_letter>>([&](Run& run, const Patient&) -> Result<Letter> {
          ++attempts;
          OutsideCall call;
          call.begin = [&](const PendingCall& made) -> Result<void> {
            pending = made;
            return {};
          };
          BUREAU_TRY(const Json answer, run.request("ask", call));
          if (attempts == 2) return fail(Code::unavailable, "once more");
          return Letter{*answer.as_string()};
        })));
    must(orchestrator.start());
    const auto id = must(Tasks(session).enqueue(write_letter, {"Ada"})).id;
    run_all(orchestrator);
    REQUIRE(pending);
    CHECK(pending->wanted());
    const Json answer("It is measles");
    if (by_another) {
      auto other = surgery.open(keys);
      CHECK(must(Runs(other->access->system(surgery.tenant)).answer(pending->key(), answer)));
    } else {
      CHECK(must(pending->answer(answer)));
    }
    run_all(orchestrator);
    CHECK_FALSE(pending->wanted());
    surgery.clock.advance(10s);
    run_all(orchestrator);
    CHECK(must(Tasks(session).wait(write_letter, id, Duration(0))).text == "It is measles");
    CHECK(all_that_rests(*process, session).find("measles") == std::string::npos);
  }
}
