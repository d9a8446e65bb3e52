// Programs that stop in the midst of a write, and machines that are gone without a word: what they
// hold is given back, so that the others go on.

#include <doctest/doctest.h>

#include <string>

#include "postgres/faults.hpp"

namespace {

using namespace postgres_test;
using bureau::Result;
using fixture::code_of;
using std::chrono::milliseconds;

/// Rows of this database's crews tell the server's log what the session that adds them has set.
void log_settings(const Database& database, const std::string& expression) {
  Client owner(database.admin());
  owner.ask(
      "CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "RAISE LOG 'it has set: %', " +
      expression + "; RETURN NEW; END $$");
  owner.ask(
      "CREATE TRIGGER tell BEFORE INSERT ON bureau.exercise_crews FOR EACH ROW "
      "EXECUTE FUNCTION public.tell()");
}

constexpr char keepalive[] =
    "concat_ws(' ', current_setting('tcp_keepalives_idle'), "
    "current_setting('tcp_keepalives_interval'),"
    " current_setting('tcp_keepalives_count'), current_setting('tcp_user_timeout'))";

}  // namespace

TEST_CASE("A write that stands still is undone by the server, and made again") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  auto options = options_for(database.address());
  options.idle_in_transaction = milliseconds(200);
  const auto office = open(options), other = open(database.address());
  int calls = 0;
  const auto written = office->write({}, [&](bureau::Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 1, "ada"));
    // Sent before the program stands still.
    BUREAU_TRY_VOID(writer.find(bureau::table_of<sample::Crew>(), 1,
                                [](auto) -> Result<bool> { return true; }));
    if (++calls > 1) return {};
    server.wait_for_log("terminating connection due to idle-in-transaction timeout");
    must(fixture::add_crew(*other, 2, "bob"));
    return {};
  });
  CHECK_MESSAGE(written, code_of(written));
  CHECK(calls == 2);
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("A write may stand still for a minute unless its options say otherwise") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  log_settings(database, "current_setting('idle_in_transaction_session_timeout')");
  must(fixture::add_crew(*office, 1, "ada"));
  server.wait_for_log("it has set: 1min");
  auto options = options_for(database.address());
  options.idle_in_transaction = {};
  must(fixture::add_crew(*open(options), 2, "bob"));
  server.wait_for_log("it has set: 0");
}

TEST_CASE("A server looks for a program's machine as that looks for it") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  static_cast<void>(open(database.address()));
  log_settings(database, keepalive);
  SUBCASE("unless the connection says otherwise") {
    must(fixture::add_crew(*open(database.address()), 1, "ada"));
    server.wait_for_log("it has set: 10 5 3 20000");
  }
  SUBCASE("as the connection says") {
    Address address = database.address();
    address.more =
        "keepalives_idle=7 keepalives_interval=2 keepalives_count=4 tcp_user_timeout=3000";
    must(fixture::add_crew(*open(address), 1, "ada"));
    server.wait_for_log("it has set: 7 2 4 3000");
  }
  SUBCASE("not at all") {
    Address address = database.address();
    address.more = "keepalives=0";
    const std::string by_itself = Client(database.admin()).ask(std::string("SELECT ") + keepalive);
    must(fixture::add_crew(*open(address), 1, "ada"));
    server.wait_for_log("it has set: " + by_itself);
  }
}
