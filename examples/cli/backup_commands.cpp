// `bureau backup|restore|verify|move`: copies of a whole office, below the engine: they need no
// tenant and know no tables but those that are stored.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "bureau/store/backup.hpp"
#include "bureau/store/move.hpp"
#include "bureau/store/retention.hpp"
#include "bureau/store/verify.hpp"
#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

using ActOn = std::function<void(std::function<Result<void>()>)>;

struct CopyGiven {
  std::string file, other, history, moment;
  std::optional<std::int64_t> sequence;
  double share = BackupOptions{}.share;
  bool replace = false, check = false, start_over = false;
};

/// One line on a terminal that is written anew, at most ten times a second; and a call that ends
/// when somebody interrupts it.
class ProgressLine {
 public:
  explicit ProgressLine(std::string_view unit) : unit_(unit) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
  }
  [[nodiscard]] ProgressSink sink() {
    return [this](const Progress& at) {
      if (is_interrupted()) return false;
      show(at);
      return true;
    };
  }

 private:
  void show(const Progress& at) {
    const Monotonic now = Clock::system().monotonic();
    if (!terminal_ || (shown_ && now - last_ < std::chrono::milliseconds(100))) return;
    shown_ = true;
    last_ = now;
    fmt::print(stderr, "\r\x1b[K{}: {}", at.what, at.done);
    if (at.all > 0) fmt::print(stderr, " of {} {} ({} %)", at.all, unit_, at.done * 100 / at.all);
    std::fflush(stderr);
  }
  std::string_view unit_;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
  Monotonic last_{};
};

/// Where an office or a backup is.
Result<std::shared_ptr<Storage>> open_any(const std::string& place) {
  Settings settings;
  settings.office = place;
  if (!settings.on_server() && describe_backup(place)) return open_backup(place);
  return open_storage(settings, false);
}

Result<void> print_backup(const std::string& file, const BackupReport& made) {
  fmt::print("{}: through change {}, of {}, {} bytes\n", file, made.sequence, made.at.to_string(),
             made.bytes);
  return {};
}

Result<void> check_backup(const std::string& file, ProgressLine& line) {
  BUREAU_TRY(const auto backup, open_backup(file));
  BUREAU_TRY_VOID(backup->check_integrity());
  BUREAU_TRY(const OfficeDigest digest, digest_office(*backup, line.sink()));
  fmt::print("{}: whole, {} rows in {} tables\n", file, digest.rows(), digest.tables.size());
  return {};
}

Result<void> make_backup_of(const Settings& settings, const CopyGiven& given) {
  BUREAU_TRY(const auto storage, open_storage(settings, false));
  ProgressLine line("bytes");
  BackupOptions options;
  options.replace = given.replace;
  options.share = given.share;
  options.progress = line.sink();
  BUREAU_TRY(const BackupReport made, storage->back_up(given.file, options));
  BUREAU_TRY_VOID(print_backup(given.file, made));
  return given.check ? check_backup(given.file, line) : Result<void>();
}

/// The office whose file the restored one gets is its own history: a copy of it, since it must be
/// closed to make room.
class OwnHistory {
 public:
  OwnHistory() = default;
  OwnHistory(const OwnHistory&) = delete;
  OwnHistory& operator=(const OwnHistory&) = delete;
  ~OwnHistory() {
    std::error_code ignored;
    if (!file_.empty()) std::filesystem::remove(file_, ignored);
  }
  Result<std::string> copy(const Settings& settings) {
    BUREAU_TRY(const auto storage, open_storage(settings, false));
    BackupOptions options;
    options.replace = true;
    options.share = 1;
    const std::string file = settings.office + "-history";
    BUREAU_TRY_VOID(storage->back_up(file, options));
    file_ = file;
    return file_;
  }

 private:
  std::string file_;
};

