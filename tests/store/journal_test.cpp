#include <doctest/doctest.h>

#include <string>

#include "basics.hpp"
#include "bureau/store/database.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/store/schema.hpp"

using namespace bureau;

namespace journal_sample {

struct Parcel {
  Id<Parcel> id;
  std::int64_t weight = 0;
  std::string label;
  std::string code;    ///< secret
  std::string sender;  ///< personal
  std::optional<double> price;
};
/// The same table as an earlier program had it: fewer columns, one of another type.
struct OldParcel {
  Id<OldParcel> id;
  std::int64_t weight = 0;
  std::string label;
};
/// And as one had it that kept no values before.
struct BriefParcel {
  Id<BriefParcel> id;
  std::int64_t weight = 0;
  std::string label;
};
struct Stamp {
  Id<Stamp> id;
  std::int64_t value = 0;
};

}  // namespace journal_sample
using namespace journal_sample;

template <>
inline constexpr auto bureau::schema<Parcel> = bureau::table(
    "parcels", "par", bureau::journal::full, bureau::column("id", &Parcel::id),
    bureau::column("weight", &Parcel::weight), bureau::column("label", &Parcel::label),
    bureau::column("code", &Parcel::code, bureau::secret),
    bureau::column("sender", &Parcel::sender, bureau::personal, bureau::folded),
    bureau::column("price", &Parcel::price));
template <>
inline constexpr auto bureau::schema<OldParcel> = bureau::table(
    "parcels", "par", bureau::journal::full, bureau::column("id", &OldParcel::id),
    bureau::column("weight", &OldParcel::weight), bureau::column("label", &OldParcel::label));
template <>
inline constexpr auto bureau::schema<BriefParcel> = bureau::table(
    "parcels", "par", bureau::journal::after, bureau::column("id", &BriefParcel::id),
    bureau::column("weight", &BriefParcel::weight), bureau::column("label", &BriefParcel::label));
template <>
inline constexpr auto bureau::schema<Stamp> = bureau::table("stamps", "sta", bureau::journal::after,
                                                            bureau::column("id", &Stamp::id),
                                                            bureau::column("value", &Stamp::value));

namespace {

struct Books {
  explicit Books(std::vector<const TableInfo*> tables = {&table_of<Parcel>(), &table_of<Stamp>()},
                 std::shared_ptr<Storage> given = {}) {
    storage = given ? std::move(given) : make_memory_storage(clock);
    DatabaseOptions options;
    options.storage = storage;
    options.clock = &clock;
    options.random = &random;
    for (const TableInfo* table : tables) must(options.catalog.add(*table));
    database = must(Database::open(std::move(options)));
  }
  void write(FunctionRef<Result<void>(Transaction&)> closure) {
    must(database->write({}, {7, 8, 9}, closure));
  }
  template <Entity T>
  Result<void> insert(Transaction& t, std::vector<T> rows) {
    std::vector<Value> values(rows.size() * table_of<T>().width());
    detail::Scratch scratch;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      to_values(rows[i],
                std::span(values).subspan(i * table_of<T>().width(), table_of<T>().width()),
                scratch);
    }
    return t.insert(table_of<T>(), values);
  }
  std::vector<JournalRecord> records(std::int64_t after = 0) {
    std::vector<JournalRecord> out;
    must(database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY_VOID(
          database->read_journal(reader, after, 1'000'000, [&](JournalRecord&& r) -> Result<bool> {
            out.push_back(std::move(r));
            return true;
          }));
      return {};
    }));
    return out;
  }
  Error refused(std::int64_t after) {
    auto result = database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY_VOID(database->read_journal(reader, after, 100,
                                             [](JournalRecord&&) -> Result<bool> { return true; }));
      return {};
    });
    REQUIRE(!result);
    return result.error();
  }
  std::int64_t end(bool last) {
    std::int64_t out = 0;
    must(database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(out, last ? database->journal_head(reader) : database->journal_tail(reader));
      return {};
    }));
    return out;
  }

  ManualClock clock;
  SeededRandom random{11};
  std::shared_ptr<Storage> storage;
  std::unique_ptr<Database> database;
};

Parcel parcel(std::int64_t id, std::string label = "box") {
  Parcel p;
  p.id = Id<Parcel>(id);
  p.label = std::move(label);
  return p;
}
template <Entity T>
T row(std::span<const Value> values) {
  T out;
  from_values(values, out);
  return out;
}

}  // namespace

