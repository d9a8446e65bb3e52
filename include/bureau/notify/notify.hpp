#pragma once

// Everything of notify/: notifications, inboxes, preferences, webhooks, and what carries messages.

#include "bureau/notify/delivery_agent.hpp"
#include "bureau/notify/inbox.hpp"
#include "bureau/notify/notifications.hpp"
#include "bureau/notify/webhooks.hpp"
