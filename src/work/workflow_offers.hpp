#pragma once

// The kinds of task that the program lets workflows enqueue, as the office knows them once an agent
// that runs workflows is registered.

#include "access/rights.hpp"
#include "bureau/work/workflow_agent.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

void offer_kinds(Access& access, WorkflowKinds kinds);
/// Null while no such agent is registered in this process.
[[nodiscard]] std::shared_ptr<const WorkflowKinds> offered_kinds(Access::Impl& access);

}  // namespace detail
BUREAU_END_NAMESPACE
