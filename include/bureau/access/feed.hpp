#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/access/access.hpp"
#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

enum class FeedKind : std::uint8_t {
  insert,  ///< a row that came, or came into sight: `after` only
  update,  ///< a row that was in sight and still is
  remove,  ///< a row that went, or went out of sight: the id only
  /// What the subscriber may see has changed, or may have, or what was told last was lost (a
  /// standby took over that lacks it): read anew, then go on.
  resync,
  gone,    ///< changes after the last number are no longer kept; the subscription has ended
};
[[nodiscard]] std::string_view to_string(FeedKind kind) noexcept;

/// What a subscriber hears. What it points to lives until the callback returns. Secret columns are
/// null; a personal value whose history was erased is null too.
struct FeedEvent {
  FeedKind kind = FeedKind::resync;
  /// Subscribe after this number to go on behind this event. Only a resync may have the number of
  /// the event before it.
  std::int64_t sequence = 0;
  const TableInfo* table = nullptr;  ///< null for resync and gone
  std::int64_t id = 0;
  std::span<const Value> before;  ///< of an update; empty where the table's journal is `after`
  std::span<const Value> after;   ///< of an insert or update
  std::span<const std::uint16_t> changed;  ///< of an update: positions of columns, secret ones not
  Timestamp at;                            ///< when the change was made
  std::int64_t actor = 0;                  ///< who made it; told to the system only
};

struct FeedOptions {
  /// How much of the newest changes is kept decoded for all subscribers together. Who is further
  /// behind reads from the database.
  std::size_t ring_bytes = 4 * 1024 * 1024;
};

struct SubscribeOptions {
  Predicate where = {};  ///< now() is refused
  /// Changes after this number; none: from now on. A number that is no longer kept, or was never
  /// reached, makes the first event `gone`.
  std::optional<std::int64_t> after = {};
};

/// An event that owns its rows, for those who ask instead of being called.
struct OwnedFeedEvent {
  FeedKind kind = FeedKind::resync;
  std::int64_t sequence = 0;
  std::int64_t id = 0;
  std::vector<OwnedValue> before, after;
  std::vector<std::uint16_t> changed;
  Timestamp at;
  std::int64_t actor = 0;
};
struct ChangePage {
  std::vector<OwnedFeedEvent> events;
  std::int64_t next = 0;  ///< ask after this number next time
  bool more = false;      ///< there is more already
};

/// A typed event: see FeedEvent.
template <Entity T>
struct RowEvent {
  FeedKind kind = FeedKind::resync;
  std::int64_t sequence = 0;
  Id<T> id;
  std::optional<T> before, after;
  Timestamp at;
};

/// Ends its subscription when it is destroyed: no callback begins after that, and one that runs on
/// another thread is waited for. May be destroyed inside any callback; of callbacks that end one
/// another's subscriptions in a circle, the last one to do so does not wait.
class FeedSubscription {
 public:
  struct State;
  FeedSubscription() = default;
  explicit FeedSubscription(std::shared_ptr<State> state) : state_(std::move(state)) {}
  FeedSubscription(FeedSubscription&&) noexcept = default;
  FeedSubscription& operator=(FeedSubscription&& other) noexcept;
  ~FeedSubscription() { end(); }

  void end() noexcept;
  /// False once it has ended: by end(), after `gone`, or because its callback threw.
  [[nodiscard]] bool active() const;
  /// The number after which a new subscription would go on: all before it was delivered, or was not
  /// for this subscriber.
  [[nodiscard]] std::int64_t position() const;

 private:
  std::shared_ptr<State> state_;
};

/// Tells subscribers of committed changes, as far as they may see them: in order, each once from
/// the number where they began (docs/feed.md). Thread-safe. Has no thread: pump() does the work. A
/// subscriber that is slow or never returns holds up neither writers nor the others' memory.
class Feed {
 public:
  using Callback = std::function<void(const FeedEvent&)>;

  /// `wake` is called, from any thread and without locks of the feed, when there is work for
  /// pump(); it must not block. Both `access` and its database outlive the feed.
  explicit Feed(Access& access, std::function<void()> wake = {}, FeedOptions options = {});
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  /// Calls back, from pump() and never two at a time, with each change of a row of `table` that the
  /// session may see at that moment. A callback that throws ends its subscription (logged). Errors:
  /// `invalid` for a table without a journal or a predicate with now(); those of the session.
  [[nodiscard]] Result<FeedSubscription> subscribe(const Session& session, const TableInfo& table,
                                                   SubscribeOptions options, Callback callback);
  template <Entity T, class F>
  [[nodiscard]] Result<FeedSubscription> subscribe(const Session& session, SubscribeOptions options,
                                                   F callback) {
    return subscribe(session, table_of<T>(), std::move(options),
                     [callback = std::move(callback)](const FeedEvent& event) mutable {
                       RowEvent<T> row{event.kind, event.sequence, Id<T>(event.id), {},
                                       {},         event.at};
                       if (!event.before.empty()) from_values(event.before, row.before.emplace());
                       if (!event.after.empty()) from_values(event.after, row.after.emplace());
                       callback(row);
                     });
  }

  /// One look, without a subscription: the changes after `after`, at most `limit` records of them.
  /// A `resync` stands first when rights, or what policies read, changed since `after`. `gone` as
  /// an error.
  [[nodiscard]] Result<ChangePage> poll_changes(const Session& session, const TableInfo& table,
                                                const Predicate& where, std::int64_t after,
                                                std::size_t limit) const;
  /// The number of the newest change: where "from now" begins.
  [[nodiscard]] Result<std::int64_t> head() const;

  struct Progress {
    std::size_t subscriptions = 0;
    /// After which change the slowest of them goes on; the newest change when there is none.
    std::int64_t slowest = 0;
  };
  /// How far the subscriptions are.
  [[nodiscard]] Progress progress(std::int64_t head) const;

  /// Delivers what is due, about `events` of them. True when more is left to do at once. Several
  /// threads may call it. Costs nothing to speak of when nothing was committed.
  bool pump(std::size_t events = 1024);
  /// Whether pump() has something to do.
  [[nodiscard]] bool pending() const;

  struct Impl;
  /// What was known when something was judged: taken before the snapshot, so that whatever came
  /// after counts as news.
  struct Moment {
    std::uint64_t hints = 0, rights = 0;
    Monotonic time;
  };

 private:
  std::unique_ptr<Impl> impl_;
};

BUREAU_END_NAMESPACE
