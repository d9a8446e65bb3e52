// The code of the entities of access/, made here once for all files that use them.

#include "bureau/access/identity.hpp"

BUREAU_DEFINE_ENTITY(bureau::Tenant);
BUREAU_DEFINE_ENTITY(bureau::User);
BUREAU_DEFINE_ENTITY(bureau::Role);
BUREAU_DEFINE_ENTITY(bureau::Team);
BUREAU_DEFINE_ENTITY(bureau::Membership);
