#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/clock.hpp"
#include "store/postgres/failure.hpp"
#include "store/postgres/settings.hpp"
#include "store/postgres/statement_cache.hpp"
#include "store/postgres/wire.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// What the server answered to the statements of one exchange, in their order. After the first that
/// failed there are no more.
struct Answers {
  std::vector<ResultPtr> results;
  std::optional<Failure> failure;  ///< of the statement after those that have results
  [[nodiscard]] bool good() const { return !failure; }
  /// One value of the last statement's first row. REQUIRES: good(), and there is one.
  [[nodiscard]] Value value(int column = 0) const {
    return value_at(results.back().get(), 0, column);
  }
};

/// One connection to the server. Statements are added, then sent together and answered in one
/// exchange: they cost one round trip. What repeats is prepared once. To be used by one thread at a
/// time.
class Connection {
 public:
  /// Connects, and checks that the server can hold an office. Of several hosts the next is tried
  /// when one refuses or does not answer.
  static Result<std::unique_ptr<Connection>> open(const Settings& settings, Monotonic deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void add(std::string_view text, std::span<const Parameter> parameters = {});
  void add(const Sql& sql) { add(sql.text, sql.parameters); }
  /// One that comes once, such as those of a migration: it is not prepared.
  void add_once(std::string_view text, std::span<const Parameter> parameters = {});
  /// Asks what columns the statement gives. It is analysed, neither planned nor run.
  void add_description(std::string_view text);
  /// What comes after is not undone or left out because of what came before.
  void separate();
  /// How many statements were added since the last exchange: the place of the next one's answer.
  [[nodiscard]] std::size_t waiting() const;
  enum class AtDeadline {
    cancel,   ///< the server is told to stop, and the connection goes on
    abandon,  ///< the connection is given up: what the server makes of it is not known
  };
  /// Sends what was added and waits for all answers.
  Answers exchange(Monotonic deadline, AtDeadline at_deadline = AtDeadline::cancel);
  /// A statement that copies into a table, and what it copies. It travels alone. REQUIRES: nothing
  /// was added since the last exchange.
  Answers copy_in(const std::string& text, std::string_view data, Monotonic deadline);
  /// Sends what was added; its answers are passed over in the next exchange. For the end of what
  /// only read.
  void send_off();

  /// Whether the answers of send_off() have come. Does not wait.
  bool is_settled();

  /// Adds how the server is to look whether we are still there: for a session that is ours.
  void keep_alive();

  /// Learns which incarnation of the server this is. A transaction's number is the server's promise
  /// for as long as the server does not crash: one that was not on disk is then given out again.
  /// The table that tells is not logged, so that each recovery empties it.
  void learn_incarnation(std::int64_t if_new, Monotonic deadline);
  /// Nothing: not known.
  [[nodiscard]] std::optional<std::int64_t> incarnation() const { return incarnation_; }

  /// Whether something stands between us and the server: the process that the server answers with
  /// is another one than it greeted us with. REQUIRES: nothing is waiting.
  Result<bool> meets_pooler(Monotonic deadline);

  /// The connection is of no more use.
  [[nodiscard]] bool is_broken() const { return broken_; }
  void mark_broken() { broken_ = true; }
  /// Others to the same place will fare no better.
  [[nodiscard]] bool leads_nowhere() const;
  /// The server takes no writes any more.
  void leave() { broken_ = leads_nowhere_ = true; }
  [[nodiscard]] const std::string& where() const { return settings_.where; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] PGconn* handle() const { return handle_; }
  /// Takes in what the server sent without being asked. False: the connection is lost.
  bool listen();

 private:
  enum class Item { statement, preparation, release, sync };
  struct Queued {
    Item item;
    bool wanted;       ///< whether somebody waits for its answer
    std::string name;  ///< of a preparation
  };

  Connection(const Settings& settings, PGconn* handle);
  static Result<std::unique_ptr<Connection>> open_at(const Settings& settings, std::size_t host,
                                                     Monotonic deadline);
  Result<void> connect(Monotonic deadline);
  Result<void> check_server() const;
  void queue(Item item, int sent, std::string name = {});
  ResultPtr read(Monotonic deadline);
  void send_copy(std::string_view data, Monotonic deadline);
  void end_exchange(Answers& answers);
  bool await_answer(Monotonic deadline);
  [[nodiscard]] bool wait_for_answer(short events, Monotonic deadline) const;
  void take(const Queued& queued, ResultPtr result, Answers& answers);
  [[nodiscard]] bool cancel() const;
  [[nodiscard]] Keywords here() const;
  [[nodiscard]] Failure failure_of(const PGresult* result) const;
  [[nodiscard]] Failure lost() const;

  const Settings& settings_;
  PGconn* handle_;
  std::uint32_t forks_;
  StatementCache cache_;
  std::deque<Queued> queued_;  ///< sent or about to be, and not answered yet
  AtDeadline at_deadline_ = AtDeadline::cancel;
  bool late_ = false;   ///< the deadline of this exchange has passed
  Monotonic patience_;  ///< on the system's clock: for what the server still says then
  bool broken_ = false;
  bool leads_nowhere_ = false;
  std::optional<std::int64_t> incarnation_;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
