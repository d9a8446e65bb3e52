#include "bureau/core/error.hpp"

BUREAU_BEGIN_NAMESPACE

std::string_view to_string(Code code) noexcept {
  switch (code) {
    case Code::invalid:
      return "invalid";
    case Code::not_found:
      return "not_found";
    case Code::exists:
      return "exists";
    case Code::conflict:
      return "conflict";
    case Code::forbidden:
      return "forbidden";
    case Code::busy:
      return "busy";
    case Code::deadline:
      return "deadline";
    case Code::cancelled:
      return "cancelled";
    case Code::gone:
      return "gone";
    case Code::suspended:
      return "suspended";
    case Code::unavailable:
      return "unavailable";
    case Code::unknown_outcome:
      return "unknown_outcome";
    case Code::corrupt:
      return "corrupt";
    case Code::exhausted:
      return "exhausted";
    case Code::internal:
      return "internal";
    case Code::upgraded:
      return "upgraded";
  }
  return "internal";
}

std::string to_string(const Error& error) {
  return std::string(to_string(error.code)) + ": " + error.message;
}

BUREAU_END_NAMESPACE
