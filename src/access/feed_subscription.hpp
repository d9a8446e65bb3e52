#pragma once

// One subscription as the feed keeps it: who calls it, how far it is, what is judged for it.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "access/feed_filter.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What storages touch after a commit; outlives the feed if one of them is late.
struct FeedSignals {
  std::atomic<std::uint64_t> hints{1};   // commits that were heard of
  std::atomic<std::uint64_t> wanted{1};  // reasons to pump: hints, and work that was left over
  /// Subscriptions that live and are not being called. Those that are need no pump: whoever calls
  /// them looks at `hints` afterwards.
  std::atomic<std::size_t> listening{0};
  std::function<void()> wake;
  void want() {
    wanted.fetch_add(1);
    if (listening.load() != 0 && wake) wake();
  }
};

}  // namespace detail

/// Everything below `busy` belongs to the thread that has set it.
struct FeedSubscription::State {
  State(const Session& session, const TableInfo& table, SubscribeOptions options,
        Feed::Callback to_call, std::shared_ptr<detail::FeedSignals> told)
      : signals(std::move(told)),
        filter(session, table, std::move(options.where)),
        callback(std::move(to_call)) {}

  /// Takes it for this thread; false when another has it, or it has ended.
  bool claim();
  /// Gives it back; lets go of the callback when it was ended meanwhile.
  void release();
  /// No callback begins after this; one that runs on another thread is waited for.
  void end();
  /// Counts it among those that listen, or no longer.
  void listen(bool on);

  std::shared_ptr<detail::FeedSignals> signals;
  std::mutex mutex;
  std::condition_variable idle;
  bool busy = false;
  std::atomic<std::thread::id> runner{std::thread::id()};
  std::atomic<bool> listens{false};
  std::atomic<bool> ended{false};
  std::atomic<std::int64_t> position{0};  // everything up to it is settled

  detail::FeedFilter filter;
  Feed::Callback callback;
  bool resync_due = false;
  bool gone = false;
  std::int64_t known = 0;  // changes up to here are in what was last judged
  std::deque<detail::JudgedEvent> judged;
  std::int64_t judged_through = 0;  // position once `judged` is delivered
  std::int64_t judged_known = 0;    // and where that is as far as anything is known
  Feed::Moment judged_at;           // when the rights were looked at for it
  Duration look_took{};             // the last time that they were looked at again
};

BUREAU_END_NAMESPACE
