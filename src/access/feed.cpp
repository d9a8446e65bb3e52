#include "bureau/access/feed.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/feed_ring.hpp"
#include "access/feed_subscription.hpp"
#include "store/journal_leap.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::FeedFilter;
using detail::JudgedEvent;
using detail::RecordPtr;
using detail::records_a_look;

namespace {
using State = FeedSubscription::State;
using States = std::vector<std::shared_ptr<State>>;

/// How much one subscriber is given before the next one's turn, and how many records he who is
/// behind the ring reads in one look.
constexpr std::size_t events_a_turn = 256;
constexpr std::size_t records_from_database = 32;
/// Rights that were looked at longer ago than this, with commits since, are looked at again; where
/// a look takes long, as on a server, only after some times as long, or nothing else would be done.
constexpr Duration judged_for = std::chrono::milliseconds(1);
constexpr int times_a_look = 4;
constexpr Duration read_deadline = std::chrono::seconds(5);
}  // namespace

struct Feed::Impl {
  Impl(Access& owner, std::function<void()> wake, FeedOptions options)
      : access(owner),
        database(owner.database()),
        signals(std::make_shared<detail::FeedSignals>()),
        ring(database, options.ring_bytes) {
    signals->wake = std::move(wake);
  }

  [[nodiscard]] Moment moment() const {
    return {signals->hints.load(), database.rights_commits(), database.clock().monotonic()};
  }
  Result<void> judge(State& state, Reader& reader, const Moment& before, std::int64_t head,
                     std::int64_t known);
  /// Whether what was judged may be judged otherwise now.
  Result<bool> rights_changed(State& state, Reader& reader, std::int64_t known);
  Result<void> judge_all(State& state, Reader& reader, std::int64_t head, std::int64_t known);
  /// Whether the change at `position`, which a subscriber has heard of, is there no more.
  Result<bool> was_lost(Reader& reader, std::int64_t position, std::int64_t known);
  Result<void> judge_records(State& state, Reader& reader, std::int64_t known);
  /// Looks at the rights again in a snapshot of its own, and judges by them what is not delivered
  /// yet if they are others.
  void judge_again(State& state);
  /// Delivers what was judged; returns how many events.
  std::size_t deliver(State& state, std::size_t limit);
  void call(State& state, const JudgedEvent& event);
  [[nodiscard]] bool stale(const State& state) const;
  [[nodiscard]] Monotonic deadline() const { return database.clock().monotonic() + read_deadline; }
  [[nodiscard]] std::shared_ptr<const States> living();
  void failed(State& state, const Error& error) const;

  Access& access;
  Database& database;
  std::shared_ptr<detail::FeedSignals> signals;
  detail::FeedRing ring;
  std::atomic<std::uint64_t> settled{0};  // the reasons to pump that were dealt with
  std::atomic<std::size_t> turn{0};
  std::mutex list_mutex;
  std::shared_ptr<const States> list = std::make_shared<States>();
  Subscription commits;
};

Feed::Feed(Access& access, std::function<void()> wake, FeedOptions options)
    : impl_(std::make_unique<Impl>(access, std::move(wake), options)) {
  auto heard = impl_->database.storage().on_commit([signals = impl_->signals] {
    signals->hints.fetch_add(1);
    signals->want();
  });
  if (heard) {
    impl_->commits = *std::move(heard);
  } else {
    log(impl_->database.log(), LogLevel::error, "feed", "commits cannot be heard of",
        {{"error", std::string_view(heard.error().message)}});
  }
}

Feed::~Feed() {
  impl_->commits = {};
  for (const auto& state : *impl_->living()) state->end();
}

std::shared_ptr<const States> Feed::Impl::living() {
  const std::lock_guard lock(list_mutex);
  const bool some_ended =
      std::any_of(list->begin(), list->end(), [](const auto& s) { return s->ended.load(); });
  if (some_ended) {
    auto kept = std::make_shared<States>();
    for (const auto& s : *list) {
      if (!s->ended) kept->push_back(s);
    }
    list = std::move(kept);
  }
  return list;
}

Result<std::int64_t> Feed::head() const {
  std::int64_t head = 0;
  BUREAU_TRY_VOID(impl_->database.read(impl_->deadline(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(head, impl_->database.journal_head(reader));
    return {};
  }));
  return head;
}

