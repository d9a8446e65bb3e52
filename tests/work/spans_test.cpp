// The spans of tasks: which there are, how they hang together, and how they are written.

#include "bureau/work/spans.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <mutex>
#include <set>

#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

/// Fails as often as it is told, taking three seconds for it.
class Adder : public AgentOf<add_up> {
 public:
  explicit Adder(Office& office) : office_(office) {}
  using AgentOf::execute;
  Result<Total> execute(Run& run, const Sum& sum) override {
    office_.clock.advance(3s);
    if (during) during(run.task());
    if (failures-- > 0) return fail(Code::unavailable, "a secret of Ada's");
    return Total{sum.a + sum.b};
  }
  int failures = 0;
  std::function<void(const Task&)> during;

 private:
  Office& office_;
};

struct Traced {
  Traced() {
    OrchestratorOptions options;
    options.spans = [this](const Span& span) { spans.push_back(span); };
    orchestrator =
        std::make_unique<Orchestrator>(*office.process.database, *office.process.access, options);
    must(orchestrator->add(adder));
    must(orchestrator->start());
  }
  void work() {
    orchestrator->notice();
    while (must(orchestrator->step())) {
    }
  }
  Office office;
  std::shared_ptr<Adder> adder = std::make_shared<Adder>(office);
  std::vector<Span> spans;
  std::unique_ptr<Orchestrator> orchestrator;
};

std::string text_of(const Span& span, std::string_view name) {
  for (const SpanAttribute& attribute : span.attributes) {
    if (attribute.name != name) continue;
    if (const auto* text = std::get_if<std::string>(&attribute.value)) return *text;
    return std::to_string(std::get<std::int64_t>(attribute.value));
  }
  return "(absent)";
}

}  // namespace

TEST_CASE("a task's attempts are one trace, under the span in which it was enqueued") {
  Traced traced;
  traced.adder->failures = 1;
  const Task task = must(traced.office.tasks().enqueue(add_up, Sum{1, 2}));
  const Timestamp enqueued = traced.office.clock.now();
  traced.office.clock.advance(1s);
  traced.work();
  traced.office.clock.advance(10s);
  traced.work();
  REQUIRE(traced.spans.size() == 3);
  const Span &enqueue = traced.spans[0], &first = traced.spans[1], &second = traced.spans[2];
  for (const Span& span : traced.spans) {
    CHECK(span.trace == trace_of(task));
    CHECK(text_of(span, span_names::system) == "bureau");
    CHECK(text_of(span, span_names::destination) == "default");
    CHECK(text_of(span, span_names::message_id) == id::to_text("tsk", task.id.value));
    CHECK(text_of(span, span_names::kind) == "add_up");
    std::set<std::string_view> names;
    for (const auto& attribute : span.attributes) CHECK(names.insert(attribute.name).second);
    // Texts of errors may hold anything: they stay in the task's row.
    CHECK(to_otlp(span, "desk").dump().find("Ada") == std::string::npos);
  }
  CHECK(enqueue.name == "enqueue default");
  CHECK(enqueue.kind == Span::Kind::producer);
  CHECK(enqueue.id == enqueue_span_of(task));
  CHECK(enqueue.parent == 0);
  CHECK(enqueue.begin == enqueued);
  CHECK(first.name == "process default");
  CHECK(first.kind == Span::Kind::consumer);
  CHECK(first.parent == enqueue.id);
  CHECK(second.parent == enqueue.id);
  CHECK(first.id != second.id);
  CHECK(first.begin == enqueued + 1s);
  CHECK(first.end == enqueued + 4s);
  CHECK(first.failed);
  CHECK(text_of(first, span_names::error_type) == "unavailable");
  CHECK(text_of(first, span_names::outcome) == "retried");
  CHECK(text_of(first, span_names::attempt) == "1");
  CHECK(text_of(first, span_names::agent) == "add_up");
  CHECK_FALSE(second.failed);
  CHECK(text_of(second, span_names::error_type) == "(absent)");
  CHECK(text_of(second, span_names::outcome) == "completed");
  CHECK(text_of(second, span_names::attempt) == "2");
  REQUIRE(second.events.size() == 2);
  CHECK(second.events[0].name == "ready");
  CHECK(second.events[1].name == "claimed");
  CHECK(second.events[0].at <= second.events[1].at);
  CHECK(second.events[1].at <= second.begin);
}

