#include "store/async_writes.hpp"

#include <fmt/format.h>

#include <utility>

#include "store/database_impl.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {
/// So many are made in one call of the storage: what a commit's group holds.
constexpr std::size_t most_at_a_time = 64;
}  // namespace

void AsyncWrites::on_work(std::function<void()> wake) {
  const std::lock_guard lock(wake_mutex_);
  wake_ = std::move(wake);
}

Result<void> AsyncWrites::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return fail(Code::unavailable, "write_async: the office has stopped; nobody would make it");
    }
    if (queue_.size() >= most_) {
      return fail(Code::busy, fmt::format("write_async: {} writes wait already; wait for some of "
                                          "them to be told of",
                                          queue_.size()));
    }
    queue_.push_back(std::move(job));
    pending_.fetch_add(1, std::memory_order_acq_rel);
  }
  const std::lock_guard lock(wake_mutex_);
  if (wake_) wake_();
  return {};
}

bool AsyncWrites::claim() {
  const std::lock_guard lock(mutex_);
  if (busy_ || queue_.empty()) return false;
  busy_ = true;
  runner_ = std::this_thread::get_id();
  return true;
}

void AsyncWrites::release() {
  {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    runner_ = std::thread::id();
  }
  idle_.notify_all();
}

bool AsyncWrites::run(const Make& make) {
  if (pending() == 0 || !claim()) return false;
  const bool more = make_some(make);
  release();
  // What came while this thread was at it found it busy.
  return more || pending() != 0;
}

/// REQUIRES: claimed.
bool AsyncWrites::make_some(const Make& make) {
  std::vector<Job> jobs;
  {
    const std::lock_guard lock(mutex_);
    while (!queue_.empty() && jobs.size() < most_at_a_time) {
      jobs.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }
  std::vector<Result<void>> outcomes = make(jobs);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    tell(jobs[i], std::move(outcomes[i]));
    jobs[i] = Job();  // what its closures own goes before the next one is told
  }
  const std::lock_guard lock(mutex_);
  return !queue_.empty();
}

void AsyncWrites::tell(const Job& job, Result<void> outcome) {
  try {
    if (job.done) job.done(std::move(outcome));
  } catch (const std::exception& error) {
    log(log_, LogLevel::error, "database", "a callback of write_async threw",
        {{"what", std::string_view(error.what())}});
  } catch (...) {
    log(log_, LogLevel::error, "database", "a callback of write_async threw");
  }
  pending_.fetch_sub(1, std::memory_order_acq_rel);
}

Result<void> AsyncWrites::finish(const Make& make, Clock& clock, Monotonic deadline) {
  Result<void> result;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const bool inside = busy_ && runner_ == std::this_thread::get_id();
      while (busy_ && !inside && clock.monotonic() < deadline) {
        clock.wait_until(lock, idle_, deadline);
      }
      if (queue_.empty() && !busy_) break;
      if (busy_ || clock.monotonic() >= deadline) {
        result = fail(Code::deadline,
                      fmt::format("write_async: {} writes were not told of in time{}", pending(),
                                  inside ? ": this was called by one of them" : ""));
        break;
      }
    }
    if (!claim()) continue;
    static_cast<void>(make_some(make));
    release();
  }
  close();
  return result;
}

void AsyncWrites::close() {
  std::deque<Job> left;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(queue_);
  }
  for (Job& job : left) {
    tell(job, fail(Code::cancelled,
                   "write_async: the office stopped before this was begun; "
                   "nothing was written"));
    job = Job();
  }
}

}  // namespace detail

// Database --------------------------------------------------------------------------------------

void Database::on_async_write(std::function<void()> wake) {
  impl_->async_writes->on_work(std::move(wake));
}

Result<void> Database::write_async(const WriteOptions& options, const Attribution& attribution,
                                   AsyncClosure closure, AsyncDone done) {
  return impl_->async_writes->add({options, attribution, std::move(closure), std::move(done)});
}

std::size_t Database::pending_async_writes() const { return impl_->async_writes->pending(); }

bool Database::run_async_writes() {
  return impl_->async_writes->run(
      [this](std::span<const detail::AsyncWriteJob> jobs) { return make_writes(jobs); });
}

Result<void> Database::finish_async_writes(Monotonic deadline) {
  return impl_->async_writes->finish(
      [this](std::span<const detail::AsyncWriteJob> jobs) { return make_writes(jobs); },
      impl_->clock, deadline);
}

void Database::drop_async_writes() { impl_->async_writes->close(); }

std::vector<Result<void>> Database::make_writes(std::span<const detail::AsyncWriteJob> jobs) {
  std::vector<Write> writes;
  writes.reserve(jobs.size());
  for (const auto& job : jobs) writes.push_back({job.options, job.attribution, job.closure, {}});
  write_all(writes);
  std::vector<Result<void>> results;
  results.reserve(jobs.size());
  for (Write& write : writes) results.push_back(std::move(write.result));
  return results;
}

void Database::write_all(std::span<Write> writes) {
  if (auto ready = impl_->ensure_ids(); !ready) {
    for (Write& write : writes) write.result = fail(ready.error());
    return;
  }
  std::vector<Afterwards> afterwards(writes.size());
  std::vector<std::function<Result<void>(Writer&)>> closures;
  closures.reserve(writes.size());
  std::vector<BatchedWrite> batch;
  batch.reserve(writes.size());
  for (std::size_t i = 0; i < writes.size(); ++i) {
    closures.emplace_back([this, &write = writes[i], &after = afterwards[i]](Writer& writer) {
      return run_closure(writer, write.attribution, write.closure, after);
    });
    batch.push_back({writes[i].options, closures.back(), {}});
  }
  const Monotonic begun = impl_->clock.monotonic();
  impl_->storage->write_all(batch);
  const Duration took = impl_->clock.monotonic() - begun;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    impl_->write_seconds.observe(took);
    writes[i].result = std::move(batch[i].result);
    if (writes[i].result) {
      committed(afterwards[i]);
    } else {
      impl_->failed_writes[static_cast<std::size_t>(writes[i].result.error().code)].add();
    }
  }
}

BUREAU_END_NAMESPACE
