// What SQLite looks through for what an office is asked most.

#include <doctest/doctest.h>
#include <sqlite3.h>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/sales/account.hpp"
#include "bureau/support/ticket.hpp"
#include "store/sqlite/sql.hpp"

using namespace bureau;

namespace {

class Plans {
 public:
  Plans() {
    EngineOptions options;
    options.path = folder_.file();
    engine_ = must(Engine::open(std::move(options)));
    REQUIRE(sqlite3_open(folder_.file().c_str(), &handle_) == SQLITE_OK);
  }
  ~Plans() { sqlite3_close(handle_); }
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;

  /// The lines of EXPLAIN QUERY PLAN.
  std::string of(const Select& select) {
    detail::sqlite::Sql sql;
    must(detail::sqlite::append_select(sql, select));
    const std::string text = "EXPLAIN QUERY PLAN " + sql.text;
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(handle_, text.c_str(), -1, &statement, nullptr) == SQLITE_OK);
    std::string plan;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      plan += reinterpret_cast<const char*>(sqlite3_column_text(statement, 3));
      plan += '\n';
    }
    sqlite3_finalize(statement);
    return plan;
  }

 private:
  Folder folder_;
  std::unique_ptr<Engine> engine_;
  sqlite3* handle_ = nullptr;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

template <Entity T>
void check_page(Plans& plans) {
  const Id<Tenant> tenant(7);
  for (const bool descending : {false, true}) {
    Select page = select<T>().where(col(&T::tenant) == tenant).limit(50);
    if (descending) page.order = {{&page.table->columns[0], true}};
    const std::string plan = plans.of(page);
    CAPTURE(plan);
    CHECK(has(plan, "(tenant=?)"));
    CHECK_FALSE(has(plan, "TEMP B-TREE"));
  }
}

}  // namespace

TEST_CASE("A page of a tenant's rows is not sorted out of all of them") {
  Plans plans;
  check_page<Ticket>(plans);
  check_page<User>(plans);
  check_page<Account>(plans);
  check_page<Contact>(plans);
}

TEST_CASE("What belongs to one of a tenant is not sought among all that is the tenant's") {
  Plans plans;
  const Predicate ours = col(&Ticket::tenant) == Id<Tenant>(7);
  const auto plan = [&](const Predicate& which) {
    return plans.of(select<Ticket>().where(ours && which).order_by(col(&Ticket::created_at)));
  };
  CHECK(has(plan(col(&Ticket::customer) == Id<User>(8)), "tickets_customer (customer=?)"));
  CHECK(has(plan(col(&Ticket::assignee) == Id<User>(8)), "tickets_assignee (assignee=?)"));
  CHECK(has(plan(col(&Ticket::number) == 9), "tickets_number (tenant=? AND number=?)"));
}