TEST_CASE("changes are numbered densely, in order; one statement is one record") {
  Books books;
  CHECK(books.end(true) == 0);
  CHECK(books.end(false) == 1);
  books.write([&](Transaction& t) -> Result<void> {
    BUREAU_TRY_VOID(books.insert<Parcel>(t, {parcel(1), parcel(2), parcel(3)}));
    Update update{{&table_of<Parcel>(), col(&Parcel::id) >= Id<Parcel>(2)}, {}};
    update.set = {{table_of<Parcel>().find("weight"), Value::integer(5), true}};
    BUREAU_TRY_VOID(t.update(update));
    BUREAU_TRY_VOID(t.remove({&table_of<Parcel>(), col(&Parcel::id) == Id<Parcel>(1)}));
    return books.insert<Stamp>(t, {{Id<Stamp>(1), 4}});
  });
  const auto records = books.records();
  REQUIRE(records.size() == 4);
  std::int64_t expected = 0;
  for (const auto& record : records) {
    CHECK(record.tenant() == 7);
    CHECK(record.actor() == 8);
    CHECK(record.task() == 9);
    CHECK(record.at() == books.clock.now());
    for (const Change& change : record.changes()) CHECK(change.sequence == ++expected);
  }
  CHECK(expected == 7);
  CHECK(books.end(true) == 7);
  CHECK(records[0].changes().size() == 3);
  CHECK(records[1].changes().size() == 2);
  const Change& update = records[1].changes()[0];
  CHECK(update.kind == ChangeKind::update);
  CHECK(row<Parcel>(update.before).weight == 0);
  CHECK(row<Parcel>(update.after).weight == 5);
  REQUIRE(update.changed.size() == 1);
  CHECK(update.changed[0] == table_of<Parcel>().find("weight")->index);
  CHECK(records[2].changes()[0].kind == ChangeKind::remove);
  CHECK(row<Parcel>(records[2].changes()[0].before).id == Id<Parcel>(1));
  CHECK(records[2].changes()[0].after.empty());
}

TEST_CASE("reading from the middle of a record gives the rest of it") {
  Books books;
  books.write([&](Transaction& t) {
    return books.insert<Parcel>(t, {parcel(1), parcel(2), parcel(3)});
  });
  const auto records = books.records(2);
  REQUIRE(records.size() == 1);
  CHECK(records[0].first_sequence() == 3);
  CHECK(row<Parcel>(records[0].changes()[0].after).id == Id<Parcel>(3));
  CHECK(books.records(3).empty());
}

TEST_CASE("a write that fails leaves no change and no gap") {
  Books books;
  books.write([&](Transaction& t) { return books.insert<Parcel>(t, {parcel(1)}); });
  const auto failed = books.database->write({}, {}, [&](Transaction& t) -> Result<void> {
    BUREAU_TRY_VOID(books.insert<Parcel>(t, {parcel(2)}));
    return fail(Code::cancelled, "no");
  });
  CHECK(!failed);
  books.write([&](Transaction& t) { return books.insert<Parcel>(t, {parcel(3)}); });
  const auto records = books.records();
  REQUIRE(records.size() == 2);
  CHECK(records[1].first_sequence() == 2);
}

