// From what may count to what users have.

#include <algorithm>
#include <map>

#include "rewards/batch.hpp"
#include "rewards/books.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

namespace {

constexpr std::size_t lines_a_commit = 5'000;
constexpr std::int64_t numbers_unwritten = 10'000;

/// The credits that a batch is about.
class Credits {
 public:
  Result<void> read(Transaction& tx, Id<Tenant> tenant, const Batch& batch) {
    tenant_ = tenant;
    std::map<std::int64_t, std::vector<std::int64_t>> sources;
    for (const Hit& hit : batch.hits) {
      sources[batch.criteria[hit.criterion].id].push_back(hit.source);
    }
    for (auto& [origin, of_origin] : sources) {
      const auto read_part = [&, from = origin](const std::vector<std::int64_t>& part) {
        return read_some(tx, from, part);
      };
      BUREAU_TRY_VOID(in_parts<std::int64_t>(distinct(std::move(of_origin)), read_part));
    }
    return {};
  }
  [[nodiscard]] Held<Credit>* find(std::int64_t origin, std::int64_t source) {
    const auto found = rows_.find({origin, source});
    return found == rows_.end() || found->second.now.user.value == 0 ? nullptr : &found->second;
  }
  void set(std::int64_t origin, std::int64_t source, Credit credit) {
    Held<Credit>& held = rows_[{origin, source}];
    credit.id = held.stored ? held.stored->id : Id<Credit>();
    credit.tenant = tenant_;
    credit.origin = origin;
    credit.source = source;
    held.now = std::move(credit);
    held.changed = true;
  }
  void clear(Held<Credit>& held) {
    held.now.user = {};
    held.changed = true;
  }
  template <class F>
  void each(F f) const {
    for (const auto& [key, held] : rows_) f(held.now);
  }
  Result<void> write(Transaction& tx) {
    std::vector<std::int64_t> gone;
    for (auto& [key, held] : rows_) {
      if (!held.changed || held.now.user) continue;
      if (held.stored) gone.push_back(held.stored->id.value);
      held.changed = false;
    }
    BUREAU_TRY_VOID(in_parts<Id<Credit>>(
        distinct(std::move(gone)), [&](const std::vector<Id<Credit>>& part) -> Result<void> {
          Select which = select<Credit>().where(col(&Credit::id).in(part));
          BUREAU_TRY_VOID(tx.remove(which));
          return {};
        }));
    return write_held(tx, rows_);
  }

 private:
  Result<void> read_some(Transaction& tx, std::int64_t origin,
                         const std::vector<std::int64_t>& sources) {
    BUREAU_TRY(
        auto found,
        rows_of<Credit>(tx.reader(), select<Credit>().where(col(&Credit::origin) == origin &&
                                                            col(&Credit::source).in(sources))));
    for (Credit& row : found) {
      Held<Credit>& held = rows_[{origin, row.source}];
      held.stored = row;
      held.now = std::move(row);
    }
    return {};
  }

  Id<Tenant> tenant_;
  std::unordered_map<PairKey, Held<Credit>, PairHash> rows_;
};

/// One batch on its way into the rows.
class Evaluation {
 public:
  Evaluation(Transaction& tx, Id<Tenant> tenant, const Batch& batch)
      : tx_(tx), tenant_(tenant), batch_(batch), books_(tx, tenant, batch.zone, batch.day) {}

  Result<void> run() {
    if (batch_.hits.empty()) return {};
    BUREAU_TRY_VOID(credits_.read(tx_, tenant_, batch_));
    BUREAU_TRY_VOID(read_books());
    for (const Hit& hit : batch_.hits) BUREAU_TRY_VOID(apply(hit));
    BUREAU_TRY_VOID(books_.write());
    return credits_.write(tx_);
  }
  [[nodiscard]] std::int64_t counted() const { return counted_; }

 private:
  Result<void> read_books() {
    std::vector<std::int64_t> users;
    std::vector<std::int64_t> days = {batch_.day};
    std::vector<std::vector<std::int64_t>> of(batch_.criteria.size());
    std::map<std::int64_t, std::size_t> places;
    for (std::size_t i = 0; i < batch_.criteria.size(); ++i) places[batch_.criteria[i].id] = i;
    const auto note = [&](std::size_t place, std::int64_t user) {
      users.push_back(user);
      of[place].push_back(user);
    };
    for (const Hit& hit : batch_.hits) {
      if (hit.user != 0) note(hit.criterion, hit.user);
    }
    credits_.each([&](const Credit& credit) {
      note(places.at(credit.origin), credit.user.value);
      if (credit.points > 0) days.push_back(days_of_date(credit.day));
    });
    BUREAU_TRY_VOID(books_.read_users(std::move(users), distinct(std::move(days))));
    for (std::size_t i = 0; i < of.size(); ++i) {
      if (of[i].empty()) continue;
      const Criterion& criterion = batch_.criteria[i];
      if (criterion.achievement) {
        BUREAU_TRY_VOID(books_.read_holders(*criterion.achievement, std::move(of[i])));
      } else if (criterion.rule->cap_per_day > 0 || criterion.rule->cooldown > Duration(0)) {
        BUREAU_TRY_VOID(books_.read_usage(criterion.rule->id, std::move(of[i])));
      }
    }
    return {};
  }

