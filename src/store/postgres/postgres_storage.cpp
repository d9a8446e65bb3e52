#include "bureau/store/postgres_storage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <set>

#include "core/forks.hpp"
#include "store/commit_hints.hpp"
#include "store/guarded.hpp"
#include "store/postgres/listener.hpp"
#include "store/postgres/months.hpp"
#include "store/postgres/office_schema.hpp"
#include "store/postgres/snapshot_reader.hpp"
#include "store/postgres/sql_reader.hpp"
#include "store/postgres/writes.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// When there is nothing to do; and while something is awaited that nobody may announce.
constexpr Duration maintenance_idle = std::chrono::seconds(10);
constexpr Duration maintenance_soon = std::chrono::milliseconds(100);
constexpr Duration maintenance_away = std::chrono::seconds(1);
/// Partitions are there months ahead.
constexpr Duration months_pause = std::chrono::hours(1);

class PostgresStorage final : public Storage {
 public:
  static Result<std::shared_ptr<Storage>> open(const PostgresOptions& options);
  ~PostgresStorage() override;

  [[nodiscard]] std::string_view name() const override { return "postgres"; }
  [[nodiscard]] Capabilities capabilities() const override {
    return {
        .durable = true, .shared = true, .concurrent_writers = true, .sql = true, .remote = true};
  }
  Result<void> read(Monotonic deadline, ReadClosure closure) override;
  Result<void> write(const WriteOptions& options, WriteClosure closure) override;
  Result<void> migrate(const Catalog& catalog) override;
  Result<std::vector<StoredTable>> stored_tables() override;
  Result<std::uint64_t> drop_months(const TableInfo& table, std::int64_t below,
                                    const Predicate& going) override;
  Result<SqlSummary> sql(const Catalog& catalog, const SqlQuery& query, SqlSink sink) override;
  Result<Subscription> on_commit(std::function<void()> hint) override {
    return hints_->subscribe(std::move(hint));
  }
  [[nodiscard]] Result<StorageState> state() override;
  Result<bool> hold_node(int node) override;
  void release_node(int node) override;
  Result<bool> node_is_alive(int node) override;
  [[nodiscard]] int wake_fd() const override { return listener_->wake_fd(); }
  bool drain_wake() override;
  void observe() override;
  [[nodiscard]] std::uint64_t losses() const override { return losses_.load(); }
  Result<Duration> maintain() override;

 private:
  PostgresStorage(Settings settings, Settings direct, const PostgresOptions& options,
                  const Office& office);
  [[nodiscard]] Result<void> check_process() const;
  [[nodiscard]] Clock& clock() const { return *settings_.clock; }
  void ended(bool committed, bool drew);
  void announce();
  std::set<std::string> make_months(Connection& connection);

  Settings settings_, direct_;
  std::uint32_t forks_ = forks();
  std::shared_ptr<CommitHints> hints_ = std::make_shared<CommitHints>();
  std::unique_ptr<JournalOrder> order_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Writes> writes_;
  mutable std::mutex mutex_;
  std::list<Monotonic> reads_;  ///< since when each runs
  LogSink log_;
  std::atomic<std::uint64_t> losses_{0};
  std::atomic<Monotonic> next_months_{Monotonic{}};
  std::atomic<bool> told_{false};  ///< what is wrong with them
};

/// The storages in whose writes this thread is.
thread_local std::vector<const void*> writing_in;

/// What synchronous_commit is to be set to; empty: as the server has it is right.
std::string_view commits_as(Durability durability, const Office& office) {
  if (durability == Durability::relaxed) return "off";
  return office.synchronous_commit == "off" ? "on" : "";
}

PostgresStorage::PostgresStorage(Settings settings, Settings direct, const PostgresOptions& options,
                                 const Office& office)
    : settings_(std::move(settings)), direct_(std::move(direct)), log_(options.log) {
  Random& random = options.random != nullptr ? *options.random : Random::system();
  order_ = std::make_unique<JournalOrder>(settings_.schema, office.id);
  listener_ = std::make_unique<Listener>(direct_, office.id, fmt::format("{:x}", random.next()),
                                         options.log);
  pool_ = std::make_unique<Pool>(settings_, options.connections, random, [this] {
    losses_.fetch_add(1);
    listener_->renew();
  });
  writes_ = std::make_unique<Writes>(
      *pool_, *order_, clock(),
      Writes::Settings{.commits = commits_as(options.durability, office),
                       .log = options.log,
                       .random = &random,
                       .slow_write = options.slow_write,
                       .ended = [this](bool committed, bool drew) { ended(committed, drew); }});
}

