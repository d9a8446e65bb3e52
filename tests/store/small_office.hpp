#pragma once

// A little office for the tests of backups, moves and recovery: tables with every kind of journal,
// a history that a seed makes, and its rows as a model.

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "basics.hpp"
#include "bureau/core/clock.hpp"
#include "bureau/core/random.hpp"
#include "bureau/store/database.hpp"
#include "bureau/store/schema.hpp"

namespace small_office {

using namespace bureau;

enum class Grade { low, high };
struct Parcel {
  Id<Parcel> id;
  std::int64_t weight = 0;
  std::string label;
  std::string code;    ///< secret
  std::string sender;  ///< personal
  std::optional<double> price;
  std::optional<Bytes> seal;
  Grade grade = Grade::low;
};
struct Stamp {
  Id<Stamp> id;
  std::int64_t value = 0;
  std::optional<std::string> note;
};
struct Glance {
  Id<Glance> id;
  std::int64_t seen = 0;
};

}  // namespace small_office

template <>
inline constexpr auto bureau::names<small_office::Grade> = bureau::enum_names("low", "high");
template <>
inline constexpr auto bureau::schema<small_office::Parcel> = bureau::table(
    "small_parcels", "spa", bureau::journal::full, bureau::column("id", &small_office::Parcel::id),
    bureau::column("weight", &small_office::Parcel::weight),
    bureau::column("label", &small_office::Parcel::label, bureau::folded),
    bureau::column("code", &small_office::Parcel::code, bureau::secret),
    bureau::column("sender", &small_office::Parcel::sender, bureau::personal),
    bureau::column("price", &small_office::Parcel::price),
    bureau::column("seal", &small_office::Parcel::seal),
    bureau::column("grade", &small_office::Parcel::grade),
    bureau::index("by_weight", "weight").where("grade = \"high\""));
template <>
inline constexpr auto bureau::schema<small_office::Stamp> = bureau::table(
    "small_stamps", "sst", bureau::journal::after, bureau::column("id", &small_office::Stamp::id),
    bureau::column("value", &small_office::Stamp::value),
    bureau::column("note", &small_office::Stamp::note));
template <>
inline constexpr auto bureau::schema<small_office::Glance> = bureau::table(
    "small_glances", "sgl", bureau::journal::none, bureau::column("id", &small_office::Glance::id),
    bureau::column("seen", &small_office::Glance::seen));

namespace small_office {

template <class T>
void check_refused(const Result<T>& result, Code code, std::string_view field,
                   std::string_view text) {
  REQUIRE_FALSE(result);
  CAPTURE(result.error().message);
  CHECK(result.error().code == code);
  CHECK(result.error().field == field);
  CHECK(result.error().message.find(text) != std::string::npos);
}

/// All rows of a table by id, printed: what two offices are compared by.
using Texts = std::map<std::int64_t, std::string>;

inline std::string printed(const TableInfo& table, std::span<const Value> row,
                           bool without_secret) {
  std::string text;
  for (const ColumnInfo& column : table.columns) {
    if (without_secret && column.secret) continue;
    const Value& value = row[column.index];
    text += std::string(column.name) + "=";
    text += value.is_null() ? "null"
            : value.kind() == Value::Kind::text || value.kind() == Value::Kind::bytes
                ? std::string(value.as_text())
            : value.kind() == Value::Kind::real ? std::to_string(value.as_real())
                                                : std::to_string(value.as_integer());
    text += ";";
  }
  return text;
}

inline Texts rows_of(Storage& storage, const TableInfo& table, bool without_secret = true) {
  Texts rows;
  must(storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    rows.clear();
    return reader.scan({&table, {}, {}, {}, {}, false},
                       [&](std::span<const Value> row) -> Result<bool> {
                         rows[row[0].as_integer()] = printed(table, row, without_secret);
                         return true;
                       });
  }));
  return rows;
}

class Office {
 public:
  explicit Office(std::shared_ptr<Storage> storage, std::uint64_t seed = 11)
      : storage_(std::move(storage)), random_(seed) {
    DatabaseOptions options;
    options.storage = storage_;
    options.clock = &clock;
    options.random = &random_;
    must(options.catalog.add(table_of<Parcel>()));
    must(options.catalog.add(table_of<Stamp>()));
    must(options.catalog.add(table_of<Glance>()));
    database_ = must(Database::open(std::move(options)));
  }

