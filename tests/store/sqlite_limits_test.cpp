// What predicates may be as large as, SQLite's parser takes; beyond, the error says what is too
// large.

#include <doctest/doctest.h>

#include "bureau/store/memory_storage.hpp"
#include "store/sqlite_fixture.hpp"

using namespace bureau;
using sample::Item;

namespace {

/// How many items match, or the error.
Result<std::size_t> count(Storage& storage, const Predicate& where) {
  std::size_t rows = 0;
  BUREAU_TRY_VOID(storage.read(Monotonic::never(), [&](Reader& reader) {
    rows = 0;
    return reader.scan(Select{&table_of<Item>(), where},
                       [&](std::span<const Value>) -> Result<bool> {
                         ++rows;
                         return true;
                       });
  }));
  return rows;
}

Predicate read(const std::string& text) {
  const auto predicate = Predicate::parse(table_of<Item>(), text, &fixture::catalog());
  REQUIRE_MESSAGE(predicate, predicate.error().message);
  return *predicate;
}

}  // namespace

TEST_CASE("a predicate of as many levels as a text may have is read by SQLite's parser") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  std::string both = "count = 1", nots = "count = 1";
  for (int i = 0; i < 16; ++i) {
    both = "(count = 1 and (count = 2 or " + both + "))";
    nots = "not (count = 1 and " + nots + ")";
  }
  for (const std::string& text : {both, nots}) {
    const auto found = count(*storage, read(text));
    if (!found) FAIL(text, ": ", found.error().message);
  }
}

TEST_CASE("a query too deep for SQLite is exhausted, not a defect") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  Predicate deep = col(&Item::open) == true;
  for (int i = 0; i < 500; ++i) deep = !(deep && col(&Item::open) == true);
  const auto found = count(*storage, deep);
  REQUIRE_FALSE(found);
  CHECK(found.error().code == Code::exhausted);
  CHECK(found.error().message.find("nested too deeply") != std::string::npos);
}

TEST_CASE("a path into JSON has at most 64 members, on every storage") {
  std::string path = "custom";
  for (int i = 0; i < 64; ++i) path += ".a";
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  CHECK(count(*storage, read(path + " = 1")) == 0U);
  const auto refused = Predicate::parse(table_of<Item>(), path + ".a = 1", &fixture::catalog());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("at most 64") != std::string::npos);
}
