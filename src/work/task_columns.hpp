#pragma once

// What all parts of the queue write rows of tasks with.

#include "bureau/store/database.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The columns that the queue writes, looked up once.
struct TaskColumns {
  const TableInfo& table = table_of<Task>();
  const ColumnInfo* status = table.find("status");
  const ColumnInfo* node = table.find("node");
  const ColumnInfo* generation = table.find("generation");
  const ColumnInfo* attempt = table.find("attempt");
  const ColumnInfo* failures = table.find("failures");
  const ColumnInfo* agent = table.find("agent");
  const ColumnInfo* started_at = table.find("started_at");
  const ColumnInfo* finished_at = table.find("finished_at");
  const ColumnInfo* updated_at = table.find("updated_at");
  const ColumnInfo* version = table.find("version");
  const ColumnInfo* result = table.find("result");
  const ColumnInfo* error = table.find("error");
  const ColumnInfo* error_code = table.find("error_code");
  const ColumnInfo* run_at = table.find("run_at");
  const ColumnInfo* rank = table.find("rank");
  const ColumnInfo* progress = table.find("progress");
  const ColumnInfo* progress_note = table.find("progress_note");
  const ColumnInfo* cancel_requested = table.find("cancel_requested");
  const ColumnInfo* parent = table.find("parent");
  const ColumnInfo* awaited = table.find("awaited");
  const ColumnInfo* pending = table.find("pending");
  const ColumnInfo* gate = table.find("gate");
  const ColumnInfo* tenant = table.find("tenant");
  const ColumnInfo* flow_key = table.find("flow_key");
};
inline const TaskColumns& columns() {
  static const TaskColumns c;
  return c;
}

inline Assignment set(const ColumnInfo* column, std::int64_t value) {
  return {column, Value::integer(value), false};
}
inline Assignment set(const ColumnInfo* column, TaskStatus status) {
  return set(column, static_cast<std::int64_t>(status));
}
inline Assignment set(const ColumnInfo* column, Gate gate) {
  return set(column, static_cast<std::int64_t>(gate));
}
inline Assignment add(const ColumnInfo* column, std::int64_t value) {
  return {column, Value::integer(value), true};
}

/// The row while this lease holds: what every commit of a worker is fenced by.
inline Predicate leased(Id<Task> id, std::int64_t attempt, const Database::Node& node) {
  return col(&Task::id) == id && col(&Task::attempt) == attempt &&
         col(&Task::status) == TaskStatus::running && col(&Task::node) == node.number &&
         col(&Task::generation) == node.generation;
}

inline WriteOptions portable(CodeLocation where = CodeLocation::current()) {
  WriteOptions options;
  options.where = where;
  options.portable = true;
  return options;
}

/// For leases and what else is liveness: a machine without power holds none.
inline WriteOptions liveness(CodeLocation where = CodeLocation::current()) {
  WriteOptions options = portable(where);
  options.may_be_lost = true;
  return options;
}

inline const Attribution by_system{};

}  // namespace detail
BUREAU_END_NAMESPACE
