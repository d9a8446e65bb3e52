#pragma once

#include "bureau/core/random.hpp"
#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

// Any predicate over, and any row of, the items: small values, so that they often meet.

[[nodiscard]] std::string any_text(Random& random);
/// `open`: also what a row alone cannot answer: variables, now(), sub-selects.
[[nodiscard]] Predicate any_predicate(Random& random, int depth, bool open = true);
/// With id 1 to 1,000.
[[nodiscard]] Item any_item(Random& random);

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
