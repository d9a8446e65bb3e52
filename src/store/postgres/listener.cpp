#include "store/postgres/listener.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bureau/core/id.hpp"
#include "core/forks.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// Of one question on this connection, and of one attempt to connect anew, at each host.
constexpr Duration patience = std::chrono::seconds(5);
constexpr Duration reconnect_patience = std::chrono::seconds(1);
/// Of a writer whose commit is made, until the announcement before its own is answered.
constexpr Duration announce_patience = std::chrono::seconds(1);
/// Who has called drain() so lately is taken to go on.
constexpr Duration drains_still = std::chrono::seconds(1);
constexpr Duration reconnect_pause = std::chrono::seconds(1);

void watch(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  static_cast<void>(::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event));
}

Result<void> check_node(int node) {
  if (node >= 0 && node < id::node_count) return {};
  return fail(Code::invalid, fmt::format("there is no node {}; nodes are 0 to 1023", node), "node");
}

}  // namespace

Listener::Listener(const Settings& settings, std::int64_t office, std::string identity, LogSink log)
    : settings_(settings),
      office_(office),
      identity_(std::move(identity)),
      channel_("bureau_" + settings.schema_name),
      log_(std::move(log)),
      forks_(forks()),
      wake_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      bell_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  watch(wake_fd_, bell_fd_);
}

Listener::~Listener() {
  // What was committed last is told, if the server is there.
  if (forks_ == forks() && connection_ != nullptr && is_untold() && !connection_->is_broken()) {
    connection_->separate();
    static_cast<void>(connection_->exchange(soon()));
    announce_locked();
    connection_->separate();
    static_cast<void>(connection_->exchange(soon()));
  }
  connection_.reset();
  ::close(bell_fd_);
  ::close(wake_fd_);
}

Monotonic Listener::soon() const { return settings_.clock->monotonic() + patience; }

// The connection --------------------------------------------------------------------------------

Result<void> Listener::open() {
  const std::lock_guard lock(mutex_);
  return connect(Monotonic::never());
}

Result<void> Listener::connect(Monotonic deadline) {
  connection_.reset();
  BUREAU_TRY(auto connection, Connection::open(settings_, deadline));
  if (!settings_.pooler_keeps_sessions) {
    BUREAU_TRY(const bool pooled, connection->meets_pooler(deadline));
    // Two processes would hold one node, and issue the same ids.
    if (pooled) return fail(no_session());
  }
  connection->keep_alive();
  connection->add_once("LISTEN " + quoted(channel_));
  const Answers answers = connection->exchange(deadline);
  if (!answers.good()) {
    return fail(to_error(*answers.failure, settings_.where, {"listening for commits"}));
  }
  connection_ = std::move(connection);
  watch(wake_fd_, PQsocket(connection_->handle()));
  for (const auto& [node, held] : nodes_) {
    BUREAU_TRY(const bool ours, try_lock(node));
    if (ours || lost_node_) continue;
    lost_node_ = Error(Code::unavailable,
                       fmt::format("{}: node {} was taken by another process while the connection "
                                   "was lost; open the storage again",
                                   settings_.where, node),
                       "node");
    refuses_.store(true);
  }
  return {};
}

Error Listener::no_session() const {
  return {Code::invalid,
          fmt::format("{}: a pooler answers in the server's place. Notifications and the locks of "
                      "nodes need a session that stays: name how the server itself is reached "
                      "(direct), or say that the pooler keeps sessions (pooler_keeps_sessions)",
                      settings_.where),
          "direct"};
}

bool Listener::keep_locked() {
  if (connection_ != nullptr && !connection_->is_broken()) return true;
  const Monotonic now = settings_.clock->monotonic();
  if (now < next_try_) return false;
  const auto hosts = static_cast<std::int64_t>(settings_.hosts.size());
  if (auto connected = connect(now + reconnect_patience * hosts); !connected) {
    next_try_ = settings_.clock->monotonic() + reconnect_pause;
    log(log_, LogLevel::warning, "postgres", "no connection to hear of commits with",
        {{"error", std::string_view(connected.error().message)}});
    return false;
  }
  heard_ = true;  // whatever was told meanwhile
  ++wanted_;
  return true;
}

Result<void> Listener::need_connection() {
  if (connection_ != nullptr && !connection_->is_broken()) return {};
  BUREAU_TRY_VOID(connect(soon()));
  heard_ = true;
  ++wanted_;
  ring_if_heard();
  return {};
}

void Listener::renew() {
  const std::lock_guard lock(mutex_);
  if (connection_ != nullptr) connection_->mark_broken();
  next_try_ = {};
  static_cast<void>(keep_locked());
  ring_if_heard();
}

bool Listener::keep() {
  const std::lock_guard lock(mutex_);
  const bool there = keep_locked();
  if (there) look();
  ring_if_heard();
  return there;
}

/// What was heard outside of drain() is off the socket: the bell stands for it.
void Listener::ring_if_heard() const {
  if (!heard_) return;
  const std::uint64_t one = 1;
  static_cast<void>(!::write(bell_fd_, &one, sizeof one));
}

// Commits ---------------------------------------------------------------------------------------

