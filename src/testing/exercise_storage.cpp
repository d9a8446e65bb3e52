#include "bureau/testing/exercise_storage.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

namespace {

std::vector<exercise::CheckEntry> all_checks() {
  std::vector<exercise::CheckEntry> all;
  for (const auto& group :
       {exercise::migration_checks(), exercise::alteration_checks(), exercise::row_checks(),
        exercise::query_checks(), exercise::page_checks(), exercise::write_checks(),
        exercise::transaction_checks(), exercise::together_checks(), exercise::batch_checks(),
        exercise::thread_checks(), exercise::life_checks(), exercise::generated_checks()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

Result<void> run(const exercise::CheckEntry& entry, const StorageFactory& factory,
                 const ExerciseOptions& options, std::string& name) {
  BUREAU_TRY(auto storage, factory.fresh());
  if (storage == nullptr) return exercise::wrong("the factory gave no storage");
  name = storage->name();
  BUREAU_TRY_VOID(storage->migrate(exercise::catalog()));
  Clock& clock = options.clock == nullptr ? Clock::system() : *options.clock;
  exercise::Bench bench{std::move(storage), factory, options, clock};
  return entry.function(bench);
}

}  // namespace

Report exercise_storage(const StorageFactory& factory, const ExerciseOptions& options) {
  Report report;
  for (const exercise::CheckEntry& entry : all_checks()) {
    if (!options.only.empty() &&
        std::find(options.only.begin(), options.only.end(), entry.name) == options.only.end())
      continue;
    Check check{std::string(entry.name), Check::Outcome::passed, {}};
    const auto done = run(entry, factory, options, report.storage);
    if (!done) {
      const bool skipped = done.error().code == Code::cancelled;
      check.outcome = skipped ? Check::Outcome::skipped : Check::Outcome::failed;
      // Complaints of ours are `internal`; other codes come from the storage and say something.
      check.message = skipped || done.error().code == Code::internal ? done.error().message
                                                                     : to_string(done.error());
    }
    report.checks.push_back(std::move(check));
  }
  return report;
}

bool Report::passed() const {
  const auto is = [](Check::Outcome outcome) {
    return [outcome](const Check& check) { return check.outcome == outcome; };
  };
  return std::none_of(checks.begin(), checks.end(), is(Check::Outcome::failed)) &&
         std::any_of(checks.begin(), checks.end(), is(Check::Outcome::passed));
}

const Check* Report::find(std::string_view name) const {
  for (const Check& check : checks)
    if (check.name == name) return &check;
  return nullptr;
}

std::string Report::summary() const {
  std::string out;
  int counts[3] = {};
  for (const Check& check : checks) {
    ++counts[static_cast<int>(check.outcome)];
    if (check.outcome == Check::Outcome::passed) continue;
    out +=
        fmt::format("{} {}: {}\n", check.outcome == Check::Outcome::failed ? "FAILED " : "skipped",
                    check.name, check.message);
  }
  return out + fmt::format("{}: {} checks passed, {} failed, {} skipped", storage, counts[0],
                           counts[1], counts[2]);
}

}  // namespace testing

BUREAU_END_NAMESPACE
