#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/testing/exercise_storage.hpp"
#include "testing/exercise/tables.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

using Ids = std::vector<std::int64_t>;
using Rows = std::vector<std::vector<OwnedValue>>;

/// What a check stands on: a fresh storage that has the tables.
struct Bench {
  std::shared_ptr<Storage> storage;
  const StorageFactory& factory;
  const ExerciseOptions& options;
  Clock& clock;

  /// A write without options.
  [[nodiscard]] Result<void> write(WriteClosure closure) const;
  [[nodiscard]] Result<void> read(ReadClosure closure) const;
  [[nodiscard]] Result<Ids> ids(const Select& select) const;
  [[nodiscard]] Monotonic soon(Duration duration) const { return clock.monotonic() + duration; }
};

// A check is a function that returns its first complaint. Code::cancelled stands for "skipped".
using CheckFunction = Result<void> (*)(Bench&);
struct CheckEntry {
  std::string_view name;
  CheckFunction function;
};
[[nodiscard]] std::vector<CheckEntry> migration_checks();
[[nodiscard]] std::vector<CheckEntry> alteration_checks();
[[nodiscard]] std::vector<CheckEntry> row_checks();
[[nodiscard]] std::vector<CheckEntry> query_checks();
[[nodiscard]] std::vector<CheckEntry> page_checks();
[[nodiscard]] std::vector<CheckEntry> write_checks();
[[nodiscard]] std::vector<CheckEntry> transaction_checks();
[[nodiscard]] std::vector<CheckEntry> together_checks();
[[nodiscard]] std::vector<CheckEntry> batch_checks();
[[nodiscard]] std::vector<CheckEntry> thread_checks();
[[nodiscard]] std::vector<CheckEntry> life_checks();
[[nodiscard]] std::vector<CheckEntry> generated_checks();

[[nodiscard]] tl::unexpected<Error> wrong(std::string message);
[[nodiscard]] tl::unexpected<Error> skip(std::string reason);
[[nodiscard]] Result<void> expect(bool holds, std::string_view what);
[[nodiscard]] Result<void> expect_ids(const Result<Ids>& got, const Ids& want,
                                      std::string_view what);
[[nodiscard]] Result<void> expect_number(std::int64_t got, std::int64_t want,
                                         std::string_view what);
/// The call failed, and with one of these codes; the field too, when it is given.
[[nodiscard]] Result<void> expect_error(const Error* error, std::initializer_list<Code> codes,
                                        std::string_view what, std::string_view field = {});
template <class T>
[[nodiscard]] Result<void> expect_error(const Result<T>& got, std::initializer_list<Code> codes,
                                        std::string_view what, std::string_view field = {}) {
  return expect_error(got ? nullptr : &got.error(), codes, what, field);
}

/// Counts the hints of commits.
class Heard {
 public:
  void add();
  [[nodiscard]] int count() const;
  /// Waits for ten seconds.
  [[nodiscard]] Result<void> expect_more_than(int before, const Bench& bench,
                                              std::string_view what);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

/// Every row of a select, copied.
[[nodiscard]] Result<Rows> rows_of(Reader& reader, const Select& select);
[[nodiscard]] Result<Ids> ids_of(Reader& reader, const Select& select);
[[nodiscard]] std::string shown(const Ids& ids);
[[nodiscard]] std::string shown(const std::vector<OwnedValue>& row);
[[nodiscard]] std::vector<Value> views(const std::vector<OwnedValue>& row);

template <Entity T>
[[nodiscard]] std::vector<OwnedValue> values_of(const T& entity) {
  std::vector<Value> row(table_of<T>().width());
  detail::Scratch scratch;
  to_values(entity, row, scratch);
  return {row.begin(), row.end()};
}

/// Several entities in one statement.
template <Entity T>
[[nodiscard]] Result<void> insert(Writer& writer, const std::vector<T>& entities) {
  const std::size_t width = table_of<T>().width();
  std::vector<Value> rows(entities.size() * width);
  detail::Scratch scratch;
  for (std::size_t i = 0; i < entities.size(); ++i)
    to_values(entities[i], std::span(rows).subspan(i * width, width), scratch);
  return writer.insert(table_of<T>(), rows);
}
template <Entity T>
[[nodiscard]] Result<void> insert(Writer& writer, const T& entity) {
  return insert(writer, std::vector<T>{entity});
}

[[nodiscard]] inline OwnedValue number(std::int64_t i) { return OwnedValue(Value::integer(i)); }
[[nodiscard]] inline OwnedValue text(std::string_view t) { return OwnedValue(Value::text(t)); }

/// An item with that id and all else as it comes.
[[nodiscard]] Item item(std::int64_t id, std::string subject = {});
[[nodiscard]] Counter counter(std::int64_t id, std::int64_t added = 0);
[[nodiscard]] Crew crew(std::int64_t id, std::string name);

[[nodiscard]] const Catalog& catalog();
/// A predicate over items from its text. An error of ours when it does not parse.
[[nodiscard]] Result<Select> items_where(std::string_view text);

inline RowSink ignore_rows() {
  static const auto sink = [](std::span<const Value>) -> Result<bool> { return true; };
  return sink;
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
