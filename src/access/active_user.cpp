#include "access/active_user.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

Result<bool> is_active_user(Reader& reader, Id<Tenant> tenant, Id<User> user) {
  bool active = false;
  BUREAU_TRY_VOID(
      reader.find(table_of<User>(), user.value, [&](std::span<const Value> row) -> Result<bool> {
        User found;
        from_values(row, found);
        active = found.tenant == tenant && found.status == UserStatus::active;
        return true;
      }));
  return active;
}

}  // namespace detail
BUREAU_END_NAMESPACE
