#pragma once

// What flow control says at a moment: what the claim and why() share, so that neither can say
// something else than the other.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bureau/store/database.hpp"
#include "bureau/work/flow.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What a rate has left, of one rule and, where the rule is one of each key, one key. A bucket that
/// is full needs no row.
struct FlowBucket {
  Id<FlowBucket> id;
  Id<Tenant> tenant;
  Id<FlowRule> rule;
  std::string flow_key;  // whose gates a token opens; empty: no gate is closed for it
  Timestamp full_at;     // when the last of its tokens is back
  bool awaited = false;  // it was empty; the next token is there at next_at
  Timestamp next_at;
};

}  // namespace detail

template <>
inline constexpr auto schema<detail::FlowBucket> = table(
    "flow_buckets", "bkt", journal::none, column("id", &detail::FlowBucket::id),
    column("tenant", &detail::FlowBucket::tenant), column("rule", &detail::FlowBucket::rule),
    column("flow_key", &detail::FlowBucket::flow_key, max_length(200)),
    column("full_at", &detail::FlowBucket::full_at),
    column("awaited", &detail::FlowBucket::awaited),
    column("next_at", &detail::FlowBucket::next_at), unique_index("bucket", "rule", "flow_key"),
    index("awaited", "next_at").where("awaited = true"), index("full", "full_at"));

namespace detail {

/// The RowRule of flow rules.
[[nodiscard]] Result<void> check_flow_row(std::span<const Value> before,
                                          std::span<const Value> after);

/// And of tenants' shares.
[[nodiscard]] Result<void> check_share_row(std::span<const Value> before,
                                           std::span<const Value> after);

/// How many more tasks may begin, as far as anything limits it.
inline constexpr std::int64_t no_limit = INT64_MAX;

/// A list for `in`, its last repeated: of few different lengths, each of which is a statement of
/// its own to prepare. REQUIRES: not empty.
template <class T>
[[nodiscard]] std::vector<T> padded(std::vector<T> values) {
  std::size_t length = 1;
  while (length < values.size()) length *= 2;
  const T last = values.back();
  values.resize(length, last);
  return values;
}

/// What several TenantFlows of one transaction read together, instead of each for itself: all
/// rules, unless there are many, and the leases of all tenants, once somebody asks for them.
class SharedFlow {
 public:
  explicit SharedFlow(Reader& reader) : reader_(reader) {}
  Result<void> load();
  /// The same in two: what to ask for, and what takes the answer.
  [[nodiscard]] static Select rules();
  class Intake {
   public:
    explicit Intake(SharedFlow& flow) : flow_(flow) { flow.forget_rules(); }
    Result<bool> operator()(std::span<const Value> row) const;

   private:
    SharedFlow& flow_;
  };
  /// All rules of the tenant; null: there are too many of all tenants to have been read.
  [[nodiscard]] const std::vector<FlowRule>* rules_of(Id<Tenant> tenant) const;

  struct Leases {
    std::string queue, kind, key;
    std::int64_t count = 0;
  };
  Result<const std::vector<Leases>*> leases_of(Id<Tenant> tenant);

 private:
  void forget_rules();

  Reader& reader_;
  std::size_t found_ = SIZE_MAX;  // how many rules were read
  std::map<std::int64_t, std::vector<FlowRule>> rules_;
  bool has_leases_ = false;
  std::map<std::int64_t, std::vector<Leases>> leases_;
};

/// The rules of one tenant in force at a moment, and what is left of them. Belongs to one
/// transaction or snapshot.
class TenantFlow {
 public:
  TenantFlow(Reader& reader, SharedFlow& shared, Id<Tenant> tenant, Timestamp now)
      : reader_(reader), shared_(shared), tenant_(tenant), now_(now) {}

  Result<void> load();
  /// Nothing is limited: no task needs to be asked about.
  [[nodiscard]] bool is_free() const { return rules_.empty() && complete_; }
  /// Also those rules that name these keys. To be called before key_room() of tasks with them.
  Result<void> load_keys(const std::vector<std::string>& keys);
  /// Whether load_keys() has something to find.
  [[nodiscard]] bool wants_keys() const { return !complete_ || has_key_rates_; }

  /// How many tasks of a queue and kind may begin, whatever their keys.
  [[nodiscard]] std::int64_t lane_room(std::string_view queue, std::string_view kind) const;
  /// And by what rules speak of its key.
  [[nodiscard]] std::int64_t key_room(std::string_view queue, std::string_view kind,
                                      std::string_view key) const;
  /// One of them begins: it counts from now on.
  void count(std::string_view queue, std::string_view kind, std::string_view key);

  /// The rules that cover such a task, and how much room each leaves.
  struct Room {
    const FlowRule* rule = nullptr;
    std::int64_t room = 0;
    std::optional<Timestamp> more_at = {};  // of a rate without room
  };
  [[nodiscard]] std::vector<Room> rooms(const Task& task) const;
  /// Keeps what count() took of rates.
  Result<void> write_buckets(Transaction& tx);

 private:
  /// What is counted of a rule, or of one key of a rule of each key.
  struct Counter {
    std::int64_t used = 0;  // leases
    Timestamp full_at;      // of a rate
    Id<FlowBucket> bucket;  // its row, if there is one
    bool changed = false;
  };
  struct Rule {
    FlowRule row;
    Counter counter;
    std::map<std::string, Counter, std::less<>> by_key;  // of a rule of each key
  };
  Result<std::size_t> scan_rules(const Predicate& which, std::uint64_t limit);
  Result<void> take_rules(std::vector<FlowRule> rows);
  Result<void> load_buckets(Rule& rule, const Predicate& which);
  Result<void> add(FlowRule row);
  [[nodiscard]] const Counter& counter_of(const Rule& rule, std::string_view key) const;
  [[nodiscard]] std::int64_t room_of(const Rule& rule, const Counter& counter) const;
  Result<void> write_bucket(Transaction& tx, const Rule& rule, const std::string& key,
                            Counter& counter);

  Reader& reader_;
  SharedFlow& shared_;
  Id<Tenant> tenant_;
  Timestamp now_;
  std::vector<Rule> rules_;
  bool complete_ = true;  // all there are, else those that name a key are read by load_keys()
  bool has_key_rates_ = false;
  std::set<std::string> keys_;
};

/// The tasks whose gate is closed lie in groups of one tenant, flow key, queue and kind: no two of
/// one are in the way of different rules.
struct HeldGroup {
  std::int64_t tenant = 0;
  std::string key, queue, kind;
};
/// The group after that one, by its first task; none: there is no further one. With `same_key`
/// alone those of its tenant and key.
[[nodiscard]] Result<std::optional<Task>> next_held(Reader& reader, const HeldGroup& after,
                                                    bool same_key = false);

/// Lets the best task of each group of that key through: one of its leases has ended.
Result<void> admit_next(Writer& writer, Id<Tenant> tenant, const std::string& key);
/// Whether there is any such task.
[[nodiscard]] Select any_held();
/// The empty buckets for which a token has come.
[[nodiscard]] Select tokens_come(Timestamp now, std::uint64_t limit);
/// Lets those through for whom a token has come.
Result<void> admit_by_rates(Writer& writer, Timestamp now);
/// Goes on from group to group, looks at no more than `groups` of them, and lets those tasks
/// through for which there is room: what an end of a lease does not tell (a rule that has changed,
/// a row that was removed). Returns how many; begins anew at the end.
Result<std::uint64_t> admit(Writer& writer, HeldGroup& at, std::size_t groups, Timestamp now);

}  // namespace detail
BUREAU_END_NAMESPACE
