#pragma once

#include <cstddef>
#include <string_view>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// How many bytes of `text`, from its beginning, are valid UTF-8 without NUL: its size when all
/// are, else the offset of what breaks the rule.
[[nodiscard]] std::size_t valid_text_prefix(std::string_view text) noexcept;

}  // namespace detail

BUREAU_END_NAMESPACE
