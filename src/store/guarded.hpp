#pragma once

#include <exception>
#include <string>

#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Runs a host's closure; what it throws becomes an error.
template <class Call>
Result<void> guarded(Call&& call) {
  try {
    return call();
  } catch (const std::exception& thrown) {
    return fail(Code::internal, std::string("a closure threw: ") + thrown.what());
  } catch (...) {
    return fail(Code::internal, "a closure threw what is no std::exception");
  }
}

}  // namespace detail
BUREAU_END_NAMESPACE
