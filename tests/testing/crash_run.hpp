#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "raw_sqlite.hpp"

namespace raw {

/// What a run does when a sync fails: goes on with the connections that it has; closes them without
/// a checkpoint and opens others, which recover from the WAL; or also, in between, writes the WAL's
/// bytes over themselves and syncs them.
enum class AfterFailedSync { go_on, reopen, rewrite_and_reopen };

/// How a run treats its disk, and how the disk treats it.
struct CrashSettings {
  std::string synchronous = "FULL";
  bool lying_syncs = false;
  /// Processes are killed; else the power is cut.
  bool kill = false;
  /// Syncs, writes, and others fail now and then.
  bool faults = false;
  bureau::testing::FailedSync failed_sync = bureau::testing::FailedSync::random;
  AfterFailedSync after_failed_sync = AfterFailedSync::go_on;
  std::uint32_t sector_size = 4096;
  bool powersafe_overwrite = true;
};

/// What was wrong when the database was opened again; empty texts when nothing was.
struct CrashFindings {
  int ends = 0;           ///< power cuts or kills
  std::string lost = {};  ///< an acknowledged transaction is not there, or half of another is
  std::string corrupt = {};
  int unknown_kept = 0;  ///< times that an unacknowledged transaction turned out to be there
  std::uint64_t faults = 0;

  [[nodiscard]] bool clean() const { return lost.empty() && corrupt.empty(); }
};

/// Random transactions, rollbacks, checkpoints, readers and reopenings on one database, through
/// several ends of the machine; after each the database is compared with what was acknowledged.
class CrashRun {
 public:
  CrashRun(std::uint64_t seed, const CrashSettings& settings)
      : settings_(settings),
        random_(seed),
        vfs_({.seed = seed,
              .sector_size = settings.sector_size,
              .powersafe_overwrite = settings.powersafe_overwrite}) {
    vfs_.set_lying_syncs(settings.lying_syncs);
  }

  CrashFindings run() {
    const auto lives = 1 + below(4);
    for (std::uint64_t i = 0; i < lives && findings_.clean(); ++i) {
      live();
      end();
      inspect();
    }
    findings_.faults = vfs_.faults();
    return findings_;
  }

 private:
  using FaultVfs = bureau::testing::FaultVfs;

  struct Reader {
    std::unique_ptr<Connection> connection;
    bool open = false;
    Rows seen = {};
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void connect() {
    writer_ = std::make_unique<Connection>(vfs_);
    writer_->run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=10");
    writer_->run("PRAGMA synchronous=" + settings_.synchronous);
    if (writer_->run("CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v TEXT)") == SQLITE_OK) {
      has_table_ = true;
    }
  }

  void live() {
    // Short and long lives: the end may come while the database is being made.
    plan_end(below(1ULL << below(12)));
    connect();
    if (settings_.faults) plan_faults();
    for (int i = 0; i < 300 && !vfs_.is_down() && findings_.clean(); ++i) {
      const auto what = below(20);
      if (what < 13) {
        transact();
      } else if (what < 16) {
        checkpoint();
      } else if (what < 19) {
        read();
      } else if (!settings_.faults) {
        reopen();
      }
    }
    // The end may be after the last transaction.
    readers_.clear();
    writer_.reset();
  }

  void plan_end(std::uint64_t steps) {
    settings_.kill ? vfs_.kill_after(steps) : vfs_.cut_power_after(steps);
  }

  /// Now and then, brings the end into the next few steps: a commit or a checkpoint.
  void aim_end() {
    if (!vfs_.is_down() && below(30) == 0) plan_end(below(6));
  }

  void plan_faults() {
    using bureau::testing::DiskFault;
    using bureau::testing::DiskOperation;
    static constexpr DiskOperation operations[] = {DiskOperation::sync, DiskOperation::write,
                                                   DiskOperation::read, DiskOperation::truncate,
                                                   DiskOperation::shm_lock};
    static constexpr DiskFault faults[] = {DiskFault::io_error, DiskFault::disk_full,
                                           DiskFault::partial_write};
    vfs_.heal();
    for (int i = 0; i < 6; ++i) {
      vfs_.fail({.operation = i < 3 ? DiskOperation::sync : operations[below(5)],
                 .fault = faults[below(3)],
                 .failed_sync = settings_.failed_sync,
                 .after = below(60),
                 .times = 1 + below(2)});
    }
  }

  void transact() {
    auto after = acknowledged_;
    int result = writer_->run("BEGIN IMMEDIATE");
    const auto changes = 1 + below(8);
    for (std::uint64_t i = 0; i < changes && result == SQLITE_OK; ++i) result = change(after);
    if (result == SQLITE_OK && below(10) == 0) {
      writer_->run("ROLLBACK");
    } else if (result == SQLITE_OK) {
      aim_end();
      result = writer_->run("COMMIT");
      if (result == SQLITE_OK) {
        // One that changed nothing wrote nothing over what an earlier one may have left.
        if (after != acknowledged_) possible_.clear();
        acknowledged_ = std::move(after);
        return;
      }
      // Only a failed sync, or the machine's end, leaves it open whether it will be there.
      if (vfs_.is_down() || sqlite3_extended_errcode(writer_->get()) == SQLITE_IOERR_FSYNC) {
        possible_.push_back(std::move(after));
      }
      if (mistrusts_disk()) return;
    }
    if (!sqlite3_get_autocommit(writer_->get())) writer_->run("ROLLBACK");
    if (result == SQLITE_OK || vfs_.is_down()) return;
    Rows now;
    if (writer_->read(now) == SQLITE_OK && now != acknowledged_) {
      findings_.lost = "a transaction that failed is not undone";
    }
  }

