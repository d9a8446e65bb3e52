#include "bureau/access/feed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <thread>

#include "access/feed_filter.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::FeedFilter;
using detail::JudgedEvent;
using detail::RecordPtr;

namespace {
/// How much one subscriber is given before the next one's turn, and how many records are read in
/// one look.
constexpr std::size_t events_a_turn = 256;
constexpr std::size_t records_from_database = 32;
constexpr std::size_t records_a_look = 512;
/// Rights that were judged longer ago than this, with commits since, are judged again.
constexpr Duration judged_for = std::chrono::milliseconds(1);
constexpr Duration read_deadline = std::chrono::seconds(5);
constexpr std::size_t remembered_changes_max = 100'000;

/// What storages touch after a commit; outlives the feed if one of them is late.
struct Signals {
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

/// Which thread waits for which subscription's callback to return. A callback that ends another's
/// subscription waits for that one's callback, which may wait for the first: whoever would close
/// such a circle is told so, and does not wait.
class Waits {
 public:
  /// False when the thread that calls `state` waits, directly or through others, for this one.
  bool begin(const FeedSubscription::State& state);
  void end() {
    const std::lock_guard lock(mutex_);
    waiting_.erase(std::this_thread::get_id());
  }
  static Waits& instance() {
    static Waits waits;
    return waits;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::thread::id, const FeedSubscription::State*> waiting_;
};
}  // namespace

/// Everything below `busy` belongs to the thread that has set it.
struct FeedSubscription::State {
  State(const Session& session, const TableInfo& table, SubscribeOptions options,
        Feed::Callback to_call, std::shared_ptr<Signals> told)
      : signals(std::move(told)),
        filter(session, table, std::move(options.where)),
        callback(std::move(to_call)) {}

  bool claim() {
    const std::lock_guard lock(mutex);
    if (busy || ended) return false;
    busy = true;
    runner = std::this_thread::get_id();
    return true;
  }
  void release() {
    Feed::Callback dead;  // destroyed without the lock: it may own anything
    {
      const std::lock_guard lock(mutex);
      busy = false;
      runner = std::thread::id();
      if (ended) dead = std::move(callback);
    }
    idle.notify_all();
  }
  void end() {
    Feed::Callback dead;
    std::unique_lock lock(mutex);
    ended = true;
    listen(false);
    if (busy && runner == std::this_thread::get_id()) return;  // release() does the rest
    if (busy) {
      if (!Waits::instance().begin(*this)) return;
      idle.wait(lock, [&] { return !busy; });
      Waits::instance().end();
    }
    dead = std::move(callback);
    lock.unlock();
  }
  /// Counts it among those that listen, or no longer.
  void listen(bool on) {
    if (listens.exchange(on) == on) return;
    if (!on) {
      signals->listening.fetch_sub(1);
      return;
    }
    signals->listening.fetch_add(1);
    if (ended) listen(false);
  }

  std::shared_ptr<Signals> signals;
  std::mutex mutex;
  std::condition_variable idle;
  bool busy = false;
  std::atomic<std::thread::id> runner{std::thread::id()};
  std::atomic<bool> listens{false};
  std::atomic<bool> ended{false};
  std::atomic<std::int64_t> position{0};  // everything up to it is settled

  FeedFilter filter;
  Feed::Callback callback;
  bool resync_due = false;
  bool gone = false;
  std::int64_t known = 0;  // changes up to here are in what was last judged
  std::deque<JudgedEvent> judged;
  std::int64_t judged_through = 0;  // position once `judged` is delivered
  std::int64_t judged_known = 0;    // and where that is as far as anything is known
  Feed::Moment judged_at;
};

FeedSubscription& FeedSubscription::operator=(FeedSubscription&& other) noexcept {
  if (this != &other) {
    end();
    state_ = std::move(other.state_);
  }
  return *this;
}
void FeedSubscription::end() noexcept {
  if (state_) state_->end();
}
bool FeedSubscription::active() const { return state_ && !state_->ended; }
std::int64_t FeedSubscription::position() const { return state_ ? state_->position.load() : 0; }

namespace {
using State = FeedSubscription::State;
using States = std::vector<std::shared_ptr<State>>;

bool Waits::begin(const State& state) {
  const std::lock_guard lock(mutex_);
  const std::thread::id self = std::this_thread::get_id();
  for (const State* at = &state;;) {
    const std::thread::id runner = at->runner.load();
    if (runner == self) return false;
    const auto next = waiting_.find(runner);
    if (next == waiting_.end()) break;
    at = next->second;
  }
  waiting_[self] = &state;
  return true;
}

/// The newest changes, decoded once for all subscribers, and when each table last changed.
class Ring {
 public:
  Ring(Database& database, std::size_t bytes_max) : database_(database), bytes_max_(bytes_max) {}