TEST_CASE("a record of many rows is cut, so that nobody must hold much at a time") {
  Books books;
  books.write([&](Transaction& t) {
    std::vector<Parcel> many;
    for (int i = 1; i <= 500; ++i) many.push_back(parcel(i, std::string(4'000, 'x')));
    return books.insert<Parcel>(t, many);
  });
  const auto records = books.records();
  CHECK(records.size() > 4);
  std::int64_t next = 0;
  for (const auto& record : records) {
    for (const Change& change : record.changes()) {
      CHECK(change.sequence == ++next);
      CHECK(row<Parcel>(change.after).id.value == next);
    }
  }
  CHECK(next == 500);
}

TEST_CASE("of a secret column the journal says that it changed, and nothing else") {
  Books books;
  Parcel p = parcel(1);
  p.code = "open sesame";
  books.write([&](Transaction& t) { return books.insert<Parcel>(t, {p}); });
  books.write([&](Transaction& t) -> Result<void> {
    Update update{{&table_of<Parcel>(), {}}, {}};
    update.set = {{table_of<Parcel>().find("code"), Value::text("other")}};
    BUREAU_TRY_VOID(t.update(update));
    return {};
  });
  const std::size_t code = table_of<Parcel>().find("code")->index;
  const auto records = books.records();
  CHECK(records[0].changes()[0].after[code].is_null());
  const Change& change = records[1].changes()[0];
  CHECK(change.after[code].is_null());
  CHECK(change.before[code].is_null());
  REQUIRE(change.changed.size() == 1);
  CHECK(change.changed[0] == code);
  // Not in the stored bytes either.
  must(books.storage->read(Monotonic::never(), [&](Reader& reader) {
    const TableInfo* journal = books.database->catalog().find("bureau_journal");
    return reader.scan({journal}, [&](std::span<const Value> stored) -> Result<bool> {
      CHECK(stored.back().as_text().find("sesame") == std::string_view::npos);
      return true;
    });
  }));
}

TEST_CASE("erasing a person's history keeps its structure and takes its values, everywhere") {
  Books books;
  // Another process on the same storage, which has the key in use.
  Books other({&table_of<Parcel>(), &table_of<Stamp>()}, books.storage);
  Parcel p = parcel(5);
  p.sender = "Ann Smith";
  books.write([&](Transaction& t) { return books.insert<Parcel>(t, {p}); });
  const std::size_t sender = table_of<Parcel>().find("sender")->index;
  CHECK(row<Parcel>(other.records()[0].changes()[0].after).sender == "Ann Smith");
  must(books.storage->read(Monotonic::never(), [&](Reader& reader) {
    const TableInfo* journal = books.database->catalog().find("bureau_journal");
    return reader.scan({journal}, [&](std::span<const Value> stored) -> Result<bool> {
      CHECK(stored.back().as_text().find("Smith") == std::string_view::npos);
      CHECK(stored.back().as_text().find("smith") == std::string_view::npos);  // folded
      return true;
    });
  }));
  must(books.database->erase_personal_history(5));
  for (Books* b : {&books, &other}) {
    const auto records = b->records();
    REQUIRE(records.size() == 1);
    const Change& change = records[0].changes()[0];
    CHECK(change.after[sender].is_null());
    CHECK(row<Parcel>(change.after).label == "box");
    // What is written of the person later is not kept either.
  }
  other.write([&](Transaction& t) -> Result<void> {
    Update update{{&table_of<Parcel>(), {}}, {}};
    update.set = {{table_of<Parcel>().find("sender"), Value::text("Ann S.")}};
    BUREAU_TRY_VOID(t.update(update));
    return {};
  });
  CHECK(books.records().back().changes()[0].after[sender].is_null());
  CHECK(other.records().back().changes()[0].changed.size() == 1);
}

TEST_CASE("records of an earlier shape read as rows of today's") {
  Books old({&table_of<OldParcel>()});
  old.write([&](Transaction& t) -> Result<void> {
    BUREAU_TRY_VOID(old.insert<OldParcel>(t, {{Id<OldParcel>(1), 3, "crate"}}));
    Update update{{&table_of<OldParcel>(), {}}, {}};
    update.set = {{table_of<OldParcel>().find("label"), Value::text("barrel")}};
    BUREAU_TRY_VOID(t.update(update));
    return {};
  });
  Books today({&table_of<Parcel>(), &table_of<Stamp>()}, old.storage);
  const auto records = today.records();
  REQUIRE(records.size() == 2);
  const Change& update = records[1].changes()[0];
  CHECK(row<Parcel>(update.before).label == "crate");
  CHECK(row<Parcel>(update.after).label == "barrel");
  CHECK(row<Parcel>(update.after).weight == 3);
  CHECK(update.after[table_of<Parcel>().find("price")->index].is_null());
  // And the other way: a program that does not know a table passes over its records.
  today.write([&](Transaction& t) { return today.insert<Stamp>(t, {{Id<Stamp>(1), 1}}); });
  Books without({&table_of<Parcel>()}, old.storage);
  CHECK(without.records().size() == 2);
  must(without.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const auto through,
               without.database->read_journal(
                   reader, 0, 100, [](JournalRecord&&) -> Result<bool> { return true; }));
    CHECK(through == 3);
    return {};
  }));
}

TEST_CASE("records from before the journal kept values before still read") {
  Books brief({&table_of<BriefParcel>()});
  brief.write([&](Transaction& t) -> Result<void> {
    BUREAU_TRY_VOID(brief.insert<BriefParcel>(t, {{Id<BriefParcel>(1), 3, "crate"}}));
    Update update{{&table_of<BriefParcel>(), {}}, {}};
    update.set = {{table_of<BriefParcel>().find("label"), Value::text("barrel")}};
    BUREAU_TRY_VOID(t.update(update));
    return {};
  });
  Books full({&table_of<OldParcel>()}, brief.storage);
  const auto records = full.records();
  REQUIRE(records.size() == 2);
  CHECK(records[1].changes()[0].before.empty());
  CHECK(row<OldParcel>(records[1].changes()[0].after).label == "barrel");
}