  int change(Rows& rows) {
    const auto key = static_cast<std::int64_t>(below(200));
    const auto name = std::to_string(key);
    if (below(4) == 0) {
      rows.erase(key);
      return writer_->run("DELETE FROM t WHERE k = " + name);
    }
    // Large ones leave the cache before the commit.
    const auto length = below(10) == 0 ? below(20'000) : below(200);
    auto value = std::to_string(++versions_) + std::string(length, 'x');
    const auto sql = "INSERT OR REPLACE INTO t VALUES(" + name + ", '" + value + "')";
    rows[key] = std::move(value);
    return writer_->run(sql);
  }

  void checkpoint() {
    aim_end();
    static constexpr const char* modes[] = {"PASSIVE", "FULL", "RESTART", "TRUNCATE"};
    writer_->run("PRAGMA wal_checkpoint(" + std::string(modes[below(4)]) + ")");
    mistrusts_disk();
  }

  /// After a failed sync, starts over from the disk if the run is to. Returns whether it did.
  bool mistrusts_disk() {
    if (settings_.after_failed_sync == AfterFailedSync::go_on || vfs_.is_down() ||
        sqlite3_extended_errcode(writer_->get()) != SQLITE_IOERR_FSYNC) {
      return false;
    }
    for (auto& reader : readers_) reader.connection->leave_wal();
    readers_.clear();
    writer_->leave_wal();
    writer_.reset();
    if (settings_.after_failed_sync == AfterFailedSync::rewrite_and_reopen) {
      while (!vfs_.is_down() && !rewrite_wal(vfs_)) {
      }
    }
    // What was found decides; but finding out may fail in its turn.
    Rows found;
    do {
      connect();
    } while (!vfs_.is_down() && writer_->read(found) != SQLITE_OK);
    if (!vfs_.is_down()) accept(std::move(found));
    return true;
  }

  void read() {
    if (readers_.size() < 2) readers_.push_back({std::make_unique<Connection>(vfs_)});
    auto& reader = readers_[below(readers_.size())];
    Rows now;
    if (!reader.open) {
      reader.open = reader.connection->run("BEGIN") == SQLITE_OK &&
                    reader.connection->read(reader.seen) == SQLITE_OK;
      if (reader.open && reader.seen != acknowledged_) findings_.lost = "a reader sees else";
      if (reader.open) return;
    } else if (reader.connection->read(now) == SQLITE_OK && now != reader.seen) {
      findings_.lost = "a reader's rows changed within its transaction";
    }
    reader.connection->run("ROLLBACK");
    reader.open = false;
  }

  void reopen() {
    readers_.clear();
    writer_.reset();
    connect();
  }

  void end() {
    vfs_.heal();
    ++findings_.ends;
    if (settings_.kill) {
      vfs_.restart();
    } else {
      vfs_.restore_power(static_cast<bureau::testing::PowerLoss>(below(5)), random_());
    }
  }

  void inspect() {
    Connection db(vfs_);
    const auto tables = db.ask("SELECT count(*) FROM sqlite_schema");
    Rows found;
    if (tables == "0" && has_table_) {
      findings_.lost = "the table is gone";
      has_table_ = false;
    } else if (tables == "1") {
      if (db.read(found) != SQLITE_OK) findings_.corrupt = db.error();
    } else if (tables != "0") {
      findings_.corrupt = tables;
    }
    const auto integrity = db.ask("PRAGMA integrity_check");
    if (integrity != "ok") findings_.corrupt = integrity;
    if (!findings_.clean()) return;
    accept(std::move(found));
  }

  /// What was found must be what was acknowledged, or one transaction more.
  void accept(Rows found) {
    if (found != acknowledged_) {
      if (std::find(possible_.begin(), possible_.end(), found) == possible_.end()) {
        findings_.lost = std::to_string(found.size()) + " rows found, " +
                         std::to_string(acknowledged_.size()) + " acknowledged";
      }
      ++findings_.unknown_kept;
    }
    acknowledged_ = std::move(found);
    possible_.clear();
  }

  CrashSettings settings_;
  std::mt19937_64 random_;
  FaultVfs vfs_;
  std::unique_ptr<Connection> writer_;
  std::vector<Reader> readers_;
  bool has_table_ = false;
  std::uint64_t versions_ = 0;
  Rows acknowledged_;
  /// What transactions whose commit failed would have left, since the last that was acknowledged.
  std::vector<Rows> possible_;
  CrashFindings findings_;
};

}  // namespace raw
