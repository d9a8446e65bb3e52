#pragma once

// Payloads and results that rest encrypted: what is sealed with the key that a row names.

#include "bureau/store/database.hpp"
#include "bureau/work/run_step.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The name of the key with which new payloads are sealed. `invalid` when the program has none.
[[nodiscard]] Result<std::string> sealing_key(const Database& database, std::string_view kind);

/// A text in place of the value. `column`: where it stands; it opens only there, for that tenant.
[[nodiscard]] Result<Json> seal_json(const Database& database, Id<Tenant> tenant,
                                     std::string_view column, std::string_view key,
                                     const Json& plain);
[[nodiscard]] Result<Json> open_json(const Database& database, Id<Tenant> tenant,
                                     std::string_view column, std::string_view key,
                                     const Json& sealed);

/// As Task::sealed_with says; a task that is not encrypted is as it is.
[[nodiscard]] Result<Json> payload_of(const Database& database, const Task& task);
[[nodiscard]] Result<Json> result_of(const Database& database, const Task& task);
[[nodiscard]] Result<Json> sealed_result(const Database& database, const Task& task,
                                         const Json& plain);

/// Whether the step's result rests sealed.
[[nodiscard]] bool is_sealed(const RunStep& step);
/// The step as it is stored. REQUIRES: is_sealed().
[[nodiscard]] Result<RunStep> sealed(const Database& database, RunStep step);
/// Steps as they are stored become as the run knows them.
[[nodiscard]] Result<void> open_steps(const Database& database, std::vector<RunStep>& steps);

}  // namespace detail
BUREAU_END_NAMESPACE
