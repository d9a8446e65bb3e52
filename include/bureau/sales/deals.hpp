#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/sales/deal.hpp"
#include "bureau/sales/forecast.hpp"

BUREAU_BEGIN_NAMESPACE

/// A stay of a deal that was led elsewhere before.
struct PastStage {
  std::string stage;  ///< by its name in the deal's pipeline
  Timestamp entered_at;
};

struct NewDeal {
  std::string title = {};
  Money value = {};
  std::string pipeline = {};  ///< by name; empty: the tenant's first
  std::string stage = {};     ///< an open one, by name; empty: the pipeline's first
  std::optional<Id<Account>> account = {};
  std::optional<Id<Contact>> contact = {};
  std::optional<Id<Product>> product = {};
  std::optional<Id<User>> owner = {};
  std::optional<Id<Team>> team = {};
  std::optional<Timestamp> expected_close = {};  ///< a date: midnight UTC
  std::optional<std::int64_t> probability_bp = {};
  std::optional<std::string> external_id = {};
  Json custom = {};  ///< null or an object
  /// Where it was before it came here, the last being where it is now, won and lost too. Empty: it
  /// comes into `stage` now.
  std::vector<PastStage> past = {};
  std::string lost_reason = {};  ///< required when `past` ends in a lost stage, else empty
};

struct NewActivity {
  ActivityKind kind = ActivityKind::note;
  std::string body = {};
  std::optional<Id<Contact>> contact = {};
  std::optional<Timestamp> due_at = {};  ///< given: it is open, to be done then; none: it is done
};

/// The deals of a tenant, with a session's rights. All changes of a deal that have a meaning go
/// through here, so that what depends on them (state, weighted value, month, history) is kept in
/// the same commit. An activity that a principal may write needs no right to change the deal.
///
/// Bad input is `invalid` and names field, value and rule; nothing is written then. A call on a
/// unit that fails may have done a part: the closure should return the error.
class Deals {
 public:
  explicit Deals(const Scope& scope) : deals_(scope), history_(scope), activities_(scope) {}

  /// `not_found` when there is no such pipeline or stage, `exists` when the external_id is taken.
  Result<Deal> open(const NewDeal& deal) const;
  /// Many with a few statements: all or none. Errors as open().
  Result<std::vector<Deal>> open_all(std::span<const NewDeal> deals) const;
  Result<Deal> find(Id<Deal> id) const;
  Result<std::optional<Deal>> by_external_id(std::string_view external_id) const;
  Result<std::vector<Deal>> list(const Query& query) const;
  Result<std::uint64_t> count(const Predicate& where = {}) const;
  /// In order. `not_found` for a deal that the principal does not see.
  Result<std::vector<DealStageHistory>> history(Id<Deal> id, std::uint64_t limit = 1000) const;
  /// The oldest first. `not_found` for a deal that the principal does not see.
  Result<std::vector<DealActivity>> activities(Id<Deal> id, std::uint64_t limit = 1000) const;

  /// To another open stage of its pipeline, forward or back. `conflict` on a closed deal; `invalid`
  /// for a stage that is not open (win(), lose()). Not an error: it is there already.
  Result<Deal> move(Id<Deal> id, std::string_view stage) const;
  /// With the value it was won at, where that is another one. `invalid` when that is 0: a won deal
  /// is worth something. `conflict` unless it is open.
  Result<Deal> win(Id<Deal> id, std::optional<Money> value = {}) const;
  /// `reason` must say something. `stage`: which lost stage; empty: the pipeline's first.
  /// `conflict` unless it is open.
  Result<Deal> lose(Id<Deal> id, std::string_view reason, std::string_view stage = {}) const;
  /// Into an open stage; empty: the one it was closed from. `conflict` unless it is won or lost.
  Result<Deal> reopen(Id<Deal> id, std::string_view stage = {}) const;

  // Of an open deal; `conflict` on a closed one.
  /// `invalid` when the owner is not active.
  Result<Deal> assign(Id<Deal> id, std::optional<Id<Team>> team,
                      std::optional<Id<User>> owner) const;
  Result<Deal> set_value(Id<Deal> id, const Money& value) const;
  Result<Deal> expect(Id<Deal> id, std::optional<Timestamp> close) const;
  /// A probability of its own, in basis points, until it is closed; none: the stage's.
  Result<Deal> set_probability(Id<Deal> id, std::optional<std::int64_t> probability_bp) const;

  Result<DealActivity> add_activity(Id<Deal> id, const NewActivity& activity) const;
  /// `conflict` unless it is open; `invalid` for open.
  Result<DealActivity> end_activity(Id<DealActivity> id, ActivityStatus status) const;

  /// What the deals that the session sees come to.
  Result<Forecast> forecast(const ForecastQuery& query = {}) const;
  /// How deals go through a pipeline; empty: the tenant's first.
  Result<Funnel> funnel(std::string_view pipeline = {}) const;
  /// Open deals in whose stage nothing has happened for longer than its rot_after, the longest
  /// first within each stage.
  Result<std::vector<Deal>> rotting(std::uint64_t limit = 100) const;

  [[nodiscard]] const Repository<Deal>& repository() const { return deals_; }

 private:
  Repository<Deal> deals_;
  Repository<DealStageHistory> history_;
  Repository<DealActivity> activities_;
};

namespace sales {

/// What a deal is worth, and what it is worth by its probability. `corrupt` when the row has no
/// valid currency.
[[nodiscard]] Result<Money> value_of(const Deal& deal);
[[nodiscard]] Result<Money> weighted_of(const Deal& deal);

struct NewStage {
  std::string name;
  StageCategory category = StageCategory::open;
  std::int64_t probability_bp =
      0;  ///< of an open stage; won is 10,000 and lost 0, whatever it says
  std::optional<Duration> rot_after = {};
};
/// A pipeline with its stages in this order. `invalid` unless there are open stages, exactly one
/// won and at least one lost, with names of their own; `exists` when its name is taken.
Result<Pipeline> create_pipeline(const Session& session, std::string_view name,
                                 std::span<const NewStage> stages);
/// "Sales" with Prospecting (10 %, rots after 30 days), Engaging (50 %, 60 days), Won and Lost. Not
/// an error: there is a pipeline already.
Result<void> create_default_pipeline(const Session& session);

/// The tables of sales/, for a catalog.
Result<void> add_tables(Catalog& catalog);
/// Who may see what: agents the deals of their teams, those they own and those of no team; all
/// accounts, contacts, products and stages; managers and admins all. Customers, users and viewers
/// see none of them; a host that wants otherwise adds policies.
Result<void> add_policies(Policies& policies);

}  // namespace sales

BUREAU_END_NAMESPACE
