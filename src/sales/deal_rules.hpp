#pragma once

// What a deal must obey, and what is kept beside it: the inside of sales/.

#include <map>

#include "access/library_rows.hpp"
#include "bureau/sales/deals.hpp"
#include "core/text.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace sales::inside {

using bureau::detail::shortened;

/// Of why a deal was lost, in code points.
inline constexpr std::size_t longest_reason = 1000;

// Input, before anything is written: `invalid` names the field, the value and the rule.
/// Valid UTF-8 that says something, of at most so many code points.
[[nodiscard]] Result<void> check_text(std::string_view field, std::string_view text,
                                      std::size_t max_code_points);
[[nodiscard]] Result<void> check_value(const Money& value);
[[nodiscard]] Result<void> check_probability(std::int64_t probability_bp);
[[nodiscard]] Result<void> check_date(const std::optional<Timestamp>& date);
[[nodiscard]] Result<void> check_new_deal(const NewDeal& deal, Timestamp now);
// The RowRules of both: a writer that does not come through Deals is held to the same.
[[nodiscard]] Result<void> check_deal_row(std::span<const Value> before,
                                          std::span<const Value> after);
[[nodiscard]] Result<void> check_activity_row(std::span<const Value> before,
                                              std::span<const Value> after);
[[nodiscard]] Result<void> check_new_activity(const NewActivity& activity);

template <class E>
[[nodiscard]] std::string_view name_of(E value) {
  return names<E>[static_cast<std::size_t>(value)];
}

/// A pipeline and its stages in order of position.
struct Course {
  Pipeline pipeline;
  std::vector<Stage> stages;

  [[nodiscard]] const Stage* find(Id<Stage> id) const;
  /// `not_found` names the stages that there are.
  [[nodiscard]] Result<const Stage*> named(std::string_view name) const;
  /// The first of that category; `not_found` when the pipeline has none.
  [[nodiscard]] Result<const Stage*> first(StageCategory category) const;
};
// Rows that are the system's business, whoever acts.
[[nodiscard]] Result<Course> course_of(Reader& reader, Id<Tenant> tenant, Id<Pipeline> pipeline);
/// By name within the tenant, or its first; `not_found`.
[[nodiscard]] Result<Course> course_named(Reader& reader, Id<Tenant> tenant,
                                          std::string_view pipeline);
[[nodiscard]] Result<void> check_owner(Reader& reader, Id<Tenant> tenant, Id<User> user);

/// Makes what is derived from the rest of the row anew: weighted value and month.
[[nodiscard]] Result<void> derive(Deal& deal);
/// Puts a deal into a stage: state, times, probability. Not its history. `conflict` for an illegal
/// transition, `invalid` for a won deal that is worth nothing.
[[nodiscard]] Result<void> enter(Deal& deal, const Course& course, const Stage& stage,
                                 Timestamp now);
[[nodiscard]] Result<void> refuse_closed(const Deal& deal, std::string_view what);

/// Writes a change that a principal asked for: his rights to change the deal decide. The history
/// follows when it has entered a stage.
[[nodiscard]] Result<Deal> save(Unit& unit, const Deal& before, const Deal& after);
/// Writes what follows from something that he was allowed to do.
[[nodiscard]] Result<Deal> save_consequence(Unit& unit, const Deal& before, Deal after);
/// Inserts rows of history as they are; their ids are filled in.
[[nodiscard]] Result<void> insert_history(Unit& unit, std::vector<DealStageHistory> rows);

}  // namespace sales::inside
BUREAU_END_NAMESPACE
