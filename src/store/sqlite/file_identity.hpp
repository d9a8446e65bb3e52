#pragma once

#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Nodes of one file come from a block of so many places, as long as these suffice.
inline constexpr int home_size = 32;

struct FileIdentity {
  int home = 0;         ///< the block's number
  bool copied = false;  ///< just recognised as a copy
};

/// The file knows its own device and inode. Where they have changed it is a copy (or came from a
/// backup, or another disk): it gets a block of places that none of its ancestors had, so that its
/// ids differ from theirs, and every node a new generation, so that leases that were copied along
/// hold no longer. `first`: nobody else has the file open; otherwise nothing is changed. REQUIRES:
/// the lock file is held, the file is ours, no transaction is open.
Result<FileIdentity> settle_identity(Connection& connection, bool first);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
