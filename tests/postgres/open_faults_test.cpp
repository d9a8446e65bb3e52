// An office that cannot be opened, or no longer be used: clear errors, and nothing is touched.

#include <doctest/doctest.h>

#include <mutex>

#include "bureau/store/interruption.hpp"
#include "postgres/faults.hpp"

namespace {

using namespace postgres_test;
using bureau::Code;
using bureau::Error;
using fixture::code_of;
using std::chrono::milliseconds;

/// Keeps all that was logged: no password may be among it.
class Log {
 public:
  bureau::LogSink sink() {
    return [this](const bureau::LogRecord& record) {
      const std::lock_guard lock(mutex_);
      text_ += record.message;
      for (const bureau::LogField& field : record.fields) {
        text_ += ' ';
        if (const auto* value = std::get_if<std::string_view>(&field.value)) text_ += *value;
      }
      text_ += '\n';
    };
  }
  [[nodiscard]] bool has(std::string_view what) const {
    const std::lock_guard lock(mutex_);
    return text_.find(what) != std::string::npos;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

/// What open answers; the error of migrate where that is the first to find it.
Error refusal(const bureau::PostgresOptions& options) {
  auto storage = bureau::open_postgres(options);
  if (!storage) return storage.error();
  const auto migrated = (*storage)->migrate(fixture::catalog());
  if (!migrated) return migrated.error();
  FAIL("it was opened");
  return {};
}

}  // namespace

TEST_CASE("G14_A wrong password is refused, and neither it nor the right one is told") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Log log;
  Address address = database.address();
  address.password = "open-sesame";
  bureau::PostgresOptions options = options_for(address);
  options.log = log.sink();
  const Error error = refusal(options);
  CHECK(error.code == Code::unavailable);
  CHECK_MESSAGE(says(error, "password"), error.message);
  CHECK_MESSAGE(says(error, "tester"), error.message);
  CHECK_MESSAGE(says(error, std::to_string(address.port)), error.message);
  for (const std::string& secret : {address.password, database.address().password}) {
    CHECK_FALSE(says(error, secret));
    CHECK_FALSE(log.has(secret));
  }
}

TEST_CASE("G14_Where there is no server, the error says where it was sought") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Address address = database.address();
  SUBCASE("an unknown host") {
    address.host = "no-such-host.invalid";
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, address.host), error.message);
  }
  SUBCASE("nobody listens") {
    Proxy proxy(address.port);
    proxy.refuse(true);
    const Error error = refusal(options_for(through(proxy, address)));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, std::to_string(proxy.port())), error.message);
  }
  SUBCASE("somebody listens who never answers") {
    Proxy proxy(address.port);
    proxy.stall();
    bureau::PostgresOptions options = options_for(through(proxy, address));
    options.connect_timeout = milliseconds(200);
    const Error error = refusal(options);
    CHECK((error.code == Code::unavailable || error.code == Code::deadline));
    CHECK_MESSAGE(says(error, std::to_string(proxy.port())), error.message);
  }
  SUBCASE("somebody listens who never answers, and nobody wants to wait any longer") {
    Proxy proxy(address.port);
    proxy.stall();
    int asked = 0;
    const auto at_the_third = [&] { return ++asked == 3; };
    const bureau::Interruption interruption(at_the_third);
    bureau::PostgresOptions options = options_for(through(proxy, address));
    options.connect_timeout = std::chrono::minutes(1);
    CHECK(refusal(options).code == Code::deadline);
    CHECK(asked == 3);
  }
  SUBCASE("no such database") {
    address.database = "nowhere";
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "nowhere"), error.message);
  }
  SUBCASE("too many connections") {
    Client admin(server.admin());
    admin.ask("ALTER ROLE tester CONNECTION LIMIT 0");
    const Error error = refusal(options_for(address));
    admin.ask("ALTER ROLE tester CONNECTION LIMIT -1");
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "connections"), error.message);
  }
}

TEST_CASE("G14_Options that break a rule are named, before a server is asked") {
  bureau::PostgresOptions options;
  options.connection = "host=127.0.0.1 port=1";
  const auto refused = [&](const std::string& field) {
    const Error error = refusal(options);
    CHECK(error.code == Code::invalid);
    CHECK(error.field == field);
    CHECK_FALSE(error.message.empty());
  };
  SUBCASE("a connection string that is none") {
    options.connection = "host='never closed password=hush";
    refused("connection");
    CHECK_FALSE(says(refusal(options), "hush"));
  }
  SUBCASE("an unknown setting in it") {
    options.connection = "host=127.0.0.1 colour=blue";
    refused("connection");
  }
  for (const char* schema :
       {"", "Bureau", "1st", "a-b", "a\"b", "a b", "pg_x",
        "an_identifier_that_is_longer_than_sixty_three_bytes_is_cut_by_the_server"}) {
    options.schema = schema;
    CAPTURE(schema);
    refused("schema");
  }
  options.schema = "bureau";
  options.connections = 1;
  refused("connections");
  options.connections = 2;
  for (const bureau::Duration wrong : {bureau::Duration(-1), bureau::Duration::max()}) {
    options.idle_in_transaction = wrong;
    refused("idle_in_transaction");
  }
}

