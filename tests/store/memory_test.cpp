// What only memory storage promises; all else is in exercise_storage.

#include <doctest/doctest.h>

#include <stdexcept>
#include <thread>

#include "bureau/store/memory_storage.hpp"
#include "store/sample.hpp"

using bureau::Code;
using bureau::ManualClock;
using bureau::Monotonic;
using bureau::Reader;
using bureau::Result;
using bureau::Writer;
using sample::Crew;

namespace {

std::shared_ptr<bureau::Storage> open(bureau::Clock& clock) {
  auto storage = bureau::make_memory_storage(clock);
  bureau::Catalog catalog;
  REQUIRE(catalog.add(bureau::table_of<Crew>()));
  REQUIRE(storage->migrate(catalog));
  return storage;
}

Result<void> add(Writer& writer, std::int64_t id, const std::string& name) {
  Crew crew;
  crew.id = bureau::Id<Crew>(id);
  crew.name = name;
  std::vector<bureau::Value> row(bureau::table_of<Crew>().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(crew, row, scratch);
  return writer.insert(bureau::table_of<Crew>(), row);
}

std::size_t rows(bureau::Storage& storage) {
  std::size_t count = 0;
  CHECK(storage.read(Monotonic::never(), [&](Reader& reader) {
    return reader.scan(bureau::select<Crew>(), [&](auto) -> Result<bool> {
      ++count;
      return true;
    });
  }));
  return count;
}

}  // namespace

TEST_CASE("calls within calls on one thread are errors, never deadlocks") {
  ManualClock clock;
  const auto storage = open(clock);
  const auto nothing = [](auto&) -> Result<void> { return {}; };
  CHECK(storage->write({}, [&](Writer&) -> Result<void> {
    CHECK(storage->write({}, nothing).error().code == Code::invalid);
    CHECK(storage->read(Monotonic::never(), nothing).error().code == Code::invalid);
    return {};
  }));
  CHECK(storage->read(Monotonic::never(), [&](Reader&) -> Result<void> {
    CHECK(storage->write({}, nothing).error().code == Code::invalid);
    CHECK(storage->read(Monotonic::never(), nothing));
    return {};
  }));
  CHECK(storage->write({}, nothing));
}

TEST_CASE("an exception in a closure is an error, and undoes what the closure did") {
  ManualClock clock;
  const auto storage = open(clock);
  const auto failed = storage->write({}, [&](Writer& writer) -> Result<void> {
    REQUIRE(add(writer, 1, "a"));
    throw std::runtime_error("oops");
  });
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Code::internal);
  CHECK(failed.error().message.find("oops") != std::string::npos);
  CHECK(rows(*storage) == 0);
  CHECK(storage->write({}, [&](Writer& writer) { return add(writer, 1, "a"); }));
}

TEST_CASE("deadlines are the injected clock's") {
  ManualClock clock;
  const auto storage = open(clock);
  const Monotonic soon = clock.monotonic() + std::chrono::seconds(1);
  bool waited = false;
  CHECK(storage->read(Monotonic::never(), [&](Reader&) -> Result<void> {
    std::thread writer([&] {
      bureau::WriteOptions options;
      options.deadline = soon;
      const auto late = storage->write(options, [](Writer&) -> Result<void> { return {}; });
      REQUIRE_FALSE(late);
      CHECK(late.error().code == Code::deadline);
      waited = true;
    });
    while (clock.waiting() == 0) std::this_thread::yield();
    clock.advance(std::chrono::seconds(2));
    writer.join();
    return {};
  }));
  CHECK(waited);
  // A statement after the deadline fails too.
  const auto late = storage->read(soon, [](Reader& reader) {
    return reader.scan(bureau::select<Crew>(), [](auto) -> Result<bool> { return true; });
  });
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Code::deadline);
}
