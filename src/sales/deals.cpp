#include "bureau/sales/deals.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/rights.hpp"
#include "sales/deal_rules.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace sales::inside;

namespace {

Id<Tenant> tenant_of(Unit& unit) { return unit.session().principal().tenant; }

/// Reads the deal, lets `change(Deal&, Unit&)` change it, and writes it with the principal's
/// rights.
template <class F>
Result<Deal> change_deal(const Scope& scope, Id<Deal> id, F&& change) {
  return scope.write([&](Unit& unit) -> Result<Deal> {
    BUREAU_TRY(const Deal before, bureau::detail::stored_row(unit, id));
    Deal after = before;
    BUREAU_TRY_VOID(change(after, unit));
    BUREAU_TRY(Deal saved, save(unit, before, after));
    return bureau::detail::as_seen(unit, std::move(saved));
  });
}

Result<Course> course_of(const Deal& deal, Unit& unit) {
  return sales::inside::course_of(unit.transaction().reader(), deal.tenant, deal.pipeline);
}

void set_value_of(Deal& deal, const Money& value) {
  deal.value_minor = value.minor;
  deal.currency = value.currency.code();
}

// Opening --------------------------------------------------------------------------------------

/// An external id that is taken says so, whoever asks: it is unique within the tenant.
Result<void> refuse_known(Unit& unit, const std::optional<std::string>& external_id) {
  if (!external_id) return {};
  bool known = false;
  const Select which =
      select<Deal>()
          .where(col(&Deal::tenant) == tenant_of(unit) && col(&Deal::external_id) == *external_id)
          .limit(1);
  BUREAU_TRY_VOID(
      unit.transaction().reader().scan(which, [&](std::span<const Value>) -> Result<bool> {
        known = true;
        return false;
      }));
  if (!known) return {};
  return fail(
      Code::exists,
      fmt::format("external_id: \"{}\" is taken by another deal", shortened(*external_id, 80)),
      "external_id");
}

Deal row_of(const NewDeal& given) {
  Deal deal;
  deal.title = given.title;
  deal.account = given.account;
  deal.contact = given.contact;
  deal.product = given.product;
  set_value_of(deal, given.value);
  deal.owner = given.owner;
  deal.team = given.team;
  deal.expected_close = given.expected_close;
  deal.own_probability = given.probability_bp.has_value();
  deal.probability_bp = given.probability_bp.value_or(0);
  deal.external_id = given.external_id;
  deal.custom = given.custom.is_null() ? Json::object() : given.custom;
  return deal;
}

/// A deal that is about to be there, and its history.
struct Opening {
  Deal deal;
  std::vector<DealStageHistory> history;
};

Result<void> enter_first(Opening& opening, const Course& course, const Stage& stage, Timestamp at) {
  BUREAU_TRY_VOID(enter(opening.deal, course, stage, at));
  auto& history = opening.history;
  if (!history.empty()) history.back().left_at = at;
  DealStageHistory stay;
  stay.sequence = opening.deal.stage_count;
  stay.stage = stage.id;
  stay.entered_at = at;
  stay.value_minor = opening.deal.value_minor;
  stay.currency = opening.deal.currency;
  stay.first = std::none_of(history.begin(), history.end(),
                            [&](const auto& earlier) { return earlier.stage == stage.id; });
  history.push_back(std::move(stay));
  return {};
}

Result<void> take_reason(Deal& deal, const NewDeal& given) {
  const bool lost = deal.state == StageCategory::lost;
  if (lost == !given.lost_reason.empty()) {
    if (lost) deal.lost_reason = given.lost_reason;
    return {};
  }
  return fail(Code::invalid,
              lost ? fmt::format("lost_reason: none is given for \"{}\"; a lost deal has one",
                                 shortened(deal.title))
                   : fmt::format("lost_reason: \"{}\" was given for a deal that is {}",
                                 shortened(given.lost_reason), name_of(deal.state)),
              "lost_reason");
}

Result<Opening> opening_of(const NewDeal& given, const Course& course, Timestamp now) {
  Opening opening{row_of(given), {}};
  for (const PastStage& stay : given.past) {
    BUREAU_TRY(const Stage* stage, course.named(stay.stage));
    BUREAU_TRY_VOID(enter_first(opening, course, *stage, stay.entered_at));
  }
  if (given.past.empty()) {
    const auto wanted =
        given.stage.empty() ? course.first(StageCategory::open) : course.named(given.stage);
    BUREAU_TRY(const Stage* stage, wanted);
    if (stage->category != StageCategory::open) {
      return fail(Code::invalid,
                  fmt::format("stage: \"{}\" is {}; a deal opens in an open stage", stage->name,
                              name_of(stage->category)),
                  "stage");
    }
    BUREAU_TRY_VOID(enter_first(opening, course, *stage, now));
  }
  BUREAU_TRY_VOID(take_reason(opening.deal, given));
  return opening;
}

/// The pipelines of one call, each read once.
class Courses {
 public:
  explicit Courses(Unit& unit) : unit_(unit) {}
  Result<const Course*> named(const std::string& name) {
    auto known = courses_.find(name);
    if (known == courses_.end()) {
      BUREAU_TRY(auto course, course_named(unit_.transaction().reader(), tenant_of(unit_), name));
      known = courses_.emplace(name, std::move(course)).first;
    }
    return &known->second;
  }

