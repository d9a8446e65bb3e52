#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bureau/sales/account.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a stage means to the library. Offices name their stages as they like (rows of Stage); each
/// belongs to one of these. Also the state of a deal. The order is frozen.
enum class StageCategory { open, won, lost };
template <>
inline constexpr auto names<StageCategory> = enum_names("open", "won", "lost");

struct DealTransition {
  StageCategory from, to;
};
/// Every legal edge between different states (docs/deals.md has the picture, made from this); any
/// other is `conflict`. Between open stages a deal moves freely, back too.
inline constexpr std::array deal_transitions{
    DealTransition{StageCategory::open, StageCategory::won},
    DealTransition{StageCategory::open, StageCategory::lost},
    DealTransition{StageCategory::won, StageCategory::open},
    DealTransition{StageCategory::lost, StageCategory::open},
};

[[nodiscard]] constexpr bool may_become(StageCategory from, StageCategory to) {
  for (const auto& t : deal_transitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

/// The way that one kind of deal takes. It has open stages, exactly one won and at least one lost.
struct Pipeline {
  Id<Pipeline> id;
  Id<Tenant> tenant;
  std::string name;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

struct Stage {
  Id<Stage> id;
  Id<Tenant> tenant;
  Id<Pipeline> pipeline;
  std::string name;
  std::int64_t position = 0;  ///< 1, 2, 3, ... within the pipeline
  StageCategory category = StageCategory::open;
  /// How likely a deal in it is won, in basis points: 0 to 10,000; won 10,000; lost 0.
  std::int64_t probability_bp = 0;
  std::optional<Duration> rot_after;  ///< a deal without activity for longer rots; none: never
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// One chance to sell.
struct Deal {
  Id<Deal> id;
  Id<Tenant> tenant;
  std::string title;
  std::optional<Id<Account>> account;
  std::optional<Id<Contact>> contact;
  std::optional<Id<Product>> product;
  Id<Pipeline> pipeline;
  Id<Stage> stage;
  StageCategory state = StageCategory::open;  ///< what that stage means; kept with it
  std::int64_t value_minor = 0;               ///< in minor units of `currency`; never negative
  std::string currency;                       ///< ISO 4217
  std::int64_t probability_bp = 0;            ///< the stage's, unless `own_probability`
  bool own_probability = false;
  std::int64_t weighted_minor = 0;  ///< value x probability, half to even; kept with both
  std::optional<Id<User>> owner;
  std::optional<Id<Team>> team;
  std::optional<Timestamp> expected_close;  ///< a date: midnight UTC
  /// 201703 for March 2017, UTC: of closed_at once closed, else of expected_close; kept with them.
  std::optional<std::int64_t> month;
  Timestamp opened_at;         ///< when it came into its first stage
  Timestamp stage_entered_at;  ///< when it came into the one it is in
  Timestamp last_activity_at;  ///< of a move or an activity; what rotting counts from
  std::optional<Timestamp> closed_at;
  std::optional<std::string> lost_reason;
  std::int64_t reopen_count = 0;
  std::int64_t stage_count = 0;  ///< how many rows of history it has
  std::optional<Id<Stage>>
      furthest;  ///< of the open and won stages it was in, the last by position
  std::optional<std::string> external_id;  ///< where it came from; unique per tenant
  Json custom;                             ///< the office's own fields
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// One stay of a deal in a stage, derived in the commit that moves the deal. The stays of a deal
/// follow one another without gap: each is left when the next is entered.
struct DealStageHistory {
  Id<DealStageHistory> id;
  Id<Tenant> tenant;
  Id<Deal> deal;
  std::int64_t sequence = 0;  ///< 1, 2, 3, ... within the deal
  Id<Stage> stage;
  Timestamp entered_at;
  std::optional<Timestamp> left_at;
  std::int64_t value_minor = 0;  ///< what the deal was worth when it entered
  std::string currency;
  bool first = true;  ///< it was never in this stage before
};

/// The last two come only from the system, with rows of other programs: here the history and the
/// journal say it.
enum class ActivityKind { note, email, call, meeting, task, stage_change, value_change };
template <>
inline constexpr auto names<ActivityKind> = enum_names("note", "email", "call", "meeting", "task",
                                                       "stage_change", "value_change");
enum class ActivityStatus { open, done, cancelled };
template <>
inline constexpr auto names<ActivityStatus> = enum_names("open", "done", "cancelled");

/// Something that was or will be done about a deal.
struct DealActivity {
  Id<DealActivity> id;
  Id<Tenant> tenant;
  Id<Deal> deal;
  std::optional<Id<Contact>> contact;  ///< whom the text is about
  ActivityKind kind = ActivityKind::note;
  ActivityStatus status = ActivityStatus::done;
  std::string body;
  std::optional<Id<User>> author;  ///< none for agents and the system
  std::optional<Timestamp> due_at, done_at;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<Pipeline> =
    table("pipelines", "pip", journal::full, column("id", &Pipeline::id),
          column("tenant", &Pipeline::tenant), column("name", &Pipeline::name, max_length(100)),
          column("version", &Pipeline::version), column("created_at", &Pipeline::created_at),
          column("updated_at", &Pipeline::updated_at), unique_index("name", "tenant", "name"));
template <>
inline constexpr auto schema<Stage> = table(
    "stages", "stg", journal::full, column("id", &Stage::id), column("tenant", &Stage::tenant),
    column("pipeline", &Stage::pipeline), column("name", &Stage::name, max_length(100)),
    column("position", &Stage::position), column("category", &Stage::category),
    column("probability_bp", &Stage::probability_bp), column("rot_after", &Stage::rot_after),
    column("version", &Stage::version), column("created_at", &Stage::created_at),
    column("updated_at", &Stage::updated_at), unique_index("name", "pipeline", "name"),
    unique_index("position", "pipeline", "position"));
template <>
inline constexpr auto schema<Deal> = table(
    "deals", "dea", journal::full, column("id", &Deal::id), column("tenant", &Deal::tenant),
    column("title", &Deal::title, max_length(500), searchable), column("account", &Deal::account),
    column("contact", &Deal::contact), column("product", &Deal::product),
    column("pipeline", &Deal::pipeline), column("stage", &Deal::stage),
    column("state", &Deal::state), column("value_minor", &Deal::value_minor),
    column("currency", &Deal::currency, max_length(3)),
    column("probability_bp", &Deal::probability_bp),
    column("own_probability", &Deal::own_probability),
    column("weighted_minor", &Deal::weighted_minor), column("owner", &Deal::owner),
    column("team", &Deal::team), column("expected_close", &Deal::expected_close),
    column("month", &Deal::month), column("opened_at", &Deal::opened_at),
    column("stage_entered_at", &Deal::stage_entered_at),
    column("last_activity_at", &Deal::last_activity_at), column("closed_at", &Deal::closed_at),
    column("lost_reason", &Deal::lost_reason, max_length(1000), searchable),
    column("reopen_count", &Deal::reopen_count), column("stage_count", &Deal::stage_count),
    column("furthest", &Deal::furthest), column("external_id", &Deal::external_id, max_length(200)),
    column("custom", &Deal::custom), column("version", &Deal::version),
    column("created_at", &Deal::created_at), column("updated_at", &Deal::updated_at),
    index("stage", "stage", "last_activity_at"), index("owner", "owner", "state"),
    index("account", "account"),
    // What a forecast by month, stage or owner sums up, in its order: over a million deals that
    // takes 0.2 s, and 3 s when SQLite has to sort them.
    index("forecast_open", "tenant", "currency", "month", "probability_bp", "value_minor",
          "weighted_minor")
        .where("state = \"open\""),
    index("forecast_closed", "tenant", "currency", "month", "state", "value_minor")
        .where("state > \"open\""),
    index("forecast_stage_open", "tenant", "currency", "stage", "probability_bp", "value_minor",
          "weighted_minor")
        .where("state = \"open\""),
    index("forecast_stage_closed", "tenant", "currency", "stage", "state", "value_minor")
        .where("state > \"open\""),
    index("forecast_owner_open", "tenant", "currency", "owner", "probability_bp", "value_minor",
          "weighted_minor")
        .where("state = \"open\""),
    index("forecast_owner_closed", "tenant", "currency", "owner", "state", "value_minor")
        .where("state > \"open\""),
    unique_index("external_id", "tenant", "external_id").where("external_id is not null"));
template <>
inline constexpr auto schema<DealStageHistory> = table(
    "deal_stage_history", "dsh", journal::after, column("id", &DealStageHistory::id),
    column("tenant", &DealStageHistory::tenant), column("deal", &DealStageHistory::deal),
    column("sequence", &DealStageHistory::sequence), column("stage", &DealStageHistory::stage),
    column("entered_at", &DealStageHistory::entered_at),
    column("left_at", &DealStageHistory::left_at),
    column("value_minor", &DealStageHistory::value_minor),
    column("currency", &DealStageHistory::currency, max_length(3)),
    column("first", &DealStageHistory::first), unique_index("sequence", "deal", "sequence"),
    index("stage", "stage"));
template <>
inline constexpr auto schema<DealActivity> =
    table("deal_activities", "dac", journal::full, column("id", &DealActivity::id),
          column("tenant", &DealActivity::tenant), column("deal", &DealActivity::deal),
          column("contact", &DealActivity::contact, personal_subject),
          column("kind", &DealActivity::kind, immutable), column("status", &DealActivity::status),
          column("body", &DealActivity::body, max_length(10'000), personal, searchable),
          column("author", &DealActivity::author), column("due_at", &DealActivity::due_at),
          column("done_at", &DealActivity::done_at), column("version", &DealActivity::version),
          column("created_at", &DealActivity::created_at),
          column("updated_at", &DealActivity::updated_at), index("deal", "deal"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Pipeline);
BUREAU_DECLARE_ENTITY(bureau::Stage);
BUREAU_DECLARE_ENTITY(bureau::Deal);
BUREAU_DECLARE_ENTITY(bureau::DealStageHistory);
BUREAU_DECLARE_ENTITY(bureau::DealActivity);
