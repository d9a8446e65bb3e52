#include "store/sqlite/reader_pool.hpp"

#include <fmt/format.h>

#include "store/guarded.hpp"
#include "store/sqlite/file_format.hpp"
#include "store/sqlite/transaction.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

ReaderPool::ReaderPool(const SqliteOptions& options)
    : options_(options), clock_(options.clock != nullptr ? *options.clock : Clock::system()) {
  options_.readers = std::max(options_.readers, 1);
}

int ReaderPool::running() const {
  const std::lock_guard guard(mutex_);
  return running_;
}

Result<Connection*> ReaderPool::take(Monotonic deadline) {
  std::unique_lock lock(mutex_);
  while (free_.empty() && running_ >= options_.readers) {
    ++waiting_;
    const bool in_time = clock_.wait_until(lock, freed_, deadline);
    --waiting_;
    if (!in_time && free_.empty() && running_ >= options_.readers) {
      return fail(Code::deadline, fmt::format("{}: all {} readers were in use until the deadline",
                                              options_.path, options_.readers));
    }
  }
  ++running_;
  if (!free_.empty()) {
    Connection* const taken = free_.back();
    free_.pop_back();
    return note(taken);
  }
  SqliteOptions options = options_;
  const bool first = running_ == 1 && all_.empty();
  if (!first) options.cache_kib /= 4;
  lock.unlock();
  auto opened = Connection::open(options, Connection::Role::reader);
  lock.lock();
  if (!opened) {
    --running_;
    freed_.notify_one();
    return fail(std::move(opened).error());
  }
  Connection* const made = opened->get();
  all_.insert(first ? all_.begin() : all_.end(), *std::move(opened));
  return note(made);
}

/// REQUIRES: mutex_ is held.
Connection* ReaderPool::note(Connection* connection) {
  active_.emplace_back(connection, clock_.monotonic());
  return connection;
}

Duration ReaderPool::longest() const {
  const std::lock_guard guard(mutex_);
  Duration longest{};
  for (const auto& [connection, since] : active_) {
    longest = std::max(longest, clock_.monotonic() - since);
  }
  return longest;
}

void ReaderPool::give_back(Connection* connection) {
  const std::lock_guard guard(mutex_);
  free_.push_back(connection);
  std::erase_if(active_, [&](const auto& one) { return one.first == connection; });
  // One that reads alone always gets the first, with its larger cache.
  const std::size_t last = free_.size() - 1;
  if (last > 0 && free_[last - 1] == all_.front().get()) std::swap(free_[last], free_[last - 1]);
  --running_;
  if (waiting_ > 0) freed_.notify_one();
}

Result<void> ReaderPool::read(Monotonic deadline, ReadClosure closure) {
  BUREAU_TRY(Connection * connection, take(deadline));
  connection->set_deadline(deadline);
  Result<void> result;
  if (const int code = connection->run("BEGIN"); code != SQLITE_OK) {
    result = fail(connection->error(code, "beginning a read"));
  } else {
    SnapshotReader reader(*connection, deadline);
    result = guarded([&] { return closure(reader); });
    // The end of a read must not be interrupted, or its snapshot would stay.
    connection->set_deadline(Monotonic::never());
    if (connection->in_transaction()) connection->run("COMMIT");
    if (connection->in_transaction()) connection->run("ROLLBACK");
  }
  give_back(connection);
  return result;
}

Result<ReaderPool::Commit> ReaderPool::newest_commit(Monotonic deadline) {
  BUREAU_TRY(Connection * connection, take(deadline));
  Result<Commit> newest = Commit{};
  auto statement = connection->prepare(newest_commit_sql);
  const int code = statement ? statement->step() : SQLITE_OK;
  if (!statement) {
    newest = fail(std::move(statement).error());
  } else if (code == SQLITE_ROW) {
    newest = Commit{sqlite3_column_int64(statement->get(), 0),
                    sqlite3_column_int64(statement->get(), 1)};
  } else if (code != SQLITE_DONE) {
    newest = fail(connection->error(code, "looking for the newest commit"));
  }
  if (statement) statement->reset();
  give_back(connection);
  return newest;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
