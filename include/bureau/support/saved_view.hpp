#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/support/canned_reply.hpp"

BUREAU_BEGIN_NAMESPACE

/// A list of tickets under a name: which, in what order, and what is shown of each. What somebody
/// sees in it is what his own rights let him see; `$user` and `$teams` are his.
struct SavedView {
  Id<SavedView> id;
  Id<Tenant> tenant;
  std::string name;
  std::string condition;             ///< a predicate's text over tickets; empty: all
  std::string sort;                  ///< "priority desc, created_at"; empty: by id
  std::vector<std::string> columns;  ///< names; empty: whoever shows it chooses
  Sharing scope = Sharing::own;
  std::optional<Id<User>> owner;
  std::optional<Id<Team>> team;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto schema<SavedView> = table(
    "views", "viw", journal::full, column("id", &SavedView::id),
    column("tenant", &SavedView::tenant), column("name", &SavedView::name, max_length(100)),
    column("condition", &SavedView::condition, max_length(16'384)),
    column("sort", &SavedView::sort, max_length(500)), column("columns", &SavedView::columns),
    column("scope", &SavedView::scope), column("owner", &SavedView::owner),
    column("team", &SavedView::team), column("version", &SavedView::version),
    column("created_at", &SavedView::created_at), column("updated_at", &SavedView::updated_at),
    unique_index("of_office", "tenant", "name").where("scope = \"office\""),
    unique_index("of_team", "team", "name").where("scope = \"team\""),
    unique_index("of_owner", "owner", "name").where("scope = \"personal\""));

struct NewView {
  std::string name;
  std::string condition = {};
  std::string sort = {};
  std::vector<std::string> columns = {};
  Sharing scope = Sharing::own;
  std::optional<Id<Team>> team = {};
};

/// The saved views of a tenant, with a session's rights. Tickets::view() shows what is in one.
class SavedViews {
 public:
  explicit SavedViews(const Scope& scope) : rows_(scope) {}
  /// Replaces the one of that name that the same people share. `invalid` when the condition does
  /// not parse, the order or the columns name what is not there, or the scope does not fit;
  /// `forbidden` for a column that is hidden from who saves it. The field is the one that is wrong.
  Result<SavedView> save(const NewView& view) const;
  /// The nearest of that name: one's own, then a team's, then the office's. `not_found`.
  Result<SavedView> named(std::string_view name) const;
  /// What the view asks of tickets. `invalid` when the program no longer knows what it names.
  Result<Query> query(const SavedView& view) const;
  /// Whoever may change it may.
  Result<void> remove(Id<SavedView> view) const;
  [[nodiscard]] const Repository<SavedView>& repository() const { return rows_; }

 private:
  Repository<SavedView> rows_;
};

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::SavedView);
