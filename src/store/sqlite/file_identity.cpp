#include "store/sqlite/file_identity.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "bureau/core/id.hpp"
#include "bureau/core/random.hpp"
#include "store/sqlite/failure.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

constexpr int homes = id::node_count / home_size;

Result<std::int64_t> meta(Connection& connection, std::string_view key) {
  return connection.query_integer(
      fmt::format("SELECT COALESCE((SELECT CAST(value AS INTEGER) FROM bureau_meta WHERE "
                  "key='{}'),-1)",
                  key),
      opening);
}

/// The blocks of all ancestors: as bits.
int draw_home(std::int64_t taken) {
  std::vector<int> free;
  for (int home = 0; home < homes; ++home) {
    if ((taken >> home & 1) == 0) free.push_back(home);
  }
  // After 32 generations of copies nothing is left that nobody had.
  if (free.empty()) return static_cast<int>(Random::system().below(homes));
  return free[Random::system().below(free.size())];
}

}  // namespace

static_assert(homes <= 62, "they are kept as bits of a number");

Result<FileIdentity> settle_identity(Connection& connection, bool first) {
  struct stat status {};
  if (::stat(connection.path().c_str(), &status) != 0) {
    return fail(system_error(errno, connection.path(), "looking at it"));
  }
  const auto device = static_cast<std::int64_t>(status.st_dev);
  const auto inode = static_cast<std::int64_t>(status.st_ino);
  FileIdentity identity;
  BUREAU_TRY(const std::int64_t home, meta(connection, "home"));
  BUREAU_TRY(const std::int64_t known_device, meta(connection, "device"));
  BUREAU_TRY(const std::int64_t known_inode, meta(connection, "inode"));
  BUREAU_TRY(const std::int64_t ancestors, meta(connection, "homes"));
  const bool named = home >= 0 && home < homes;
  const bool same = known_device == device && known_inode == inode;
  identity.home = named ? static_cast<int>(home) : 0;
  if (named && (same || !first)) return identity;
  const std::int64_t taken = std::max<std::int64_t>(ancestors, 0);
  identity.copied = named;
  identity.home = draw_home(taken);
  std::string sql = fmt::format(
      "BEGIN IMMEDIATE; INSERT OR REPLACE INTO bureau_meta VALUES('device','{}'),('inode','{}'),"
      "('home','{}'),('homes','{}');",
      device, inode, identity.home, taken | (std::int64_t{1} << identity.home));
  BUREAU_TRY(const std::int64_t has_nodes,
             connection.query_integer(
                 "SELECT COUNT(*) FROM sqlite_schema WHERE name='bureau_nodes'", opening));
  // From now on it changes, and is no backup any more.
  sql += "DELETE FROM bureau_meta WHERE key IN ('backup_sequence','backup_at');";
  if (identity.copied && has_nodes != 0) {
    sql += "UPDATE bureau_nodes SET generation=generation+1;";
  }
  sql += "COMMIT";
  auto written = connection.execute(sql, opening);
  if (!written && connection.in_transaction()) connection.run("ROLLBACK");
  BUREAU_TRY_VOID(std::move(written));
  return identity;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