  Result<void> apply(const Hit& hit) {
    const Criterion& criterion = batch_.criteria[hit.criterion];
    Held<Credit>* credit = credits_.find(criterion.id, hit.source);
    if (hit.user == 0) return credit == nullptr ? Result<void>() : take(criterion, *credit, hit);
    if (credit == nullptr) {
      return hit.may_begin && criterion.active ? give(criterion, hit) : Result<void>();
    }
    // Whoever made the change by which the row began to count keeps it.
    if (criterion.criteria.user == nullptr || credit->now.user.value == hit.user) return {};
    BUREAU_TRY_VOID(take(criterion, *credit, hit));
    return criterion.active ? give(criterion, hit) : Result<void>();
  }

  Cause cause_of(const Criterion& criterion, const Hit& hit) const {
    Cause cause;
    if (criterion.rule) cause.rule = criterion.rule->id;
    if (criterion.achievement) cause.achievement = criterion.achievement->id;
    cause.source = hit.source;
    cause.sequence = hit.sequence;
    cause.at = hit.at;
    return cause;
  }

  Result<void> give(const Criterion& criterion, const Hit& hit) {
    ++counted_;
    BUREAU_TRY_VOID(books_.uphold(hit.user, hit.at));
    Credit credit;
    credit.user = Id<User>(hit.user);
    if (criterion.achievement) {
      BUREAU_TRY_VOID(
          books_.advance(*criterion.achievement, hit.user, 1, cause_of(criterion, hit)));
    } else if (const auto points = books_.allowance(*criterion.rule, hit.user, hit.at);
               points > 0) {
      BUREAU_TRY(const PointEntry entry, books_.give(hit.user, points, cause_of(criterion, hit)));
      credit.points = entry.points;
      credit.entry = entry.id;
      credit.local_date = entry.local_date;
      credit.day = entry.day;
    }
    credits_.set(criterion.id, hit.source, std::move(credit));
    return {};
  }

  Result<void> take(const Criterion& criterion, Held<Credit>& credit, const Hit& hit) {
    ++counted_;
    const Credit& was = credit.now;
    const Cause cause = cause_of(criterion, hit);
    if (criterion.achievement) {
      BUREAU_TRY_VOID(books_.advance(*criterion.achievement, was.user.value, -1, cause));
    } else if (was.points > 0 && was.entry) {
      PointEntry given;
      given.id = *was.entry;
      given.user = was.user;
      given.points = was.points;
      given.local_date = was.local_date;
      given.day = was.day;
      BUREAU_TRY_VOID(books_.take_back(given, cause));
      BUREAU_TRY_VOID(books_.give_room(*criterion.rule, given));
    }
    credits_.clear(credit);
    return {};
  }

  Transaction& tx_;
  Id<Tenant> tenant_;
  const Batch& batch_;
  Books books_;
  Credits credits_;
  std::int64_t counted_ = 0;
};

/// Whether something was committed since the batch was read that it is about: whoever heard of it
/// made no task, since this one had not ended.
Result<bool> came_meanwhile(Reader& reader, Database& database, Id<Tenant> tenant,
                            const Batch& batch) {
  BUREAU_TRY(const auto changed, database.changed_tables(reader, batch.head));
  return std::any_of(changed.begin(), changed.end(), [&](const auto& change) {
    const auto is_about_it = [&](const Criterion& criterion) {
      return criterion.criteria.table == change.table;
    };
    return change.tenant == tenant.value &&
           (change.table == &table_of<Achievement>() || change.table == &table_of<PointRule>() ||
            std::any_of(batch.criteria.begin(), batch.criteria.end(), is_about_it));
  });
}

}  // namespace

Result<RewardsEvaluated> apply_batch(Unit& unit, const Batch& batch) {
  RewardsEvaluated done;
  Transaction& tx = unit.transaction();
  const Id<Tenant> tenant = unit.session().principal().tenant;
  BUREAU_TRY(const auto stored, row_with_id<Cursor>(tx.reader(), tenant.value));
  if (!stored) return done;
  done.through = stored->position;
  if (!batch.cursor || batch.cursor->position != stored->position ||
      batch.cursor->generation != stored->generation || batch.cursor->day != stored->day) {
    done.more = true;  // another one was faster
    return done;
  }
  Cursor cursor = *stored;
  BUREAU_TRY(const bool closed, close_boards(tx, tenant, batch.day, lines_a_commit));
  if (!closed) {
    done.more = true;
    return done;
  }
  Evaluation evaluation(tx, tenant, batch);
  BUREAU_TRY_VOID(evaluation.run());
  cursor.day = date_of_days(batch.day);
  cursor.position = done.through = batch.through;
  cursor.missed += batch.missed;
  done.changes = batch.changes;
  done.counted = evaluation.counted();
  done.more = !batch.drained;
  if (batch.drained) {
    const std::int64_t today = std::max(batch.day, LocalDays().day(batch.zone, tx.now()));
    BUREAU_TRY(const bool all, close_boards(tx, tenant, today, lines_a_commit));
    if (all) cursor.day = date_of_days(today);
    done.more = !all;
    if (all) {
      BUREAU_TRY(done.more, came_meanwhile(tx.reader(), tx.database(), tenant, batch));
    }
  }
  // Where nothing was counted, how far it is need not be written each time.
  const bool idle = batch.changes == 0 && batch.missed == 0 && cursor.day == stored->day &&
                    cursor.position - stored->position < numbers_unwritten;
  if (!idle || done.more) BUREAU_TRY_VOID(replace_row(tx, *stored, cursor));
  return done;
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
