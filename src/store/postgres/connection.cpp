#include "store/postgres/connection.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "bureau/store/interruption.hpp"
#include "core/forks.hpp"
#include "store/postgres/socket_wait.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr int oldest_server = 130000;
/// For the server to stop a statement that it was told to stop.
constexpr Duration cancel_patience = std::chrono::seconds(3);
/// For the connection by which it is told.
constexpr Duration cancel_connect_patience = std::chrono::seconds(1);

/// Bytes: libpq keeps what the socket does not take.
constexpr std::size_t copied_at_a_time = std::size_t{64} << 10U;

std::string without_newline(const char* text) {
  std::string out = text == nullptr ? "" : text;
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  return out;
}

}  // namespace

Connection::Connection(const Settings& settings, PGconn* handle)
    : settings_(settings), handle_(handle), forks_(forks()) {}

Connection::~Connection() {
  // In a forked child the socket is the parent's: not even a good-bye may be said on it.
  if (forks_ == forks()) PQfinish(handle_);
}

Result<std::unique_ptr<Connection>> Connection::open(const Settings& settings, Monotonic deadline) {
  const Clock& clock = *settings.clock;
  const std::size_t count = settings.hosts.size(), first = settings.host->load();
  std::string said;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t host = (first + i) % count;
    // Who does not answer leaves the others their share of the time.
    const Monotonic now = clock.monotonic();
    const auto left = static_cast<std::int64_t>(count - i);
    const Monotonic share =
        deadline == Monotonic::never() ? deadline : now + (deadline - now) / left;
    const Monotonic end = std::min(share, now + settings.connect_timeout);
    auto opened = open_at(settings, host, end);
    if (opened) {
      settings.host->store(host);
      return opened;
    }
    const bool last = left == 1;
    Error error = std::move(opened).error();
    if (!said.empty()) {
      const std::string_view message = error.message, where = settings.where;
      error.message = fmt::format(
          "{}; {}", said, message.substr(message.starts_with(where) ? where.size() + 2 : 0));
    }
    // A caller who would not wait longer is told that, not that there is no server.
    if (last && error.code == Code::unavailable && clock.monotonic() >= deadline) {
      error.code = Code::deadline;
    }
    if (last || error.code != Code::unavailable) return fail(std::move(error));
    said = std::move(error).message;
  }
  return fail(Code::internal, settings.where + ": no host");
}

Result<std::unique_ptr<Connection>> Connection::open_at(const Settings& settings, std::size_t host,
                                                        Monotonic deadline) {
  std::vector<const char*> keys, values;
  for (const Keywords* some : {&settings.connection, &settings.hosts[host]}) {
    for (const auto& [key, value] : *some) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* const handle = PQconnectStartParams(keys.data(), values.data(), 0);
  if (handle == nullptr) return fail(Code::unavailable, "out of memory for a connection");
  std::unique_ptr<Connection> connection(new Connection(settings, handle));
  PQsetNoticeProcessor(
      handle, [](void*, const char*) {}, nullptr);
  BUREAU_TRY_VOID(connection->connect(deadline));
  BUREAU_TRY_VOID(connection->check_server());
  if (PQsetnonblocking(handle, 1) != 0 || PQenterPipelineMode(handle) != 1) {
    return fail(to_error(connection->lost(), settings.where, {"connecting"}));
  }
  return connection;
}

Result<void> Connection::connect(Monotonic deadline) {
  auto wants = PGRES_POLLING_WRITING;
  while (PQstatus(handle_) != CONNECTION_BAD) {
    const short events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_until_interrupted(PQsocket(handle_), events, *settings_.clock, deadline)) {
      if (settings_.clock->monotonic() < deadline) {
        return fail(Code::deadline, settings_.where + ": connecting was interrupted");
      }
      return fail(Code::unavailable,
                  fmt::format("{}: no answer while connecting; is the server there, and does a "
                              "firewall let it answer?",
                              settings_.where));
    }
    wants = PQconnectPoll(handle_);
    if (wants == PGRES_POLLING_OK) return {};
    if (wants == PGRES_POLLING_FAILED) break;
  }
  // libpq gives no SQLSTATE here, and names host, user and database itself, never the password.
  return fail(Code::unavailable, fmt::format("{}: cannot connect: {}", settings_.where,
                                             without_newline(PQerrorMessage(handle_))));
}

