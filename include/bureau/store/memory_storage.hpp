#pragma once

#include <memory>

#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

/// Rows in memory, gone with the object: for tests, simulations and as the model that other
/// storages are compared with. Small and obviously correct rather than fast: one writer at a time,
/// readers share, a reader delays a writer. Thread-safe.
[[nodiscard]] std::shared_ptr<Storage> make_memory_storage(Clock& clock = Clock::system());

BUREAU_END_NAMESPACE
