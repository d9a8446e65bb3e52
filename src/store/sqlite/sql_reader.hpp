#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Runs SQL that somebody wrote, on connections that were opened for reading only and ask a gate
/// (SQLite's authorizer) for each thing that a statement would touch. Thread-safe.
class SqlReader {
 public:
  explicit SqlReader(const SqliteOptions& options) : options_(options) {}
  Result<SqlSummary> run(const Catalog& catalog, const SqlQuery& query, SqlSink sink);

 private:
  Result<std::unique_ptr<Connection>> take();
  void give_back(std::unique_ptr<Connection> connection);

  SqliteOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> free_;
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
