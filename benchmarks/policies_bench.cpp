// A policy with a sub-select, beside the same query written by hand in C.

#include "bench.hpp"
#include "policies_office.hpp"

namespace {

using namespace bureau;
using bench::must;
using namespace policies_bench;

constexpr int pairs = 9;
void query_membership(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  const std::string path = scratch.file();
  const int queries = arguments.quick ? 20 : 1'000;
  EngineOptions options;
  options.path = path;
  options.durability = Durability::relaxed;
  const Readers readers(std::move(options));
  bench::Loop loop(scratch.file(), path, false);
  for (const char* table : {"papers", "memberships"}) bench::copy_table(loop, path, table);
  bench::LoopStatement by_hand(
      loop.db(),
      "SELECT id, tenant, team, title, body, pages FROM papers WHERE tenant = ?1 AND team IN "
      "(SELECT team FROM memberships WHERE tenant = ?1 AND user = ?2) ORDER BY id LIMIT 1000");
  const auto baseline = [&] {
    const double start = bench::seconds_now();
    for (int i = 0; i < queries; ++i) {
      by_hand.bind(1, readers.tenant().value);
      by_hand.bind(2, readers.user(i).value);
      std::vector<Paper> papers;
      while (by_hand.step()) {
        Paper& p = papers.emplace_back();
        const auto text = [&](int at) {
          return std::string(reinterpret_cast<const char*>(sqlite3_column_text(by_hand.raw(), at)),
                             static_cast<std::size_t>(sqlite3_column_bytes(by_hand.raw(), at)));
        };
        p.id = Id<Paper>(sqlite3_column_int64(by_hand.raw(), 0));
        p.tenant = Id<Tenant>(sqlite3_column_int64(by_hand.raw(), 1));
        p.team = Id<Team>(sqlite3_column_int64(by_hand.raw(), 2));
        p.title = text(3);
        p.body = text(4);
        p.pages = sqlite3_column_int64(by_hand.raw(), 5);
      }
      if (papers.size() != Readers::seen)
        bench::give_up("query_membership", "the loop misses papers");
    }
    return queries / (bench::seconds_now() - start);
  };
  const auto p = bench::measure_pairs(
      pairs, bench::Better::higher, [&] { return readers.queries_per_second(queries); }, baseline);
  bench::print_metric(arguments, bench::with_pairs({.bench = "policies",
                                                    .metric = "query_membership",
                                                    .storage = "sqlite",
                                                    .durability = "relaxed",
                                                    .unit = "per_second"},
                                                   p));
}

}  // namespace

int main(int argc, char** argv) { query_membership(bench::parse_arguments(argc, argv)); }
