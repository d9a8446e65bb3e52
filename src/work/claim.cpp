#include "work/claim.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "bureau/access/identity.hpp"
#include "work/task_columns.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

bool is_better(const Task& a, const Task& b) {
  return std::pair(a.rank, a.id) < std::pair(b.rank, b.id);
}

Order by(const ColumnInfo& column) { return {&column, false}; }

/// The work of a suspended tenant rests. (That of a closed one is given up by its handlers.)
struct MayWork {
  bool& works;
  Result<bool> operator()(std::span<const Value> values) const {
    Tenant row;
    from_values(values, row);
    works = row.status != TenantStatus::suspended;
    return false;
  }
};

std::int64_t weight_of(const TenantShare& share) { return std::max<std::int64_t>(1, share.weight); }

struct WeightOf {
  std::int64_t& weight;
  Result<bool> operator()(std::span<const Value> values) const {
    TenantShare share;
    from_values(values, share);
    weight = weight_of(share);
    return false;
  }
};

}  // namespace

Result<std::vector<Task>> Claim::run() {
  if (options_.limit == 0) return std::vector<Task>();
  BUREAU_TRY_VOID(gather());
  if (parties_.size() > 1 || !all_) BUREAU_TRY_VOID(read_weights());
  BUREAU_TRY_VOID(all_ ? take_shares() : take_turns());
  if (blocked_) turn_.ahead = 1;
  if (!parties_.empty()) {
    const bool is_alone = parties_.size() == 1 && first_.empty();
    turn_.alone = is_alone ? parties_[0].tenant.value : 0;
    turn_.kind = is_alone ? parties_[0].first_kind : std::string();
  }
  BUREAU_TRY_VOID(write_leases());
  BUREAU_TRY_VOID(close_gates());
  for (Party& party : parties_) BUREAU_TRY_VOID(party.flow.write_buckets(tx_));
  return std::move(taken_);
}

// Who has something ready ----------------------------------------------------------------------

Predicate Claim::in_lane(Id<Tenant> tenant) const {
  return col(&Task::status) == TaskStatus::ready && col(&Task::gate) != Gate::closed &&
         col(&Task::queue) == options_.queue && col(&Task::tenant) == tenant;
}

/// The first kind after that one which is asked for; null: there is none. REQUIRES: kinds_.
const std::string* Claim::next_kind(std::string_view after) const {
  const auto found = std::upper_bound(kinds_.begin(), kinds_.end(), after);
  return found == kinds_.end() ? nullptr : &*found;
}

/// What is read of a lane that is stepped over is read for nothing.
std::uint64_t Claim::ahead() const {
  return blocked_ ? 1 : std::clamp<std::uint64_t>(turn_.ahead, 1, options_.limit);
}

Result<bool> Claim::Lead::operator()(std::span<const Value> row) const {
  from_values(row, tasks.emplace_back());
  const Task& read = tasks.back();
  if (read.tenant == tasks[0].tenant && read.kind == tasks[0].kind) return true;
  tasks.pop_back();
  return false;
}

/// The best tasks of the first lane of the first of these tenants that has something.
Select Claim::first_of_tenants(std::int64_t after, std::int64_t last) const {
  return {&table_of<Task>(),
          col(&Task::status) == TaskStatus::ready && col(&Task::gate) != Gate::closed &&
              col(&Task::queue) == options_.queue && col(&Task::tenant) >= Id<Tenant>(after + 1) &&
              col(&Task::tenant) <= Id<Tenant>(last),
          {by(col(&Task::tenant).info()), by(col(&Task::kind).info()), by(col(&Task::rank).info())},
          ahead()};
}

/// The best task of the tenant's lane after the one of that kind; nothing: no other is asked for.
std::optional<Select> Claim::next_lane(Id<Tenant> tenant, std::string_view kind) const {
  Predicate where = in_lane(tenant);
  if (kinds_.empty()) {
    where = where && col(&Task::kind) > std::string(kind);
  } else {
    const std::string* const next = next_kind(kind);
    if (next == nullptr) return std::nullopt;
    where = where && col(&Task::kind) >= *next;
  }
  return Select{
      &table_of<Task>(), where, {by(col(&Task::kind).info()), by(col(&Task::rank).info())}, 1};
}

/// The tenant after whom the round begins.
std::int64_t Claim::start() const { return turn_.left > 0 ? turn_.tenant - 1 : turn_.tenant; }

