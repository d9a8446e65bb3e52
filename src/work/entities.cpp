// The code of the entities of work/, made here once for all files that use them.

#include "bureau/work/agent_heartbeat.hpp"
#include "bureau/work/agent_network.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/approval.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/flow.hpp"
#include "bureau/work/run_step.hpp"
#include "bureau/work/schedule.hpp"
#include "bureau/work/system_metric.hpp"
#include "bureau/work/task.hpp"
#include "bureau/work/workflow.hpp"

BUREAU_DEFINE_ENTITY(bureau::ConfiguredAgent);
BUREAU_DEFINE_ENTITY(bureau::AgentInteraction);
BUREAU_DEFINE_ENTITY(bureau::AgentConnection);
BUREAU_DEFINE_ENTITY(bureau::NetworkNode);
BUREAU_DEFINE_ENTITY(bureau::AgentPresence);
BUREAU_DEFINE_ENTITY(bureau::Task);
BUREAU_DEFINE_ENTITY(bureau::Approval);
BUREAU_DEFINE_ENTITY(bureau::RunStep);
BUREAU_DEFINE_ENTITY(bureau::RunSignal);
BUREAU_DEFINE_ENTITY(bureau::FlowRule);
BUREAU_DEFINE_ENTITY(bureau::TenantShare);
BUREAU_DEFINE_ENTITY(bureau::Budget);
BUREAU_DEFINE_ENTITY(bureau::BudgetUse);
BUREAU_DEFINE_ENTITY(bureau::Spending);
BUREAU_DEFINE_ENTITY(bureau::Schedule);
BUREAU_DEFINE_ENTITY(bureau::ScheduleOccurrence);
BUREAU_DEFINE_ENTITY(bureau::AgentHeartbeat);
BUREAU_DEFINE_ENTITY(bureau::SystemMetric);
BUREAU_DEFINE_ENTITY(bureau::Workflow);
BUREAU_DEFINE_ENTITY(bureau::WorkflowForm);
