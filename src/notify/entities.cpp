// The code of the entities of notify/, made here once for all files that use them.

#include "bureau/notify/notification.hpp"

BUREAU_DEFINE_ENTITY(bureau::Webhook);
BUREAU_DEFINE_ENTITY(bureau::Notification);
BUREAU_DEFINE_ENTITY(bureau::NotificationDelivery);
BUREAU_DEFINE_ENTITY(bureau::NotificationChannel);
BUREAU_DEFINE_ENTITY(bureau::NotificationPreference);
BUREAU_DEFINE_ENTITY(bureau::InboxItem);