Result<void> Claim::look(std::vector<Scan> scans) {
  const Select rules = SharedFlow::rules();
  const SharedFlow::Intake take_rule(flow_);
  const Select first = first_of_tenants(start(), INT64_MAX);
  first_.clear();
  again_.clear();
  const Lead lead{first_}, from_the_first{again_};
  scans.push_back({&rules, take_rule});
  scans.push_back({&first, lead});
  const Select round = first_of_tenants(0, start());
  if (remote_ && start() > 0) scans.push_back({&round, from_the_first});
  guessed_.reset();
  if (!remote_ || turn_.alone == 0) return tx_.reader().scan_all(scans);
  BUREAU_TRY(guessed_,
             read_beside(std::move(scans), Id<Tenant>(turn_.alone), turn_.kind, INT64_MAX));
  return {};
}

/// Goes round the tenants that have ready tasks in this queue, from where the last claim ended.
Result<void> Claim::gather() {
  std::int64_t last = INT64_MAX;
  while (parties_.size() < options_.limit) {
    if (!first_.empty()) {
      BUREAU_TRY_VOID(add_party(last));
    } else if (last == INT64_MAX && start() > 0) {
      last = start();
      const Lead lead{first_};
      if (remote_) {
        first_ = std::move(again_);
      } else {
        BUREAU_TRY_VOID(tx_.reader().scan(first_of_tenants(0, last), lead));
      }
    } else {
      all_ = true;
      return {};
    }
  }
  return {};
}

/// Behind what `before` asks for, in the same turn: what else is to be known of the tenant, and the
/// first tasks of the next one up to `last`.
Result<Claim::Beside> Claim::read_beside(std::vector<Scan> before, Id<Tenant> tenant,
                                         std::string_view kind, std::int64_t last) {
  Beside beside;
  const Lead next_of{beside.next_tenant}, next_in{beside.next_lane};
  const MayWork may_work{beside.works};
  const WeightOf weigh{beside.weight};
  const Select others = first_of_tenants(tenant.value, last);
  const std::optional<Select> lane = next_lane(tenant, kind);
  const Select of_tenant{&table_of<Tenant>(), col(&Tenant::id) == tenant, {}, 1};
  const Select share = select<TenantShare>().where(col(&TenantShare::tenant) == tenant);
  std::vector<Scan> scans = std::move(before);
  scans.push_back({&others, next_of});
  if (lane) scans.push_back({&*lane, next_in});
  if (tx_.database().catalog().find(schema<Tenant>.name) != nullptr) {
    scans.push_back({&of_tenant, may_work});
  }
  if (remote_) scans.push_back({&share, weigh});
  BUREAU_TRY_VOID(tx_.reader().scan_all(scans));
  return beside;
}

/// Takes in the tenant of first_, and puts the next one up to `last` in its place.
Result<void> Claim::add_party(std::int64_t last) {
  std::vector<Task> first = std::exchange(first_, {});
  const Id<Tenant> tenant = first[0].tenant;
  const std::string& kind = first[0].kind;
  const bool more = first.size() >= ahead();
  const bool is_last = tenant.value == last;
  const bool is_guessed = guessed_ && (last == INT64_MAX || is_last) &&
                          tenant.value == turn_.alone && kind == turn_.kind;
  Beside beside;
  if (is_guessed) {
    beside = std::move(*guessed_);
    if (is_last) beside.next_tenant.clear();
  } else {
    BUREAU_TRY(beside, read_beside({}, tenant, kind, last));
  }
  guessed_.reset();
  first_ = std::move(beside.next_tenant);
  blocked_ = blocked_ || !beside.works;
  if (!beside.works) return {};
  Party party{tenant, TenantFlow(tx_.reader(), flow_, tenant, tx_.now()), {}, beside.weight, kind};
  BUREAU_TRY_VOID(party.flow.load());
  BUREAU_TRY_VOID(add_lane(party, std::move(first), more));
  BUREAU_TRY_VOID(add_lanes(party, std::move(beside.next_lane)));
  if (!party.lanes.empty()) parties_.push_back(std::move(party));
  return {};
}