Result<FeedSubscription> Feed::subscribe(const Session& session, const TableInfo& table,
                                         SubscribeOptions options, Callback callback) {
  const auto after = options.after;
  auto state = std::make_shared<State>(session, table, std::move(options), std::move(callback),
                                       impl_->signals);
  BUREAU_TRY_VOID(state->filter.check());
  static_cast<void>(impl_->living());  // lets go of those that have ended
  std::int64_t head = 0;
  BUREAU_TRY_VOID(impl_->database.read(impl_->deadline(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(state->filter.refresh(reader));
    if (state->filter.denied()) return fail(*state->filter.denied());
    BUREAU_TRY(head, impl_->database.journal_head(reader));
    state->position = after.value_or(head);
    state->known = head;
    if (after && *after != head) {
      BUREAU_TRY(const std::int64_t tail, impl_->database.journal_tail(reader));
      state->gone = *after > head || *after + 1 < tail;
      if (!state->gone) {
        BUREAU_TRY(state->resync_due, state->filter.changed_since(reader, *after));
      }
    }
    return {};
  }));
  {
    const std::lock_guard lock(impl_->list_mutex);
    if (impl_->list->empty()) impl_->ring.start(head);
    auto longer = std::make_shared<States>(*impl_->list);
    longer->push_back(state);
    impl_->list = std::move(longer);
  }
  state->listen(true);
  impl_->signals->want();
  return FeedSubscription(std::move(state));
}

// Judging --------------------------------------------------------------------------------------

Result<void> Feed::Impl::judge(State& state, Reader& reader, const Moment& before,
                               std::int64_t head, std::int64_t known) {
  state.judged_at = before;
  if (!state.gone) BUREAU_TRY_VOID(rights_changed(state, reader, known).map([](bool) {}));
  return judge_all(state, reader, head, known);
}

Result<bool> Feed::Impl::rights_changed(State& state, Reader& reader, std::int64_t known) {
  BUREAU_TRY(bool changed, state.filter.refresh(reader));
  changed = changed || ring.changed(state.filter.reads(), state.filter.tenant(), state.known);
  state.resync_due = state.resync_due || changed;
  // What was changed in this snapshot but is not known yet counts next time.
  state.known = std::max(state.known, known);
  return changed;
}

Result<void> Feed::Impl::judge_all(State& state, Reader& reader, std::int64_t head,
                                   std::int64_t known) {
  state.judged.clear();
  state.judged_through = state.position;
  if (state.gone) {
    state.judged.push_back({FeedKind::gone, state.position, nullptr, nullptr});
    return {};
  }
  if (!state.resync_due) {
    BUREAU_TRY(state.resync_due, was_lost(reader, state.position, known));
  }
  if (state.resync_due) {
    state.judged.push_back({FeedKind::resync, state.position, nullptr, nullptr});
  }
  auto judged = judge_records(state, reader, known);
  if (judged) {
    state.judged_known = known;
    return {};
  }
  if (judged.error().code == Code::gone) {
    state.gone = true;
    state.judged.clear();
    state.judged.push_back({FeedKind::gone, state.position, nullptr, nullptr});
    return {};
  }
  if (judged.error().code == Code::corrupt) {
    log(database.log(), LogLevel::error, "feed", "changes cannot be read; a subscriber resyncs",
        {{"error", std::string_view(judged.error().message)}});
    state.resync_due = true;
    state.judged.clear();
    state.judged.push_back({FeedKind::resync, head, nullptr, nullptr});
    state.judged_through = head;
    return {};
  }
  return judged;
}

Result<bool> Feed::Impl::was_lost(Reader& reader, std::int64_t position, std::int64_t known) {
  if (position == 0 || known - position < detail::journal_leap_seen) return false;
  bool there = false;
  const auto read = database.read_journal(reader, position - 1, 1, [&](JournalRecord&& record) {
    there = record.first_sequence() <= position;
    return Result<bool>(false);
  });
  if (read) return !there;
  if (read.error().code == Code::gone) return false;  // no longer kept
  return fail(read.error());
}

