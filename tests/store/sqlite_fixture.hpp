#pragma once

// What the tests of the SQLite storage share: a folder that goes away, a file with the sample
// tables, rows in and out.

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "basics.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "store/sample.hpp"

namespace fixture {

using bureau::Result;

inline const bureau::Catalog& catalog() {
  static const bureau::Catalog made = [] {
    bureau::Catalog c;
    REQUIRE(c.add(bureau::table_of<sample::Crew>()));
    REQUIRE(c.add(bureau::table_of<sample::Item>()));
    return c;
  }();
  return made;
}

inline std::shared_ptr<bureau::Storage> open(bureau::SqliteOptions options) {
  auto storage = bureau::open_sqlite(std::move(options));
  REQUIRE_MESSAGE(storage, storage.error().message);
  const auto migrated = (*storage)->migrate(catalog());
  REQUIRE_MESSAGE(migrated, migrated.error().message);
  return *storage;
}
inline std::shared_ptr<bureau::Storage> open(const std::string& path) {
  bureau::SqliteOptions options;
  options.path = path;
  return open(options);
}

template <class T>
Result<void> insert(bureau::Writer& writer, const T& row) {
  std::vector<bureau::Value> values(bureau::table_of<T>().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(row, values, scratch);
  return writer.insert(bureau::table_of<T>(), values);
}

inline Result<void> add_crew(bureau::Writer& writer, std::int64_t id, const std::string& name) {
  sample::Crew crew;
  crew.id = bureau::Id<sample::Crew>(id);
  crew.name = name;
  return insert(writer, crew);
}
inline Result<void> add_crew(bureau::Storage& storage, std::int64_t id, const std::string& name,
                             bureau::WriteOptions options = {}) {
  return storage.write(options, [&](bureau::Writer& writer) { return add_crew(writer, id, name); });
}

template <class T>
std::vector<T> all(bureau::Storage& storage, const bureau::Select& select) {
  std::vector<T> rows;
  const auto done = storage.read(bureau::Monotonic::never(), [&](bureau::Reader& reader) {
    rows.clear();
    return reader.scan(select, [&](std::span<const bureau::Value> values) -> Result<bool> {
      bureau::from_values(values, rows.emplace_back());
      return true;
    });
  });
  CHECK_MESSAGE(done, (done ? std::string() : done.error().message));
  return rows;
}

inline std::vector<std::int64_t> crew_ids(bureau::Storage& storage) {
  std::vector<std::int64_t> ids;
  for (const auto& crew : all<sample::Crew>(storage, bureau::select<sample::Crew>()))
    ids.push_back(crew.id.value);
  return ids;
}

inline bool has_crew(bureau::Storage& storage, std::int64_t id) {
  bool found = false;
  const auto done = storage.read(bureau::Monotonic::never(), [&](bureau::Reader& reader) {
    auto answer = reader.find(bureau::table_of<sample::Crew>(), id,
                              [](std::span<const bureau::Value>) -> Result<bool> { return true; });
    found = answer && *answer;
    return answer ? Result<void>() : Result<void>(bureau::fail(answer.error()));
  });
  CHECK_MESSAGE(done, (done ? std::string() : done.error().message));
  return found;
}

/// The code of a failure; `internal` never fails a check by accident, so ask for another.
template <class T>
std::string code_of(const Result<T>& result) {
  return result ? "success" : std::string(bureau::to_string(result.error().code));
}

}  // namespace fixture
