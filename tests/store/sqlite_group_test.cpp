// Writers that share commits.

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "bureau/testing/fault_vfs.hpp"
#include "counts.hpp"
#include "store/sqlite_fixture.hpp"

using bureau::Code;
using bureau::Duration;
using bureau::ManualClock;
using bureau::Monotonic;
using bureau::Reader;
using bureau::Result;
using bureau::Storage;
using bureau::Value;
using bureau::WriteOptions;
using bureau::Writer;
using bureau::testing::DiskFault;
using bureau::testing::DiskFile;
using bureau::testing::DiskOperation;
using bureau::testing::FailedSync;
using bureau::testing::FaultRule;
using bureau::testing::FaultVfs;
using fixture::code_of;
using sample::Crew;

namespace {

/// On a clock that stands still, a group never closes for being late, however slow the machine is.
std::shared_ptr<Storage> open_on(const FaultVfs& vfs, const Folder& folder) {
  static bureau::ManualClock still;
  bureau::SqliteOptions options;
  options.clock = &still;
  options.path = folder.file();
  options.vfs = vfs.name();
  return fixture::open(options);
}

/// Makes one group of several closures: holds the turn until all the others wait for theirs.
class Group {
 public:
  explicit Group(Storage& storage) : storage_(storage) {}

  /// The closure is to be written by a thread of its own; `portable` as in WriteOptions.
  void add(bool portable, std::function<Result<void>(Writer&)> closure) {
    closures_.push_back({portable, std::move(closure)});
  }

  /// What each call returned. The first in the group is one that only waits for the others.
  std::vector<Result<void>> run() {
    std::vector<Result<void>> results(closures_.size());
    std::vector<std::thread> threads;
    const auto first = storage_.write({}, [&](Writer&) -> Result<void> {
      if (!threads.empty()) return {};  // run again
      for (std::size_t i = 0; i < closures_.size(); ++i) {
        threads.emplace_back([&, i] {
          WriteOptions options;
          options.portable = closures_[i].portable;
          results[i] = storage_.write(options, [&](Writer& w) { return closures_[i].body(w); });
        });
      }
      while (must(storage_.state()).waiting_writers < closures_.size()) std::this_thread::yield();
      return {};
    });
    CHECK(first);
    for (auto& thread : threads) thread.join();
    return results;
  }

 private:
  struct Closure {
    bool portable;
    std::function<Result<void>(Writer&)> body;
  };
  Storage& storage_;
  std::vector<Closure> closures_;
};

std::function<Result<void>(Writer&)> adds(std::int64_t id) {
  return [id](Writer& writer) { return fixture::add_crew(writer, id, std::to_string(id)); };
}

}  // namespace

TEST_CASE("64 writers who wait together share one commit") {
  FaultVfs vfs;
  const Folder folder;
  const auto storage = open_on(vfs, folder);
  REQUIRE(fixture::add_crew(*storage, 100, "first"));
  Group group(*storage);
  for (std::int64_t id = 1; id <= 63; ++id) group.add(id % 2 == 0, adds(id));
  const auto syncs_before = vfs.syncs();
  for (const auto& result : group.run()) CHECK(result);
  CHECK(vfs.syncs() - syncs_before == 1);
  CHECK(fixture::crew_ids(*storage).size() == 64);
}

