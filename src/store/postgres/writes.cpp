#include "store/postgres/writes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/store/interruption.hpp"
#include "store/guarded.hpp"
#include "store/interruptible_wait.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr int conflicts_to_lane = 2;
constexpr int conflicts_to_be_alone = 4;
/// Connections that were lost before the commit was sent.
constexpr int losses_max = 2;
/// A commit is waited for at least so long, whatever the deadline, and at most so much longer.
constexpr Duration commit_patience = std::chrono::seconds(5);
constexpr Duration commit_patience_max = std::chrono::seconds(30);
/// Between two questions about a commit whose outcome is not known.
constexpr Duration settle_pause = std::chrono::milliseconds(20);

}  // namespace

/// The place of one closure at a time, taken until the end of the scope.
class Writes::Lane {
 public:
  explicit Lane(Writes& writes) : writes_(writes) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() {
    if (!taken_) return;
    const std::lock_guard lock(writes_.mutex_);
    writes_.lane_taken_ = false;
    writes_.freed_.notify_one();
  }
  Result<void> take(Monotonic deadline) {
    if (taken_) return {};
    std::unique_lock lock(writes_.mutex_);
    while (writes_.lane_taken_) {
      if (!wait_interruptibly(lock, writes_.freed_, writes_.clock_, deadline) &&
          writes_.lane_taken_) {
        return fail(Code::deadline, "the deadline passed behind other writes of the same rows");
      }
    }
    taken_ = writes_.lane_taken_ = true;
    return {};
  }

 private:
  Writes& writes_;
  bool taken_ = false;
};

Result<void> Writes::run(const WriteOptions& options, WriteClosure closure) {
  BUREAU_TRY(const Crowd::Place place, crowd_.enter(options.deadline));
  Lane lane(*this);
  WriteMode mode{.commits = settings_.commits, .lane = options.lane};
  int conflicts = 0, losses = 0;
  for (;;) {
    Attempt done = attempt(options, closure, mode);
    switch (done.next) {
      case Next::done:
        if (conflicts == 0) crowd_.met_nobody();
        return std::move(done.result);
      case Next::run_carefully:
        mode.careful = true;
        break;
      case Next::run_after_conflict:
        crowd_.met_another();
        if (++conflicts >= conflicts_to_lane) BUREAU_TRY_VOID(lane.take(options.deadline));
        mode.alone = conflicts >= conflicts_to_be_alone;
        break;
      case Next::run_after_loss:
        if (++losses > losses_max) return std::move(done.result);
        pool_.drop_idle();
        break;
    }
    if (options.deadline != Monotonic::never() && clock_.monotonic() >= options.deadline) {
      // A conflict is told as what it is to a caller who set a deadline.
      return fail(Code::deadline,
                  fmt::format("the deadline passed after {} conflicts with other writes and {} "
                              "lost connections",
                              conflicts, losses));
    }
  }
}

Writes::Attempt Writes::attempt(const WriteOptions& options, WriteClosure closure, WriteMode mode) {
  auto lease = pool_.take(Pool::Use::write, options.deadline);
  if (!lease) return {Next::done, fail(std::move(lease).error())};
  TransactionWriter writer(lease->connection(), order_, options.deadline, std::move(mode));
  const Monotonic begun = clock_.monotonic();
  Result<void> answer = guarded([&] { return closure(writer); });
  // An error may come of an insert that was believed made; and without the transaction's number
  // nobody could tell what became of the commit.
  if (!answer || !writer.xid()) {
    auto flushed = writer.flush();
    if (answer) answer = std::move(flushed);
  }
  Attempt done = end(*lease, writer, options, std::move(answer));
  note_slow(options, begun);
  return done;
}

Writes::Attempt Writes::end(Pool::Lease& lease, TransactionWriter& writer,
                            const WriteOptions& options, Result<void> answer) {
  Connection& connection = lease.connection();
  if (!writer.has_begun()) return {Next::done, std::move(answer)};
  if (writer.met_conflict()) {
    roll_back(connection, writer);
    return {Next::run_after_conflict, {}};
  }
  if (writer.doom()) {
    const bool lost = connection.is_broken() && writer.doom()->code == Code::unavailable;
    roll_back(connection, writer);
    return {lost ? Next::run_after_loss : Next::done, fail(*writer.doom())};
  }
  if (writer.wants_care(answer)) {
    roll_back(connection, writer);
    return {Next::run_carefully, {}};
  }
  if (!answer) {
    roll_back(connection, writer);
    return {Next::done, std::move(answer)};
  }
  return commit(connection, writer, options);
}

