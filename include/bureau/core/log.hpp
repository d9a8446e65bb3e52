#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

enum class LogLevel { debug, info, warning, error, critical };
[[nodiscard]] std::string_view to_string(LogLevel level) noexcept;

/// One fact beside a message. Views are valid during the call only.
struct LogField {
  std::string_view name;
  std::variant<std::int64_t, double, bool, std::string_view> value;
};

struct LogRecord {
  LogLevel level;
  std::string_view source;   ///< The part that speaks, such as "sqlite" or "orchestrator".
  std::string_view message;  ///< A constant text; what varies is in the fields.
  std::span<const LogField> fields;
};

/// Where log records go; empty means nowhere. Called from any thread, also at the same time; must
/// not throw and should not block. Records never hold personal or secret column values.
using LogSink = std::function<void(const LogRecord&)>;

inline void log(const LogSink& sink, LogLevel level, std::string_view source,
                std::string_view message, std::initializer_list<LogField> fields = {}) {
  if (sink) sink(LogRecord{level, source, message, {fields.begin(), fields.size()}});
}

BUREAU_END_NAMESPACE
