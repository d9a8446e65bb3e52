// Reading and writing rows through sessions, beside a hand-written SQLite C loop.

#include <atomic>
#include <mutex>
#include <thread>

#include "bench.hpp"
#include "bureau/testing/fault_vfs.hpp"
#include "office.hpp"

namespace store_bench {
/// A host's own small row, as one that counts or measures would write.
struct Reading {
  bureau::Id<Reading> id;
  bureau::Id<bureau::Tenant> tenant;
  std::int64_t number = 0;
  std::string sensor;
  double value = 0;
};
}  // namespace store_bench
template <>
inline constexpr auto bureau::schema<store_bench::Reading> = bureau::table(
    "readings", "rdg", bureau::journal::full, bureau::column("id", &store_bench::Reading::id),
    bureau::column("tenant", &store_bench::Reading::tenant),
    bureau::column("number", &store_bench::Reading::number),
    bureau::column("sensor", &store_bench::Reading::sensor, bureau::max_length(100)),
    bureau::column("value", &store_bench::Reading::value),
    bureau::unique_index("number", "tenant", "number"));

namespace {

using namespace bureau;
using bench::must;
using store_bench::Reading;

constexpr int pairs = 9;

struct Sizes {
  int reads, inserts, queries, thread_writes, slow_writes;
};

Ticket make_ticket(const bench::Office& office, Id<User> customer, std::int64_t number) {
  Ticket ticket;
  ticket.tenant = office.tenant.id;
  ticket.number = number;
  ticket.subject = "My card has not arrived yet, two weeks after I ordered it";
  ticket.customer = customer;
  ticket.status = "open";
  ticket.state = TicketState::open;
  ticket.category = "card_arrival";
  ticket.custom = Json::object({{"region", "eu"}});
  return ticket;
}

void fill(const bench::Office& office, Id<User> customer, int count, std::int64_t first = 1,
          std::optional<Id<User>> assignee = {}) {
  Repository<Ticket> tickets(office.system());
  std::vector<Ticket> rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back(make_ticket(office, customer, first + i));
    if (assignee && i % 2 == 0) rows.back().assignee = assignee;
    if (rows.size() == 1000 || i + 1 == count) {
      must(tickets.insert_all(std::move(rows)));
      rows.clear();
    }
  }
}

std::vector<std::int64_t> ids_of(const bench::Office& office) {
  std::vector<std::int64_t> ids;
  const Session session = office.system();
  must(session.read([&](View& view) -> Result<int> {
    BUREAU_TRY_VOID(
        view.reader().scan(select<Ticket>(), [&](std::span<const Value> row) -> Result<bool> {
          ids.push_back(row[0].as_integer());
          return true;
        }));
    return 0;
  }));
  return ids;
}

void read_by_id(const bench::Arguments& arguments, const Sizes& sizes) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), true);
  const User customer = office.add_user("customer", "customer");
  fill(office, customer.id, 10'000);
  const auto ids = ids_of(office);
  bench::Loop loop(scratch.file(), office.path, true);
  bench::copy_table(loop, office.path, "tickets");
  bench::LoopStatement find(loop.db(), "SELECT * FROM tickets WHERE id=?1");
  const int columns = sqlite3_column_count(find.raw());

  const Repository<Ticket> tickets(office.system());
  SeededRandom random(1);
  auto ours = [&] {
    std::int64_t sum = 0;
    const double start = bench::seconds_now();
    for (int i = 0; i < sizes.reads; ++i) {
      sum += must(tickets.find(Id<Ticket>(ids[random.below(ids.size())]))).number;
    }
    if (sum == 0) bench::give_up("read_by_id", "nothing read");
    return sizes.reads / (bench::seconds_now() - start);
  };
  auto baseline = [&] {
    std::size_t sum = 0;
    const double start = bench::seconds_now();
    for (int i = 0; i < sizes.reads; ++i) {
      find.bind(1, ids[random.below(ids.size())]);
      while (find.step()) {
        // A program that reads a row wants it in its own memory.
        std::string text;
        for (int c = 0; c < columns; ++c) {
          if (sqlite3_column_type(find.raw(), c) == SQLITE_TEXT) {
            text.assign(reinterpret_cast<const char*>(sqlite3_column_text(find.raw(), c)),
                        static_cast<std::size_t>(sqlite3_column_bytes(find.raw(), c)));
            sum += text.size();
          } else {
            sum += static_cast<std::size_t>(sqlite3_column_int64(find.raw(), c));
          }
        }
      }
    }
    if (sum == 0) bench::give_up("read_by_id", "nothing read");
    return sizes.reads / (bench::seconds_now() - start);
  };
  const auto p = bench::measure_pairs(pairs, bench::Better::higher, ours, baseline);
  bench::print_metric(arguments, bench::with_pairs({.bench = "store",
                                                    .metric = "read_by_id",
                                                    .storage = "sqlite",
                                                    .durability = "power_safe",
                                                    .unit = "per_second"},
                                                   p));
}