Result<void> Feed::Impl::judge_records(State& state, Reader& reader, std::int64_t known) {
  const std::int64_t from = state.position;
  std::vector<JudgedEvent> events;
  std::size_t looked_at = 0;
  const auto one = [&](const RecordPtr& record) -> Result<bool> {
    BUREAU_TRY_VOID(state.filter.judge(reader, record, from, events));
    state.judged_through = record->last_sequence();
    ++looked_at;
    return events.size() < events_a_turn;
  };
  BUREAU_TRY(const bool in_ring, ring.give(from, known, one));
  if (in_ring) {
    if (looked_at < records_a_look && events.size() < events_a_turn) {
      state.judged_through = std::max(from, known);
    }
  } else if (from < known) {
    BUREAU_TRY(
        const std::int64_t through,
        database.read_journal(reader, from, records_from_database,
                              [&](JournalRecord&& record) -> Result<bool> {
                                if (record.last_sequence() > known) return false;
                                return one(std::make_shared<JournalRecord>(std::move(record)));
                              }));
    // Records of tables that the program does not know are passed over, but not beyond `known`.
    if (events.size() < events_a_turn) {
      state.judged_through = std::max(state.judged_through, std::min(through, known));
    }
  }
  state.judged.insert(state.judged.end(), std::make_move_iterator(events.begin()),
                      std::make_move_iterator(events.end()));
  return {};
}

namespace {
/// Ends a subscription that this thread has claimed; release() lets go of its callback.
void end_here(State& state) {
  state.ended = true;
  state.listen(false);
}
}  // namespace

void Feed::Impl::failed(State& state, const Error& error) const {
  // Storage trouble passes; anything else would only come again.
  const bool passing = error.code == Code::unavailable || error.code == Code::deadline ||
                       error.code == Code::busy || error.code == Code::unknown_outcome;
  log(database.log(), passing ? LogLevel::warning : LogLevel::error, "feed",
      passing ? "a look at the journal failed" : "a subscription ends with an error",
      {{"error", std::string_view(error.message)}});
  if (!passing) end_here(state);
}

void Feed::Impl::judge_again(State& state) {
  const Moment before = moment();
  auto read = database.read(deadline(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const std::int64_t head, database.journal_head(reader));
    BUREAU_TRY(const std::int64_t known, ring.advance(reader, head));
    state.judged_at = before;
    BUREAU_TRY(const bool changed, rights_changed(state, reader, known));
    return changed ? judge_all(state, reader, head, known) : Result<void>();
  });
  state.look_took = database.clock().monotonic() - before.time;
  if (read) return;
  state.judged.clear();
  state.judged_through = state.position;
  failed(state, read.error());
}

// Delivering -----------------------------------------------------------------------------------

bool Feed::Impl::stale(const State& state) const {
  if (state.judged_at.rights != database.rights_commits()) return true;
  const Duration holds = std::max(judged_for, state.look_took * (times_a_look + 1));
  return state.judged_at.hints != signals->hints.load() &&
         database.clock().monotonic() - state.judged_at.time > holds;
}

void Feed::Impl::call(State& state, const JudgedEvent& judged) {
  FeedFilter::Scratch scratch;
  try {
    state.callback(state.filter.event(judged, scratch));
    return;
  } catch (const std::exception& error) {
    log(database.log(), LogLevel::error, "feed", "a callback threw; its subscription ends",
        {{"what", std::string_view(error.what())}});
  } catch (...) {
    log(database.log(), LogLevel::error, "feed", "a callback threw; its subscription ends");
  }
  end_here(state);
}

std::size_t Feed::Impl::deliver(State& state, std::size_t limit) {
  std::size_t delivered = 0;
  bool just_judged = false;
  while (!state.judged.empty() && delivered < limit && !state.ended) {
    if (!just_judged && stale(state)) {
      judge_again(state);
      just_judged = true;  // so that commits without end cannot keep everything from going out
      continue;
    }
    just_judged = false;
    const JudgedEvent event = std::move(state.judged.front());
    state.judged.pop_front();
    state.position = event.sequence;
    if (event.kind == FeedKind::resync) state.resync_due = false;
    call(state, event);
    ++delivered;
    if (event.kind == FeedKind::gone) end_here(state);
  }
  if (state.judged.empty()) state.position = std::max(state.position.load(), state.judged_through);
  return delivered;
}

