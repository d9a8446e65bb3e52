#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bureau/core/json.hpp"
#include "bureau/core/timestamp.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// What attributes of spans are called: OpenTelemetry's semantic conventions of this version, and
/// names of our own where those have none. This table is the one place that names them.
namespace span_names {
inline constexpr std::string_view schema_url = "https://opentelemetry.io/schemas/1.27.0";
inline constexpr std::string_view system = "messaging.system";                 ///< "bureau"
inline constexpr std::string_view destination = "messaging.destination.name";  ///< the queue
inline constexpr std::string_view operation_name = "messaging.operation.name";
inline constexpr std::string_view operation_type = "messaging.operation.type";
inline constexpr std::string_view message_id = "messaging.message.id";  ///< the task
inline constexpr std::string_view error_type = "error.type";            ///< the name of a Code
inline constexpr std::string_view tenant = "bureau.tenant.id";
inline constexpr std::string_view kind = "bureau.task.kind";
inline constexpr std::string_view attempt = "bureau.task.attempt";
inline constexpr std::string_view outcome = "bureau.task.outcome";
inline constexpr std::string_view agent = "bureau.agent.name";
inline constexpr std::string_view node = "bureau.node.id";
}  // namespace span_names

/// The same for all attempts at a task, in whichever process, also after a pause: made of the ids
/// of the task and its tenant alone. Never all zero.
struct TraceId {
  std::uint64_t high = 0, low = 0;
  friend bool operator==(const TraceId&, const TraceId&) = default;
  [[nodiscard]] std::string to_string() const;  ///< 32 hexadecimal digits
};
[[nodiscard]] TraceId trace_of(const Task& task);
/// The span in which the task was enqueued: the parent of its attempts. Made of its id, too.
[[nodiscard]] std::uint64_t enqueue_span_of(const Task& task);

struct SpanAttribute {
  std::string_view name;  ///< of span_names
  std::variant<std::int64_t, std::string> value;
};

/// Something that happened inside a span.
struct SpanEvent {
  std::string_view name;
  Timestamp at;
};

/// A stretch of a task's life: its enqueuing, or one attempt at it.
struct Span {
  enum class Kind { producer, consumer };
  TraceId trace;
  std::uint64_t id = 0;
  std::uint64_t parent = 0;  ///< 0: none
  std::string name;
  Kind kind = Kind::consumer;
  Timestamp begin, end;
  bool failed = false;
  std::vector<SpanAttribute> attributes;
  std::vector<SpanEvent> events;
};

/// Where spans go. Called from any thread, also at the same time, when a span has ended; must not
/// throw and should not block. Spans hold ids, names and codes: no payloads, no results, no texts
/// of errors.
using SpanSink = std::function<void(const Span&)>;

/// The span as OTLP in JSON has it, with all that is around it: one line of a file that an
/// OpenTelemetry collector reads.
[[nodiscard]] Json to_otlp(const Span& span, std::string_view service_name);

BUREAU_END_NAMESPACE
