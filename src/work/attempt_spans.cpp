#include "work/attempt_spans.hpp"

#include <algorithm>

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

Span span_of(const Task& task, const char* operation, const char* type) {
  Span span;
  span.trace = trace_of(task);
  span.name = operation + (" " + task.queue);
  span.attributes = {{span_names::system, std::string("bureau")},
                     {span_names::destination, task.queue},
                     {span_names::operation_name, std::string(operation)},
                     {span_names::operation_type, std::string(type)},
                     {span_names::message_id, id::to_text(schema<Task>.prefix, task.id.value)},
                     {span_names::tenant, id::to_text(schema<Tenant>.prefix, task.tenant.value)},
                     {span_names::kind, task.kind}};
  return span;
}

void tell_of_enqueue(const SpanSink& sink, const Task& task) {
  Span span = span_of(task, "enqueue", "create");
  span.id = enqueue_span_of(task);
  span.kind = Span::Kind::producer;
  span.begin = span.end = task.created_at;
  sink(span);
}

}  // namespace

void tell_of_attempt(const SpanSink& sink, Random& random, const EndedAttempt& attempt) {
  const Task& task = attempt.task;
  if (task.attempt == 1) tell_of_enqueue(sink, task);
  Span span = span_of(task, "process", "process");
  span.id = std::max<std::uint64_t>(1, random.next());
  span.parent = enqueue_span_of(task);
  span.begin = attempt.end - attempt.took;
  span.end = attempt.end;
  span.failed = !attempt.error.empty();
  span.attributes.push_back({span_names::attempt, task.attempt});
  span.attributes.push_back({span_names::agent, task.agent});
  span.attributes.push_back({span_names::node, task.node});
  span.attributes.push_back(
      {span_names::outcome, std::string(attempt_end_names[static_cast<std::size_t>(attempt.how)])});
  if (span.failed) span.attributes.push_back({span_names::error_type, std::string(attempt.error)});
  span.events.push_back({"ready", task.run_at});
  if (task.started_at) span.events.push_back({"claimed", *task.started_at});
  sink(span);
}

}  // namespace detail
BUREAU_END_NAMESPACE