/// That both lead to one database: a lock that is taken on the one side is seen on the other.
Result<void> check_same_place(Connection& connection, const Settings& direct, Random& random) {
  const Monotonic never = Monotonic::never();
  BUREAU_TRY(const auto other, Connection::open(direct, never));
  const auto key = static_cast<std::int64_t>(random.next());
  const auto half = [&](std::int64_t value) {
    return Parameter{ParameterType::integer, false, Value::integer(value & 0xFFFFFFFF), {}};
  };
  const auto ask = [&](Connection& one) -> Result<bool> {
    const Answers answers = one.exchange(never);
    if (!answers.good()) return fail(to_error(*answers.failure, one.where(), {"connecting"}));
    return PQntuples(answers.results.back().get()) > 0;
  };
  connection.add_once("BEGIN");
  connection.add_once(
      "SELECT pg_advisory_xact_lock($1)",
      std::vector<Parameter>{{ParameterType::integer, false, Value::integer(key), {}}});
  BUREAU_TRY_VOID(ask(connection));
  other->add_once(
      "SELECT FROM pg_locks WHERE locktype='advisory' AND objsubid=1 AND classid::int8=$1 AND "
      "objid::int8=$2 AND database=(SELECT oid FROM pg_database WHERE datname=current_database())",
      std::vector<Parameter>{half(key >> 32), half(key)});
  const auto seen = ask(*other);
  connection.add_once("ROLLBACK");
  BUREAU_TRY_VOID(ask(connection));
  BUREAU_TRY(const bool same, seen);
  if (same) return {};
  return fail(Code::invalid,
              fmt::format("direct: {} is another database than {} leads to", direct.where,
                          connection.where()),
              "direct");
}

Result<std::shared_ptr<Storage>> PostgresStorage::open(const PostgresOptions& options) {
  BUREAU_TRY(Settings settings, read_settings(options));
  BUREAU_TRY(Settings direct, read_direct_settings(options));
  Office office;
  {
    BUREAU_TRY(const auto connection, Connection::open(settings, Monotonic::never()));
    if (!options.pooler_keeps_sessions) {
      BUREAU_TRY(const bool pooled, connection->meets_pooler(Monotonic::never()));
      if (pooled) {
        settings.prepared = false;
        settings.keepalive.clear();
      }
    }
    if (!options.direct.empty()) {
      BUREAU_TRY_VOID(check_same_place(
          *connection, direct, options.random != nullptr ? *options.random : Random::system()));
    }
    BUREAU_TRY(office, prepare_office(*connection, Monotonic::never()));
  }
  std::shared_ptr<PostgresStorage> storage(
      new PostgresStorage(std::move(settings), std::move(direct), options, office));
  BUREAU_TRY_VOID(storage->listener_->open());
  return std::shared_ptr<Storage>(std::move(storage));
}

PostgresStorage::~PostgresStorage() = default;

/// A child has the parent's sockets, and may say nothing on them.
Result<void> PostgresStorage::check_process() const {
  if (forks_ == forks()) return {};
  return fail(Code::invalid,
              fmt::format("{}: opened before this process was forked; a child opens its own",
                          settings_.where));
}

Result<void> PostgresStorage::read(Monotonic deadline, ReadClosure closure) {
  BUREAU_TRY_VOID(check_process());
  BUREAU_TRY(auto lease, pool_->take(Pool::Use::read, deadline));
  std::list<Monotonic>::iterator place;
  {
    const std::lock_guard lock(mutex_);
    place = reads_.insert(reads_.end(), clock().monotonic());
  }
  SnapshotReader reader(lease, *order_, deadline);
  Result<void> answer = guarded([&] { return closure(reader); });
  reader.end();
  {
    const std::lock_guard lock(mutex_);
    reads_.erase(place);
  }
  if (order_->take_owed_hint()) hints_->call();
  return answer;
}

Result<void> PostgresStorage::write(const WriteOptions& options, WriteClosure closure) {
  BUREAU_TRY_VOID(check_process());
  BUREAU_TRY_VOID(listener_->check());
  if (std::find(writing_in.begin(), writing_in.end(), this) != writing_in.end()) {
    return fail(Code::invalid, fmt::format("{}:{}: a write inside a write", options.where.file,
                                           options.where.line));
  }
  writing_in.push_back(this);
  auto written = writes_->run(options, closure);
  writing_in.pop_back();
  return written;
}

void PostgresStorage::ended(bool committed, bool drew) {
  if (drew) order_->note_news();
  // What was given up matters only to those whom it held back.
  if (!committed && !order_->holds_back()) return listener_->announce();
  announce();
}

