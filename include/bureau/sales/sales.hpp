#pragma once

// Everything of sales/: accounts, contacts, products, deals, their pipelines, and what they come
// to.

#include "bureau/sales/deals.hpp"
