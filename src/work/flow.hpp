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

/// The RowRule of flow rules.
[[nodiscard]] Result<void> check_flow_row(std::span<const Value> before,
                                          std::span<const Value> after);

/// And of tenants' shares.
[[nodiscard]] Result<void> check_share_row(std::span<const Value> before,
                                           std::span<const Value> after);

/// How many more tasks may begin, as far as anything limits it.
inline constexpr std::int64_t no_limit = INT64_MAX;

/// The rules of one tenant in force at a moment, and what is left of them. Belongs to one
/// transaction or snapshot.
class TenantFlow {
 public:
  TenantFlow(Reader& reader, Id<Tenant> tenant, Timestamp now)
      : reader_(reader), tenant_(tenant), now_(now) {}

  Result<void> load();
  /// Nothing is limited: no task needs to be asked about.
  [[nodiscard]] bool is_free() const { return rules_.empty() && complete_; }
  /// Also those rules that name these keys. To be called before key_room() of tasks with them.
  Result<void> load_keys(const std::vector<std::string>& keys);
  /// Whether load_keys() has something to find.
  [[nodiscard]] bool wants_keys() const { return !complete_; }

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
  };
  [[nodiscard]] std::vector<Room> rooms(const Task& task) const;

 private:
  struct Rule {
    FlowRule row;
    std::int64_t used = 0;
    std::map<std::string, std::int64_t, std::less<>> used_by_key;  // of a rule of each key
  };
  struct Running {
    std::string queue, kind, key;
    std::int64_t count = 0;
  };
  Result<std::size_t> scan_rules(const Predicate& which, std::uint64_t limit);
  Result<void> load_running();
  void add(FlowRule row);

  Reader& reader_;
  Id<Tenant> tenant_;
  Timestamp now_;
  std::vector<Rule> rules_;
  bool complete_ = true;  // all there are, else those that name a key are read by load_keys()
  std::set<std::string> keys_;
  bool has_running_ = false;
  std::vector<Running> running_;
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
/// Goes on from group to group, looks at no more than `groups` of them, and lets those tasks
/// through for which there is room: what an end of a lease does not tell (a rule that has changed,
/// a row that was removed). Returns how many; begins anew at the end.
Result<std::uint64_t> admit(Writer& writer, HeldGroup& at, std::size_t groups, Timestamp now);

}  // namespace detail
BUREAU_END_NAMESPACE
