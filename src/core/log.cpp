#include "bureau/core/log.hpp"

BUREAU_BEGIN_NAMESPACE

std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
    case LogLevel::critical:
      return "critical";
  }
  return "critical";
}

BUREAU_END_NAMESPACE
