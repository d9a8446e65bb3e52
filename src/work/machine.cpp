#include "bureau/work/machine.hpp"

#include <algorithm>

BUREAU_BEGIN_NAMESPACE

namespace {

std::optional<double> share_used(std::optional<std::int64_t> all,
                                 std::optional<std::int64_t> available) {
  if (!all || !available || *all <= 0) return std::nullopt;
  const double left = static_cast<double>(*available) / static_cast<double>(*all);
  return std::clamp(1 - left, 0.0, 1.0);
}

std::optional<double> rate(std::optional<std::int64_t> before, std::optional<std::int64_t> now,
                           Duration passed) {
  if (!before || !now || *now < *before || passed.count() <= 0) return std::nullopt;
  return static_cast<double>(*now - *before) * 1e6 / static_cast<double>(passed.count());
}

std::optional<double> busy_share(const MachineReading& before, const MachineReading& now) {
  if (!before.cpu_time || !before.cpu_busy || !now.cpu_time || !now.cpu_busy) return std::nullopt;
  const Duration time = *now.cpu_time - *before.cpu_time;
  const Duration busy = *now.cpu_busy - *before.cpu_busy;
  if (time.count() <= 0 || busy.count() < 0) return std::nullopt;
  return std::min(1.0, static_cast<double>(busy.count()) / static_cast<double>(time.count()));
}

/// 1 up to `knee`, then straight down to `end` at 1.
double part(double used, double knee, double end) {
  if (used <= knee) return 1;
  return 1 - (1 - end) * (std::min(used, 1.0) - knee) / (1 - knee);
}

}  // namespace

MachineUse use_between(const MachineReading& before, const MachineReading& now, Duration passed) {
  MachineUse use;
  use.cpu = busy_share(before, now);
  use.memory = share_used(now.memory_bytes, now.memory_available_bytes);
  use.disk = share_used(now.disk_bytes, now.disk_available_bytes);
  use.received_rate = rate(before.received_bytes, now.received_bytes, passed);
  use.sent_rate = rate(before.sent_bytes, now.sent_bytes, passed);
  return use;
}

std::optional<double> health_score(const MachineUse& use) {
  std::optional<double> worst;
  const auto judge = [&](std::optional<double> used, double knee, double end) {
    if (used) worst = std::min(worst.value_or(1), part(*used, knee, end));
  };
  judge(use.cpu, 0.7, 0.5);
  judge(use.memory, 0.8, 0);
  judge(use.disk, 0.8, 0);
  if (!worst) return std::nullopt;
  return 100 * std::clamp(*worst, 0.0, 1.0);
}

BUREAU_END_NAMESPACE