Result<void> restore_office(const Settings& settings, const CopyGiven& given) {
  if (settings.on_server()) {
    return fail(Code::invalid,
                "--office: a backup is restored into a file; `bureau move` takes it to a server",
                "office");
  }
  ProgressLine line("done");
  RestoreOptions options;
  options.replace = given.replace;
  options.progress = line.sink();
  options.to_sequence = given.sequence;
  if (!given.moment.empty()) {
    BUREAU_TRY(options.to_moment, Timestamp::parse(given.moment));
  }
  OwnHistory own;
  std::string history = given.history;
  if (history.empty() && (options.to_sequence || options.to_moment)) {
    BUREAU_TRY(history, own.copy(settings));
  }
  std::shared_ptr<Storage> journal;
  if (!history.empty()) {
    BUREAU_TRY(journal, open_any(history));
    options.history = journal.get();
  }
  BUREAU_TRY(const RestoreReport made, restore_backup(given.file, settings.office, options));
  fmt::print("{}: through change {}", settings.office, made.sequence);
  if (options.history != nullptr) fmt::print(", {} of them replayed", made.replayed);
  fmt::print("\n");
  if (made.erased_since > 0) {
    fmt::print(stderr,
               "bureau: {} persons were erased since that backup; their rows are as they were "
               "then: erase them again\n",
               made.erased_since);
  }
  if (!made.put_aside.empty()) {
    fmt::print(stderr, "bureau: the office that was there is now {}\n", made.put_aside);
  }
  return {};
}

void print_digest(const OfficeDigest& digest, Format format) {
  RowPrinter printer(format, {"table", "rows", "checksum"});
  for (const TableDigest& one : digest.tables) {
    printer.add(
        {one.table, std::to_string(one.rows), one.checksum},
        Json::object({{"table", one.table}, {"rows", one.rows}, {"checksum", one.checksum}}));
  }
  printer.finish();
}

Result<void> say_differences(const std::vector<std::string>& differences, const std::string& one,
                             const std::string& other) {
  for (const std::string& text : differences) fmt::print(stderr, "bureau: {}\n", text);
  if (differences.empty()) {
    fmt::print(stderr, "bureau: {} and {} are the same\n", one, other);
    return {};
  }
  return fail(Code::conflict,
              fmt::format("{} and {} differ in {} tables", one, other, differences.size()));
}

/// Restores the backup to a file of its own, compares, and takes that away.
Result<void> try_restore(const std::string& backup, const OfficeDigest& digest,
                         ProgressLine& line) {
  const std::string file = backup + "-trial";
  RestoreOptions options;
  options.progress = line.sink();
  BUREAU_TRY_VOID(restore_backup(backup, file, options));
  Settings settings;
  settings.office = file;
  Result<std::vector<std::string>> differences = std::vector<std::string>();
  {
    auto storage = open_storage(settings, false);
    if (!storage) return fail(std::move(storage).error());
    differences = digest_office(**storage, line.sink()).map([&](const OfficeDigest& restored) {
      return compare_digests(digest, restored);
    });
  }
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm", "-lock", "-nodes", "-wake"}) {
    std::filesystem::remove(file + suffix, ignored);
  }
  BUREAU_TRY(const auto found, std::move(differences));
  return say_differences(found, backup, "what was restored of it");
}

Result<void> verify_office(const Settings& settings, const CopyGiven& given, Format format) {
  Settings at = settings;
  if (!given.file.empty()) at.office = given.file;
  if (given.check && !describe_backup(at.office)) {
    return fail(Code::invalid, fmt::format("{}: only a backup is restored for a trial", at.place()),
                "restore");
  }
  BUREAU_TRY(const auto storage, open_any(at.office));
  BUREAU_TRY_VOID(storage->check_integrity());
  ProgressLine line("rows");
  BUREAU_TRY(const OfficeDigest digest, digest_office(*storage, line.sink()));
  print_digest(digest, format);
  if (given.check) BUREAU_TRY_VOID(try_restore(at.office, digest, line));
  if (given.other.empty()) return {};
  Settings against;
  against.office = given.other;
  BUREAU_TRY(const auto other, open_any(given.other));
  BUREAU_TRY(const OfficeDigest theirs, digest_office(*other, line.sink()));
  return say_differences(compare_digests(digest, theirs), at.place(), against.place());
}