TEST_CASE("64 threads count to the same number") {
  FaultVfs vfs;
  const Folder folder;
  const auto storage = open_on(vfs, folder);
  sample::Item counter;
  counter.id.value = 1;
  counter.count = 0;
  REQUIRE(storage->write({}, [&](Writer& w) { return fixture::insert(w, counter); }));
  constexpr int writers = 64;
  const int each = counts::cases(40, 400);
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < writers; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        WriteOptions options;
        options.portable = (t + i) % 2 == 0;
        if (t % 7 == 0)
          options.deadline = bureau::Clock::system().monotonic() + std::chrono::hours(1);
        const auto done = storage->write(options, [&](Writer& writer) -> Result<void> {
          const auto& table = bureau::table_of<sample::Item>();
          bureau::Update update{bureau::select<sample::Item>().where(
                                    bureau::col(&sample::Item::id) == bureau::Id<sample::Item>(1)),
                                {{table.find("count"), Value::integer(1), true}}};
          BUREAU_TRY(const auto changed, writer.update(update));
          // Every fifth fails after its change, which must leave nothing.
          if (i % 5 == 4) return bureau::fail(Code::conflict, "no");
          return changed == 1 ? Result<void>() : bureau::fail(Code::internal, "lost");
        });
        if (done.has_value() == (i % 5 == 4)) ++failures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  const auto rows = fixture::all<sample::Item>(*storage, bureau::select<sample::Item>());
  REQUIRE(rows.size() == 1);
  const int succeeded = each / 5 * 4 + each % 5;
  CHECK(rows[0].count == writers * succeeded);
}

TEST_CASE("closures of hosts run on the thread that called write; others may run elsewhere") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  Group group(*storage);
  std::set<std::thread::id> threads;
  for (std::int64_t id = 1; id <= 10; ++id) {
    group.add(id % 2 == 0, [&threads, id](Writer& writer) {
      threads.insert(std::this_thread::get_id());
      return fixture::add_crew(writer, id, std::to_string(id));
    });
  }
  for (const auto& result : group.run()) CHECK(result);
  CHECK(threads.size() >= 5);
  CHECK(fixture::crew_ids(*storage).size() == 10);
}

TEST_CASE("one closure that fails among many is undone alone, whatever it failed of") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(fixture::add_crew(*storage, 100, "taken"));
  Group group(*storage);
  for (std::int64_t id = 1; id <= 8; ++id) group.add(id % 2 == 0, adds(id));
  group.add(false, [](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 20, "undone"));
    return bureau::fail(Code::forbidden, "no");
  });
  group.add(true, [](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 21, "undone too"));
    return fixture::add_crew(writer, 22, "taken");
  });
  group.add(false, [](Writer& writer) -> Result<void> {
    CHECK(code_of(fixture::add_crew(writer, 23, "taken")) == "exists");
    return fixture::add_crew(writer, 24, "goes on");
  });
  group.add(false, [](Writer&) -> Result<void> { throw 1; });
  const auto results = group.run();
  for (std::size_t i = 0; i < 8; ++i) CHECK(results[i]);
  CHECK(code_of(results[8]) == "forbidden");
  CHECK(code_of(results[9]) == "exists");
  CHECK(results[10]);
  CHECK(code_of(results[11]) == "internal");
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 24, 100});
}

TEST_CASE("a sink that fails in one closure of a group: that statement is undone, the rest stays") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(fixture::add_crew(*storage, 500, "was there"));
  Group group(*storage);
  for (std::int64_t id = 1; id <= 6; ++id) {
    group.add(id % 2 == 0, [id](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(fixture::add_crew(writer, id, std::to_string(id)));
      if (id % 3 != 0) return {};
      const auto removed = writer.remove(bureau::select<Crew>(), [](auto) -> Result<bool> {
        return bureau::fail(Code::conflict, "of the sink");
      });
      CHECK(code_of(removed) == "conflict");
      return fixture::add_crew(writer, id + 100, std::to_string(id + 100));
    });
  }
  for (const auto& result : group.run()) CHECK(result);
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 103, 106, 500});
}

TEST_CASE("journal numbers stay consecutive when closures of the group fail") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  Group group(*storage);
  std::mutex mutex;
  std::set<std::int64_t> drawn;
  for (int i = 0; i < 12; ++i) {
    group.add(i % 2 == 0, [&, i](Writer& writer) -> Result<void> {
      BUREAU_TRY(const std::int64_t last, writer.draw_sequence(2));
      if (i % 3 == 0) return bureau::fail(Code::conflict, "no");
      const std::lock_guard guard(mutex);
      drawn.insert(last);
      return fixture::add_crew(writer, 100 + i, std::to_string(i));
    });
  }
  group.run();
  CHECK(drawn == std::set<std::int64_t>{2, 4, 6, 8, 10, 12, 14, 16});
}