Reading make_reading(const bench::Office& office, std::int64_t number) {
  return {{}, office.tenant.id, number, "boiler 4, outlet", 71.25};
}

/// One insert a transaction: the row and its journal record.
template <Entity T>
class InsertLoop {
 public:
  InsertLoop(const std::string& path, const bench::Office& office, bool power_safe, bool journal)
      : loop_(path, office.path, power_safe),
        insert_(loop_.db(), bench::insert_sql(loop_, std::string(table_of<T>().name))),
        journal_(loop_.db(), bench::insert_sql(loop_, "bureau_journal")),
        begin_(loop_.db(), "BEGIN IMMEDIATE"),
        commit_(loop_.db(), "COMMIT"),
        with_journal_(journal),
        values_(table_of<T>().width()) {
    bench::LoopStatement body(loop_.db(), "ATTACH '" + office.path + "' AS office");
    body.run();
    // The same bytes as ours writes: the body of the newest record, without the other values.
    bench::LoopStatement newest(loop_.db(),
                                "SELECT body FROM office.bureau_journal ORDER BY id DESC LIMIT 1");
    if (newest.step()) {
      body_.assign(static_cast<const char*>(sqlite3_column_blob(newest.raw(), 0)),
                   static_cast<std::size_t>(sqlite3_column_bytes(newest.raw(), 0)));
    }
    newest.reset();
    bench::LoopStatement detach(loop_.db(), "DETACH office");
    detach.run();
  }

  void insert(T row) {
    ++next_;
    row.id = Id<T>((std::int64_t{1} << 40) + next_);
    row.number = next_;
    detail::Scratch scratch;
    to_values(row, values_, scratch);
    begin_.run();
    bench::bind_row(insert_, values_);
    insert_.run();
    if (with_journal_) {
      for (int i = 1; i <= 8; ++i) journal_.bind(i, i == 1 ? next_ : std::int64_t{7});
      journal_.bind_bytes(9, body_);
      journal_.run();
    }
    commit_.run();
  }

 private:
  bench::Loop loop_;
  bench::LoopStatement insert_, journal_, begin_, commit_;
  bool with_journal_;
  std::vector<Value> values_;
  std::string body_;
  std::int64_t next_ = 0;
};

