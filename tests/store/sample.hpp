#pragma once

// The table that has a column of every kind is the one that storages are exercised with.

#include "testing/exercise/tables.hpp"

namespace sample = bureau::testing::exercise;