TEST_CASE("SQLite gives the transaction up in the middle of a group: the others are run again") {
  FaultVfs vfs;
  const Folder folder;
  const auto storage = open_on(vfs, folder);
  std::atomic<int> runs{0};
  Group group(*storage);
  for (std::int64_t id = 1; id <= 6; ++id) {
    group.add(id % 2 == 0, [&, id](Writer& writer) {
      ++runs;
      return fixture::add_crew(writer, id, std::to_string(id));
    });
  }
  group.add(false, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 50, "gone with the transaction"));
    return bureau::fail(Code::unavailable, "as after an I/O error");
  });
  group.add(false, [&](Writer& writer) -> Result<void> {
    vfs.fail({.operation = DiskOperation::write, .file = DiskFile::any, .times = 1});
    // More than the page cache holds: SQLite spills it and meets the fault.
    const std::string large(200'000, 'x');
    for (std::int64_t i = 0; i < 200; ++i)
      BUREAU_TRY_VOID(fixture::add_crew(writer, 1000 + i, std::to_string(i) + large));
    return {};
  });
  const auto results = group.run();
  for (std::size_t i = 0; i < 6; ++i) CHECK(code_of(results[i]) == "success");
  CHECK(code_of(results[6]) == "unavailable");
  CHECK(code_of(results[7]) == "unavailable");
  CHECK(vfs.faults() == 1);
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("a commit that fails in a group: each closure is run again, alone") {
  for (const auto operation : {DiskOperation::write, DiskOperation::sync}) {
    for (const auto failed_sync : {FailedSync::lost, FailedSync::waiting, FailedSync::durable}) {
      FaultVfs vfs;
      const Folder folder;
      const auto storage = open_on(vfs, folder);
      REQUIRE(fixture::add_crew(*storage, 100, "before"));
      Group group(*storage);
      for (std::int64_t id = 1; id <= 6; ++id) group.add(id % 2 == 0, adds(id));
      group.add(false, [&](Writer& writer) -> Result<void> {
        BUREAU_TRY_VOID(fixture::add_crew(writer, 7, "7"));
        if (vfs.faults() == 0)
          vfs.fail({.operation = operation,
                    .file = DiskFile::wal,
                    .failed_sync = failed_sync,
                    .times = 1});
        return {};
      });
      for (const auto& result : group.run()) CHECK(code_of(result) == "success");
      CHECK(vfs.faults() == 1);
      CHECK(fixture::crew_ids(*storage).size() == 8);
    }
  }
}

TEST_CASE("G2: a commit that fails alone is not there, now or after a restart") {
  for (const auto operation : {DiskOperation::write, DiskOperation::sync}) {
    for (const auto failed_sync : {FailedSync::lost, FailedSync::waiting, FailedSync::durable}) {
      FaultVfs vfs;
      const Folder folder;
      auto storage = open_on(vfs, folder);
      REQUIRE(fixture::add_crew(*storage, 1, "before"));
      vfs.fail(
          {.operation = operation, .file = DiskFile::wal, .failed_sync = failed_sync, .times = 1});
      const auto failed = fixture::add_crew(*storage, 2, "failed");
      CHECK(code_of(failed) == "unavailable");
      CHECK_FALSE(fixture::has_crew(*storage, 2));
      storage.reset();
      vfs.restore_power(bureau::testing::PowerLoss::keep, 1);
      storage = open_on(vfs, folder);
      CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1});
    }
  }
}

