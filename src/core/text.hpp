#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// How many bytes of `text`, from its beginning, are valid UTF-8 without NUL: its size when all
/// are, else the offset of what breaks the rule.
[[nodiscard]] std::size_t valid_text_prefix(std::string_view text) noexcept;
/// How many bytes, from its beginning, a JSON string holds as they are: no quote, no backslash, no
/// control character.
[[nodiscard]] std::size_t plain_json_prefix(std::string_view text) noexcept;
/// The text with U+FFFD in place of each byte that breaks that rule.
[[nodiscard]] std::string to_valid_text(std::string_view text);
/// At most `bytes` of it for an error's text, cut between characters, with an ellipsis that counts.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t bytes = 40);

}  // namespace detail

BUREAU_END_NAMESPACE
