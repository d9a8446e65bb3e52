#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "store/postgres/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// The table whose rows have journal numbers as ids.
inline constexpr std::string_view journal_table = "bureau_journal";

/// How far the journal can be read. Numbers come from one sequence, in one order, and are committed
/// in another; so a read looks no further than a *horizon*, a number at or below which nothing can
/// come any more. For that:
/// - whoever draws first takes a shared advisory lock whose key is the newest number drawn so far,
///   which is below all that he will draw, and keeps it until his commit can be seen;
/// - whoever reads first asks for the newest number, then for the smallest of such keys; the
///   horizon is the smaller of the two. Whoever had drawn at or below it had his lock before that,
///   and has let go of it since: a snapshot that is taken after the question sees what he wrote.
/// Thread-safe.
class JournalOrder {
 public:
  JournalOrder(std::string schema, std::int64_t office)
      : schema_(std::move(schema)), office_(office) {}

  /// Adds the question to what the connection will send. It must stand in a transaction of its own,
  /// before that of the snapshot.
  void ask(Connection& connection) const;
  /// Takes the answer in: the horizon, for snapshots that are taken from now on.
  Horizon learn(const PGresult* answer, std::uint64_t asked_at);
  /// The last horizon that this storage learnt: for snapshots that are taken from now on.
  [[nodiscard]] Horizon known() const { return known_.load(std::memory_order_acquire); }

  /// Draws so many consecutive numbers; the answer is the last of them. `first`: the transaction
  /// has no lock yet.
  [[nodiscard]] Sql draw(std::int64_t count, bool first) const;

  /// A transaction that drew has ended, here or elsewhere.
  void note_news() { news_.fetch_add(1, std::memory_order_acq_rel); }
  [[nodiscard]] std::uint64_t news() const { return news_.load(std::memory_order_acquire); }
  /// Whether the horizon may have moved since it was learnt.
  [[nodiscard]] bool is_behind() const {
    return holds_back() || learnt_at_.load(std::memory_order_acquire) != news();
  }
  /// Whether numbers that were drawn already lie beyond the horizon.
  [[nodiscard]] bool holds_back() const {
    return known() < newest_.load(std::memory_order_acquire);
  }
  /// Whether a read was held back by what does not hold back any more: somebody is to be told.
  /// Once.
  [[nodiscard]] bool take_owed_hint() { return !holds_back() && owes_hint_.exchange(false); }

 private:
  std::string schema_;
  std::int64_t office_;
  std::atomic<Horizon> known_{0};
  std::atomic<std::uint64_t> news_{1};
  std::atomic<std::uint64_t> learnt_at_{0};
  std::atomic<std::int64_t> newest_{0};  ///< number that was seen drawn
  std::atomic<bool> owes_hint_{false};
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