TEST_CASE(
    "G2: when nothing can be synced the outcome is unknown, reads say so, and a later commit "
    "settles it") {
  FaultVfs vfs;
  const Folder folder;
  const auto storage = open_on(vfs, folder);
  REQUIRE(fixture::add_crew(*storage, 1, "before"));
  vfs.fail({.operation = DiskOperation::sync, .file = DiskFile::wal, .times = FaultRule::always});
  CHECK(code_of(fixture::add_crew(*storage, 2, "unknown")) == "unknown_outcome");
  const auto read = storage->read(Monotonic::never(), [](Reader&) -> Result<void> { return {}; });
  CHECK(code_of(read) == "unavailable");
  vfs.heal();
  CHECK_FALSE(fixture::has_crew(*storage, 2));
  CHECK(fixture::add_crew(*storage, 2, "again"));
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("a full disk is an error that says so; what was there stays, and writing goes on after") {
  FaultVfs vfs;
  const Folder folder;
  const auto storage = open_on(vfs, folder);
  REQUIRE(fixture::add_crew(*storage, 1, "before"));
  vfs.fail({.operation = DiskOperation::write,
            .file = DiskFile::any,
            .fault = DiskFault::disk_full,
            .times = FaultRule::always});
  const auto full = fixture::add_crew(*storage, 2, "too much");
  REQUIRE_FALSE(full);
  CHECK(full.error().code == Code::unavailable);
  CHECK(full.error().message.find("disk is full") != std::string::npos);
  CHECK(full.error().message.find(folder.file()) != std::string::npos);
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1});
  vfs.heal();
  CHECK(fixture::add_crew(*storage, 2, "fits"));
}

TEST_CASE("a writer that waits gives up at its deadline; the one who holds the turn goes on") {
  ManualClock clock;
  const Folder folder;
  bureau::SqliteOptions options;
  options.path = folder.file();
  options.clock = &clock;
  const auto storage = fixture::open(options);
  const auto same_file = fixture::open(options);
  WriteOptions late;
  late.deadline = clock.monotonic() + std::chrono::seconds(1);
  CHECK(storage->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 1, "first"));
    std::thread queued(
        [&] { CHECK(code_of(fixture::add_crew(*storage, 2, "late", late)) == "deadline"); });
    while (clock.waiting() == 0) std::this_thread::yield();
    // Another storage waits at the lock file, as another process would.
    std::thread elsewhere(
        [&] { CHECK(code_of(fixture::add_crew(*same_file, 3, "late", late)) == "deadline"); });
    clock.advance(std::chrono::seconds(2));
    queued.join();
    elsewhere.join();
    return {};
  }));
  CHECK(fixture::crew_ids(*storage) == std::vector<std::int64_t>{1});
  CHECK(fixture::add_crew(*same_file, 3, "now"));
}

TEST_CASE("a closure that holds the lock long is named in the log") {
  ManualClock clock;
  const Folder folder;
  bureau::SqliteOptions options;
  options.path = folder.file();
  options.clock = &clock;
  std::string logged;
  options.log = [&](const bureau::LogRecord& record) {
    for (const auto& field : record.fields)
      if (field.name == "file") logged = std::get<std::string_view>(field.value);
  };
  const auto storage = fixture::open(options);
  REQUIRE(storage->write({}, [&](Writer&) -> Result<void> { return {}; }));
  CHECK(logged.empty());
  REQUIRE(storage->write({}, [&](Writer&) -> Result<void> {
    clock.advance(std::chrono::milliseconds(60));
    return {};
  }));
  CHECK(logged.find("sqlite_group_test.cpp") != std::string::npos);
}

namespace {

std::vector<Result<void>> write_all(Storage& storage,
                                    std::vector<std::function<Result<void>(Writer&)>>& closures,
                                    bool portable = false) {
  std::vector<bureau::BatchedWrite> writes;
  for (auto& closure : closures) {
    WriteOptions options;
    options.portable = portable;
    writes.push_back({options, closure, {}});
  }
  storage.write_all(writes);
  std::vector<Result<void>> results;
  for (auto& one : writes) results.push_back(std::move(one.result));
  return results;
}

}  // namespace

