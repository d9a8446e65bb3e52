#pragma once

#include <set>

#include "bureau/core/function_ref.hpp"
#include "bureau/store/predicate.hpp"
#include "store/postgres/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

// Tables by month (TableInfo::by_month) are partitioned by ranges of ids, which hold the time of
// their issue: a partition for each month of the UTC calendar, made ahead, and a default one for
// rows of months that have none, so that no row is ever refused. Nothing that is done here makes a
// writer wait longer than `patience`: whoever cannot have a lock by then leaves it for later.

/// Behind CREATE TABLE, and the statement that makes the default partition. `table` and `name` are
/// the table's, with its schema in quotes and as it is.
inline constexpr std::string_view by_range_of_ids = " PARTITION BY RANGE (\"id\")";
[[nodiscard]] std::string default_partition(std::string_view schema, std::string_view table);

/// The table that a partition is of, by its name; the name itself when it is none.
[[nodiscard]] std::string_view partitioned_name(std::string_view name);

/// What one connection does about them. No transaction is open between calls.
class Months {
 public:
  Months(Connection& connection, const Clock& clock, Monotonic deadline)
      : connection_(connection), clock_(clock), deadline_(deadline) {}

  /// Makes the partitions of this month and the two after it, and of the months of rows in a
  /// default partition, which move. Several processes may call at a time: one does it. Returns the
  /// tables that are partitioned.
  Result<std::set<std::string>> make();
  /// Storage::drop_months().
  Result<std::uint64_t> drop(const TableInfo& table, std::int64_t below, const Predicate& going);

 private:
  struct Part {
    std::string table, name;
    std::optional<std::int64_t> from, to;  ///< none: unbounded, or the default
    bool is_default = false;
  };
  struct Month {
    std::string suffix;  ///< of the partition's name
    std::int64_t from = 0, to = 0;
  };
  static Month month_of(Timestamp moment);
  static bool meets(const Part& part, const Month& month);
  [[nodiscard]] std::vector<Month> months_from_now() const;
  Result<Answers> ask(std::string_view text, std::vector<Parameter> parameters = {});
  Result<void> in_transaction(FunctionRef<Result<void>()> work);
  Result<void> alone(FunctionRef<Result<void>()> work);
  Result<std::vector<Part>> parts(std::string_view table);
  Result<std::optional<std::int64_t>> first_of_default(const std::string& table);
  Result<void> make(const std::string& table, const std::vector<Month>& ahead);
  Result<bool> make(const std::string& table, const Month& month, std::vector<Part>& known);
  Result<void> attach(const std::string& table, const Month& month);
  Result<void> drop(const Part& part, const Predicate& going, std::uint64_t& rows);
  [[nodiscard]] std::string in_schema(std::string_view name) const;

  Connection& connection_;
  const Clock& clock_;
  Monotonic deadline_;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