  void start(std::int64_t head) {
    const std::lock_guard lock(mutex_);
    restart(head);
  }
  /// Reads on, one look's worth. Returns the number through which changes are known, at most
  /// `head`.
  Result<std::int64_t> advance(Reader& reader, std::int64_t head) {
    const std::lock_guard lock(mutex_);
    if (through_ >= head) return head;
    auto read = database_.read_journal(reader, through_, records_a_look,
                                       [&](JournalRecord&& record) -> Result<bool> {
                                         add(std::move(record));
                                         return true;
                                       });
    if (read) {
      through_ = *read;
    } else if (read.error().code == Code::gone || read.error().code == Code::corrupt) {
      log(database_.log(), LogLevel::error, "feed", "changes cannot be read; subscribers resync",
          {{"error", std::string_view(read.error().message)}});
      restart(head);
    } else {
      return fail(std::move(read).error());
    }
    return std::min(through_, head);
  }
  /// Gives the records after `position` up to `limit`; false when they are not all here. The sink
  /// returns false to stop.
  Result<bool> give(std::int64_t position, std::int64_t limit,
                    FunctionRef<Result<bool>(const RecordPtr&)> sink) {
    std::vector<RecordPtr> found;
    {
      const std::lock_guard lock(mutex_);
      if (position < after_) return false;
      auto at = std::partition_point(records_.begin(), records_.end(), [&](const RecordPtr& r) {
        return r->last_sequence() <= position;
      });
      for (;
           at != records_.end() && (*at)->last_sequence() <= limit && found.size() < records_a_look;
           ++at) {
        found.push_back(*at);
      }
    }
    for (const RecordPtr& record : found) {
      BUREAU_TRY(const bool more, sink(record));
      if (!more) break;
    }
    return true;
  }
  /// Whether one of the tables may have changed after number `after`.
  bool changed(std::span<const TableInfo* const> tables, std::int64_t tenant, std::int64_t after) {
    if (tables.empty()) return false;
    const std::lock_guard lock(mutex_);
    if (after < unknown_until_) return true;
    return std::any_of(tables.begin(), tables.end(), [&](const TableInfo* table) {
      const auto found = changes_.find(key(*table, tenant));
      return found != changes_.end() && found->second > after;
    });
  }

 private:
  using Key = std::pair<const TableInfo*, std::int64_t>;
  struct KeyHash {
    std::size_t operator()(const Key& k) const {
      return std::hash<const void*>{}(k.first) ^ std::hash<std::int64_t>{}(k.second);
    }
  };
  static Key key(const TableInfo& table, std::int64_t tenant) {
    return {&table, table.tenant == TableInfo::absent ? 0 : tenant};
  }

  void restart(std::int64_t head) {
    records_.clear();
    changes_.clear();
    bytes_ = 0;
    after_ = through_ = unknown_until_ = head;
  }
  void add(JournalRecord&& record) {
    if (changes_.size() >= remembered_changes_max) {
      changes_.clear();
      unknown_until_ = record.first_sequence() - 1;
    }
    changes_[key(record.table(), record.tenant())] = record.last_sequence();
    bytes_ += record.bytes();
    records_.push_back(std::make_shared<JournalRecord>(std::move(record)));
    while (bytes_ > bytes_max_ && records_.size() > 1) {
      bytes_ -= records_.front()->bytes();
      after_ = records_.front()->last_sequence();
      records_.pop_front();
    }
  }

  Database& database_;
  std::size_t bytes_max_;
  std::mutex mutex_;
  std::deque<RecordPtr> records_;
  std::size_t bytes_ = 0;
  std::int64_t after_ = 0;          // the records after this number are here
  std::int64_t through_ = 0;        // up to this one
  std::int64_t unknown_until_ = 0;  // of changes up to here, `changes_` knows nothing
  std::unordered_map<Key, std::int64_t, KeyHash> changes_;
};

}  // namespace

struct Feed::Impl {
  Impl(Access& owner, std::function<void()> wake, FeedOptions options)
      : access(owner),
        database(owner.database()),
        signals(std::make_shared<Signals>()),
        ring(database, options.ring_bytes) {
    signals->wake = std::move(wake);
  }

  [[nodiscard]] Moment moment() const {
    return {signals->hints.load(), database.rights_commits(), database.clock().monotonic()};
  }
  Result<void> judge(State& state, Reader& reader, const Moment& before, std::int64_t head,
                     std::int64_t known);
  Result<void> judge_records(State& state, Reader& reader, std::int64_t known);
  /// Judges again what is not delivered yet, in a snapshot of its own.
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
  std::shared_ptr<Signals> signals;
  Ring ring;
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
  state.judged.clear();
  state.judged_through = state.position;
  state.judged_at = before;
  if (state.gone) {
    state.judged.push_back({FeedKind::gone, state.position, nullptr, nullptr});
    return {};
  }
  BUREAU_TRY(const bool other, state.filter.refresh(reader));
  if (other || ring.changed(state.filter.reads(), state.filter.tenant(), state.known)) {
    state.resync_due = true;
  }
  // What was changed in this snapshot but is not known yet counts next time.
  state.known = std::max(state.known, known);
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
    return judge(state, reader, before, head, known);
  });
  if (read) return;
  state.judged.clear();
  state.judged_through = state.position;
  failed(state, read.error());
}

// Delivering -----------------------------------------------------------------------------------

bool Feed::Impl::stale(const State& state) const {
  if (state.judged_at.rights != database.rights_commits()) return true;
  return state.judged_at.hints != signals->hints.load() &&
         database.clock().monotonic() - state.judged_at.time > judged_for;
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
    BUREAU_TRY(const bool resync, filter.changed_since(reader, after));
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
