#include "rewards/local_days.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

std::int64_t LocalDays::day(const std::string& zone, Timestamp at) {
  auto known = zones_.find(zone);
  if (known == zones_.end()) {
    Known made;
    if (auto found = Zone::find(zone)) made.zone = *found;
    known = zones_.emplace(zone, made).first;
  }
  Known& k = known->second;
  if (at < k.begin || at >= k.end) {
    const CivilDate date = k.zone.to_civil(at).date;
    k.day = date.days();
    // A day that begins in the hour that its zone repeats is asked about anew each time there.
    const Timestamp first = k.zone.from_civil({date}).at;
    const Timestamp next =
        k.zone.from_civil({CivilDate::from_days(static_cast<std::int32_t>(k.day + 1))}).at;
    const bool plain = first <= at && at < next;
    k.begin = plain ? first : Timestamp();
    k.end = plain ? next : Timestamp();
  }
  return k.day;
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
