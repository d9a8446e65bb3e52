#pragma once

// The hand-written libpq loop that bureau on PostgreSQL is measured against: prepared statements,
// binary values and pipelines on one connection; tables and indexes like those of the office in the
// same database. No checks, no ids to issue, no rights.

#include <libpq-fe.h>
#include <poll.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/bureau.hpp"
#include "loop.hpp"

namespace bench {

struct PgClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgClear>;

/// The value as PostgreSQL's binary format has it: eight bytes, the highest first.
inline void append_big_endian(std::string& out, std::uint64_t v, int bytes = 8) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(v >> shift & 0xff);
  }
}
inline std::int64_t int8_at(const PGresult* result, int row, int column) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(PQgetvalue(result, row, column));
  std::uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v = v << 8 | bytes[i];
  return static_cast<std::int64_t>(v);
}
inline std::string_view text_at(const PGresult* result, int row, int column) {
  return {PQgetvalue(result, row, column),
          static_cast<std::size_t>(PQgetlength(result, row, column))};
}

/// Parameters of a statement, in the binary format.
class PgParameters {
 public:
  PgParameters& clear() {
    bytes_.clear();
    begins_.clear();
    lengths_.clear();
    return *this;
  }
  PgParameters& add(std::int64_t v) {
    begin();
    append_big_endian(bytes_, static_cast<std::uint64_t>(v));
    return end();
  }
  PgParameters& add(std::string_view v) {
    begin();
    bytes_ += v;
    return end();
  }
  PgParameters& add(double v) { return add(std::bit_cast<std::int64_t>(v)); }
  PgParameters& add_null() {
    begins_.push_back(-1);
    lengths_.push_back(0);
    return *this;
  }
  /// An array of bigint.
  PgParameters& add(std::span<const std::int64_t> ids) {
    begin();
    append_big_endian(bytes_, 1, 4);   // dimensions
    append_big_endian(bytes_, 0, 4);   // no null in it
    append_big_endian(bytes_, 20, 4);  // bigint
    append_big_endian(bytes_, ids.size(), 4);
    append_big_endian(bytes_, 1, 4);  // the first index
    for (const std::int64_t id : ids) {
      append_big_endian(bytes_, 8, 4);
      append_big_endian(bytes_, static_cast<std::uint64_t>(id));
    }
    return end();
  }
  PgParameters& add(const bureau::Value& value) {
    switch (value.kind()) {
      case bureau::Value::Kind::null:
        return add_null();
      case bureau::Value::Kind::integer:
        return add(value.as_integer());
      case bureau::Value::Kind::real:
        return add(value.as_real());
      default:
        return add(value.as_text());
    }
  }
  PgParameters& add_row(std::span<const bureau::Value> row) {
    for (const bureau::Value& value : row) add(value);
    return *this;
  }
  /// As a row of COPY ... (FORMAT binary).
  void append_copied(std::string& out) const {
    append_big_endian(out, begins_.size(), 2);
    for (std::size_t i = 0; i < begins_.size(); ++i) {
      const bool null = begins_[i] < 0;
      append_big_endian(out, null ? ~std::uint64_t{0} : static_cast<std::uint64_t>(lengths_[i]), 4);
      if (!null) out.append(bytes_, static_cast<std::size_t>(begins_[i]), length(i));
    }
  }
  /// Sends them to the prepared statement; its results will be binary.
  bool send(PGconn* connection, const char* statement) {
    values_.clear();
    for (const std::ptrdiff_t at : begins_) {
      values_.push_back(at < 0 ? nullptr : bytes_.data() + at);
    }
    formats_.assign(begins_.size(), 1);
    return PQsendQueryPrepared(connection, statement, static_cast<int>(values_.size()),
                               values_.data(), lengths_.data(), formats_.data(), 1) == 1;
  }

 private:
  void begin() { begins_.push_back(static_cast<std::ptrdiff_t>(bytes_.size())); }
  PgParameters& end() {
    lengths_.push_back(
        static_cast<int>(static_cast<std::ptrdiff_t>(bytes_.size()) - begins_.back()));
    return *this;
  }
  [[nodiscard]] std::size_t length(std::size_t i) const {
    return static_cast<std::size_t>(lengths_[i]);
  }
  std::string bytes_;
  std::vector<std::ptrdiff_t> begins_;  ///< in bytes_; -1: null
  std::vector<int> lengths_, formats_;
  std::vector<const char*> values_;
};

