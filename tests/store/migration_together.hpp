#pragma once

// Two versions of a program at work on one office at the same time, each with a storage of its own,
// as two processes have.

#include <atomic>
#include <thread>

#include "store/migration_suite.hpp"

namespace migration_suite {

/// The older program writes all the time, while the newer one migrates and then writes too.
inline void together(const Place& place, int writes) {
  const auto theirs = place.open();
  const auto ours = place.open();
  auto one = std::make_unique<Program>(version_1(), theirs);
  constexpr std::int64_t rows = 40;
  std::map<std::int64_t, std::int64_t> sizes;
  for (std::int64_t id = 1; id <= rows; ++id) {
    must(one->insert(id, {{"name", text("row " + std::to_string(id))}, {"size", number(id)}}));
    sizes[id] = id;
  }
  std::atomic<std::int64_t> inserted{rows};
  std::map<std::int64_t, std::int64_t> written;
  std::vector<std::string> failures;
  std::thread older([&] {
    for (int i = 0; i < writes; ++i) {
      const std::int64_t id = 1 + i % (rows / 2);
      const auto set = one->set(id, "size", number(1000 + i));
      if (set) written[id] = 1000 + i;
      if (!set) failures.push_back(to_string(set.error()));
      const std::int64_t next = inserted + 1;
      const auto made = one->insert(next, {{"name", text("row " + std::to_string(next))}});
      if (made) ++inserted;
      if (!made) failures.push_back(to_string(made.error()));
    }
  });
  must(migrator_of(version_2(), ours).up());
  Program two(version_2(), ours, OnOpen::refuse);
  for (int i = 0; i < writes; ++i) {
    const std::int64_t id = rows / 2 + 1 + i % (rows / 2);
    must(two.set(id, "length", number(2000 + i)));
    sizes[id] = 2000 + i;
  }
  older.join();
  for (const std::string& failure : failures) FAIL_CHECK(failure);
  for (const auto& [id, size] : written) sizes[id] = size;

  const auto seen_old = one->rows();
  const auto seen_new = two.rows();
  REQUIRE(static_cast<std::int64_t>(seen_old.size()) == inserted.load());
  REQUIRE(seen_new.size() == seen_old.size());
  for (const auto& [id, row] : seen_new) {
    CHECK(row.at("title") == text("row " + std::to_string(id)));
    CHECK(row.at("title") == seen_old.at(id).at("name"));
    CHECK(row.at("length") == seen_old.at(id).at("size"));
    CHECK(row.at("site") == text("hall"));
    if (sizes.count(id) > 0) CHECK(row.at("length") == number(sizes.at(id)));
    if (id <= rows) CHECK(row.at("label") == text("row"));
  }

  // What the journal has of the older program's rows, as the newer one reads it.
  std::map<std::int64_t, OwnedValue> lengths, titles;
  must(two.database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    lengths.clear();
    std::int64_t after = 0;
    for (;;) {
      BUREAU_TRY(const std::int64_t through,
                 two.database().read_journal(
                     reader, after, 100, [&](JournalRecord&& record) -> Result<bool> {
                       for (const Change& change : record.changes()) {
                         const std::int64_t id = change.after[0].as_integer();
                         const TableInfo& table = *version_2().table;
                         lengths[id] = OwnedValue(change.after[table.find("length")->index]);
                         titles[id] = OwnedValue(change.after[table.find("title")->index]);
                       }
                       return true;
                     }));
      if (through == after) return {};
      after = through;
    }
  }));
  for (const auto& [id, row] : seen_new) {
    CHECK(lengths.at(id) == row.at("length"));
    CHECK(titles.at(id) == row.at("title"));
  }

  Migrator second = migrator_of(version_2(), ours);
  CHECK(second.finalize(losing()).error().field == "node");
  one.reset();
  must(second.finalize(losing()));
  for (const auto& [id, row] : two.rows()) CHECK(row.at("label") == text("row"));
  CHECK(Program::try_open(version_1(), theirs).error().code == Code::upgraded);
}

/// A program of the version before that was open when all was finalized, and had not written yet.
inline void latecomer(const Place& place) {
  const auto theirs = place.open();
  const auto ours = place.open();
  { Program one(version_1(), theirs); }
  Program one(version_1(), theirs);  // holds no place yet
  must(migrator_of(version_2(), ours).up());
  must(migrator_of(version_2(), ours).finalize(losing()));
  const auto refused = one.insert(1, {{"name", text("late")}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::upgraded);
  Program two(version_2(), ours);
  CHECK(two.rows().empty());
}

}  // namespace migration_suite