TEST_CASE("G14_A server that is too old is refused by its version") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const std::string name = "server_version" + std::string(1, '\0');
  proxy.replace(name + Client(server.admin()).ask("SHOW server_version").substr(0, 2), name + "12");
  const Error error = refusal(options_for(through(proxy, database.address())));
  CHECK(error.code == Code::invalid);
  CHECK_FALSE(error.field.empty());
  CHECK_MESSAGE(says(error, "12"), error.message);
  CHECK_MESSAGE(says(error, "13"), error.message);
}

TEST_CASE("G14_A database whose encoding is not UTF-8 is refused and left as it is") {
  BUREAU_NEED_POSTGRES(server);
  for (const std::string encoding : {"SQL_ASCII", "LATIN1"}) {
    CAPTURE(encoding);
    const Database database = server.create_database(
        "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING '" + encoding + "'");
    const Error error = refusal(options_for(database.address()));
    CHECK(error.code == Code::invalid);
    CHECK_FALSE(error.field.empty());
    CHECK_MESSAGE(says(error, encoding), error.message);
    CHECK(Client(database.admin())
              .ask("SELECT count(*) FROM pg_namespace WHERE "
                   "nspname='bureau'") == "0");
  }
}

TEST_CASE("G14_A missing right is said") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Client admin(database.admin());
  admin.ask("DROP ROLE IF EXISTS stranger");
  admin.ask("CREATE ROLE stranger LOGIN PASSWORD 'a stranger'");
  Address address = database.address();
  address.user = "stranger";
  address.password = "a stranger";
  const auto refused = [&](const char* where) {
    CAPTURE(where);
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "permission"), error.message);
    CHECK_MESSAGE(says(error, "bureau"), error.message);
  };
  admin.ask("REVOKE CREATE ON DATABASE " + address.database + " FROM PUBLIC");
  SUBCASE("to make the schema") {
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "permission"), error.message);
    CHECK(admin.ask("SELECT count(*) FROM pg_namespace WHERE nspname='bureau'") == "0");
  }
  SUBCASE("to use an office that is there") {
    const auto office = open(database.address());
    refused("the schema");
    admin.ask("GRANT USAGE ON SCHEMA bureau TO stranger");
    refused("its tables");
  }
  SUBCASE("to write, taken while the office is open") {
    const auto office = open(database.address());
    admin.ask("REVOKE INSERT ON bureau.exercise_crews FROM tester");
    const auto written = fixture::add_crew(*office, 1, "ada");
    CHECK(code_of(written) == "unavailable");
    if (!written) CHECK_MESSAGE(says(written.error(), "exercise_crews"), written.error().message);
    admin.ask("GRANT INSERT ON bureau.exercise_crews TO tester");
    CHECK(code_of(fixture::add_crew(*office, 2, "bob")) == "success");
    CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{2});
  }
  admin.ask("DROP OWNED BY stranger");
  admin.ask("DROP ROLE stranger");
}

TEST_CASE("G14_A schema that something else made is refused, and nothing in it is touched") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Client client(database.address());
  client.ask(
      "CREATE SCHEMA bureau; CREATE TABLE bureau.stuff(a text); "
      "INSERT INTO bureau.stuff VALUES('ours')");
  const Error error = refusal(options_for(database.address()));
  CHECK(error.code == Code::corrupt);
  CHECK_MESSAGE(says(error, "bureau"), error.message);
  CHECK(client.ask("SELECT string_agg(relname, ',') FROM pg_class WHERE "
                   "relnamespace='bureau'::regnamespace") == "stuff");
  CHECK(client.ask("SELECT a FROM bureau.stuff") == "ours");
  // Beside it there is room.
  bureau::PostgresOptions options = options_for(database.address());
  options.schema = "office";
  const auto office = open(options);
  CHECK(code_of(fixture::add_crew(*office, 1, "ada")) == "success");
}

TEST_CASE("Two schemas of a database are two offices") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  bureau::PostgresOptions options = options_for(database.address());
  const auto one = open(options);
  options.schema = "other";
  const auto other = open(options);
  must(fixture::add_crew(*one, 1, "ada"));
  CHECK(fixture::crew_ids(*other).empty());
  CHECK(must(one->hold_node(3)));
  CHECK(must(other->hold_node(3)));
}

TEST_CASE("G14_Somebody changed a table by hand: the error names it, and it is no success") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  auto office = open(database.address());
  must(fixture::add_crew(*office, 1, "ada"));
  Client client(database.address());
  client.ask("ALTER TABLE bureau.exercise_crews DROP COLUMN code");
  const auto written = fixture::add_crew(*office, 2, "bob");
  REQUIRE_FALSE(written);
  CHECK_MESSAGE(says(written.error(), "code"), written.error().message);
  office.reset();
  CHECK(client.ask("SELECT count(*) FROM bureau.exercise_crews") == "1");
}
