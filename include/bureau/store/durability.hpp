#pragma once

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a storage's acknowledgement of a write means.
enum class Durability {
  power_safe,  ///< what returned survives a power cut
  relaxed,     ///< it survives the end of the process; a power cut may take the last commits
};

BUREAU_END_NAMESPACE
