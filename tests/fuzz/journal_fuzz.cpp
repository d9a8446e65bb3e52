#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/store/database.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/store/schema.hpp"
#include "fuzz_check.hpp"

// The body of a journal record: whatever it holds, it is read as changes or is corrupt.

namespace {

enum class Size { small, large };
struct Thing {
  bureau::Id<Thing> id;
  std::string name;
  std::optional<double> weight;
  Size size = Size::small;
  bool open = false;
  bureau::Json extra;
  std::string secret;
  std::string person;
};

}  // namespace

template <>
inline constexpr auto bureau::names<Size> = bureau::enum_names("small", "large");
template <>
inline constexpr auto bureau::schema<Thing> =
    bureau::table("things", "thi", bureau::journal::full, bureau::column("id", &Thing::id),
                  bureau::column("name", &Thing::name), bureau::column("weight", &Thing::weight),
                  bureau::column("size", &Thing::size), bureau::column("open", &Thing::open),
                  bureau::column("extra", &Thing::extra),
                  bureau::column("secret", &Thing::secret, bureau::secret),
                  bureau::column("person", &Thing::person, bureau::personal));

namespace {

/// An office with one record, whose body is replaced.
struct Office {
  Office() {
    bureau::DatabaseOptions options;
    options.storage = storage;
    options.clock = &clock;
    options.random = &random;
    FUZZ_CHECK(options.catalog.add(bureau::table_of<Thing>()).has_value());
    database = *bureau::Database::open(std::move(options));
    const auto written = database->write({}, {}, [](bureau::Transaction& t) {
      Thing thing;
      thing.id = bureau::Id<Thing>(1);
      thing.person = "Ann";
      bureau::detail::Scratch scratch;
      std::vector<bureau::Value> values(bureau::table_of<Thing>().width());
      bureau::to_values(thing, values, scratch);
      return t.insert(bureau::table_of<Thing>(), values);
    });
    FUZZ_CHECK(written.has_value());
  }
  bureau::ManualClock clock;
  bureau::SeededRandom random{1};
  std::shared_ptr<bureau::Storage> storage = bureau::make_memory_storage(clock);
  std::unique_ptr<bureau::Database> database;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Office office;
  if (size < 2 || size > 4096) return 0;
  const bureau::TableInfo& journal = *office.database->catalog().find("bureau_journal");
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  // The first byte says what kind of record it is.
  const auto replaced = office.storage->write({}, [&](bureau::Writer& writer) {
    bureau::Update update{{&journal}, {}};
    update.set = {{journal.find("kind"), bureau::Value::integer(data[0] % 4)},
                  {journal.find("body"), bureau::Value::bytes(body)}};
    return writer.update(update).map([](std::uint64_t) {});
  });
  FUZZ_CHECK(replaced.has_value());
  const auto read = office.database->read(
      bureau::Monotonic::never(), [&](bureau::Reader& reader) -> bureau::Result<void> {
        BUREAU_TRY_VOID(office.database->read_journal(
            reader, 0, 10, [](bureau::JournalRecord&& record) -> bureau::Result<bool> {
              for (const bureau::Change& change : record.changes()) {
                for (const auto image : {change.before, change.after}) {
                  if (!image.empty()) static_cast<void>(bureau::row_to_json(record.table(), image));
                }
              }
              return true;
            }));
        return {};
      });
  FUZZ_CHECK(read.has_value() || read.error().code == bureau::Code::corrupt);
  return 0;
}
