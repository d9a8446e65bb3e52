// Deals: the import of a real CRM's export by the command line, and figures over a million of them.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "bench.hpp"
#include "office.hpp"

namespace {

using namespace bureau;
using bench::must;

/// From the start of the program to its end, the office having been made before.
void import(const bench::Arguments& arguments) {
#ifndef BUREAU_PROGRAM
  static_cast<void>(arguments);
  bench::print_skip("deals_import_ms", "built without the examples");
#else
  const std::string folder = BUREAU_SOURCE_DIR "/../shared/data/crm-sales-opportunities";
  if (!std::filesystem::exists(folder)) {
    bench::print_skip("deals_import_ms", "there is no " + folder);
    return;
  }
  bench::ScratchFolder scratch;
  const auto run = [&](const std::string& office, const std::string& command) {
    const std::string line = BUREAU_PROGRAM " --office '" + office + "' " + command + " >/dev/null";
    if (std::system(line.c_str()) != 0) bench::give_up("deals_import_ms", line);
  };
  std::vector<double> times;
  for (int i = 0; i < (arguments.quick ? 1 : 5); ++i) {
    const std::string office = scratch.file();
    run(office, "init");
    const double start = bench::seconds_now();
    run(office, "deals import '" + folder + "'");
    times.push_back((bench::seconds_now() - start) * 1e3);
  }
  bench::print_metric(arguments, {.bench = "sales",
                                  .metric = "deals_import_ms",
                                  .storage = "sqlite",
                                  .durability = "power_safe",
                                  .value = bench::median(times),
                                  .unit = "ms",
                                  .sync_us = bench::measure_sync_us()});
#endif
}

/// `count` deals over three years, of 30 owners: half of them open, a quarter won, a quarter lost.
void fill(const bench::Office& office, int count) {
  must(sales::create_default_pipeline(office.system()));
  std::vector<User> owners;
  for (int i = 0; i < 30; ++i) owners.push_back(office.add_user("o" + std::to_string(i), "agent"));
  const Deals deals(office.system());
  const Timestamp day = must(Timestamp::parse("2025-01-01T00:00:00Z"));
  std::vector<NewDeal> some;
  for (int i = 0; i < count; ++i) {
    NewDeal deal;
    deal.title = "Deal " + std::to_string(i);
    deal.value = Money{1000 + (i * 7919LL) % 5'000'000, must(Currency::parse("USD"))};
    deal.owner = owners[static_cast<std::size_t>(i) % owners.size()].id;
    deal.expected_close = day + std::chrono::hours(24) * ((i * 31) % 1095);
    if (i % 3 == 0) deal.stage = "Engaging";
    if (i % 2 == 0) {
      const Timestamp entered = day + std::chrono::hours(24) * (i % 300);
      deal.stage.clear();
      deal.past = {{"Prospecting", entered},
                   {i % 4 == 0 ? "Won" : "Lost", entered + std::chrono::hours(24 * 30)}};
      if (i % 4 != 0) deal.lost_reason = "price";
    }
    some.push_back(std::move(deal));
    if (some.size() == 1000 || i + 1 == count) {
      must(deals.open_all(some));
      some.clear();
    }
  }
}

void forecast(const bench::Arguments& arguments) {
  const int count = arguments.quick ? 2'000 : 1'000'000;
  bench::ScratchFolder scratch;
  const auto office = bench::open_office(scratch.file(), false);
  fill(office, count);
  const Deals deals(office.system());
  const auto measure = [&](std::string_view metric, ForecastBy by) {
    std::vector<double> times;
    for (int i = 0; i < 5; ++i) {
      const double start = bench::seconds_now();
      const Forecast made = must(deals.forecast({.by = by}));
      times.push_back((bench::seconds_now() - start) * 1e3);
      std::int64_t seen = 0;
      for (const ForecastLine& line : made.totals) {
        seen += line.won.count + line.lost.count + line.open.count;
      }
      if (seen != count) bench::give_up(metric, "deals are missing from the forecast");
    }
    bench::print_metric(arguments, {.bench = "sales",
                                    .metric = metric,
                                    .storage = "sqlite",
                                    .durability = "relaxed",
                                    .value = bench::median(times),
                                    .unit = "ms"});
  };
  measure("forecast_ms", ForecastBy::month);
  measure("forecast_by_stage_ms", ForecastBy::stage);
  measure("forecast_by_owner_ms", ForecastBy::owner);
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  import(arguments);
  forecast(arguments);
}