void insert(const bench::Arguments& arguments, const Sizes& sizes, bool power_safe,
            double sync_us) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), power_safe);
  const User customer = office.add_user("customer", "customer");
  const Repository<Ticket> tickets(office.system());
  std::int64_t number = 0;
  must(tickets.insert(make_ticket(office, customer.id, ++number)));
  InsertLoop<Ticket> loop(scratch.file(), office, power_safe, true);
  InsertLoop<Ticket> bare(scratch.file(), office, power_safe, false);
  auto ours = [&] {
    const double start = bench::seconds_now();
    for (int i = 0; i < sizes.inserts; ++i) {
      must(tickets.insert(make_ticket(office, customer.id, ++number)));
    }
    return sizes.inserts / (bench::seconds_now() - start);
  };
  auto run_loop = [&](InsertLoop<Ticket>& of) {
    const double start = bench::seconds_now();
    for (int i = 0; i < sizes.inserts; ++i) of.insert(make_ticket(office, customer.id, 1));
    return sizes.inserts / (bench::seconds_now() - start);
  };
  const auto p =
      bench::measure_pairs(pairs, bench::Better::higher, ours, [&] { return run_loop(loop); });
  const double without = run_loop(bare);
  bench::print_metric(
      arguments, bench::with_pairs({.bench = "store",
                                    .metric = "insert",
                                    .storage = "sqlite",
                                    .durability = power_safe ? "power_safe" : "relaxed",
                                    .unit = "per_second",
                                    .ratio_no_journal = p.ours / without,
                                    .sync_us = power_safe ? std::optional(sync_us) : std::nullopt},
                                   p));
}

/// A page of 50 open tickets as an agent sees it, beside the same page for the system.
void query_policies(const bench::Arguments& arguments, const Sizes& sizes) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), false);
  const User customer = office.add_user("customer", "customer");
  const User agent = office.add_user("agent", "agent");
  fill(office, customer.id, 10'000, 1, agent.id);
  const Session person = must(office.engine->session(office.tenant.id, agent.id));
  const Query query{
      .where = col(&Ticket::assignee) == agent.id && col(&Ticket::state) == TicketState::open,
      .limit = 50};
  auto run = [&](const Session& session) {
    const Repository<Ticket> tickets(session);
    std::size_t rows = 0;
    const double start = bench::seconds_now();
    for (int i = 0; i < sizes.queries; ++i) rows += must(tickets.page(query)).items.size();
    const double rate = sizes.queries / (bench::seconds_now() - start);
    if (rows != 50U * static_cast<std::size_t>(sizes.queries)) {
      bench::give_up("query_policies", "the page is not full");
    }
    return rate;
  };
  const auto p = bench::measure_pairs(
      pairs, bench::Better::higher, [&] { return run(person); },
      [&] { return run(office.system()); });
  bench::print_metric(arguments, bench::with_pairs({.bench = "store",
                                                    .metric = "query_policies",
                                                    .storage = "sqlite",
                                                    .durability = "relaxed",
                                                    .unit = "per_second"},
                                                   p));
}

/// Writes a second: each thread writes one row `make(number)` after the other, in a closure of its
/// own each, which runs on that thread or, if `anywhere`, on whichever is writing.
template <class Make>
double write_with_threads(const bench::Office& office, int threads, int writes,
                          std::atomic<std::int64_t>& number, const Make& make,
                          bool anywhere = false) {
  using Row = std::invoke_result_t<const Make&, std::int64_t>;
  std::vector<std::thread> workers;
  const double start = bench::seconds_now();
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      const Session session = office.system();
      for (int i = 0; i < writes / threads; ++i) {
        const auto closure = [&](Unit& unit) -> Result<Row> {
          return Repository<Row>(unit).insert(make(++number));
        };
        must(anywhere ? session.write(any_thread, closure) : session.write(closure));
      }
    });
  }
  for (auto& worker : workers) worker.join();
  return static_cast<double>(writes - writes % threads) / (bench::seconds_now() - start);
}

