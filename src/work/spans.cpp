#include "bureau/work/spans.hpp"

#include <fmt/format.h>

#include <array>

BUREAU_BEGIN_NAMESPACE

namespace {

/// Spreads a number over all 64 bits, each number to another (the finaliser of SplitMix64).
std::uint64_t spread(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

std::uint64_t not_zero(std::uint64_t value) { return value == 0 ? 1 : value; }

constexpr std::uint64_t of_enqueue = 0x656E7175657565;

Json attribute(std::string_view name, Json value) {
  return Json::object({{"key", std::string(name)}, {"value", std::move(value)}});
}

Json to_json(const SpanAttribute& given) {
  if (const auto* number = std::get_if<std::int64_t>(&given.value)) {
    // 64-bit integers are texts in protobuf's JSON.
    return attribute(given.name, Json::object({{"intValue", fmt::format("{}", *number)}}));
  }
  return attribute(given.name, Json::object({{"stringValue", std::get<std::string>(given.value)}}));
}

std::string nanoseconds(Timestamp at) { return fmt::format("{}000", at.micros()); }

}  // namespace

std::string TraceId::to_string() const { return fmt::format("{:016x}{:016x}", high, low); }

TraceId trace_of(const Task& task) {
  const std::uint64_t own = spread(static_cast<std::uint64_t>(task.id.value));
  return {spread(own ^ static_cast<std::uint64_t>(task.tenant.value)), not_zero(own)};
}

std::uint64_t enqueue_span_of(const Task& task) {
  return not_zero(spread(static_cast<std::uint64_t>(task.id.value) ^ of_enqueue));
}

Json to_otlp(const Span& span, std::string_view service_name) {
  Json attributes = Json::array();
  for (const SpanAttribute& given : span.attributes) attributes.push_back(to_json(given));
  Json events = Json::array();
  for (const SpanEvent& event : span.events) {
    events.push_back(
        Json::object({{"name", std::string(event.name)}, {"timeUnixNano", nanoseconds(event.at)}}));
  }
  constexpr int producer = 4, consumer = 5, error = 2;  // as OTLP numbers them
  Json out =
      Json::object({{"traceId", span.trace.to_string()},
                    {"spanId", fmt::format("{:016x}", span.id)},
                    {"name", span.name},
                    {"kind", span.kind == Span::Kind::producer ? producer : consumer},
                    {"startTimeUnixNano", nanoseconds(span.begin)},
                    {"endTimeUnixNano", nanoseconds(span.end)},
                    {"attributes", std::move(attributes)},
                    {"events", std::move(events)},
                    {"status", span.failed ? Json::object({{"code", error}}) : Json::object()}});
  if (span.parent != 0) out.set("parentSpanId", fmt::format("{:016x}", span.parent));
  Json service = Json::array(
      {attribute("service.name", Json::object({{"stringValue", std::string(service_name)}}))});
  Json scope = Json::object({{"scope", Json::object({{"name", "bureau"}})},
                             {"schemaUrl", std::string(span_names::schema_url)},
                             {"spans", Json::array({std::move(out)})}});
  Json resource = Json::object({{"resource", Json::object({{"attributes", std::move(service)}})},
                                {"scopeSpans", Json::array({std::move(scope)})}});
  return Json::object({{"resourceSpans", Json::array({std::move(resource)})}});
}

BUREAU_END_NAMESPACE