Result<void> Connection::check_server() const {
  const int version = PQserverVersion(handle_);
  if (version < oldest_server) {
    return fail(Code::invalid,
                fmt::format("{}: the server is PostgreSQL {}; 13 is the oldest that bureau knows",
                            settings_.where, version / 10000),
                "connection");
  }
  const auto is = [&](const char* parameter, std::string_view value) {
    const char* const found = PQparameterStatus(handle_, parameter);
    return found == nullptr || found == value;  // a pooler may not tell
  };
  if (!is("server_encoding", "UTF8")) {
    return fail(Code::invalid,
                fmt::format("{}: the database's encoding is {}; create one with ENCODING 'UTF8'",
                            settings_.where, PQparameterStatus(handle_, "server_encoding")),
                "connection");
  }
  if (!is("standard_conforming_strings", "on")) {
    return fail(Code::invalid,
                fmt::format("{}: standard_conforming_strings is off; turn it on for this user",
                            settings_.where),
                "connection");
  }
  return {};
}

void Connection::keep_alive() {
  if (settings_.keepalive.empty()) return;
  add_once(settings_.keepalive);
  separate();
}

void Connection::learn_incarnation(std::int64_t if_new, Monotonic deadline) {
  Sql insert(settings_.schema);
  insert << "INSERT INTO ";
  insert.table("bureau_incarnation");
  insert << " VALUES(TRUE,";
  insert.parameter(Value::integer(if_new));
  insert << ") ON CONFLICT DO NOTHING";
  add_once(insert.text, insert.parameters);
  separate();  // on a server that is read-only there is only what is there
  Sql select(settings_.schema);
  select << "SELECT id FROM ";
  select.table("bureau_incarnation");
  add_once(select.text);
  const Answers answers = exchange(deadline);
  // Whoever does not know it may go on with what was lost.
  if (!answers.good() && answers.failure->kind != Failure::Kind::server) return mark_broken();
  if (answers.results.empty()) return;
  const PGresult* const last = answers.results.back().get();
  constexpr Oid int8 = 20;
  if (PQntuples(last) == 1 && PQftype(last, 0) == int8) {
    incarnation_ = value_at(last, 0, 0).as_integer();
  }
}

Result<bool> Connection::meets_pooler(Monotonic deadline) {
  add_once("SELECT pg_backend_pid()");
  const Answers answers = exchange(deadline);
  if (!answers.good()) return fail(to_error(*answers.failure, where(), {"connecting"}));
  return answers.value().as_integer() != PQbackendPID(handle_);
}

// Sending ---------------------------------------------------------------------------------------

void Connection::queue(Item item, int sent, std::string name) {
  if (sent != 1) broken_ = true;
  queued_.push_back({item, true, std::move(name)});
}

void Connection::add(std::string_view text, std::span<const Parameter> parameters) {
  if (!settings_.prepared) return add_once(text, parameters);
  const WireParameters wire(parameters);
  const StatementCache::Use use = cache_.use(text);
  if (!use.evicted.empty()) {
    const std::string release = "DEALLOCATE " + use.evicted;
    queue(Item::release,
          PQsendQueryParams(handle_, release.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1));
  }
  if (use.is_new) {
    queue(Item::preparation,
          PQsendPrepare(handle_, use.name.c_str(), std::string(text).c_str(), wire.count(),
                        wire.types()),
          use.name);
  }
  queue(Item::statement, PQsendQueryPrepared(handle_, use.name.c_str(), wire.count(), wire.values(),
                                             wire.lengths(), wire.formats(), 1));
}

void Connection::add_once(std::string_view text, std::span<const Parameter> parameters) {
  const WireParameters wire(parameters);
  queue(Item::statement,
        PQsendQueryParams(handle_, std::string(text).c_str(), wire.count(), wire.types(),
                          wire.values(), wire.lengths(), wire.formats(), 1));
}

void Connection::add_description(std::string_view text) {
  queue(Item::preparation, PQsendPrepare(handle_, "", std::string(text).c_str(), 0, nullptr));
  queue(Item::statement, PQsendDescribePrepared(handle_, ""));
}

void Connection::separate() { queue(Item::sync, PQpipelineSync(handle_)); }

std::size_t Connection::waiting() const {
  return static_cast<std::size_t>(
      std::count_if(queued_.begin(), queued_.end(),
                    [](const Queued& one) { return one.wanted && one.item == Item::statement; }));
}

