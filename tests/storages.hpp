#pragma once

// Where tests keep their offices.

#include <algorithm>
#include <functional>
#include <memory>

#include "bureau/store/memory_storage.hpp"

namespace bureau::tests {

/// A new, empty storage: in memory, unless the program that the tests are linked into says
/// otherwise (tests/postgres/above).
inline std::function<std::shared_ptr<Storage>(Clock&)> new_storage = make_memory_storage;
/// How many times slower that is than memory.
inline int slowness = 1;
/// So many generated cases in memory are that many there.
inline int fewer(int cases) { return std::max(std::min(cases, 3), cases / slowness); }

}  // namespace bureau::tests
