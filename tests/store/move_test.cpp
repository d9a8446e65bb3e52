// Moves from any storage to any other.

#include "bureau/store/move.hpp"

#include "bureau/store/memory_storage.hpp"
#include "store/small_office.hpp"
#include "store/sqlite_fixture.hpp"

using namespace bureau;
using small_office::Glance;
using small_office::Office;
using small_office::Parcel;
using small_office::rows_of;
using small_office::Stamp;

namespace {

std::shared_ptr<Storage> open_file(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  return must(open_sqlite(options));
}

Result<std::unique_ptr<Database>> try_open(std::shared_ptr<Storage> storage) {
  DatabaseOptions options;
  options.storage = std::move(storage);
  return Database::open(std::move(options));
}

/// Fails the write with that number, and all after it.
class BreaksAt final : public StorageWrapper {
 public:
  BreaksAt(std::shared_ptr<Storage> inner, int at) : StorageWrapper(std::move(inner)), left_(at) {}
  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    if (left_-- <= 0) return fail(Code::unavailable, "the way to it is cut");
    return StorageWrapper::write(options, closure);
  }
  [[nodiscard]] bool was_reached() const { return left_ < 0; }

 private:
  int left_;
};

void check_same(Storage& one, Storage& other) {
  for (const TableInfo* table : {&table_of<Parcel>(), &table_of<Stamp>(), &table_of<Glance>()}) {
    CHECK(rows_of(one, *table, false) == rows_of(other, *table, false));
  }
  CHECK(compare_digests(must(digest_office(one)), must(digest_office(other))).empty());
}

}  // namespace

TEST_CASE("an office moves from SQLite to memory and back, with its journal and all tables") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(40);
  const auto memory = make_memory_storage();
  const auto report = must(move_office(office.storage(), *memory));
  CHECK(report.moved == report.office.rows());
  CHECK(report.found == 0);
  CHECK(report.left_out == 0);
  CHECK(report.office.sequence == office.head());
  check_same(office.storage(), *memory);

  Office moved(memory, 5);
  CHECK(moved.head() == office.head());
  moved.make_history(5);
  CHECK(moved.head() > office.head());
  const auto back = open_file(folder.file("back.db"));
  must(move_office(*memory, *back));
  check_same(*memory, *back);
  Office home(back, 6);
  home.make_history(5);
  // What was sealed can still be read.
  std::int64_t named = 0;
  must(home.database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(home.database().read_journal(
        reader, 0, 1'000'000, [&](JournalRecord&& record) -> Result<bool> {
          for (const Change& change : record.changes()) {
            if (record.table().name == table_of<Parcel>().name && !change.after.empty() &&
                change.after[4].kind() == Value::Kind::text) {
              ++named;
            }
          }
          return true;
        }));
    return {};
  }));
  CHECK(named > 0);
}

TEST_CASE("a move that is cut off anywhere leaves no office, and goes on when it is called again") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(30);
  bool reached = true;
  int at = 0;
  for (; reached; ++at) {
    CAPTURE(at);
    const auto memory = make_memory_storage();
    const auto cut = std::make_shared<BreaksAt>(memory, at);
    const auto broken = move_office(office.storage(), *cut);
    reached = cut->was_reached();
    CHECK(broken.has_value() == !reached);
    if (!reached) break;
    // Before its first write nothing is there; after it, nobody opens what is.
    if (at > 0) {
      const auto opened = try_open(memory);
      REQUIRE_FALSE(opened);
      CHECK(opened.error().code == Code::unavailable);
      CHECK(opened.error().message.find("move") != std::string::npos);
      const auto onward = move_office(*memory, *make_memory_storage());
      REQUIRE_FALSE(onward);
      CHECK(onward.error().field == "from");
    }
    const auto report = must(move_office(office.storage(), *memory));
    CHECK(report.moved + report.found == report.office.rows());
    check_same(office.storage(), *memory);
    Office works(memory, 3);
    works.make_history(1);
  }
  CHECK(at > 10);
}

TEST_CASE("a move that goes on after its source has changed starts over") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(30);
  const auto memory = make_memory_storage();
  BreaksAt cut(memory, 8);
  REQUIRE_FALSE(move_office(office.storage(), cut));
  SUBCASE("in its journal") {
    office.make_history(3);
    CHECK(must(move_office(office.storage(), *memory)).found == 0);
  }
  SUBCASE("past its journal") {
    must(office.storage().write({}, [](Writer& writer) -> Result<void> {
      const TableInfo& table = table_of<Parcel>();
      Update update{{&table, {}}, {}};
      update.set = {{table.find("weight"), Value::integer(77)}};
      BUREAU_TRY_VOID(writer.update(update));
      return {};
    }));
    must(move_office(office.storage(), *memory));
  }
  SUBCASE("by request") {
    CHECK(must(move_office(office.storage(), *memory, {.start_over = true})).found == 0);
  }
  check_same(office.storage(), *memory);
}

TEST_CASE("a move writes over no office, and takes none from where there is none") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(5);
  const auto other = make_memory_storage();
  Office there(other);
  const auto onto = move_office(office.storage(), *other);
  REQUIRE_FALSE(onto);
  CHECK(onto.error().code == Code::exists);
  CHECK(onto.error().field == "to");
  const auto nothing = move_office(*make_memory_storage(), *make_memory_storage());
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code == Code::invalid);
  CHECK(nothing.error().field == "from");
}

TEST_CASE("what is written to the source while it moves is counted, and given up is given up") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(10);
  const std::int64_t head = office.head();
  bool wrote = false;
  MoveOptions options;
  options.progress = [&](const Progress& at) {
    CHECK(at.done <= at.all);
    if (!std::exchange(wrote, true)) office.add_parcels(3);
    return true;
  };
  const auto report = must(move_office(office.storage(), *make_memory_storage(), options));
  CHECK(report.left_out == 3);
  CHECK(report.office.sequence == head);
  options.progress = [](const Progress&) { return false; };
  const auto given_up = move_office(office.storage(), *make_memory_storage(), options);
  REQUIRE_FALSE(given_up);
  CHECK(given_up.error().code == Code::cancelled);
}

TEST_CASE("two offices that differ in one value, one row or one table are told apart") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(20);
  const auto copy = make_memory_storage();
  must(move_office(office.storage(), *copy));
  const OfficeDigest was = must(digest_office(*copy));
  const TableInfo& table = table_of<Parcel>();
  SUBCASE("a value") {
    must(copy->write({}, [&](Writer& writer) -> Result<void> {
      Update update{{&table, {}, {}, 1, {}, false}, {}};
      update.set = {{table.find("weight"), Value::integer(1), true}};
      BUREAU_TRY_VOID(writer.update(update));
      return {};
    }));
    const auto said = compare_digests(must(digest_office(*copy)), was);
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("small_parcels") != std::string::npos);
    CHECK(said[0].find("not the same") != std::string::npos);
  }
  SUBCASE("a row") {
    must(copy->write({}, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(writer.remove({&table, {}, {}, 1, {}, false},
                                    [](std::span<const Value>) -> Result<bool> { return true; }));
      return {};
    }));
    const auto said = compare_digests(was, must(digest_office(*copy)));
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("rows, and") != std::string::npos);
  }
}
