#pragma once

#include <string>

#include "bureau/access/identity.hpp"
#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

enum class MetricCategory { general, performance, security, business, agent, network };
template <>
inline constexpr auto names<MetricCategory> = enum_names("general", "performance", "security",
                                                         "business", "agent", "network");

/// One measured value at one moment: a point of a time series. What was not measured has no row.
/// Not in the journal: a measurement changes nothing, and is gone after its retention.
struct SystemMetric {
  Id<SystemMetric> id;
  Id<Tenant> tenant;
  std::string name;  ///< "cpu", "memory", "disk", "network_received", ... or a host's own
  MetricCategory category = MetricCategory::general;
  double value = 0;
  std::string unit;  ///< "ratio" (0 to 1), "bytes_per_second", "points" (0 to 100), ...
  Timestamp at;
};

template <>
inline constexpr auto schema<SystemMetric> = table(
    "system_metrics", "smt", journal::none, by_month, column("id", &SystemMetric::id),
    column("tenant", &SystemMetric::tenant), column("name", &SystemMetric::name, max_length(64)),
    column("category", &SystemMetric::category), column("value", &SystemMetric::value),
    column("unit", &SystemMetric::unit, max_length(32)), column("at", &SystemMetric::at),
    index("series", "tenant", "name", "at"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::SystemMetric);
