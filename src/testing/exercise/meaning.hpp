#pragma once

#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

/// One line of the table that says what predicates mean: of the rows of meaning_items(), those for
/// which the text is true and those for which it is unknown; for all others it is false.
struct Meaning {
  std::string_view text;
  Ids yes;
  Ids unknown;
};

[[nodiscard]] const std::vector<Item>& meaning_items();
[[nodiscard]] const std::vector<Crew>& meaning_crews();
[[nodiscard]] const std::vector<Meaning>& meanings();

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