/// Takes in what has come without waiting, and goes on with what was put off.
void Listener::look() {
  if (!connection_->listen()) return;
  const bool settled = connection_->is_settled();
  while (PGnotify* const note = PQnotifies(connection_->handle())) {
    if (identity_ != note->extra) heard_ = true;
    PQfreemem(note);
  }
  if (settled && is_untold() && !connection_->is_broken()) announce_locked();
}

bool Listener::drain() {
  const std::lock_guard lock(mutex_);
  std::uint64_t rung = 0;
  static_cast<void>(!::read(bell_fd_, &rung, sizeof rung));
  drained_ = settings_.clock->monotonic();
  if (keep_locked()) look();
  if (connection_ != nullptr && connection_->is_broken() && keep_locked()) look();
  const bool heard = heard_;
  heard_ = false;
  return heard;
}

void Listener::announce() {
  const std::uint64_t mine = ++wanted_;
  const std::lock_guard lock(mutex_);
  if (told_of_ >= mine || connection_ == nullptr || connection_->is_broken()) return;
  look();
  // A program that only writes has nobody who would hear that the one before was answered, and go
  // on with this one: whoever is to do what it has written would wait for its next write.
  const Monotonic now = settings_.clock->monotonic();
  const bool drains = drained_ && now - *drained_ < drains_still;
  if (told_of_ < mine && !drains && !connection_->is_broken()) {
    static_cast<void>(connection_->exchange(now + announce_patience));
    look();
  }
  ring_if_heard();
}

bool Listener::find_untold() {
  const std::lock_guard lock(mutex_);
  if (connection_ == nullptr || connection_->is_broken()) return false;
  connection_->add("SELECT pg_current_snapshot()::text");
  const Answers answers = connection_->exchange(settings_.clock->monotonic() + announce_patience);
  look();
  ring_if_heard();
  if (!answers.good()) return false;
  const std::string before = std::exchange(seen_, std::string(answers.value().as_text()));
  return !before.empty() && seen_ != before;
}

/// In a transaction of its own, whose loss in a power cut matters to nobody: to notify within the
/// transaction that writes would let one commit at a time.
void Listener::announce_locked() {
  told_of_ = wanted_.load();
  Sql sql(settings_.schema);
  sql << "SELECT set_config('synchronous_commit','off',true),pg_notify(";
  sql.parameter(Value::text(channel_));
  sql << ",";
  sql.parameter(Value::text(identity_));
  sql << ")";
  connection_->add(sql);
  connection_->send_off();
}

// Nodes -----------------------------------------------------------------------------------------

std::int64_t Listener::key(int node) const {
  return static_cast<std::int64_t>((static_cast<std::uint64_t>(office_) << 32U) |
                                   static_cast<std::uint64_t>(node));
}

Result<Answers> Listener::ask(const Sql& sql) {
  BUREAU_TRY_VOID(need_connection());
  connection_->add(sql);
  Answers answers = connection_->exchange(soon());
  // What came in between is off the socket too, and not looked at yet.
  const std::uint64_t one = 1;
  static_cast<void>(!::write(bell_fd_, &one, sizeof one));
  if (!answers.good())
    return fail(to_error(*answers.failure, settings_.where, {"asking for a node"}));
  return answers;
}

Result<bool> Listener::try_lock(int node) {
  Sql sql(settings_.schema);
  sql << "SELECT pg_try_advisory_lock(";
  sql.parameter(Value::integer(key(node)));
  sql << ")";
  connection_->add(sql);
  const Answers answers = connection_->exchange(soon());
  if (!answers.good()) return fail(to_error(*answers.failure, settings_.where, {"holding a node"}));
  return answers.value().as_integer() != 0;
}

Result<bool> Listener::hold(int node) {
  BUREAU_TRY_VOID(check_node(node));
  const std::lock_guard lock(mutex_);
  if (nodes_.contains(node)) return false;
  BUREAU_TRY_VOID(need_connection());
  BUREAU_TRY(const bool held, try_lock(node));
  if (held) nodes_.emplace(node, true);
  return held;
}

void Listener::release(int node) {
  const std::lock_guard lock(mutex_);
  if (nodes_.erase(node) == 0 || connection_ == nullptr || connection_->is_broken()) return;
  Sql sql(settings_.schema);
  sql << "SELECT pg_advisory_unlock(";
  sql.parameter(Value::integer(key(node)));
  sql << ")";
  static_cast<void>(ask(sql));
}

Result<bool> Listener::is_alive(int node) {
  BUREAU_TRY_VOID(check_node(node));
  const std::lock_guard lock(mutex_);
  Sql sql(settings_.schema);
  sql << "SELECT EXISTS(SELECT FROM pg_locks WHERE locktype='advisory' AND objsubid=1"
         " AND database=(SELECT oid FROM pg_database WHERE datname=current_database())"
         " AND classid::int8=";
  sql.parameter(Value::integer(office_));
  sql << " AND objid::int8=";
  sql.parameter(Value::integer(node));
  sql << ")";
  BUREAU_TRY(const Answers answers, ask(sql));
  return answers.value().as_integer() != 0;
}

Result<void> Listener::check() const {
  if (!refuses_.load(std::memory_order_relaxed)) return {};
  const std::lock_guard lock(mutex_);
  return fail(*lost_node_);
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
