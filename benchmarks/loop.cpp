#include "loop.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace bench {

void give_up(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "benchmark: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(why.size()), why.data());
  std::exit(1);
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "bureau-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) give_up("scratch folder", pattern);
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ScratchFolder::file() { return path_ + "/office" + std::to_string(next_++) + ".db"; }

double measure_sync_us() {
  ScratchFolder folder;
  const int fd = ::open(folder.file().c_str(), O_RDWR | O_CREAT, 0600);
  if (fd < 0) give_up("sync", "cannot create a file");
  const std::string block(8192, 'x');
  std::vector<double> times;
  for (int i = 0; i < 300; ++i) {
    if (::pwrite(fd, block.data(), block.size(), (i % 64) * 8192) < 0) give_up("sync", "write");
    const double start = seconds_now();
    if (::fdatasync(fd) != 0) give_up("sync", "fdatasync");
    times.push_back((seconds_now() - start) * 1e6);
  }
  ::close(fd);
  std::nth_element(times.begin(), times.begin() + 150, times.end());
  return times[150];
}

namespace {
void check(sqlite3* db, int code, const char* what) {
  if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) {
    give_up(what, db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code));
  }
}
}  // namespace

LoopStatement::LoopStatement(sqlite3* db, const std::string& sql) {
  check(db,
        sqlite3_prepare_v3(db, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr),
        sql.c_str());
}
LoopStatement& LoopStatement::bind(int at, std::int64_t v) {
  sqlite3_bind_int64(statement_, at, v);
  return *this;
}
LoopStatement& LoopStatement::bind(int at, double v) {
  sqlite3_bind_double(statement_, at, v);
  return *this;
}
LoopStatement& LoopStatement::bind(int at, std::string_view v) {
  sqlite3_bind_text(statement_, at, v.data(), static_cast<int>(v.size()), SQLITE_STATIC);
  return *this;
}
LoopStatement& LoopStatement::bind_bytes(int at, std::string_view v) {
  sqlite3_bind_blob(statement_, at, v.data(), static_cast<int>(v.size()), SQLITE_STATIC);
  return *this;
}
LoopStatement& LoopStatement::bind_null(int at) {
  sqlite3_bind_null(statement_, at);
  return *this;
}
bool LoopStatement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  check(sqlite3_db_handle(statement_), code, sqlite3_sql(statement_));
  sqlite3_reset(statement_);
  return false;
}

Loop::Loop(const std::string& path, const std::string& like, bool power_safe) {
  check(nullptr,
        sqlite3_open_v2(path.c_str(), &db_,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr),
        "open");
  execute("PRAGMA journal_mode=WAL");
  execute(power_safe ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  execute("PRAGMA cache_size=-16384");
  execute("ATTACH '" + like + "' AS office");
  std::vector<std::string> statements;
  {
    LoopStatement ddl(db_,
                      "SELECT sql FROM office.sqlite_master WHERE sql IS NOT NULL "
                      "AND name NOT LIKE 'sqlite_%' ORDER BY type DESC");
    while (ddl.step()) {
      statements.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(ddl.raw(), 0)));
    }
  }
  execute("DETACH office");
  for (const std::string& sql : statements) execute(sql);
}

Loop::~Loop() { sqlite3_close_v2(db_); }

void Loop::execute(const std::string& sql) {
  check(db_, sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), sql.c_str());
}

std::string insert_sql(Loop& loop, const std::string& table) {
  LoopStatement count(loop.db(), "SELECT count(*) FROM pragma_table_info('" + table + "')");
  count.step();
  const int width = sqlite3_column_int(count.raw(), 0);
  std::string sql = "INSERT INTO \"" + table + "\" VALUES(";
  for (int i = 1; i <= width; ++i) sql += (i == 1 ? "?" : ",?") + std::to_string(i);
  return sql + ")";
}

void copy_table(Loop& loop, const std::string& office, const std::string& table) {
  loop.execute("ATTACH '" + office + "' AS office");
  loop.execute("INSERT INTO main.\"" + table + "\" SELECT * FROM office.\"" + table + "\"");
  loop.execute("DETACH office");
}

}  // namespace bench
