#pragma once

// libpq itself: what tests ask a server past bureau.

#include <libpq-fe.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "postgres/server.hpp"

namespace postgres_test {

/// One connection; one thread at a time. Whether it could be made is asked by connected().
class Client {
 public:
  explicit Client(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str())) {
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
  }
  explicit Client(const Address& address) : Client(address.conninfo()) {}
  ~Client() { PQfinish(connection_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] PGconn* get() const { return connection_; }
  [[nodiscard]] bool connected() const { return PQstatus(connection_) == CONNECTION_OK; }
  [[nodiscard]] std::string error() const { return PQerrorMessage(connection_); }

  /// The first value of the first row, "" when there is none. Throws what the server says.
  std::string ask(const std::string& sql) {
    const Answer answer = run(sql);
    if (!answer.state.empty()) throw std::runtime_error(sql + ": " + answer.error);
    return answer.value;
  }
  /// The SQLSTATE that the statement fails with; "" when it succeeds.
  std::string state_of(const std::string& sql) { return run(sql).state; }

 private:
  struct Answer {
    std::string value, state, error;
  };
  Answer run(const std::string& sql) {
    PGresult* result = PQexec(connection_, sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    Answer answer;
    if (status == PGRES_TUPLES_OK && PQntuples(result) > 0 && PQnfields(result) > 0) {
      answer.value.assign(PQgetvalue(result, 0, 0),
                          static_cast<std::size_t>(PQgetlength(result, 0, 0)));
    } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      answer.state = state != nullptr ? state : "08006";  // the connection is gone
      answer.error = error();
    }
    PQclear(result);
    return answer;
  }

  PGconn* connection_;
};

}  // namespace postgres_test
