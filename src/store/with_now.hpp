#pragma once

#include <optional>

#include "bureau/core/clock.hpp"
#include "bureau/store/select.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The statement with now() fixed, as it must be once a statement. What has none is not copied;
/// `made` keeps the copy.
template <class Asked>
const Asked& with_now(const Clock& clock, const Asked& asked, std::optional<Asked>& made) {
  if (!asked.where.uses_now()) return asked;
  made = asked;
  made->where = asked.where.at(clock.now());
  return *made;
}
inline const Update& with_now(const Clock& clock, const Update& asked,
                              std::optional<Update>& made) {
  if (!asked.which.where.uses_now()) return asked;
  made = asked;
  made->which.where = asked.which.where.at(clock.now());
  return *made;
}

}  // namespace detail
BUREAU_END_NAMESPACE
