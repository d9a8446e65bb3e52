#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// What went wrong in an exchange with the server.
struct Failure {
  enum class Kind {
    server,  ///< it answered with an error
    lost,    ///< the connection is gone, whatever the server said last
    late,    ///< the deadline passed; the statement was cancelled
    client,  ///< nothing was sent: libpq would not
  };
  Kind kind = Kind::server;
  std::string state;  ///< SQLSTATE, or empty
  std::string message;
  std::string table, constraint;

  /// The transaction was undone because of another one: it can be run again.
  [[nodiscard]] bool is_conflict() const;
  /// Of a write: the server takes none.
  [[nodiscard]] bool is_read_only() const;
};

/// What was being done, for the words of an error and its field.
struct Doing {
  std::string_view what;                         ///< "an insert"
  const TableInfo* table = nullptr;              ///< whose unique indexes may be broken
  std::vector<const ColumnInfo*> added_to = {};  ///< columns whose sums may not fit
};

/// The failure as one of bureau's errors. `where` names the database, without a password.
[[nodiscard]] Error to_error(const Failure& failure, std::string_view where, const Doing& doing);

/// A sum of that column that a 64-bit integer cannot hold.
[[nodiscard]] Error does_not_fit(const ColumnInfo& column);

/// Errors after which a transaction cannot be relied upon, whatever the closure makes of them.
[[nodiscard]] bool dooms(Code code);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
