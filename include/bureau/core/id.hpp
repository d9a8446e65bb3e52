#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "bureau/core/clock.hpp"
#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

/// A typed 63-bit positive identity, sorted by time of issue: 41 bits of milliseconds since
/// 2020-01-01 UTC, 10 of node, 12 of sequence. 0 is no id. The order of ids is not the order of
/// commits: ask the feed, not an id, for what is new.
template <class T>
struct Id {
  std::int64_t value = 0;

  constexpr Id() = default;
  constexpr explicit Id(std::int64_t raw) : value(raw) {}
  [[nodiscard]] constexpr explicit operator bool() const { return value != 0; }
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

namespace id {
inline constexpr std::int64_t epoch_ms = 1'577'836'800'000;  // 2020-01-01T00:00:00Z
inline constexpr int node_bits = 10;
inline constexpr int sequence_bits = 12;
inline constexpr int node_count = 1 << node_bits;

/// "tkt_01hf3..." for the prefix "tkt": the prefix, an underscore, then 13 digits of Crockford base
/// 32 in lower case. 0 gives "".
[[nodiscard]] std::string to_text(std::string_view prefix, std::int64_t value);
/// The inverse. Accepts what Crockford allows (upper case; o for 0, i and l for 1). `invalid` when
/// the prefix is another one, the length is wrong, a digit is unknown or the value is not positive.
[[nodiscard]] Result<std::int64_t> from_text(std::string_view prefix, std::string_view text);
/// When the id was issued, by its issuer's clock, to the millisecond.
[[nodiscard]] Timestamp issued_at(std::int64_t value);
/// The smallest id that is issued in the millisecond of that moment, by a clock that is right.
[[nodiscard]] std::int64_t first_at(Timestamp moment);
[[nodiscard]] int node_of(std::int64_t value);
}  // namespace id

/// Issues the ids of one node. The time part is max(clock, last issued); it borrows from the future
/// when a millisecond's sequence is full, and never passes the reserved end, so that a successor on
/// the same node, which starts at that end, cannot repeat an id whatever the clocks do. A clock
/// that stands at or beyond the end is ignored, so that a jump does not throw the reservation away.
/// Thread-safe, lock-free; assign() is called by one thread at a time.
class IdSource {
 public:
  explicit IdSource(Clock& clock) : clock_(clock) {}

  /// Begins (or goes on) issuing for `node`: ids lie in [begin_ms, end_ms), milliseconds since
  /// id::epoch_ms. A further call with the same node only moves the end forward; when it begins
  /// beyond the old end, the ids between are left out (the node was another's meanwhile).
  /// REQUIRES: 0 <= node < id::node_count.
  void assign(int node, std::int64_t begin_ms, std::int64_t end_ms);

  /// The next id. `unavailable` when no node is assigned, `exhausted` when the reservation is used
  /// up (the owner then reserves more and the caller tries again).
  [[nodiscard]] Result<std::int64_t> next();

  /// True when less than `lead` is left before the reserved end, by the clock or by what was
  /// issued, or when none is assigned.
  [[nodiscard]] bool wants_reservation(Duration lead) const;
  /// What a new reservation must reach beyond: max(clock, last issued), in ms since id::epoch_ms.
  [[nodiscard]] std::int64_t position_ms() const;
  [[nodiscard]] int node() const { return node_.load(std::memory_order_acquire); }

 private:
  Clock& clock_;
  std::atomic<int> node_{-1};
  std::atomic<std::int64_t> end_ms_{0};
  std::atomic<std::int64_t> next_{0};  // the next id, with its node
};

BUREAU_END_NAMESPACE

/// \cond
template <class T>
struct std::hash<bureau::Id<T>> {
  std::size_t operator()(const bureau::Id<T>& id) const noexcept {
    return std::hash<std::int64_t>{}(id.value);
  }
};
/// \endcond
