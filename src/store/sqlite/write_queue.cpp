#include "store/sqlite/write_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "store/guarded.hpp"
#include "store/sqlite/failure.hpp"
#include "store/sqlite/reader_pool.hpp"
#include "store/sqlite/transaction.hpp"
#include "store/sqlite/write_ticket.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// A group closes at so many closures, or so long after its first began.
constexpr std::size_t most_members = 64;
constexpr Duration longest_group = std::chrono::milliseconds(2);

/// For so many closures after one that failed, each has a savepoint.
constexpr int careful_closures = 1000;

/// After a group of several, the next waits so large a part of a commit's time for as many.
constexpr int gathering_part = 8;
constexpr Duration longest_gathering = std::chrono::microseconds(250);
}  // namespace

WriteQueue::WriteQueue(Connection& connection, CommitLog& commits, LockFile& lock_file,
                       Settings settings)
    : connection_(connection),
      commits_(commits),
      lock_file_(lock_file),
      settings_(std::move(settings)) {}

WriteQueue::~WriteQueue() = default;

void WriteQueue::proceed(Ticket& self) {
  for (;;) {
    Ticket* const next = next_to_run();
    if (next != nullptr) {
      const bool mine = next->is_portable() || next->voice == self.voice;
      if (!mine) return pass_to_front(alone_ ? reruns_ : claimed_);
      if (!alone_) --waiting_;
      (alone_ ? reruns_ : claimed_).pop_front();
      asks_ = next->voice == self.voice;  // another's write is not to end with this thread's
      run(*next);
      continue;
    }
    if (wants_more()) {
      const Gathered gathered = gather(self);
      if (gathered == Gathered::more) continue;
      if (gathered == Gathered::left) return;
    }
    end_transaction();
    if (reruns_.empty()) return finish();
  }
}

WriteQueue::Ticket* WriteQueue::next_to_run() {
  if (alone_) return group_size_ > 0 || reruns_.empty() ? nullptr : reruns_.front();
  if (is_group_full() || (claimed_.empty() && !claim())) return nullptr;
  Ticket* const next = claimed_.front();
  if (next->work && group_size_ > 0) return nullptr;
  // What must be kept does not share a commit that is not synced.
  return is_unsynced() && !next->may_be_lost ? nullptr : next;
}

bool WriteQueue::is_unsynced() const { return commits_.is_open() && !commits_.is_synced(); }

bool WriteQueue::is_group_full() const {
  if (group_size_ >= most_members || ran_exclusive_) return true;
  return group_size_ > 0 && settings_.clock->monotonic() - group_began_ >= longest_group;
}

