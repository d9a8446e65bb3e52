#include "bureau/core/id.hpp"

#include <algorithm>
#include <array>

#include "core/civil_text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::string_view base32_digits = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t digit_count = 13;

constexpr auto digit_values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < base32_digits.size(); ++i) {
    const char c = base32_digits[i];
    values[static_cast<unsigned char>(c)] = static_cast<std::int8_t>(i);
    if (c >= 'a') values[static_cast<unsigned char>(c - 'a' + 'A')] = static_cast<std::int8_t>(i);
  }
  for (const char c : {'o', 'O'}) values[static_cast<unsigned char>(c)] = 0;
  for (const char c : {'i', 'I', 'l', 'L'}) values[static_cast<unsigned char>(c)] = 1;
  return values;
}();

constexpr int time_shift = id::node_bits + id::sequence_bits;
constexpr std::int64_t sequence_mask = (std::int64_t{1} << id::sequence_bits) - 1;
constexpr std::int64_t node_mask = id::node_count - 1;
/// The time part has 41 bits; the last of its values is never issued, so that the state after the
/// last id still fits.
constexpr std::int64_t last_end_ms = (std::int64_t{1} << 41) - 1;

constexpr std::int64_t compose(std::int64_t ms, std::int64_t node, std::int64_t sequence) {
  return ms << time_shift | node << id::sequence_bits | sequence;
}
constexpr std::int64_t ms_of(std::int64_t id) { return id >> time_shift; }
constexpr std::int64_t node_part(std::int64_t id) { return id >> id::sequence_bits & node_mask; }

/// The id after this one on the same node: a full sequence borrows the next millisecond.
constexpr std::int64_t successor(std::int64_t id) {
  return (id & sequence_mask) < sequence_mask ? id + 1 : compose(ms_of(id) + 1, node_part(id), 0);
}

std::int64_t clock_ms(const Clock& clock) {
  const std::int64_t micros = clock.now().micros();
  return (micros >= 0 ? micros / 1000 : 0) - id::epoch_ms;
}

}  // namespace

namespace id {

std::string to_text(std::string_view prefix, std::int64_t value) {
  if (value == 0) return {};
  std::string out;
  out.reserve(prefix.size() + 1 + digit_count);
  out += prefix;
  out += '_';
  for (int shift = 5 * (static_cast<int>(digit_count) - 1); shift >= 0; shift -= 5)
    out += base32_digits[static_cast<std::uint64_t>(value) >> shift & 31];
  return out;
}

Result<std::int64_t> from_text(std::string_view prefix, std::string_view text) {
  const auto refuse = [&](const char* rule) {
    return fail(Code::invalid, "id " + detail::shown(text) + ": " + rule + " '" +
                                   std::string(prefix) + "_' and 13 digits of base 32");
  };
  if (text.size() != prefix.size() + 1 + digit_count) return refuse("wrong length; expected");
  if (!text.starts_with(prefix) || text[prefix.size()] != '_')
    return refuse("another prefix; expected");
  std::uint64_t value = 0;
  for (const char c : text.substr(prefix.size() + 1)) {
    const int digit = digit_values[static_cast<unsigned char>(c)];
    if (digit < 0) return refuse("unknown digit; expected");
    // 13 digits are 65 bits: of the first one only three may be used.
    if (value >> 58 != 0) return refuse("more than 63 bits; expected");
    value = value << 5 | static_cast<unsigned>(digit);
  }
  if (value == 0) return refuse("0 is no id; expected");
  return static_cast<std::int64_t>(value);
}

Timestamp issued_at(std::int64_t value) {
  return Timestamp::from_micros((ms_of(value) + epoch_ms) * 1000);
}

std::int64_t first_at(Timestamp moment) {
  const std::int64_t micros = std::max<std::int64_t>(moment.micros(), epoch_ms * 1000);
  return compose(std::min(micros / 1000 - epoch_ms, last_end_ms), 0, 0);
}

int node_of(std::int64_t value) { return static_cast<int>(node_part(value)); }

}  // namespace id

// next_ holds the whole of the next id, with its node, so that one compare-and-swap covers time,
// node and sequence. A change of node closes the reservation (end_ms_ = 0), changes next_, and
// opens the new one; next() reads next_ before end_ms_, so that an id of one node is never issued
// under the end of another: had the node changed in between, the swap would fail.

void IdSource::assign(int node, std::int64_t begin_ms, std::int64_t end_ms) {
  // Id 0 is no id, and node 0 would issue it in millisecond 0.
  begin_ms = std::clamp<std::int64_t>(begin_ms, 1, last_end_ms);
  end_ms = std::clamp<std::int64_t>(end_ms, 0, last_end_ms);
  const std::int64_t first = compose(begin_ms, node & node_mask, 0);
  if (node_.load() == node) {
    const std::int64_t old_end = end_ms_.load();
    if (begin_ms > old_end) {
      // Between the two reservations the node was somebody else's.
      std::int64_t next = next_.load();
      while (next < first && !next_.compare_exchange_weak(next, first)) {
      }
    }
    if (end_ms > old_end) end_ms_.store(end_ms);
    return;
  }
  end_ms_.store(0);
  next_.store(first);
  end_ms_.store(end_ms);
  node_.store(node);
}

Result<std::int64_t> IdSource::next() {
  if (node_.load(std::memory_order_acquire) < 0)
    return fail(Code::unavailable, "no node is assigned yet to issue ids");
  const std::int64_t now = clock_ms(clock_);
  for (std::int64_t next = next_.load();;) {
    const std::int64_t end = end_ms_.load();
    std::int64_t issued = next;
    // A clock at or beyond the end (it jumped, or the process slept) must not throw away what is
    // left of the reservation: then ids go on one by one.
    if (now > ms_of(next) && now < end) issued = compose(now, node_part(next), 0);
    if (ms_of(issued) >= end) {
      // The node may just be changing: then this was no honest look.
      const std::int64_t again = next_.load();
      if (again != next) {
        next = again;
        continue;
      }
      return fail(Code::exhausted, "the reservation of id time of node " +
                                       std::to_string(node_part(next)) + " is used up");
    }
    if (next_.compare_exchange_weak(next, successor(issued))) return issued;
  }
}

bool IdSource::wants_reservation(Duration lead) const {
  if (node_.load(std::memory_order_acquire) < 0) return true;
  return std::chrono::milliseconds(end_ms_.load() - position_ms()) < lead;
}

std::int64_t IdSource::position_ms() const {
  const std::int64_t now = std::clamp<std::int64_t>(clock_ms(clock_), 0, last_end_ms);
  return std::max(now, ms_of(next_.load()));
}

BUREAU_END_NAMESPACE