TEST_CASE("an attempt that was cancelled, and one whose lease was taken, say so") {
  Traced traced;
  traced.adder->during = [&](const Task& task) {
    must(traced.office.tasks().cancel(task.id, "not needed"));
  };
  must(traced.office.tasks().enqueue(add_up, Sum{1, 2}));
  traced.work();
  REQUIRE(traced.spans.size() == 2);
  CHECK(text_of(traced.spans[1], span_names::outcome) == "cancelled");
  CHECK(text_of(traced.spans[1], span_names::error_type) == "cancelled");
  traced.adder->during = [&](const Task& task) {
    must(TaskQueue(*traced.office.process.database).release(std::span(&task, 1), 1h));
  };
  must(traced.office.tasks().enqueue(add_up, Sum{1, 2}));
  traced.work();
  REQUIRE(traced.spans.size() == 4);
  CHECK(text_of(traced.spans[3], span_names::outcome) == "lost");
  CHECK(text_of(traced.spans[3], span_names::error_type) == "conflict");
}

TEST_CASE("traces are told apart, and are nowhere zero") {
  rc::check("traces", [](std::int64_t a, std::int64_t b, std::int64_t tenant) {
    Task one, other;
    one.id = Id<Task>(a);
    other.id = Id<Task>(b);
    one.tenant = other.tenant = Id<Tenant>(tenant);
    RC_ASSERT((trace_of(one) == trace_of(other)) == (a == b));
    RC_ASSERT((enqueue_span_of(one) == enqueue_span_of(other)) == (a == b));
    RC_ASSERT(trace_of(one).low != 0);
    RC_ASSERT(enqueue_span_of(one) != 0);
    RC_ASSERT(trace_of(one).to_string().size() == 32);
  });
  // They are in files of traces: the rule by which they are made is frozen.
  Task task;
  task.id = Id<Task>(1);
  task.tenant = Id<Tenant>(2);
  CHECK(trace_of(task).to_string() == "bcd9dbb49673066b910a2dec89025cc1");
}

TEST_CASE("a span is written as OTLP's JSON has it") {
  Span span;
  span.trace = {0x0123, 0x4567};
  span.id = 0xAB;
  span.parent = 0xCD;
  span.name = "process default";
  span.begin = must(Timestamp::parse("2026-03-02T08:00:00Z"));
  span.end = span.begin + 1500us;
  span.failed = true;
  span.attributes = {{span_names::attempt, std::int64_t{2}},
                     {span_names::kind, std::string("a \"kind\"")}};
  span.events = {{"claimed", span.begin}};
  const Json expected = must(Json::parse(R"({"resourceSpans": [{
      "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "desk"}}]},
      "scopeSpans": [{
        "scope": {"name": "bureau"},
        "schemaUrl": "https://opentelemetry.io/schemas/1.27.0",
        "spans": [{
          "traceId": "00000000000001230000000000004567",
          "spanId": "00000000000000ab",
          "parentSpanId": "00000000000000cd",
          "name": "process default",
          "kind": 5,
          "startTimeUnixNano": "1772438400000000000",
          "endTimeUnixNano": "1772438400001500000",
          "attributes": [
            {"key": "bureau.task.attempt", "value": {"intValue": "2"}},
            {"key": "bureau.task.kind", "value": {"stringValue": "a \"kind\""}}],
          "events": [{"name": "claimed", "timeUnixNano": "1772438400000000000"}],
          "status": {"code": 2}}]}]}]})"));
  CHECK(to_otlp(span, "desk") == expected);
  span.failed = false;
  span.parent = 0;
  const std::string text = to_otlp(span, "desk").dump();
  CHECK(text.find("parentSpanId") == std::string::npos);
  CHECK(text.find("\"status\":{}") != std::string::npos);
}