 private:
  Unit& unit_;
  std::map<std::string, Course> courses_;
};

Result<std::vector<Deal>> open_in(Unit& unit, std::span<const NewDeal> given) {
  Courses courses(unit);
  std::map<Id<User>, bool> owners;
  std::vector<Deal> rows;
  std::vector<std::vector<DealStageHistory>> histories;
  for (const NewDeal& deal : given) {
    BUREAU_TRY_VOID(check_new_deal(deal, unit.now()));
    BUREAU_TRY_VOID(refuse_known(unit, deal.external_id));
    if (deal.owner && owners.emplace(*deal.owner, true).second) {
      BUREAU_TRY_VOID(check_owner(unit.transaction().reader(), tenant_of(unit), *deal.owner));
    }
    BUREAU_TRY(const Course* course, courses.named(deal.pipeline));
    BUREAU_TRY(Opening opening, opening_of(deal, *course, unit.now()));
    rows.push_back(std::move(opening.deal));
    histories.push_back(std::move(opening.history));
  }
  BUREAU_TRY(rows, Repository<Deal>{Scope(unit)}.insert_all(std::move(rows)));
  std::vector<DealStageHistory> history;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (DealStageHistory& stay : histories[i]) {
      stay.deal = rows[i].id;
      history.push_back(std::move(stay));
    }
  }
  BUREAU_TRY_VOID(insert_history(unit, std::move(history)));
  return rows;
}

}  // namespace

Result<Deal> Deals::open(const NewDeal& deal) const {
  BUREAU_TRY(auto opened, open_all(std::span(&deal, 1)));
  return std::move(opened.front());
}

Result<std::vector<Deal>> Deals::open_all(std::span<const NewDeal> given) const {
  if (given.empty()) return std::vector<Deal>();
  return deals_.rows().scope().write([&](Unit& unit) { return open_in(unit, given); });
}

Result<Deal> Deals::find(Id<Deal> id) const { return deals_.find(id); }

Result<std::vector<Deal>> Deals::list(const Query& query) const { return deals_.list(query); }

Result<std::uint64_t> Deals::count(const Predicate& where) const { return deals_.count(where); }

Result<std::optional<Deal>> Deals::by_external_id(std::string_view external_id) const {
  return deals_.first(col(&Deal::external_id) == std::string(external_id));
}

Result<std::vector<DealStageHistory>> Deals::history(Id<Deal> id, std::uint64_t limit) const {
  BUREAU_TRY_VOID(deals_.find(id));
  Query query;
  query.where = col(&DealStageHistory::deal) == id;
  query.order = {{&col(&DealStageHistory::sequence).info(), false}};
  query.limit = limit;
  return history_.list(query);
}

Result<std::vector<DealActivity>> Deals::activities(Id<Deal> id, std::uint64_t limit) const {
  BUREAU_TRY_VOID(deals_.find(id));
  Query query;
  query.where = col(&DealActivity::deal) == id;
  query.limit = limit;
  return activities_.list(query);
}

// Moving ---------------------------------------------------------------------------------------

