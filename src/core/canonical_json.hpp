#pragma once

#include <optional>
#include <string_view>

#include "bureau/core/json.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// Whether the text is exactly what Json::parse(text)->dump() would give. Allocates nothing.
[[nodiscard]] bool is_canonical_json(std::string_view text) noexcept;
/// The value of such a text; nothing when it is none, which says nothing about its being JSON. An
/// eighth of the instructions of a general parser, and all that storages hold is canonical.
[[nodiscard]] std::optional<Json> read_canonical_json(std::string_view text);

}  // namespace detail

BUREAU_END_NAMESPACE