Result<void> move_from_to(const CopyGiven& given) {
  Settings from, to;
  from.office = given.file;
  to.office = given.other;
  if (from.office == to.office) return fail(Code::invalid, "to: it is the same as from", "to");
  BUREAU_TRY(const auto source, open_any(from.office));
  BUREAU_TRY(const auto target, open_storage(to, true));
  MoveReport moved;
  {
    ProgressLine line("rows");
    MoveOptions options;
    options.start_over = given.start_over;
    options.progress = line.sink();
    BUREAU_TRY(moved, move_office(*source, *target, options));
  }
  fmt::print("{}: {} rows in {} tables, through change {}; all were read back and are the same\n",
             to.place(), moved.office.rows(), moved.office.tables.size(), moved.office.sequence);
  if (moved.found > 0) {
    fmt::print(stderr, "bureau: {} of them were there from a move that was cut off\n", moved.found);
  }
  if (moved.left_out > 0) {
    fmt::print(stderr,
               "bureau: {} changes were made in {} meanwhile and did not move; stop what works "
               "there and move anew\n",
               moved.left_out, from.place());
  }
  return {};
}

Result<void> trim_journal(const Office& office, int days) {
  Database& database = office.engine->database();
  const Timestamp moment = database.clock().now() - std::chrono::hours(24) * days;
  BUREAU_TRY(const std::uint64_t removed, trim_journal_before(database, moment));
  std::int64_t oldest = 0;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(oldest, database.journal_tail(reader));
    return {};
  }));
  fmt::print("{} records removed; the oldest change is now {}\n", removed, oldest);
  return {};
}

}  // namespace

void add_backup_commands(CLI::App& app, const InOffice& in_office, const Settings& settings,
                         const ActOn& act) {
  auto given = std::make_shared<CopyGiven>();
  const auto does = [act, &settings](auto call) {
    return [act, &settings, call] {
      act([&settings, call]() -> Result<void> {
        BUREAU_TRY_VOID(refuse_as(!settings.as.empty()));
        return call();
      });
    };
  };
  auto* backup = app.add_subcommand("backup", "copy the office into one file while it works");
  backup->add_option("FILE", given->file, "the backup")->required();
  backup->add_flag("--replace", given->replace, "a backup of that name may go");
  backup
      ->add_option("--share", given->share,
                   "of the time that it copies, so that writers keep the disk")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1.0));
  backup->add_flag("--verify", given->check, "read it back");
  backup->callback(does([given, &settings] { return make_backup_of(settings, *given); }));

  auto* restore = app.add_subcommand("restore", "make the office of a backup");
  restore->add_option("BACKUP", given->file, "the backup")->required();
  restore->add_flag("--replace", given->replace, "an office that is there is put aside");
  restore->add_option("--history", given->history,
                      "an office or a later backup whose journal goes on where the backup ends; "
                      "else, with the options below, the office that is there");
  auto* sequence = restore->add_option("--to-sequence", given->sequence, "through this change");
  restore
      ->add_option("--to-moment", given->moment,
                   "through this moment, such as 2026-03-29T12:00:00Z")
      ->excludes(sequence);
  restore->callback(does([given, &settings] { return restore_office(settings, *given); }));

  auto format = std::make_shared<Format>(Format::table);
  auto* verify = app.add_subcommand("verify", "look for damage; count and sum up every table");
  verify->add_option("PLACE", given->file, "a backup or an office; else that of --office");
  verify->add_option("--against", given->other, "another that should be the same");
  verify->add_flag("--restore", given->check,
                   "restore the backup to a file beside it, and compare");
  add_format_option(*verify, *format);
  verify->callback(
      does([given, format, &settings] { return verify_office(settings, *given, *format); }));

  auto* move = app.add_subcommand("move", "copy a whole office to another storage");
  move->add_option("FROM", given->file, "an office or a backup: a file, or a URL")->required();
  move->add_option("TO", given->other, "an empty place: a file, or a URL")->required();
  move->add_flag("--start-over", given->start_over,
                 "take away first what a move that was cut off has left");
  move->callback(does([given] { return move_from_to(*given); }));

  auto* journal = app.add_subcommand("journal", "the record of every change");
  journal->require_subcommand(1);
  auto* trim = journal->add_subcommand("trim", "forget changes that are older than some days");
  auto days = std::make_shared<int>(static_cast<int>(journal_retention / std::chrono::hours(24)));
  trim->add_option("--days", *days, "how far back a recovery is to reach")
      ->capture_default_str()
      ->check(CLI::Range(0, 36'500));
  trim->callback(
      for_whole_office(in_office)([days](Office& office) { return trim_journal(office, *days); }));
}

}  // namespace cli