/// A connection whose errors end the program.
class PgLoop {
 public:
  explicit PgLoop(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str())) {
    if (PQstatus(connection_) != CONNECTION_OK) fail("connect");
  }
  ~PgLoop() { PQfinish(connection_); }
  PgLoop(const PgLoop&) = delete;
  PgLoop& operator=(const PgLoop&) = delete;

  [[nodiscard]] PGconn* raw() const { return connection_; }
  PgResult run(const std::string& sql) {
    PgResult result(PQexec(connection_, sql.c_str()));
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN) {
      fail(sql);
    }
    return result;
  }
  /// A schema of its own with tables and indexes like those of another, and a sequence for the
  /// journal's numbers; it is where names are looked up from then on.
  void copy_schema(const std::string& from, const std::string& to) {
    run("CREATE SCHEMA " + to);
    const PgResult tables =
        run("SELECT relname FROM pg_class WHERE relkind IN ('r','p') AND "
            "relnamespace='" +
            from + "'::regnamespace");
    for (int i = 0; i < PQntuples(tables.get()); ++i) {
      const std::string name = "\"" + std::string(text_at(tables.get(), i, 0)) + "\"";
      run("CREATE TABLE " + to + "." + name + " (LIKE " + from + "." + name + " INCLUDING ALL)");
    }
    run("CREATE SEQUENCE " + to + ".numbers");
    use_schema(to);
  }
  void use_schema(const std::string& name) { run("SET search_path=" + name); }
  void prepare(const char* name, const std::string& sql) {
    const PgResult result(PQprepare(connection_, name, sql.c_str(), 0, nullptr));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) fail(sql);
  }

  /// Statements sent from here to finish() are one transaction and one turn of the network.
  void begin() {
    if (PQenterPipelineMode(connection_) != 1) fail("pipeline");
    sent_ = 0;
  }
  void send(const char* statement, PgParameters& parameters) {
    if (!parameters.send(connection_, statement)) fail(statement);
    ++sent_;
  }
  /// The results of all statements in turn.
  template <class OnResult>
  void finish(OnResult on_result) {
    if (PQpipelineSync(connection_) != 1) fail("sync");
    for (int i = 0; i < sent_; ++i) {
      const PgResult result(PQgetResult(connection_));
      const auto status = PQresultStatus(result.get());
      if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail("statement");
      on_result(i, result.get());
      if (PQgetResult(connection_) != nullptr) fail("one result was expected");
    }
    const PgResult end(PQgetResult(connection_));
    if (PQresultStatus(end.get()) != PGRES_PIPELINE_SYNC || PQexitPipelineMode(connection_) != 1) {
      fail("the pipeline's end");
    }
  }
  void finish() {
    finish([](int, const PGresult*) {});
  }
  /// One statement, a transaction of its own.
  template <class OnResult>
  void execute(const char* statement, PgParameters& parameters, OnResult on_result) {
    begin();
    send(statement, parameters);
    finish([&](int, const PGresult* result) { on_result(result); });
  }

  /// `rows` are those of PgParameters::append_copied(). In a transaction that stays open: `begin`
  /// is what begins it.
  void copy_in(const std::string& begin, const std::string& table, const std::string& rows) {
    run(begin + ";COPY " + table + " FROM STDIN (FORMAT binary)");
    static constexpr std::string_view head{"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};
    static constexpr std::string_view tail{"\377\377", 2};
    for (const std::string_view part : {head, std::string_view(rows), tail}) {
      if (PQputCopyData(connection_, part.data(), static_cast<int>(part.size())) != 1) fail(table);
    }
    if (PQputCopyEnd(connection_, nullptr) != 1) fail(table);
    while (const PgResult result{PQgetResult(connection_)}) {
      if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) fail(table);
    }
  }

  /// Waits until something was notified that this connection listens for.
  void wait_for_notification() {
    for (;;) {
      if (PQconsumeInput(connection_) != 1) fail("listen");
      bool heard = false;
      while (PGnotify* told = PQnotifies(connection_)) {
        PQfreemem(told);
        heard = true;
      }
      if (heard) return;
      pollfd waited{PQsocket(connection_), POLLIN, 0};
      ::poll(&waited, 1, -1);
    }
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    give_up(what, PQerrorMessage(connection_));
  }
  PGconn* connection_;
  int sent_ = 0;
};

/// "INSERT INTO table(columns) VALUES($1,...)".
inline std::string pg_insert_sql(const bureau::TableInfo& table) {
  std::string names, places;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const std::string comma = i == 0 ? "" : ",";
    names += comma + "\"" + std::string(table.columns[i].name) + "\"";
    places += comma + "$" + std::to_string(i + 1);
  }
  return "INSERT INTO " + std::string(table.name) + "(" + names + ") VALUES(" + places + ")";
}
inline std::string pg_columns(const bureau::TableInfo& table) {
  std::string names;
  for (const auto& column : table.columns) {
    names += (names.empty() ? "\"" : ",\"") + std::string(column.name) + "\"";
  }
  return names;
}

/// Writes journal records as bureau's look: eight numbers and the body.
inline void prepare_journal(PgLoop& loop) {
  loop.prepare(
      "journal",
      "INSERT INTO bureau_journal(id,tenant_id,actor,task,shape,kind,\"count\",\"at\",body) "
      "VALUES(nextval('numbers'),$1,$2,$3,$4,$5,$6,$7,$8)");
}
inline void send_journal(PgLoop& loop, PgParameters& parameters, std::string_view body) {
  parameters.clear();
  for (int i = 0; i < 7; ++i) parameters.add(std::int64_t{7});
  loop.send("journal", parameters.add(body));
}

}  // namespace bench
