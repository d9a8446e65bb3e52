#pragma once

#include "bridge.hpp"

namespace bureau_python {

#ifdef BUREAU_WITH_POSTGRES
/// `unavailable` with field "libpq": PostgreSQL's client library is not there, or too old.
Result<void> find_libpq();
#endif

}  // namespace bureau_python
