#pragma once

// What copies of a whole office cost: a backup beside writers, and a move to a server. For
// storage_bench.

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "bench.hpp"
#include "bureau/store/backup.hpp"
#include "bureau/store/database.hpp"
#include "bureau/store/move.hpp"
#include "bureau/store/schema.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/store/verify.hpp"
#include "loop.hpp"

namespace copy_bench {
/// A page of text, of about 1,000 bytes, and a counter that is written again and again.
struct Sheet {
  bureau::Id<Sheet> id;
  std::int64_t turns = 0;
  std::string text;
};
}  // namespace copy_bench
template <>
inline constexpr auto bureau::schema<copy_bench::Sheet> = bureau::table(
    "sheets", "sht", bureau::journal::full, bureau::column("id", &copy_bench::Sheet::id),
    bureau::column("turns", &copy_bench::Sheet::turns),
    bureau::column("text", &copy_bench::Sheet::text), bureau::index("by_turns", "turns"));

namespace copy_bench {

using namespace bureau;
using bench::must;

inline SqliteOptions file_at(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  return options;
}

constexpr std::size_t text_bytes = 900;
constexpr int rows_a_fill = 1'000;

class Office {
 public:
  explicit Office(const std::string& path) {
    DatabaseOptions options;
    options.storage = must(open_sqlite(file_at(path)));
    must(options.catalog.add(table_of<Sheet>()));
    database_ = must(Database::open(std::move(options)));
  }
  [[nodiscard]] Storage& storage() { return database_->storage(); }

  void add(int rows, const WriteOptions& options = {}) {
    must(database_->write(options, {}, [&](Transaction& t) -> Result<void> {
      const TableInfo& table = table_of<Sheet>();
      const std::string text(text_bytes, 'x');
      std::vector<Value> values;
      for (int i = 0; i < rows; ++i) {
        BUREAU_TRY(const std::int64_t id, t.next_id());
        values.insert(values.end(), {Value::integer(id), Value::integer(0), Value::text(text)});
      }
      return t.insert(table, values);
    }));
  }
  /// About so many bytes of file: each row is in its table and in the journal.
  void fill(std::int64_t bytes) {
    for (std::int64_t done = 0; done < bytes; done += rows_a_fill * 2 * 960) add(rows_a_fill);
  }

 private:
  std::unique_ptr<Database> database_;
};

/// Threads that write one small row each, again and again with a pause, and note how long each
/// write took.
class Load {
 public:
  explicit Load(Office& office, int threads = 4) {
    times_.resize(static_cast<std::size_t>(threads));
    for (auto& times : times_) {
      threads_.emplace_back([this, &office, &times] {
        while (!end_) {
          const double begun = bench::seconds_now();
          office.add(1);
          const double took = bench::seconds_now() - begun;
          times.push_back({begun, took});
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
      });
    }
  }
  void stop() {
    end_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  /// Of the writes that began between these moments. REQUIRES: stopped.
  [[nodiscard]] double p99(double from, double to) const {
    std::vector<double> chosen;
    for (const auto& times : times_) {
      for (const auto& [begun, took] : times) {
        if (begun >= from && begun < to) chosen.push_back(took);
      }
    }
    return chosen.empty() ? 0 : bench::percentile(std::move(chosen), 99);
  }

 private:
  std::atomic<bool> end_{false};
  std::vector<std::vector<std::pair<double, double>>> times_;
  std::vector<std::thread> threads_;
};

inline void rest(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// `backup_write_p99_ratio`: the writes beside a backup against those of the same time before it;
/// `backup_identical`: whether an earlier backup, with the journal replayed to the same change, is
/// the same in every row.
inline void backups(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  const std::string path = scratch.file();
  Office office(path);
  office.fill(arguments.quick ? 2 << 20 : arguments.long_run ? 1 << 30 : 100 << 20);
  must(office.storage().back_up(path + "-base", {.share = 1}));
  const int rounds = arguments.quick ? 1 : 3;
  bench::PairedRuns runs(bench::Better::lower);
  double seconds = 1;
  BackupReport last;
  for (int i = 0; i < rounds; ++i) {
    Load load(office);
    const double begun = bench::seconds_now();
    rest(arguments.quick ? 0.2 : std::max(seconds, 2.0));
    const double middle = bench::seconds_now();
    last = must(office.storage().back_up(path + "-beside", {.replace = true}));
    const double ended = bench::seconds_now();
    seconds = ended - middle;
    load.stop();
    runs.add(load.p99(middle, ended), load.p99(begun, middle));
  }
  const auto p = runs.result();
  bench::print_metric(arguments, {.bench = "storage",
                                  .metric = "backup_write_p99_us",
                                  .storage = "sqlite",
                                  .durability = "power_safe",
                                  .value = p.ours * 1e6,
                                  .unit = "us",
                                  .baseline = p.baseline * 1e6,
                                  .ratio = p.ratio,
                                  .spread = p.spread});
  bench::print_metric(arguments, {.bench = "storage",
                                  .metric = "backup_write_p99_ratio",
                                  .storage = "sqlite",
                                  .durability = "power_safe",
                                  .value = 1 / p.ratio,
                                  .unit = "ratio",
                                  .spread = p.spread});
  bench::print_metric(arguments, {.bench = "storage",
                                  .metric = "backup_mb_per_second",
                                  .storage = "sqlite",
                                  .value = static_cast<double>(last.bytes) / 1e6 / seconds,
                                  .unit = "mb_per_second"});
  RestoreOptions options;
  options.history = &office.storage();
  options.to_sequence = last.sequence;
  must(restore_backup(path + "-base", path + "-replayed", options));
  const auto beside = must(open_backup(path + "-beside"));
  const auto replayed = must(open_sqlite(file_at(path + "-replayed")));
  const auto differences =
      compare_digests(must(digest_office(*beside)), must(digest_office(*replayed)));
  for (const std::string& text : differences) std::fprintf(stderr, "%s\n", text.c_str());
  bench::print_metric(arguments, {.bench = "storage",
                                  .metric = "backup_identical",
                                  .storage = "sqlite",
                                  .value = differences.empty() ? 1.0 : 0.0,
                                  .unit = "boolean"});
}

/// `move_rows_per_second`: all rows of the office, from the call until they are read back and the
/// same.
inline void move(const bench::Arguments& arguments, Storage& from, std::shared_ptr<Storage> to,
                 std::string_view storage, double sync_us) {
  const double begun = bench::seconds_now();
  const MoveReport report = must(move_office(from, *to));
  const double seconds = bench::seconds_now() - begun;
  bench::print_metric(arguments, {.bench = "storage",
                                  .metric = "move_rows_per_second",
                                  .storage = storage,
                                  .durability = "power_safe",
                                  .value = static_cast<double>(report.office.rows()) / seconds,
                                  .unit = "per_second",
                                  .sync_us = sync_us});
}

}  // namespace copy_bench
