// The code of the entities of sales/, made here once for all files that use them.

#include "bureau/sales/account.hpp"
#include "bureau/sales/deal.hpp"

BUREAU_DEFINE_ENTITY(bureau::Account);
BUREAU_DEFINE_ENTITY(bureau::Contact);
BUREAU_DEFINE_ENTITY(bureau::Product);
BUREAU_DEFINE_ENTITY(bureau::Pipeline);
BUREAU_DEFINE_ENTITY(bureau::Stage);
BUREAU_DEFINE_ENTITY(bureau::Deal);
BUREAU_DEFINE_ENTITY(bureau::DealStageHistory);
BUREAU_DEFINE_ENTITY(bureau::DealActivity);