/// That lane, and all that follow.
Result<void> Claim::add_lanes(Party& party, std::vector<Task> next) {
  while (!next.empty()) {
    const std::optional<Select> lane = next_lane(party.tenant, next[0].kind);
    BUREAU_TRY_VOID(add_lane(party, std::exchange(next, {}), true));
    const Lead lead{next};
    if (lane) BUREAU_TRY_VOID(tx_.reader().scan(*lane, lead));
  }
  return {};
}

Result<void> Claim::add_lane(Party& party, std::vector<Task> first, bool more) {
  const std::string& kind = first[0].kind;
  const bool asked = kinds_.empty() || std::binary_search(kinds_.begin(), kinds_.end(), kind);
  if (!asked || party.flow.lane_room(options_.queue, kind) <= 0) {
    blocked_ = true;
    return {};
  }
  Lane& lane = party.lanes.emplace_back();
  lane.kind = kind;
  lane.tasks = std::move(first);
  lane.more = more;
  return load_keys(party, lane);
}

Result<void> Claim::read_weights() {
  if (parties_.empty() || remote_) return {};  // or they are known
  std::vector<Id<Tenant>> tenants;
  for (const Party& party : parties_) tenants.push_back(party.tenant);
  const Select shares =
      select<TenantShare>().where(col(&TenantShare::tenant).in(padded(std::move(tenants))));
  return tx_.reader().scan(shares, [&](std::span<const Value> row) -> Result<bool> {
    TenantShare share;
    from_values(row, share);
    for (Party& party : parties_) {
      if (party.tenant == share.tenant) party.weight = weight_of(share);
    }
    return true;
  });
}

// Who gets how many ----------------------------------------------------------------------------

/// All tenants that have something are here: each gets one at least, and of the rest its share.
/// What one cannot use goes to the others.
Result<void> Claim::take_shares() {
  while (taken_.size() < options_.limit && !left_off()) {
    std::vector<Party*> wanting;
    std::int64_t weights = 0;
    for (Party& party : parties_) {
      if (!party.more) continue;
      wanting.push_back(&party);
      weights += party.weight;
    }
    if (wanting.empty()) return {};
    const auto free = static_cast<std::int64_t>(options_.limit - taken_.size());
    const std::int64_t rest =
        std::max<std::int64_t>(0, free - static_cast<std::int64_t>(wanting.size()));
    for (Party* party : wanting) {
      const std::int64_t share = 1 + rest * party->weight / weights;
      const auto left = static_cast<std::int64_t>(options_.limit - taken_.size());
      BUREAU_TRY_VOID(take(*party, static_cast<std::uint64_t>(std::min(share, left))));
    }
  }
  turn_ = {0, 0, taken_.size() / std::max<std::size_t>(1, parties_.size())};
  return {};
}

/// There may be more tenants than the batch has places: each in turn as many as its weight says.
Result<void> Claim::take_turns() {
  for (Party& party : parties_) {
    if (taken_.size() >= options_.limit || left_off()) return {};
    const bool goes_on = turn_.left > 0 && turn_.tenant == party.tenant.value;
    const auto most = static_cast<std::int64_t>(std::max<std::uint64_t>(options_.limit, 16));
    const std::int64_t turn = goes_on ? turn_.left : std::min(party.weight, most);
    const std::size_t before = taken_.size();
    const auto left = static_cast<std::int64_t>(options_.limit - before);
    BUREAU_TRY_VOID(take(party, static_cast<std::uint64_t>(std::min(turn, left))));
    const auto took = static_cast<std::int64_t>(taken_.size() - before);
    turn_ = {party.tenant.value, party.more ? turn - took : 0, 1};
  }
  return {};
}

// One tenant's tasks ---------------------------------------------------------------------------

/// The best of its lanes, up to `count`; closes the gates of those that their keys hold back.
Result<void> Claim::take(Party& party, std::uint64_t count) {
  for (std::uint64_t took = 0; took < count && !left_off();) {
    BUREAU_TRY(Lane * lane, best_lane(party, count - took));
    if (lane == nullptr) {
      party.more = false;
      return {};
    }
    Task& task = lane->tasks[lane->next++];
    BUREAU_TRY(const bool begins, may_begin(party, task));
    if (begins) {
      party.flow.count(task.queue, task.kind, task.flow_key ? *task.flow_key : std::string_view());
      taken_.push_back(std::move(task));
      ++took;
    } else {
      held_.push_back(std::move(task));
    }
  }
  return {};
}

