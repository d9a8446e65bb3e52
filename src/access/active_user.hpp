#pragma once

#include "bureau/access/identity.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Whether the tenant has this user and he is active, whoever asks.
[[nodiscard]] Result<bool> is_active_user(Reader& reader, Id<Tenant> tenant, Id<User> user);

}  // namespace detail
BUREAU_END_NAMESPACE