void PostgresStorage::announce() {
  hints_->call();  // whoever is here need not wait until the others are told
  listener_->announce();
}

Result<void> PostgresStorage::migrate(const Catalog& catalog) {
  BUREAU_TRY_VOID(check_process());
  BUREAU_TRY(auto lease, pool_->take(Pool::Use::write, Monotonic::never()));
  BUREAU_TRY(const bool changed,
             migrate_tables(lease.connection(), direct_, log_, catalog, Monotonic::never()));
  if (changed) announce();
  const std::set<std::string> by_month = make_months(lease.connection());
  for (const TableInfo* table : catalog.tables()) {
    if (!table->by_month || by_month.contains(std::string(table->name))) continue;
    log(log_, LogLevel::info, "postgres",
        "a table is not kept by month, because it was made before it could be",
        {{"table", table->name}});
  }
  return {};
}

/// The tables that are kept by month. What could not be done is done later: rows have a place.
std::set<std::string> PostgresStorage::make_months(Connection& connection) {
  next_months_ = clock().monotonic() + months_pause;
  auto made = Months(connection, clock(), Monotonic::never()).make();
  if (made) return *std::move(made);
  if (!told_.exchange(true)) {
    log(log_, LogLevel::warning, "postgres",
        "no partition could be made for a month; its rows go to the default one",
        {{"error", std::string_view(made.error().message)}});
  }
  return {};
}

Result<std::uint64_t> PostgresStorage::drop_months(const TableInfo& table, std::int64_t below,
                                                   const Predicate& going) {
  BUREAU_TRY_VOID(check_process());
  BUREAU_TRY(auto lease, pool_->take(Pool::Use::write, Monotonic::never()));
  return Months(lease.connection(), clock(), Monotonic::never()).drop(table, below, going);
}

Result<std::vector<StoredTable>> PostgresStorage::stored_tables() {
  BUREAU_TRY_VOID(check_process());
  BUREAU_TRY(auto lease, pool_->take(Pool::Use::read, Monotonic::never()));
  return read_definitions(lease.connection(), Monotonic::never());
}

Result<SqlSummary> PostgresStorage::sql(const Catalog& catalog, const SqlQuery& query,
                                        SqlSink sink) {
  BUREAU_TRY_VOID(check_process());
  const Monotonic deadline = clock().monotonic() + query.timeout;
  BUREAU_TRY(auto lease, pool_->take(Pool::Use::read, deadline));
  return SqlReader(lease, catalog, deadline).run(query, sink);
}

Result<StorageState> PostgresStorage::state() {
  BUREAU_TRY_VOID(check_process());
  StorageState state;
  state.waiting_writers = static_cast<std::size_t>(pool_->waiting_writers());
  const std::lock_guard lock(mutex_);
  state.readers = reads_.size();
  if (!reads_.empty()) state.longest_reader = clock().monotonic() - reads_.front();
  return state;
}

Result<bool> PostgresStorage::hold_node(int node) {
  BUREAU_TRY_VOID(check_process());
  return listener_->hold(node);
}

void PostgresStorage::release_node(int node) {
  if (check_process()) listener_->release(node);
}

Result<bool> PostgresStorage::node_is_alive(int node) {
  BUREAU_TRY_VOID(check_process());
  return listener_->is_alive(node);
}

bool PostgresStorage::drain_wake() {
  if (!check_process()) return false;
  if (!listener_->drain()) return false;
  order_->note_news();
  hints_->call();
  return true;
}

void PostgresStorage::observe() {
  if (!check_process() || !listener_->find_untold()) return;
  order_->note_news();
  hints_->call();
}

Result<Duration> PostgresStorage::maintain() {
  BUREAU_TRY_VOID(check_process());
  const bool connected = listener_->keep();
  if (connected && clock().monotonic() >= next_months_.load()) {
    // Not one of the pool's: those may all be waited for.
    BUREAU_TRY(const auto connection, pool_->open_extra(Monotonic::never()));
    make_months(*connection);
  }
  if (order_->holds_back()) {
    // Whoever held it back may have died without a word.
    order_->note_news();
    hints_->call();
    return maintenance_soon;
  }
  return connected ? maintenance_idle : maintenance_away;
}

}  // namespace

}  // namespace detail::postgres

Result<std::shared_ptr<Storage>> open_postgres(PostgresOptions options) {
  return detail::postgres::PostgresStorage::open(options);
}

BUREAU_END_NAMESPACE