void Writes::roll_back(Connection& connection, const TransactionWriter& writer) {
  if (!connection.is_broken()) {
    connection.separate();  // from what may not have been waited for, and fail
    connection.add("ROLLBACK");
    // Whoever is told that numbers were given up must not find their lock.
    if (writer.drew()) {
      static_cast<void>(connection.exchange(clock_.monotonic() + commit_patience));
    } else {
      connection.send_off();
    }
  }
  if (writer.drew()) settings_.ended(false, true);
}

Writes::Attempt Writes::commit(Connection& connection, TransactionWriter& writer,
                               const WriteOptions& options) {
  const Monotonic now = clock_.monotonic();
  const Monotonic until =
      std::clamp(options.deadline, now + commit_patience, now + commit_patience_max);
  if (options.may_be_lost && !writer.drew()) {
    connection.add("SET LOCAL synchronous_commit=off");
  }
  connection.add_once("COMMIT");
  const Answers answers = connection.exchange(until, Connection::AtDeadline::abandon);
  writer.end(answers);
  if (answers.good()) {
    if (std::string_view(PQcmdStatus(answers.results.back().get())) != "COMMIT") {
      return {Next::done,
              fail(Code::internal, fmt::format("{}: a transaction that had failed was committed",
                                               connection.where()))};
    }
    if (writer.wrote()) settings_.ended(true, writer.drew());
    return {Next::done, {}};
  }
  if (answers.failure->is_conflict()) {
    roll_back(connection, writer);
    return {Next::run_after_conflict, {}};
  }
  if (writer.wants_care({})) {
    roll_back(connection, writer);
    return {Next::run_carefully, {}};
  }
  Error error = to_error(*answers.failure, connection.where(), {"a commit"});
  if (!connection.is_broken()) {
    if (writer.drew()) settings_.ended(false, true);
    return {Next::done, fail(std::move(error))};
  }
  error.code = Code::unavailable;
  // Nothing was written: there is nothing to be known.
  if (!writer.wrote()) return {Next::run_after_loss, fail(std::move(error))};
  return settle(std::move(error), {*writer.xid(), connection.incarnation(), writer.drew()},
                clock_.monotonic() + commit_patience);
}

/// What became of a commit that was not answered: the server knows by the transaction's number.
Writes::Attempt Writes::settle(Error lost, const Unanswered& commit, Monotonic until) {
  const auto never = [] { return false; };
  const Interruption waits(never);
  for (;;) {
    const Result<Fate> fate = ask_fate(commit, until);
    if (fate && *fate == Fate::committed) {
      settings_.ended(true, commit.drew);
      return {Next::done, {}};
    }
    if (fate && *fate == Fate::aborted) {
      if (commit.drew) settings_.ended(false, true);
      return {Next::run_after_loss, fail(std::move(lost))};
    }
    if ((fate && *fate == Fate::unknowable) || clock_.monotonic() >= until) break;
    pause(until);  // in progress, or nobody to be asked
  }
  settings_.ended(true, commit.drew);  // it may have been
  lost.code = Code::unknown_outcome;
  lost.message += "; whether it was made is not known";
  return {Next::done, fail(std::move(lost))};
}

Result<Writes::Fate> Writes::ask_fate(const Unanswered& commit, Monotonic until) {
  BUREAU_TRY(const auto connection, pool_.open_extra(until));
  // After a crash the number may be another transaction's.
  if (!commit.incarnation || connection->incarnation() != commit.incarnation) {
    return Fate::unknowable;
  }
  const std::string number = std::to_string(commit.xid);
  connection->add_once(
      "SELECT pg_xact_status($1::text::xid8)",
      std::vector<Parameter>{{ParameterType::text, false, Value::text(number), {}}});
  const Answers answers = connection->exchange(until);
  if (!answers.good()) return fail(to_error(*answers.failure, connection->where(), {"a commit"}));
  const Value status = answers.value();
  if (status.is_null()) return Fate::unknowable;  // too long ago
  if (status.as_text() == "committed") return Fate::committed;
  return status.as_text() == "aborted" ? Fate::aborted : Fate::in_progress;
}

void Writes::pause(Monotonic until) {
  const auto jitter = static_cast<std::int64_t>(settings_.random->below(settle_pause.count()));
  const Monotonic end = std::min(until, clock_.monotonic() + settle_pause + Duration(jitter));
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  while (clock_.wait_until(lock, never, end)) {
  }
}

void Writes::note_slow(const WriteOptions& options, Monotonic begun) const {
  const Duration took = clock_.monotonic() - begun;
  if (took < settings_.slow_write) return;
  log(settings_.log, LogLevel::warning, "postgres",
      "a write kept its transaction long: others that meet it wait or run again",
      {{"milliseconds", std::int64_t{took.count() / 1000}},
       {"file", std::string_view(options.where.file)},
       {"line", std::int64_t{options.where.line}},
       {"function", std::string_view(options.where.function)}});
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