TEST_CASE("writes that one thread makes together share a commit") {
  FaultVfs vfs;
  const Folder folder;
  const auto storage = open_on(vfs, folder);
  REQUIRE(fixture::add_crew(*storage, 1000, "first"));
  for (const bool portable : {false, true}) {
    std::vector<std::function<Result<void>(Writer&)>> closures;
    std::set<std::thread::id> threads;
    for (std::int64_t id = 1; id <= 40; ++id) {
      closures.emplace_back([&, id = portable ? id + 100 : id](Writer& writer) {
        threads.insert(std::this_thread::get_id());
        return fixture::add_crew(writer, id, std::to_string(id));
      });
    }
    const auto before = vfs.syncs();
    for (const auto& result : write_all(*storage, closures, portable)) CHECK(result);
    CHECK(vfs.syncs() - before == 1);
    CHECK(threads == std::set{std::this_thread::get_id()});
  }
  CHECK(fixture::crew_ids(*storage).size() == 81);
}

TEST_CASE("a batch whose commit fails: each closure is run again, alone") {
  for (const auto operation : {DiskOperation::write, DiskOperation::sync}) {
    FaultVfs vfs;
    const Folder folder;
    const auto storage = open_on(vfs, folder);
    REQUIRE(fixture::add_crew(*storage, 100, "first"));
    int runs = 0;
    std::vector<std::function<Result<void>(Writer&)>> closures;
    for (std::int64_t id = 1; id <= 5; ++id) {
      closures.emplace_back([&, id](Writer& writer) -> Result<void> {
        ++runs;
        BUREAU_TRY_VOID(fixture::add_crew(writer, id, std::to_string(id)));
        return id == 3 ? bureau::fail(Code::conflict, "no") : Result<void>();
      });
    }
    vfs.fail({.operation = operation,
              .file = DiskFile::any,
              .failed_sync = FailedSync::lost,
              .times = 1});
    const auto results = write_all(*storage, closures);
    CHECK(vfs.faults() == 1);
    const auto ids = fixture::crew_ids(*storage);
    for (std::int64_t id = 1; id <= 5; ++id) {
      const auto& result = results[static_cast<std::size_t>(id - 1)];
      const bool there = std::find(ids.begin(), ids.end(), id) != ids.end();
      CHECK(there == result.has_value());
      if (id == 3) CHECK(code_of(result) == "conflict");
    }
    CHECK(runs >= 5);
  }
}

TEST_CASE("a batch beside a writer that dooms its group: nobody waits for ever") {
  FaultVfs vfs;
  const Folder folder;
  const auto storage = open_on(vfs, folder);
  std::atomic<bool> stop{false};
  std::atomic<int> doomed{0};
  std::thread dooming([&] {
    while (!stop) {
      const auto outcome = storage->write({}, [&](Writer& writer) -> Result<void> {
        BUREAU_TRY_VOID(fixture::add_crew(writer, 1'000'000, "gone"));
        return bureau::fail(Code::unavailable, "as after an I/O error");
      });
      if (!outcome) ++doomed;
    }
  });
  std::vector<std::thread> batching;
  const int rounds = counts::cases(60, 600);
  for (int t = 0; t < 3; ++t) {
    batching.emplace_back([&, t] {
      for (int round = 0; round < rounds; ++round) {
        std::vector<std::function<Result<void>(Writer&)>> closures;
        for (std::int64_t i = 0; i < 6; ++i) {
          const std::int64_t id = (t * rounds + round) * 6 + i + 1;
          closures.emplace_back([id, i](Writer& writer) -> Result<void> {
            BUREAU_TRY_VOID(fixture::add_crew(writer, id, std::to_string(id)));
            // The first and the last fail by themselves: they are told when the others are.
            return i == 0 || i == 5 ? bureau::fail(Code::conflict, "no") : Result<void>();
          });
        }
        const auto results = write_all(*storage, closures, round % 3 == 0);
        for (std::size_t i = 0; i < results.size(); ++i) {
          CHECK(results[i].has_value() == (i != 0 && i != 5));
        }
      }
    });
  }
  for (auto& thread : batching) thread.join();
  stop = true;
  dooming.join();
  CHECK(fixture::crew_ids(*storage).size() == static_cast<std::size_t>(rounds) * 12);
}
