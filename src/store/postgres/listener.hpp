#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bureau/core/log.hpp"
#include "store/postgres/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// The connection that hears of commits elsewhere, tells others of ours, and holds the locks of our
/// nodes for as long as it lives. Nothing of it runs by itself: it connects anew when it is asked
/// for something. Thread-safe.
class Listener {
 public:
  Listener(const Settings& settings, std::int64_t office, std::string identity, LogSink log);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Result<void> open();
  /// Readable when there is something to drain; the same for as long as this lives.
  [[nodiscard]] int wake_fd() const { return wake_fd_; }
  /// True: another storage has committed, or may have while the connection was gone.
  bool drain();
  /// Tells other storages that something was committed. Calls that come while one is under way are
  /// told of together, after it: by drain(), or here and now where nobody calls that.
  void announce();
  /// Looks whether anything was committed since the last look, told of or not. False: no, or the
  /// server could not be asked.
  bool find_untold();
  /// Connects anew where that is due. False: there is no connection.
  bool keep();
  /// Connects anew at once: the server may be another. Its nodes are held there before anything
  /// else.
  void renew();

  Result<bool> hold(int node);
  void release(int node);
  Result<bool> is_alive(int node);
  /// An error once a node of ours was taken by another while the connection was gone.
  [[nodiscard]] Result<void> check() const;

 private:
  Result<void> connect(Monotonic deadline);
  Result<void> need_connection();
  bool keep_locked();
  void announce_locked();
  void look();
  [[nodiscard]] bool is_untold() const { return wanted_.load() != told_of_; }
  void ring_if_heard() const;
  Result<Answers> ask(const Sql& sql);
  Result<bool> try_lock(int node);
  [[nodiscard]] std::int64_t key(int node) const;
  [[nodiscard]] Monotonic soon() const;
  [[nodiscard]] Error no_session() const;

  const Settings& settings_;
  std::int64_t office_;
  std::string identity_;  ///< what our own notifications say
  std::string channel_;
  LogSink log_;
  std::uint32_t forks_;
  int wake_fd_ = -1;  ///< an epoll: of the connection's socket, and of bell_fd_
  int bell_fd_ = -1;  ///< an eventfd: something was heard outside of drain()
  mutable std::mutex mutex_;
  std::unique_ptr<Connection> connection_;
  std::map<int, bool> nodes_;  ///< that we hold
  std::optional<Error> lost_node_;
  std::atomic<bool> refuses_{false};
  bool heard_ = false;                    ///< another committed
  std::atomic<std::uint64_t> wanted_{0};  ///< announcements that were asked for
  std::uint64_t told_of_ = 0;             ///< of those
  std::optional<Monotonic> drained_;      ///< when somebody last called drain()
  std::string seen_;                      ///< the server's snapshot at the last find_untold()
  Monotonic next_try_{};
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
