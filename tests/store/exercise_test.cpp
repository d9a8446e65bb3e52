// The conformance suite: memory storage passes it, alone and under the wrappers that are made to be
// passed through, and no storage that is broken does.

#include <doctest/doctest.h>

#include "bureau/testing/exercise_storage.hpp"
#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "counts.hpp"
#include "store/broken_storages.hpp"
#include "testing/exercise/meaning.hpp"

using bureau::Code;
using bureau::Monotonic;
using bureau::Reader;
using bureau::Result;
using bureau::Storage;
using bureau::Truth;
using bureau::Writer;
using bureau::testing::Check;
using bureau::testing::exercise_storage;
using bureau::testing::ExerciseOptions;
using bureau::testing::Fault;
using bureau::testing::FaultyStorage;
using bureau::testing::Report;
using bureau::testing::StorageFactory;
namespace exercise = bureau::testing::exercise;

namespace {

template <class Make>
StorageFactory factory_of(Make make) {
  return {[make]() -> Result<std::shared_ptr<Storage>> { return make(); }, {}};
}

/// Without what takes long and finds nothing more here.
ExerciseOptions quick() {
  ExerciseOptions options;
  options.generated = 60;
  options.history = 60;
  options.writes = 10;
  return options;
}

template <class T>
void must_fail(std::string_view check) {
  ExerciseOptions options = quick();
  options.only = {std::string(check)};
  const Report report = exercise_storage(factory_of([] { return std::make_shared<T>(); }), options);
  CAPTURE(check);
  INFO(report.summary());
  CHECK_FALSE(report.passed());
  REQUIRE(report.find(check) != nullptr);
  CHECK(report.find(check)->outcome == Check::Outcome::failed);
}

}  // namespace

TEST_CASE("memory storage passes the suite") {
  const Report report = exercise_storage(factory_of([] { return bureau::make_memory_storage(); }));
  INFO(report.summary());
  CHECK(report.passed());
  CHECK(report.checks.size() > 40);
  CHECK(report.storage == "memory");
  REQUIRE(report.find("rows_survive_reopening") != nullptr);
  CHECK(report.find("rows_survive_reopening")->outcome == Check::Outcome::skipped);
}

TEST_CASE("closures of the suite may run twice") {
  const Report report = exercise_storage(
      factory_of([] {
        return std::make_shared<bureau::testing::RerunStorage>(bureau::make_memory_storage());
      }),
      quick());
  INFO(report.summary());
  CHECK(report.passed());
}

TEST_CASE("a faulty storage without a plan is no other storage") {
  const Report report = exercise_storage(
      factory_of([] {
        return std::make_shared<FaultyStorage>(
            bureau::make_memory_storage(),
            [](bool, std::uint64_t) -> std::optional<Fault> { return std::nullopt; });
      }),
      quick());
  INFO(report.summary());
  CHECK(report.passed());
}

TEST_CASE("each broken storage fails the check that is about its fault") {
  if (counts::sanitized) return;  // they are wrong in what they say, not in memory
  must_fail<broken::CommitsFailures>("failed_closure_leaves_nothing");
  must_fail<broken::CommitsFailures>("generated_history");
  must_fail<broken::LosesWrites>("acknowledged_writes_are_there");
  must_fail<broken::LosesWrites>("concurrent_writers");
  must_fail<broken::NoSnapshots>("read_is_a_snapshot");
  must_fail<broken::ForgetsLimit>("limits");
  must_fail<broken::ForgetsLimit>("generated_selects");
  must_fail<broken::RepeatsTheKey>("keyset_pages");
  must_fail<broken::NullsLast>("order_and_nulls");
  must_fail<broken::NullsLast>("generated_selects");
  must_fail<broken::FoldsPrefixes>("text_is_bytewise");
  must_fail<broken::FoldsPrefixes>("predicate_meaning");
  must_fail<broken::ForgetsUnique>("unique_indexes");
  must_fail<broken::ForgetsConditions>("partial_unique_indexes");
  must_fail<broken::AcceptsAnyMigration>("migrate_refuses_losses");
  must_fail<broken::NeverHints>("commits_are_hinted");
  must_fail<broken::HintsAtNothing>("commits_are_hinted");
  must_fail<broken::NeverForgetsHints>("commits_are_hinted");
  must_fail<broken::SharesNodes>("nodes_are_held_once");
  must_fail<broken::DropsWhatStays>("months_are_dropped");
  must_fail<broken::SharesFate>("batched_writes_stand_for_themselves");
  must_fail<broken::BackToFront>("batched_writes_are_in_order");
  must_fail<broken::WithWriter<broken::HalfInsertWriter>>("insert_is_one_statement");
  must_fail<broken::WithWriter<broken::SameSequenceWriter>>("sequence_is_consecutive");
  must_fail<broken::WithWriter<broken::RepeatingLookUpWriter>>("rows_are_found_by_ids");
  must_fail<broken::WithWriter<broken::OneScanWriter>>("scans_are_made_together");
  must_fail<broken::WithWriter<broken::PiecewiseWriter>>("many_rows_in_one_call");
  must_fail<broken::WithWriter<broken::OneValueWriter>>("rows_get_values_of_their_own");
  must_fail<broken::WithWriter<broken::IndifferentWriter>>("updates_by_rows_may_be_refused");
  must_fail<broken::WithWriter<broken::LateNumberWriter>>("numbered_inserts");
  must_fail<broken::WithWriter<broken::UnlimitedUpdateWriter>>("update_with_order_and_limit");
  must_fail<broken::WithWriter<broken::SilentOverflowWriter>>("update_overflow_changes_nothing");
  must_fail<broken::WithWriter<broken::NamelessOverflowWriter>>("update_overflow_changes_nothing");
  must_fail<broken::WithWriter<broken::DeafToSinksWriter>>("update_sink_errors_undo_it");
  must_fail<broken::NullabilityIsForever>("migrate_allows_nulls");
  must_fail<broken::MigratesSilently>("migrations_are_hinted");
  must_fail<broken::WithWriter<broken::TruncatingWriter>>("insert_checks_rows");
  must_fail<broken::WithWriter<broken::SeesOldRowsWriter>>("reads_see_own_writes");
  must_fail<broken::WithWriter<broken::ForgetsMirrorsWriter>>("alter_keeps_columns_in_step");
  must_fail<broken::WithWriter<broken::ForgetsDefaultsWriter>>("alter_adds_columns");
  must_fail<broken::WithWriter<broken::ForgetsDefaultsWriter>>("alter_stands_in");
  must_fail<broken::WithWriter<broken::RequiresBlindlyWriter>>("alter_requires");
}