/// 64 threads, each write durable when it returns, beside the usual way to share a connection: a
/// mutex around each transaction of the loop.
template <class Make>
void write_threads(const bench::Arguments& arguments, const Sizes& sizes, double sync_us,
                   std::string_view metric, const bench::Office& office, const std::string& scratch,
                   const Make& make, bool anywhere = false) {
  using Row = std::invoke_result_t<const Make&, std::int64_t>;
  std::atomic<std::int64_t> number{0};
  must(Repository<Row>(office.system()).insert(make(++number)));
  InsertLoop<Row> loop(scratch, office, true, true);
  std::mutex lock;
  auto ours = [&] {
    return write_with_threads(office, 64, sizes.thread_writes, number, make, anywhere);
  };
  auto baseline = [&] {
    std::vector<std::thread> workers;
    const int each = std::max(1, sizes.thread_writes / 64 / 4);  // it is slow: enough for a rate
    const double start = bench::seconds_now();
    for (int t = 0; t < 64; ++t) {
      workers.emplace_back([&] {
        for (int i = 0; i < each; ++i) {
          Row row = make(1);
          std::lock_guard guard(lock);
          loop.insert(std::move(row));
        }
      });
    }
    for (auto& worker : workers) worker.join();
    return each * 64 / (bench::seconds_now() - start);
  };
  const auto p = bench::measure_pairs(3, bench::Better::higher, ours, baseline);
  bench::print_metric(arguments, bench::with_pairs({.bench = "store",
                                                    .metric = metric,
                                                    .storage = "sqlite",
                                                    .durability = "power_safe",
                                                    .unit = "per_second",
                                                    .sync_us = sync_us},
                                                   p));
}

/// A host's small row, and a ticket: 25 columns, four indexes, a reference that is checked.
void write_threads(const bench::Arguments& arguments, const Sizes& sizes, double sync_us) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), true, nullptr, {&table_of<Reading>()});
  const User customer = office.add_user("customer", "customer");
  write_threads(arguments, sizes, sync_us, "write_threads_64", office, scratch.file(),
                [&](std::int64_t number) { return make_reading(office, number); });
  // Numbers are unique: these count downwards.
  write_threads(
      arguments, sizes, sync_us, "write_threads_64_any_thread", office, scratch.file(),
      [&](std::int64_t number) { return make_reading(office, -number); }, true);
  write_threads(arguments, sizes, sync_us, "write_threads_64_tickets", office, scratch.file(),
                [&](std::int64_t number) { return make_ticket(office, customer.id, number); });
}

/// The group against the lone writer where a sync takes long: a disk in memory, 2 ms a sync.
void write_threads_slow_sync(const bench::Arguments& arguments, const Sizes& sizes) {
  constexpr Duration delay = std::chrono::milliseconds(2);
  bureau::testing::FaultVfs vfs;
  bench::ScratchFolder scratch;
  const std::string path = scratch.file();
  SqliteOptions options;
  options.path = path;
  options.vfs = vfs.name();
  auto office =
      bench::open_office(path, true, must(open_sqlite(std::move(options))), {&table_of<Reading>()});
  std::atomic<std::int64_t> number{0};
  vfs.set_sync_delay(delay, [](Duration time) { std::this_thread::sleep_for(time); });
  auto run = [&](int threads, int writes) {
    return write_with_threads(office, threads, writes, number,
                              [&](std::int64_t n) { return make_reading(office, n); });
  };
  const auto p = bench::measure_pairs(
      3, bench::Better::higher, [&] { return run(64, sizes.slow_writes); },
      [&] { return run(1, sizes.slow_writes / 64); });
  bench::print_metric(arguments, bench::with_pairs({.bench = "store",
                                                    .metric = "write_threads_64_slow_sync",
                                                    .storage = "sqlite",
                                                    .durability = "power_safe",
                                                    .unit = "per_second",
                                                    .sync_us = static_cast<double>(delay.count())},
                                                   p));
  office.engine.reset();
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  const Sizes sizes = arguments.quick      ? Sizes{1000, 100, 50, 640, 640}
                      : arguments.long_run ? Sizes{400'000, 40'000, 8'000, 256'000, 64'000}
                                           : Sizes{100'000, 5'000, 1'000, 64'000, 16'000};
  const double sync_us = bench::measure_sync_us();
  read_by_id(arguments, sizes);
  insert(arguments, sizes, true, sync_us);
  insert(arguments, sizes, false, sync_us);
  query_policies(arguments, sizes);
  write_threads(arguments, sizes, sync_us);
  write_threads_slow_sync(arguments, sizes);
}