void Connection::send_off() {
  separate();
  for (Queued& one : queued_) one.wanted = false;
  if (!broken_ && PQflush(handle_) < 0) broken_ = true;
}

// Answers ---------------------------------------------------------------------------------------

Answers Connection::exchange(Monotonic deadline, AtDeadline at_deadline) {
  separate();
  Answers answers;
  at_deadline_ = at_deadline;
  late_ = false;
  while (!queued_.empty()) {
    ResultPtr result = broken_ ? nullptr : read(deadline);
    if (result == nullptr) {
      if (!answers.failure) answers.failure = lost();
      queued_.clear();
      break;
    }
    const Queued queued = std::move(queued_.front());
    queued_.pop_front();
    take(queued, std::move(result), answers);
  }
  end_exchange(answers);
  return answers;
}

void Connection::end_exchange(Answers& answers) {
  if (late_) {
    answers.failure = Failure{Failure::Kind::late, {}, {}, {}, {}};
  } else if (answers.failure) {
    broken_ = broken_ || answers.failure->kind == Failure::Kind::lost;
    if (broken_) answers.failure->kind = Failure::Kind::lost;
  }
}

/// libpq knows no COPY in a pipeline.
Answers Connection::copy_in(const std::string& text, std::string_view data, Monotonic deadline) {
  Answers answers;
  at_deadline_ = AtDeadline::cancel;
  late_ = false;
  if (!broken_ && (PQexitPipelineMode(handle_) != 1 || PQsendQuery(handle_, text.c_str()) != 1)) {
    broken_ = true;
  }
  while (!broken_) {
    if (!await_answer(deadline)) {
      broken_ = true;
      break;
    }
    ResultPtr result{PQgetResult(handle_)};
    if (result == nullptr) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COPY_IN) {
      send_copy(data, deadline);
    } else if (status == PGRES_FATAL_ERROR) {
      if (!answers.failure) answers.failure = failure_of(result.get());
    } else {
      answers.results.push_back(std::move(result));
    }
    if (PQstatus(handle_) == CONNECTION_BAD) broken_ = true;
  }
  if (!broken_ && PQenterPipelineMode(handle_) != 1) broken_ = true;
  if (broken_ && !answers.failure) answers.failure = lost();
  end_exchange(answers);
  return answers;
}

void Connection::send_copy(std::string_view data, Monotonic deadline) {
  while (!data.empty() && !late_) {
    const std::string_view piece = data.substr(0, copied_at_a_time);
    data.remove_prefix(piece.size());
    // 0 is for want of memory.
    const int put = PQputCopyData(handle_, piece.data(), static_cast<int>(piece.size()));
    int unsent = put == 1 ? PQflush(handle_) : -1;
    for (; unsent > 0 && !late_; unsent = PQflush(handle_)) {
      if (!wait_for_socket(PQsocket(handle_), POLLIN | POLLOUT, *settings_.clock, deadline)) {
        late_ = true;
      } else if (PQconsumeInput(handle_) != 1) {
        unsent = -1;
        break;
      }
    }
    if (unsent < 0) {
      broken_ = true;
      return;
    }
  }
  if (late_) patience_ = Clock::system().monotonic() + cancel_patience;
  if (PQputCopyEnd(handle_, late_ ? "the deadline has passed" : nullptr) != 1) broken_ = true;
}

void Connection::take(const Queued& queued, ResultPtr result, Answers& answers) {
  const ExecStatusType status = PQresultStatus(result.get());
  const bool failed = status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED;
  if (failed && queued.item == Item::preparation) cache_.forget(queued.name);
  if (PQstatus(handle_) == CONNECTION_BAD) broken_ = true;
  if (!queued.wanted) return;
  if (status == PGRES_FATAL_ERROR && !answers.failure) answers.failure = failure_of(result.get());
  if (!failed && queued.item == Item::statement) answers.results.push_back(std::move(result));
}

/// The next answer; null: there will be none, and the connection is broken.
ResultPtr Connection::read(Monotonic deadline) {
  // Between the answers to two statements libpq gives a null.
  for (int nulls = 0; nulls < 3; ++nulls) {
    if (!await_answer(deadline)) {
      broken_ = true;
      return nullptr;
    }
    if (ResultPtr result{PQgetResult(handle_)}) return result;
  }
  broken_ = true;
  return nullptr;
}