TEST_CASE("evaluate() means what the table says") {
  for (const exercise::Meaning& meaning : exercise::meanings()) {
    CAPTURE(meaning.text);
    const auto where = exercise::items_where(meaning.text);
    if (!where) FAIL(where.error().message);
    const auto predicate = where->where.at(bureau::Timestamp::from_micros(1'000'000));
    if (predicate.has_select()) continue;  // needs a storage; predicate_meaning has it
    for (const exercise::Item& item : exercise::meaning_items()) {
      const auto row = exercise::values_of(item);
      const auto has = [&](const exercise::Ids& ids) {
        return std::find(ids.begin(), ids.end(), item.id.value) != ids.end();
      };
      const Truth want = has(meaning.yes)       ? Truth::yes
                         : has(meaning.unknown) ? Truth::unknown
                                                : Truth::no;
      CAPTURE(item.id.value);
      const auto truth = bureau::evaluate(predicate, exercise::views(row));
      REQUIRE(truth);
      CHECK(*truth == want);
    }
  }
}

TEST_CASE("a faulty storage fails as planned, and keeps what it says it keeps") {
  struct Case {
    Fault fault;
    Code code;
    bool kept;
  };
  for (const Case& c : {Case{{Fault::At::before}, Code::unavailable, false},
                        Case{{Fault::At::before, 1, Code::busy}, Code::busy, false},
                        Case{{Fault::At::statement, 1}, Code::unavailable, false},
                        Case{{Fault::At::statement, 2}, Code::unavailable, false},
                        Case{{Fault::At::commit}, Code::unavailable, false},
                        Case{{Fault::At::unknown_kept}, Code::unknown_outcome, true},
                        Case{{Fault::At::unknown_undone}, Code::unknown_outcome, false}}) {
    CAPTURE(static_cast<int>(c.fault.at));
    std::optional<Fault> next;
    FaultyStorage storage(bureau::make_memory_storage(),
                          [&](bool, std::uint64_t) { return std::exchange(next, std::nullopt); });
    REQUIRE(storage.migrate(exercise::catalog()));
    next = c.fault;
    const auto written = storage.write({}, [](Writer& writer) -> Result<void> {
      // A closure that goes on after a statement failed: the transaction is doomed all the same.
      static_cast<void>(exercise::insert(writer, exercise::counter(1)));
      static_cast<void>(exercise::insert(writer, exercise::counter(2)));
      return {};
    });
    REQUIRE_FALSE(written);
    CHECK(written.error().code == c.code);
    CHECK(storage.faults() == 1);
    exercise::Ids ids;
    CHECK(storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(ids, exercise::ids_of(reader, bureau::select<exercise::Counter>()));
      return {};
    }));
    CHECK(ids == (c.kept ? exercise::Ids{1, 2} : exercise::Ids{}));
    next = Fault{Fault::At::statement, 1};
    const auto read = storage.read(Monotonic::never(), [](Reader& reader) {
      return reader.scan(bureau::select<exercise::Counter>(), exercise::ignore_rows());
    });
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::unavailable);
    CHECK(storage.calls() == 3);
  }
}

TEST_CASE("a rerun storage runs each closure twice and keeps the second") {
  bureau::testing::RerunStorage storage(bureau::make_memory_storage());
  REQUIRE(storage.migrate(exercise::catalog()));
  int runs = 0;
  std::int64_t number = 0;
  CHECK(storage.write({}, [&](Writer& writer) -> Result<void> {
    ++runs;
    BUREAU_TRY(number, writer.draw_sequence(1));
    return exercise::insert(writer, exercise::counter(runs));
  }));
  CHECK(runs == 2);
  CHECK(number == 1);
}