bool WriteQueue::claim() {
  if (queued_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard guard(mutex_);
  claimed_.swap(queue_);
  queued_.store(0, std::memory_order_relaxed);
  return !claimed_.empty();
}

/// Those who shared the last commit have just been told, and most will be back at once. A commit
/// that takes long is worth a short wait for them; after a lone writer there is none.
bool WriteQueue::wants_more() const {
  return !alone_ && claimed_.empty() && commits_.is_open() && commits_.is_synced() &&
         group_size_ < last_group_size_ && !is_group_full();
}

/// Leaves the turn to whoever comes, with the transaction open: each runs its closure at once and
/// need not be woken for it. One of those in the group stays awake to commit when nobody comes any
/// more.
WriteQueue::Gathered WriteQueue::gather(Ticket& self) {
  const Duration patience = std::min(last_commit_took_ / gathering_part, longest_gathering);
  {
    const std::lock_guard guard(mutex_);
    if (!queue_.empty()) return Gathered::more;
    turn_taken_ = false;
    ++arrivals_;
    if (gatherer_ != nullptr) return Gathered::left;
    gatherer_ = &self;
  }
  Clock& real = Clock::system();
  std::uint64_t seen = arrivals_.load(std::memory_order_relaxed);
  for (Monotonic end = real.monotonic() + patience;;) {
    std::this_thread::yield();
    if (self.signal.load(std::memory_order_acquire) != Ticket::nothing) return Gathered::left;
    const std::uint64_t now = arrivals_.load(std::memory_order_relaxed);
    if (now == seen && real.monotonic() < end) continue;
    if (now == seen) break;
    seen = now;
    end = real.monotonic() + patience;
  }
  const std::lock_guard guard(mutex_);
  // Whoever has the turn now gathers or commits after its closure; or somebody has committed.
  if (gatherer_ != &self) return Gathered::left;
  gatherer_ = nullptr;
  if (turn_taken_) return Gathered::left;
  turn_taken_ = true;
  return Gathered::enough;
}

void WriteQueue::run(Ticket& ticket) {
  if (group_size_++ == 0) group_began_ = settings_.clock->monotonic();
  if (ticket.is_timed() && settings_.clock->monotonic() >= ticket.deadline) {
    ticket.result = too_late();
    finished_.push_back(&ticket);
    return;
  }
  if (ticket.work) return run_work(ticket);
  if (open_transaction(ticket)) run_closure(ticket);
}

bool WriteQueue::lock_file(Ticket& ticket) {
  if (!file_locked_) {
    auto locked = lock_file_.lock(*settings_.clock, ticket.deadline, asks_);
    if (!locked) {
      ticket.result = std::move(locked);
      finished_.push_back(&ticket);
      return false;
    }
    file_locked_ = true;
  }
  return true;
}

void WriteQueue::run_work(Ticket& ticket) {
  ran_exclusive_ = true;
  if (!lock_file(ticket)) return;
  if (auto well = commits_.check(); !well) {
    ticket.result = std::move(well);
    finished_.push_back(&ticket);
    return;
  }
  if (!commits_.is_settled()) {
    CommitLog::Ending ending = commits_.settle({CommitLog::Outcome::unclear, {}});
    if (ending.outcome == CommitLog::Outcome::unclear) {
      ticket.result = fail(
          Code::unavailable,
          fmt::format("{}: whether an earlier write was made is not known yet", settings_.path));
      finished_.push_back(&ticket);
      return;
    }
  }
  Running frame{this, running};
  running = &frame;
  show_holder({"", 0, "a migration or a checkpoint"}, settings_.clock->monotonic());
  ticket.result = guarded(*ticket.work);
  running = frame.outer;
  commits_.rollback();
  unsettled_.store(!commits_.is_settled(), std::memory_order_release);
  finished_.push_back(&ticket);
}

bool WriteQueue::open_transaction(Ticket& ticket) {
  if (!lock_file(ticket)) return false;
  if (commits_.is_open()) return true;
  connection_.set_deadline(ticket.deadline);
  auto begun = commits_.begin(!ticket.may_be_lost);
  connection_.set_deadline(Monotonic::never());
  if (begun) return true;
  ticket.result = std::move(begun);
  finished_.push_back(&ticket);
  return false;
}

/// REQUIRES: the turn.
void WriteQueue::show_holder(const CodeLocation& where, Monotonic begun) {
  const std::int64_t moment = std::max<std::int64_t>(begun.since_start.count(), 1);
  begun_.store(0, std::memory_order_relaxed);
  if (since_.load(std::memory_order_relaxed) == 0) {
    since_.store(moment, std::memory_order_relaxed);
  }
  file_.store(where.file, std::memory_order_relaxed);
  function_.store(where.function, std::memory_order_relaxed);
  line_.store(where.line, std::memory_order_relaxed);
  begun_.store(moment, std::memory_order_release);
}

WriteQueue::Holder WriteQueue::holder() const {
  Holder holder;
  for (int i = 0; i < 100; ++i) {
    const std::int64_t begun = begun_.load(std::memory_order_acquire);
    holder = {begun != 0,
              {file_.load(std::memory_order_relaxed), line_.load(std::memory_order_relaxed),
               function_.load(std::memory_order_relaxed)},
              {Duration(since_.load(std::memory_order_relaxed))},
              {Duration(begun)}};
    if (begun_.load(std::memory_order_acquire) == begun) break;
  }
  return holder;
}

Result<void> WriteQueue::call(Ticket& ticket, std::optional<Error>& doom) {
  TransactionWriter writer(connection_, commits_.sequence(), ticket.deadline, ticket.careful);
  Running frame{this, running};
  running = &frame;
  const Monotonic begun = settings_.clock->monotonic();
  show_holder(ticket.options->where, begun);
  Result<void> result = guarded([&] { return (*ticket.closure)(writer); });
  const Duration held = settings_.clock->monotonic() - begun;
  running = frame.outer;
  doom = writer.doom();
  ticket.careful = writer.wants_care();
  if (held > settings_.slow_write) {
    const CodeLocation& where = ticket.options->where;
    log(settings_.log, LogLevel::warning, "sqlite", "a write held everybody up",
        {{"file", std::string_view(where.file)},
         {"line", std::int64_t{where.line}},
         {"function", std::string_view(where.function)},
         {"held_us", std::int64_t{held.count()}}});
  }
  if (result && doom) return fail(*doom);
  return result;
}

/// A closure that fails is undone by itself: with the transaction when it is alone there, to its
/// savepoint otherwise. A savepoint costs as much as a small write and most closures succeed, so
/// there is one only while some have failed lately; without it the group is undone, and run again
/// one by one. SQLite gives up the whole transaction at some errors; then so does the group.
void WriteQueue::run_closure(Ticket& ticket) {
  const bool shares = !members_.empty();
  const bool marked = shares && careful_ > 0;
  if (careful_ > 0) --careful_;
  const std::int64_t sequence = commits_.sequence();
  const std::int64_t changes = connection_.changes();
  std::optional<Error> doom;
  if (marked) {
    if (const int code = connection_.run("SAVEPOINT closure"); code != SQLITE_OK) {
      ticket.result = fail(connection_.error(code, "beginning a write"));
      finished_.push_back(&ticket);
      return undo_group();
    }
  }
  Result<void> result = call(ticket, doom);
  if (!commits_.is_open() || (doom && dooms(doom->code))) {
    if (result) result = fail(Code::unavailable, settings_.path + ": the transaction was lost");
    ticket.result = std::move(result);
    finished_.push_back(&ticket);
    return undo_group();
  }
  if (ticket.careful) {
    members_.push_back(&ticket);
    return undo_group();
  }
  if (!result) commits_.sequence() = sequence;
  if (!result && !shares) {
    commits_.rollback();
  } else if (!result && connection_.changes() != changes) {
    careful_ = careful_closures;
    if (!marked) {
      // What it read may be undone with the group: only a run of its own tells how it ends.
      members_.push_back(&ticket);
      return undo_group();
    }
    if (connection_.run("ROLLBACK TO closure") != SQLITE_OK) undo_group();
  }
  if (marked && commits_.is_open() && connection_.run("RELEASE closure") != SQLITE_OK) {
    if (result) reruns_.push_back(&ticket);
    if (!result) finished_.push_back(&ticket);
    ticket.result = std::move(result);
    return undo_group();
  }
  (result ? members_ : finished_).push_back(&ticket);
  ticket.result = std::move(result);
}

/// The transaction is lost. Those in it that did nothing wrong are run again, each alone.
void WriteQueue::undo_group() {
  commits_.rollback();
  reruns_.insert(reruns_.end(), members_.begin(), members_.end());
  members_.clear();
  alone_ = true;
  group_size_ = 0;
}

void WriteQueue::end_transaction() {
  if (!alone_ && !is_unsynced()) last_group_size_ = group_size_;
  group_size_ = 0;
  if (!commits_.is_open()) return;
  if (is_unsynced() && commits_.has_drawn()) {
    for (Ticket* member : members_) member->may_be_lost = false;
    return undo_group();
  }
  committing_.store(true, std::memory_order_relaxed);
  const Monotonic begun = Clock::system().monotonic();
  const bool changed = commits_.changed();
  CommitLog::Ending ending = commits_.commit();
  if (commits_.is_synced()) last_commit_took_ = Clock::system().monotonic() - begun;
  if (ending.outcome == CommitLog::Outcome::unclear) ending = commits_.settle(std::move(ending));
  committing_.store(false, std::memory_order_relaxed);
  unsettled_.store(!commits_.is_settled(), std::memory_order_release);
  switch (ending.outcome) {
    case CommitLog::Outcome::committed:
      committed_ = committed_ || changed;
      break;
    case CommitLog::Outcome::absent:
      if (members_.size() > 1) return undo_group();
      [[fallthrough]];
    case CommitLog::Outcome::unclear:
      for (Ticket* member : members_) member->result = fail(ending.error);
      log(settings_.log, LogLevel::error, "sqlite", "a commit failed",
          {{"error", std::string_view(ending.error.message)}});
      break;
  }
  finished_.insert(finished_.end(), members_.begin(), members_.end());
  members_.clear();
}

/// The lock file is let go, the turn passed on, and only then are those told who waited: the next
/// group is on its way meanwhile.
void WriteQueue::finish() {
  if (committed_) settings_.before_unlock();
  begun_.store(0, std::memory_order_relaxed);
  since_.store(0, std::memory_order_relaxed);
  if (std::exchange(file_locked_, false)) lock_file_.unlock();
  std::vector<Ticket*> finished = std::exchange(finished_, {});
  const bool committed = std::exchange(committed_, false);
  const std::int64_t commit = commits_.last_commit();
  others_commit_.store(commits_.others_commit(), std::memory_order_release);
  alone_ = false;
  ran_exclusive_ = false;
  pass_turn();
  if (committed) settings_.committed(commit);
  for (Ticket* ticket : finished) signal(*ticket, Ticket::done);
}

void WriteQueue::pass_turn() {
  {
    const std::lock_guard guard(mutex_);
    gatherer_ = nullptr;
    if (claimed_.empty()) claimed_.swap(queue_);
    queued_.store(queue_.size(), std::memory_order_relaxed);
    if (claimed_.empty()) {
      turn_taken_ = false;
      return;
    }
  }
  pass_to_front(claimed_);
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