/// What may be cancelled may be interrupted too.
bool Connection::wait_for_answer(short events, Monotonic deadline) const {
  const int socket = PQsocket(handle_);
  if (late_) return wait_for_socket(socket, events, Clock::system(), patience_);
  return at_deadline_ == AtDeadline::cancel
             ? wait_until_interrupted(socket, events, *settings_.clock, deadline)
             : wait_for_socket(socket, events, *settings_.clock, deadline);
}

/// False: the connection is lost, or the server did not stop when it was told to.
bool Connection::await_answer(Monotonic deadline) {
  while (PQisBusy(handle_) != 0) {
    const int unsent = PQflush(handle_);
    if (unsent < 0) return false;
    const auto events = static_cast<short>(unsent > 0 ? POLLIN | POLLOUT : POLLIN);
    if (!wait_for_answer(events, deadline)) {
      const bool stopped = late_ || at_deadline_ == AtDeadline::abandon;
      late_ = true;
      patience_ = Clock::system().monotonic() + cancel_patience;
      if (stopped) return false;
      if (!cancel()) {
        leads_nowhere_ = settings_.prepared;
        return false;
      }
      continue;
    }
    if (PQconsumeInput(handle_) != 1) {
      // What it said before it went away is still to be read.
      if (PQisBusy(handle_) != 0) return false;
    }
  }
  return true;
}

bool Connection::is_settled() {
  Answers none;
  while (!queued_.empty() && !broken_) {
    if (PQflush(handle_) < 0 || PQconsumeInput(handle_) != 1) broken_ = true;
    if (broken_ || PQisBusy(handle_) != 0) return broken_;
    ResultPtr result{PQgetResult(handle_)};
    if (result == nullptr) continue;
    const Queued queued = std::move(queued_.front());
    queued_.pop_front();
    take(queued, std::move(result), none);
  }
  return true;
}

/// Tells the server to stop what it does for this connection, by another one to the same: libpq's
/// own way waits without an end where the network is silent. False: it could not be told.
bool Connection::cancel() const {
  if (!settings_.prepared) return false;  // behind a pooler the process is not known
  Settings settings = settings_;
  settings.clock = &Clock::system();
  settings.connect_timeout = cancel_connect_patience;
  settings.hosts = {here()};
  settings.host = std::make_shared<std::atomic<std::size_t>>(0);
  const auto never = [] { return false; };
  const Interruption waits(never);
  const auto other = open(settings, Monotonic::never());
  if (!other) return false;
  const Value pid = Value::integer(PQbackendPID(handle_));
  (*other)->add_once("SELECT pg_cancel_backend($1::int4)",
                     std::vector<Parameter>{{ParameterType::integer, false, pid, {}}});
  return (*other)->exchange(patience_, AtDeadline::abandon).good();
}

bool Connection::leads_nowhere() const {
  return leads_nowhere_ || PQstatus(handle_) == CONNECTION_BAD;
}

/// Of several hosts, and of several addresses of one, the one at the other end.
Keywords Connection::here() const {
  Keywords found;
  const auto add = [&](const char* key, const char* value) {
    if (value != nullptr && *value != '\0') found.emplace_back(key, value);
  };
  add("host", PQhost(handle_));
  add("hostaddr", PQhostaddr(handle_));
  add("port", PQport(handle_));
  return found;
}

bool Connection::listen() {
  if (!broken_ && PQconsumeInput(handle_) != 1) broken_ = true;
  return !broken_;
}

Failure Connection::failure_of(const PGresult* result) const {
  const auto field = [&](int code) {
    const char* const text = PQresultErrorField(result, code);
    return std::string(text == nullptr ? "" : text);
  };
  Failure failure;
  failure.state = field(PG_DIAG_SQLSTATE);
  failure.message = field(PG_DIAG_MESSAGE_PRIMARY);
  failure.table = field(PG_DIAG_TABLE_NAME);
  failure.constraint = field(PG_DIAG_CONSTRAINT_NAME);
  if (failure.message.empty()) failure.message = without_newline(PQresultErrorMessage(result));
  // The server ends the connection after these.
  const std::string severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == "FATAL" || severity == "PANIC") failure.kind = Failure::Kind::lost;
  return failure;
}

Failure Connection::lost() const {
  return {Failure::Kind::lost, {}, without_newline(PQerrorMessage(handle_)), {}, {}};
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
