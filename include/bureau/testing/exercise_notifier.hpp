#pragma once

#include <functional>
#include <memory>

#include "bureau/notify/notifier.hpp"
#include "bureau/testing/exercise_storage.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// Runs every sentence of notifier.hpp that can be seen from outside against a notifier, which
/// must be one that may send: a sandbox of the provider, or a server of the test's own. `fresh`
/// makes one; it is called more than once. Sends about forty messages, from several threads too,
/// to a recipient "Ada" with the address ada@example.com. The report's `storage` is the notifier's
/// identity. The names of checks are stable.
[[nodiscard]] Report exercise_notifier(
    const std::function<Result<std::shared_ptr<Notifier>>()>& fresh);

}  // namespace testing

BUREAU_END_NAMESPACE