Result<Deal> Deals::move(Id<Deal> id, std::string_view stage) const {
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit& unit) -> Result<void> {
    BUREAU_TRY(const Course course, course_of(deal, unit));
    BUREAU_TRY(const Stage* to, course.named(stage));
    if (to->category != StageCategory::open) {
      return fail(
          Code::invalid,
          fmt::format("stage: \"{}\" is {}; a deal moves between open stages, and is won or "
                      "lost by name",
                      to->name, name_of(to->category)),
          "stage");
    }
    BUREAU_TRY_VOID(refuse_closed(deal, "reopen it first"));
    if (to->id == deal.stage) return {};
    return enter(deal, course, *to, unit.now());
  });
}

Result<Deal> Deals::win(Id<Deal> id, std::optional<Money> value) const {
  if (value) BUREAU_TRY_VOID(check_value(*value));
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(refuse_closed(deal, "only an open one can be won"));
    BUREAU_TRY(const Course course, course_of(deal, unit));
    BUREAU_TRY(const Stage* won, course.first(StageCategory::won));
    if (value) set_value_of(deal, *value);
    return enter(deal, course, *won, unit.now());
  });
}

Result<Deal> Deals::lose(Id<Deal> id, std::string_view reason, std::string_view stage) const {
  BUREAU_TRY_VOID(check_text("lost_reason", reason, longest_reason));
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(refuse_closed(deal, "only an open one can be lost"));
    BUREAU_TRY(const Course course, course_of(deal, unit));
    const auto wanted = stage.empty() ? course.first(StageCategory::lost) : course.named(stage);
    BUREAU_TRY(const Stage* lost, wanted);
    if (lost->category != StageCategory::lost) {
      return fail(Code::invalid,
                  fmt::format("stage: \"{}\" is {}, not lost", lost->name, name_of(lost->category)),
                  "stage");
    }
    BUREAU_TRY_VOID(enter(deal, course, *lost, unit.now()));
    deal.lost_reason = reason;
    return {};
  });
}

namespace {

/// The open stage that the deal was in last; the first, when it was in none.
Result<const Stage*> last_open(Unit& unit, const Deal& deal, const Course& course) {
  std::optional<Id<Stage>> last;
  const Select stays = select<DealStageHistory>()
                           .where(col(&DealStageHistory::deal) == deal.id)
                           .order_by(col(&DealStageHistory::sequence));
  BUREAU_TRY_VOID(
      unit.transaction().reader().scan(stays, [&](std::span<const Value> row) -> Result<bool> {
        DealStageHistory stay;
        from_values(row, stay);
        const Stage* stage = course.find(stay.stage);
        if (stage != nullptr && stage->category == StageCategory::open) last = stage->id;
        return true;
      }));
  if (last) return course.find(*last);
  return course.first(StageCategory::open);
}

}  // namespace

Result<Deal> Deals::reopen(Id<Deal> id, std::string_view stage) const {
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit& unit) -> Result<void> {
    if (deal.state == StageCategory::open) {
      return fail(Code::conflict,
                  fmt::format("state: deal {} is open; only a won or lost one is reopened",
                              id::to_text(schema<Deal>.prefix, id.value)),
                  "state");
    }
    BUREAU_TRY(const Course course, course_of(deal, unit));
    const auto wanted = stage.empty() ? last_open(unit, deal, course) : course.named(stage);
    BUREAU_TRY(const Stage* to, wanted);
    if (to->category != StageCategory::open) {
      return fail(Code::invalid,
                  fmt::format("stage: \"{}\" is {}; a deal is reopened into an open one", to->name,
                              name_of(to->category)),
                  "stage");
    }
    return enter(deal, course, *to, unit.now());
  });
}

// Other changes --------------------------------------------------------------------------------

Result<Deal> Deals::assign(Id<Deal> id, std::optional<Id<Team>> team,
                           std::optional<Id<User>> owner) const {
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(refuse_closed(deal, "it is given to nobody any more"));
    if (owner) {
      BUREAU_TRY_VOID(check_owner(unit.transaction().reader(), deal.tenant, *owner));
    }
    deal.team = team;
    deal.owner = owner;
    return {};
  });
}

