#pragma once

// Criteria as the evaluation uses them: the inside of rewards/.

#include <vector>

#include "bureau/rewards/achievement.hpp"
#include "bureau/rewards/points.hpp"
#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

/// Criteria that were read: over a table of this program.
struct CompiledCriteria {
  const TableInfo* table = nullptr;
  CountedChange change = CountedChange::any;
  Predicate predicate;
  const ColumnInfo* user = nullptr;      ///< null: whoever made the change
  std::vector<std::uint16_t> asks = {};  ///< columns of the predicate, and of the user
};

/// Reads and checks them: what a caller may state. `invalid` names the field, the value and the
/// rule; also when fewer than `target` rows can ever match at a time.
[[nodiscard]] Result<CompiledCriteria> check_criteria(const Catalog& catalog,
                                                      const Criteria& criteria,
                                                      std::int64_t target);
/// The stored form, which was checked when it was saved; a catalog may have changed since.
[[nodiscard]] Result<CompiledCriteria> compile_criteria(
    const Catalog& catalog, const std::string& table, CountedChange change, const Json& predicate,
    const std::optional<std::string>& user_column);

/// Why no row of the table can satisfy the predicate, with `user`, if any, not null; empty when one
/// might. Sees contradictions between comparisons of single columns, not all there are.
[[nodiscard]] std::string why_never(const Predicate& predicate, const ColumnInfo* user);
/// How many rows can satisfy it at most, where it pins the id; else none.
[[nodiscard]] std::optional<std::int64_t> rows_at_most(const Predicate& predicate);

/// Valid UTF-8 that says something (unless `may_be_empty`), of at most so many code points.
[[nodiscard]] Result<void> check_text(std::string_view field, std::string_view text,
                                      std::size_t max_code_points, bool may_be_empty = false);
[[nodiscard]] Result<void> check_key(std::string_view key);
/// What one booking or achievement is worth at most.
inline constexpr std::int64_t points_max = 1'000'000;
[[nodiscard]] Result<void> check_range(std::string_view field, std::int64_t value,
                                       std::int64_t least, std::int64_t most);

template <class E>
[[nodiscard]] std::string_view name_of(E value) {
  return names<E>[static_cast<std::size_t>(value)];
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
