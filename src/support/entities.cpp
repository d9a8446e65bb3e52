// The code of the entities of support/, made here once for all files that use them.

#include "bureau/support/automation.hpp"
#include "bureau/support/canned_reply.hpp"
#include "bureau/support/desk_agents.hpp"
#include "bureau/support/presence.hpp"
#include "bureau/support/saved_view.hpp"
#include "bureau/support/ticket.hpp"
#include "bureau/support/ticket_link.hpp"

BUREAU_DEFINE_ENTITY(bureau::Macro);
BUREAU_DEFINE_ENTITY(bureau::Trigger);
BUREAU_DEFINE_ENTITY(bureau::CannedReply);
BUREAU_DEFINE_ENTITY(bureau::ReplyTemplate);
BUREAU_DEFINE_ENTITY(bureau::TrainedModel);
BUREAU_DEFINE_ENTITY(bureau::Presence);
BUREAU_DEFINE_ENTITY(bureau::SavedView);
BUREAU_DEFINE_ENTITY(bureau::TicketStatus);
BUREAU_DEFINE_ENTITY(bureau::Ticket);
BUREAU_DEFINE_ENTITY(bureau::Message);
BUREAU_DEFINE_ENTITY(bureau::Workload);
BUREAU_DEFINE_ENTITY(bureau::TicketCounter);
BUREAU_DEFINE_ENTITY(bureau::TicketLink);

template class bureau::AgentOf<bureau::triage_ticket>;
template class bureau::AgentOf<bureau::route_ticket>;
template class bureau::AgentOf<bureau::draft_reply>;
