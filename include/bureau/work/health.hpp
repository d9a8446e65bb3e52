#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bureau/core/json.hpp"
#include "bureau/core/timestamp.hpp"
#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

/// From good to bad: the worst of several is the greatest.
enum class HealthStatus {
  ok,
  degraded,  ///< it works, and somebody should look
  failed,    ///< it does not do what it is there for
};
template <>
inline constexpr auto names<HealthStatus> = enum_names("ok", "degraded", "failed");

/// Where a component stops being ok.
struct HealthLimits {
  Duration slow_write = std::chrono::seconds(1);       ///< a write that takes longer: degraded
  Duration write_patience = std::chrono::seconds(10);  ///< one that is not made by then: failed
  std::int64_t wal_bytes = 64 << 20;                   ///< more log in use: degraded
  /// Less free space on the volume: degraded, failed.
  std::int64_t little_space_bytes = std::int64_t{1} << 30, no_space_bytes = 64 << 20;
  /// A queue's first in line could have run for longer: degraded, failed.
  Duration long_wait = std::chrono::minutes(15), lost_wait = std::chrono::hours(12);
  /// Since somebody last polled the engine, and since this node's heartbeat while it holds tasks;
  /// longer: failed.
  Duration silence = std::chrono::seconds(30);
  Duration late_schedule = std::chrono::minutes(5);  ///< one that is due for longer: degraded
  std::uint64_t dead_tasks = 100;  ///< more given up within `dead_within`: degraded
  Duration dead_within = std::chrono::hours(1);
  std::int64_t feed_lag = 100'000;  ///< changes that a subscription is behind; more: degraded
};

struct HealthComponent {
  std::string name;
  HealthStatus status = HealthStatus::ok;
  std::string reason;  ///< what was found, also when it is ok
};

/// How an office is at a moment. Of what cannot be told (free space on an unknown volume, the
/// scheduler of an engine that was not started) there is no component.
struct Health {
  Timestamp at;
  HealthStatus status = HealthStatus::ok;  ///< of the worst component
  std::vector<HealthComponent> components;
};

[[nodiscard]] Json to_json(const Health& health);

BUREAU_END_NAMESPACE