TEST_CASE("what was trimmed is gone, and numbers never start again") {
  Books books;
  for (int i = 1; i <= 5; ++i) {
    books.write([&](Transaction& t) { return books.insert<Parcel>(t, {parcel(i)}); });
  }
  CHECK(must(books.database->trim_journal(2)) == 2);
  CHECK(books.end(false) == 3);
  CHECK(books.refused(1).code == Code::gone);
  CHECK(books.records(2).size() == 3);
  CHECK(must(books.database->trim_journal(1'000'000)) == 2);  // the newest stays
  CHECK(books.end(false) == 5);
  books.write([&](Transaction& t) { return books.insert<Parcel>(t, {parcel(6)}); });
  CHECK(books.end(true) == 6);
  Books again({&table_of<Parcel>(), &table_of<Stamp>()}, books.storage);
  again.write([&](Transaction& t) { return again.insert<Parcel>(t, {parcel(7)}); });
  CHECK(again.end(true) == 7);
  CHECK(must(books.database->trim_journal(0)) == 0);
}

TEST_CASE("a damaged record is corrupt and never a crash") {
  Books books;
  Parcel p = parcel(1);
  p.sender = "Ann";
  p.price = 2.5;
  books.write([&](Transaction& t) -> Result<void> {
    BUREAU_TRY_VOID(books.insert<Parcel>(t, {p, parcel(2)}));
    Update update{{&table_of<Parcel>(), {}}, {}};
    update.set = {{table_of<Parcel>().find("weight"), Value::integer(5)}};
    BUREAU_TRY_VOID(t.update(update));
    return {};
  });
  const TableInfo& journal = *books.database->catalog().find("bureau_journal");
  std::vector<std::string> bodies;
  must(books.storage->read(Monotonic::never(), [&](Reader& reader) {
    return reader.scan({&journal}, [&](std::span<const Value> stored) -> Result<bool> {
      bodies.emplace_back(stored.back().as_text());
      return true;
    });
  }));
  const auto replace = [&](std::int64_t id, std::string_view column, const Value& value) {
    must(books.storage->write({}, [&](Writer& writer) -> Result<void> {
      Update update{{&journal, detail::compare_column(journal.columns[0], Predicate::Op::equal,
                                                      {OwnedValue(Value::integer(id))})},
                    {}};
      update.set = {{journal.find(column), value}};
      BUREAU_TRY_VOID(writer.update(update));
      return {};
    }));
  };
  const auto read = [&] {
    return books.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY_VOID(
          books.database->read_journal(reader, 0, 100, [](JournalRecord&& record) -> Result<bool> {
            for (const Change& c : record.changes()) {
              for (const auto image : {c.before, c.after}) {
                if (!image.empty()) static_cast<void>(row_to_json(record.table(), image));
              }
            }
            return true;
          }));
      return {};
    });
  };
  SeededRandom random(5);
  int corrupt = 0;
  for (int i = 0; i < 2'000; ++i) {
    const std::size_t which = i % 2;
    const std::int64_t id = which == 0 ? 2 : 4;
    std::string body = bodies[which];
    switch (random.below(3)) {
      case 0:
        body.resize(random.below(body.size()));
        break;
      case 1:
        body[random.below(body.size())] = static_cast<char>(random.below(256));
        break;
      default:
        body.insert(random.below(body.size()), 1, static_cast<char>(random.below(256)));
    }
    replace(id, "body", Value::bytes(body));
    if (const auto result = read(); !result) {
      INFO(result.error().message);
      CHECK(result.error().code == Code::corrupt);
      ++corrupt;
    }
    replace(id, "body", Value::bytes(bodies[which]));
  }
  CHECK(corrupt > 1'000);
  CHECK(read().has_value());
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{3},
                                   std::numeric_limits<std::int64_t>::max()}) {
    replace(2, "count", Value::integer(count));
    CHECK(read().error().code == Code::corrupt);
  }
  replace(2, "count", Value::integer(2));
  replace(2, "kind", Value::integer(9));
  CHECK(read().error().code == Code::corrupt);
  replace(2, "kind", Value::integer(0));
  replace(2, "shape", Value::integer(12345));
  CHECK(read().error().code == Code::corrupt);
}