Result<Deal> Deals::set_value(Id<Deal> id, const Money& value) const {
  BUREAU_TRY_VOID(check_value(value));
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit&) -> Result<void> {
    BUREAU_TRY_VOID(refuse_closed(deal, "its value stays"));
    set_value_of(deal, value);
    return derive(deal);
  });
}

Result<Deal> Deals::expect(Id<Deal> id, std::optional<Timestamp> close) const {
  BUREAU_TRY_VOID(check_date(close));
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit&) -> Result<void> {
    BUREAU_TRY_VOID(refuse_closed(deal, "nothing is expected of it"));
    deal.expected_close = close;
    return derive(deal);
  });
}

Result<Deal> Deals::set_probability(Id<Deal> id, std::optional<std::int64_t> probability_bp) const {
  if (probability_bp) BUREAU_TRY_VOID(check_probability(*probability_bp));
  return change_deal(deals_.rows().scope(), id, [&](Deal& deal, Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(refuse_closed(deal, "its probability is certain"));
    BUREAU_TRY(const auto* rights, bureau::detail::SessionDoor::rights(unit));
    if (rights->hides(col(&Deal::probability_bp).info())) {
      return fail(Code::forbidden, "probability_bp: a hidden column cannot be changed",
                  "probability_bp");
    }
    deal.own_probability = probability_bp.has_value();
    if (probability_bp) {
      deal.probability_bp = *probability_bp;
      return derive(deal);
    }
    BUREAU_TRY(const Course course, course_of(deal, unit));
    const Stage* stage = course.find(deal.stage);
    if (stage != nullptr) deal.probability_bp = stage->probability_bp;
    return derive(deal);
  });
}

// Activities -----------------------------------------------------------------------------------

Result<DealActivity> Deals::add_activity(Id<Deal> id, const NewActivity& given) const {
  BUREAU_TRY_VOID(check_new_activity(given));
  return deals_.rows().scope().write([&](Unit& unit) -> Result<DealActivity> {
    const Principal& who = unit.session().principal();
    if (given.kind >= ActivityKind::stage_change && !who.system) {
      return fail(Code::invalid,
                  fmt::format("kind: \"{}\" is written by the system alone", name_of(given.kind)),
                  "kind");
    }
    BUREAU_TRY(const Deal before, bureau::detail::stored_row(unit, id));
    DealActivity activity;
    activity.deal = id;
    activity.contact = given.contact;
    activity.kind = given.kind;
    activity.body = given.body;
    activity.due_at = given.due_at;
    activity.status = given.due_at ? ActivityStatus::open : ActivityStatus::done;
    if (!given.due_at) activity.done_at = unit.now();
    if (who.user) activity.author = who.user;
    BUREAU_TRY(activity, Repository<DealActivity>{Scope(unit)}.insert(std::move(activity)));
    Deal after = before;
    after.last_activity_at = std::max(unit.now(), before.last_activity_at);
    BUREAU_TRY_VOID(save_consequence(unit, before, std::move(after)));
    return activity;
  });
}

Result<DealActivity> Deals::end_activity(Id<DealActivity> id, ActivityStatus status) const {
  if (status == ActivityStatus::open) {
    return fail(Code::invalid, "status: \"open\" ends nothing; one is done or cancelled", "status");
  }
  return deals_.rows().scope().write([&](Unit& unit) -> Result<DealActivity> {
    const Repository<DealActivity> activities{Scope(unit)};
    BUREAU_TRY(DealActivity activity, activities.find(id));
    if (activity.status != ActivityStatus::open) {
      return fail(Code::conflict,
                  fmt::format("status: the activity is {}; only an open one can end",
                              name_of(activity.status)),
                  "status");
    }
    activity.status = status;
    if (status == ActivityStatus::done) activity.done_at = unit.now();
    BUREAU_TRY(activity, activities.update(std::move(activity)));
    if (status != ActivityStatus::done) return activity;
    BUREAU_TRY(const Deal before, bureau::detail::stored_row(unit, activity.deal));
    Deal after = before;
    after.last_activity_at = std::max(unit.now(), before.last_activity_at);
    BUREAU_TRY_VOID(save_consequence(unit, before, std::move(after)));
    return activity;
  });
}

BUREAU_END_NAMESPACE