bool Feed::pump(std::size_t events) {
  Impl& impl = *impl_;
  const std::uint64_t want = impl.signals->wanted.load();
  if (want == impl.settled.load()) return false;
  const auto list = impl.living();
  bool more = false;
  const Moment before = impl.moment();
  const auto judge_all = [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const std::int64_t head, impl.database.journal_head(reader));
    BUREAU_TRY(const std::int64_t known, impl.ring.advance(reader, head));
    more = known < head;
    for (const auto& state : *list) {
      if (!state->claim()) continue;
      if (state->judged.empty()) {
        if (auto judged = impl.judge(*state, reader, before, head, known); !judged) {
          impl.failed(*state, judged.error());
        } else if (state->judged.empty()) {
          state->position = std::max(state->position.load(), state->judged_through);
        }
      }
      state->release();
    }
    return {};
  };
  // When each of them is being called, nothing can be delivered: what was committed is read by
  // whoever is back first.
  if (impl.signals->listening.load() != 0) {
    if (auto read = impl.database.read(impl.deadline(), judge_all); !read) {
      // The next commit, or the next call, tries again.
      log(impl.database.log(), LogLevel::warning, "feed", "a look at the journal failed",
          {{"error", std::string_view(read.error().message)}});
      return false;
    }
  }
  const std::size_t first = impl.turn.fetch_add(1);
  for (std::size_t i = 0; i < list->size(); ++i) {
    State& state = *(*list)[(first + i) % list->size()];
    if (events == 0) {
      more = true;
      break;
    }
    if (!state.claim()) continue;  // whoever has it sees to it
    state.listen(false);
    events -= impl.deliver(state, std::min(events, events_a_turn));
    state.listen(!state.ended);
    // Others pass over it while it is claimed: what came meanwhile is for this thread to see to.
    more = more || !state.judged.empty() || state.position < state.judged_known ||
           state.judged_at.hints != impl.signals->hints.load();
    state.release();
  }
  if (more) {
    impl.signals->wanted.fetch_add(1);
  } else {
    impl.settled.store(want);
  }
  return more;
}

Feed::Progress Feed::progress(std::int64_t head) const {
  std::shared_ptr<const States> list;
  {
    const std::lock_guard lock(impl_->list_mutex);
    list = impl_->list;
  }
  Progress progress{0, head};
  for (const auto& state : *list) {
    if (state->ended.load()) continue;
    ++progress.subscriptions;
    progress.slowest = std::min(progress.slowest, state->position.load());
  }
  return progress;
}

bool Feed::pending() const {
  return impl_->signals->wanted.load() != impl_->settled.load() &&
         impl_->signals->listening.load() != 0;
}

// Asking ---------------------------------------------------------------------------------------

Result<ChangePage> Feed::poll_changes(const Session& session, const TableInfo& table,
                                      const Predicate& where, std::int64_t after,
                                      std::size_t limit) const {
  FeedFilter filter(session, table, where);
  BUREAU_TRY_VOID(filter.check());
  ChangePage page;
  FeedFilter::Scratch scratch;
  const auto add = [&](const JudgedEvent& judged) {
    const FeedEvent event = filter.event(judged, scratch);
    OwnedFeedEvent& out = page.events.emplace_back();
    out = {event.kind, event.sequence, event.id, {}, {}, {}, event.at, event.actor};
    for (const Value& v : event.before) out.before.emplace_back(v);
    for (const Value& v : event.after) out.after.emplace_back(v);
    out.changed.assign(event.changed.begin(), event.changed.end());
  };
  const auto look = [&](Reader& reader) -> Result<void> {
    page = {};
    BUREAU_TRY_VOID(filter.refresh(reader));
    if (filter.denied()) return fail(*filter.denied());
    BUREAU_TRY(const std::int64_t head, impl_->database.journal_head(reader));
    if (after > head) {
      return fail(Code::gone,
                  fmt::format("sequence: {} was never reached, the newest is {}", after, head),
                  "sequence");
    }
    BUREAU_TRY(bool resync, filter.changed_since(reader, after));
    if (!resync) {
      BUREAU_TRY(resync, impl_->was_lost(reader, after, head));
    }
    if (resync) add({FeedKind::resync, after, nullptr, nullptr});
    const auto take = [&](JournalRecord&& record) -> Result<bool> {
      std::vector<JudgedEvent> events;
      BUREAU_TRY_VOID(
          filter.judge(reader, std::make_shared<JournalRecord>(std::move(record)), after, events));
      for (const JudgedEvent& judged : events) add(judged);
      return true;
    };
    BUREAU_TRY(page.next, impl_->database.read_journal(reader, after, limit, take));
    page.more = page.next < head;
    return {};
  };
  BUREAU_TRY_VOID(impl_->database.read(impl_->deadline(), look));
  return page;
}

BUREAU_END_NAMESPACE