Result<Claim::Lane*> Claim::best_lane(Party& party, std::uint64_t wanted) {
  const std::uint64_t each = wanted / party.lanes.size() + 1;
  Lane* best = nullptr;
  for (Lane& lane : party.lanes) {
    const std::int64_t room = party.flow.lane_room(options_.queue, lane.kind);
    if (room <= 0) continue;
    if (lane.next == lane.tasks.size() && lane.more) {
      BUREAU_TRY_VOID(read_more(party, lane, std::min(each, static_cast<std::uint64_t>(room))));
    }
    if (lane.next == lane.tasks.size()) continue;
    if (best == nullptr || is_better(lane.tasks[lane.next], best->tasks[best->next])) best = &lane;
  }
  return best;
}

/// Goes on in the lane behind the last that was read. REQUIRES: something was.
Result<void> Claim::read_more(Party& party, Lane& lane, std::uint64_t count) {
  const std::int64_t rank = lane.tasks.back().rank;
  const std::int64_t id = lane.tasks.back().id.value;
  Select next = select<Task>()
                    .where(in_lane(party.tenant) && col(&Task::kind) == lane.kind)
                    .order_by(col(&Task::rank))
                    .limit(count);
  next.after = {OwnedValue(Value::integer(rank)), OwnedValue(Value::integer(id))};
  next.skip_locked = true;
  lane.tasks.clear();
  lane.next = 0;
  BUREAU_TRY_VOID(tx_.reader().scan(next, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, lane.tasks.emplace_back());
    return true;
  }));
  lane.more = lane.tasks.size() == count;
  return load_keys(party, lane);
}

Result<void> Claim::load_keys(Party& party, const Lane& lane) {
  if (!party.flow.wants_keys()) return {};
  std::vector<std::string> keys;
  for (const Task& task : lane.tasks) {
    if (task.flow_key) keys.push_back(*task.flow_key);
  }
  return party.flow.load_keys(keys);
}

Result<bool> Claim::may_begin(Party& party, const Task& task) {
  if (!task.flow_key || party.flow.is_free()) return true;
  if (party.flow.wants_keys()) BUREAU_TRY_VOID(party.flow.load_keys({*task.flow_key}));
  return party.flow.key_room(task.queue, task.kind, *task.flow_key) > 0;
}

// What is written ------------------------------------------------------------------------------

Result<void> Claim::write_leases() {
  const TaskColumns& c = columns();
  const std::vector<const ColumnInfo*> written{c.status,  c.node,       c.generation,
                                               c.attempt, c.started_at, c.agent};
  std::vector<Value> rows;
  rows.reserve(taken_.size() * (written.size() + 1));
  for (Task& task : taken_) {
    task.status = TaskStatus::running;
    task.node = node_.number;
    task.generation = node_.generation;
    task.attempt += 1;
    task.started_at = tx_.now();
    task.agent = options_.agent;
    rows.insert(rows.end(), {Value::integer(task.id.value),
                             Value::integer(static_cast<std::int64_t>(TaskStatus::running)),
                             Value::integer(node_.number), Value::integer(node_.generation),
                             Value::integer(task.attempt), Value::integer(tx_.now().micros()),
                             Value::text(options_.agent)});
  }
  return tx_.unjournalled().update_rows(c.table, written, rows);
}

/// And marks who has leases of these keys, so that their end lets the next through.
Result<void> Claim::close_gates() {
  const TaskColumns& c = columns();
  std::vector<Value> rows;
  std::set<std::pair<std::int64_t, std::string>> keys;
  for (const Task& task : held_) {
    rows.insert(rows.end(), {Value::integer(task.id.value),
                             Value::integer(static_cast<std::int64_t>(Gate::closed))});
    keys.emplace(task.tenant.value, *task.flow_key);
  }
  BUREAU_TRY_VOID(tx_.unjournalled().update_rows(c.table, std::vector{c.gate}, rows));
  for (const auto& [tenant, key] : keys) {
    Update holders{
        select<Task>().where(col(&Task::status) == TaskStatus::running &&
                             col(&Task::tenant) == Id<Tenant>(tenant) &&
                             col(&Task::flow_key) == key && col(&Task::gate) == Gate::open),
        {set(c.gate, Gate::admitted)}};
    BUREAU_TRY_VOID(tx_.unjournalled().update(holders));
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
