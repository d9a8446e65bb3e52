#pragma once

#include <string_view>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// Whether the text is exactly what Json::parse(text)->dump() would give. Allocates nothing.
[[nodiscard]] bool is_canonical_json(std::string_view text) noexcept;

}  // namespace detail

BUREAU_END_NAMESPACE