  [[nodiscard]] Database& database() { return *database_; }
  [[nodiscard]] Storage& storage() { return *storage_; }

  std::int64_t head() {
    std::int64_t out = 0;
    must(database_->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(out, database_->journal_head(reader));
      return {};
    }));
    return out;
  }

  template <Entity T>
  static Result<void> insert(Transaction& t, const T& row) {
    std::vector<Value> values(table_of<T>().width());
    detail::Scratch scratch;
    to_values(row, values, scratch);
    return t.insert(table_of<T>(), values);
  }

  Result<void> write(FunctionRef<Result<void>(Transaction&)> closure) {
    clock.advance(std::chrono::milliseconds(10));
    return database_->write({}, {}, closure);
  }

  void add_parcels(int count) {
    must(write([&](Transaction& t) -> Result<void> {
      for (int i = 0; i < count; ++i) BUREAU_TRY_VOID(add_parcel(t));
      return {};
    }));
  }

  /// One write of a few changes, drawn from the seed.
  void make_history(int writes) {
    for (int i = 0; i < writes; ++i) {
      must(write([&](Transaction& t) -> Result<void> {
        const std::uint64_t changes = 1 + random_.below(3);
        for (std::uint64_t k = 0; k < changes; ++k) BUREAU_TRY_VOID(change(t));
        return {};
      }));
    }
  }

  ManualClock clock;
  bool counts_ids = false;  ///< ids are 1, 2, 3: the same in two offices

 private:
  Result<std::int64_t> new_id(Transaction& t) { return counts_ids ? ++last_id_ : t.next_id(); }

  Result<void> add_parcel(Transaction& t) {
    Parcel parcel;
    BUREAU_TRY(const auto id, new_id(t));
    parcel.id = Id<Parcel>(id);
    parcel.weight = static_cast<std::int64_t>(random_.below(100));
    parcel.label = "Box " + std::to_string(random_.below(1000));
    parcel.code = "code " + std::to_string(random_.below(1000));
    parcel.sender = "person " + std::to_string(random_.below(1000));
    if (random_.below(2) == 0) parcel.price = static_cast<double>(random_.below(1000)) / 8;
    if (random_.below(3) == 0) parcel.seal = Bytes{std::string("\0\x01z", 3)};
    parcel.grade = random_.below(2) == 0 ? Grade::low : Grade::high;
    return insert(t, parcel);
  }

  Result<void> change(Transaction& t) {
    const auto few = static_cast<std::int64_t>(random_.below(60));
    switch (random_.below(7)) {
      case 0:
      case 1:
        return add_parcel(t);
      case 2: {
        Update update{{&table_of<Parcel>(), col(&Parcel::weight) > few}, {}};
        update.set = {{table_of<Parcel>().find("weight"), Value::integer(-1), true},
                      {table_of<Parcel>().find("sender"), Value::text("somebody else")},
                      {table_of<Parcel>().find("code"), Value::text("another code")}};
        BUREAU_TRY_VOID(t.update(update));
        return {};
      }
      case 3: {
        BUREAU_TRY_VOID(t.remove({&table_of<Parcel>(), col(&Parcel::weight) == few}));
        return {};
      }
      case 4: {
        Stamp stamp;
        BUREAU_TRY(const auto id, new_id(t));
        stamp.id = Id<Stamp>(id);
        stamp.value = few;
        return insert(t, stamp);
      }
      case 5: {
        Update update{{&table_of<Stamp>(), col(&Stamp::value) < few}, {}};
        update.set = {{table_of<Stamp>().find("note"), Value::text("seen")},
                      {table_of<Stamp>().find("value"), Value::integer(3), true}};
        BUREAU_TRY_VOID(t.update(update));
        return {};
      }
      default: {
        Glance glance;
        BUREAU_TRY(const auto id, new_id(t));
        glance.id = Id<Glance>(id);
        return insert(t, glance);
      }
    }
  }

  std::shared_ptr<Storage> storage_;
  SeededRandom random_;
  std::int64_t last_id_ = 0;
  std::unique_ptr<Database> database_;
};

}  // namespace small_office
