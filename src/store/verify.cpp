#include "bureau/store/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <map>
#include <system_error>

#include "bureau/store/stored_catalog.hpp"
#include "store/internal_tables.hpp"
#include "store/journal_codec.hpp"
#include "store/office_digest.hpp"
#include "store/row_pages.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::size_t checksum_bytes = 16;

const TableDigest* find_digest(const OfficeDigest& office, std::string_view table) {
  for (const TableDigest& one : office.tables) {
    if (one.table == table) return &one;
  }
  return nullptr;
}

}  // namespace

std::int64_t OfficeDigest::rows() const {
  std::int64_t all = 0;
  for (const TableDigest& one : tables) all += one.rows;
  return all;
}

namespace detail {

TableDigester::TableDigester(const TableInfo& table) : digest_{std::string(table.name), 0, {}} {
  crypto_generichash_init(&state_, nullptr, 0, checksum_bytes);
}

void TableDigester::add(std::span<const Value> row) {
  bytes_.clear();
  for (const Value& value : row) {
    // The two zeros of IEEE are equal to every predicate, and SQLite keeps one of them.
    const bool zero = value.kind() == Value::Kind::real && value.as_real() == 0;
    put_value(bytes_, zero ? Value::real(0) : value);
  }
  crypto_generichash_update(&state_, reinterpret_cast<const unsigned char*>(bytes_.data()),
                            bytes_.size());
  ++digest_.rows;
  last_id_ = row[0].as_integer();
}

TableDigest TableDigester::finish() {
  std::array<unsigned char, checksum_bytes> digest{};
  crypto_generichash_final(&state_, digest.data(), digest.size());
  for (const unsigned char byte : digest) digest_.checksum += fmt::format("{:02x}", byte);
  return std::move(digest_);
}

namespace {

/// One table's part of an office's digest. The sink is told of each page's rows; false stops.
Result<TableDigester> digest_table(Reader& reader, const TableInfo& table,
                                   FunctionRef<bool(std::int64_t)> seen) {
  TableDigester digester(table);
  BUREAU_TRY_VOID(each_page(reader, table, 0, {}, [&](RowPage& page) -> Result<bool> {
    for (std::size_t i = 0; i < page.rows(); ++i) digester.add(page.row(i));
    if (seen(static_cast<std::int64_t>(page.rows()))) return true;
    return fail(Code::cancelled, "the check was given up");
  }));
  return digester;
}

void add_table(OfficeDigest& office, TableDigester digester) {
  const std::int64_t last = digester.last_id();
  office.tables.push_back(digester.finish());
  if (office.tables.back().table == table_of<JournalRow>().name) office.sequence = last;
}

void sort_tables(OfficeDigest& office) {
  std::sort(office.tables.begin(), office.tables.end(),
            [](const TableDigest& a, const TableDigest& b) { return a.table < b.table; });
}

/// Several threads take the tables from it, one after the other.
class TableRound {
 public:
  TableRound(Storage& storage, std::vector<const TableInfo*> tables)
      : storage_(storage), tables_(std::move(tables)) {}

  /// Until there is none left, or anybody fails.
  Result<OfficeDigest> work(FunctionRef<bool(std::int64_t)> seen) {
    OfficeDigest part;
    auto outcome = storage_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      for (std::size_t at = next_++; at < tables_.size() && !over_; at = next_++) {
        BUREAU_TRY(TableDigester digester, digest_table(reader, *tables_[at], seen));
        add_table(part, std::move(digester));
      }
      return {};
    });
    if (outcome) return part;
    over_ = true;
    return fail(std::move(outcome).error());
  }
  [[nodiscard]] bool over() const { return over_; }

 private:
  Storage& storage_;
  std::vector<const TableInfo*> tables_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> over_{false};
};

}  // namespace

Result<OfficeDigest> digest_tables(Reader& reader, const Catalog& catalog,
                                   const ProgressSink& progress) {
  OfficeDigest office;
  std::int64_t done = 0;
  for (const TableInfo* table : catalog.tables()) {
    const auto seen = [&](std::int64_t rows) {
      done += rows;
      return !progress || progress({table->name, done, 0});
    };
    BUREAU_TRY(TableDigester digester, digest_table(reader, *table, seen));
    add_table(office, std::move(digester));
  }
  sort_tables(office);
  return office;
}

Result<OfficeDigest> digest_resting(Storage& storage, const Catalog& catalog,
                                    const OfficeDigest& expected, const ProgressSink& progress) {
  std::map<std::string_view, std::int64_t> sizes;
  for (const TableDigest& one : expected.tables) sizes[one.table] = one.rows;
  std::vector<const TableInfo*> tables(catalog.tables().begin(), catalog.tables().end());
  std::stable_sort(tables.begin(), tables.end(),
                   [&](const auto* a, const auto* b) { return sizes[a->name] > sizes[b->name]; });
  TableRound round(storage, std::move(tables));
  std::atomic<std::int64_t> done{0};
  const auto beside = [&] {
    return round.work([&](std::int64_t rows) {
      done += rows;
      return !round.over();
    });
  };
  std::future<Result<OfficeDigest>> other;
  try {
    other = std::async(std::launch::async, beside);
  } catch (const std::system_error&) {  // no thread to be had
    other = std::async(std::launch::deferred, beside);
  }
  // The caller is told on his own thread.
  auto office = round.work([&](std::int64_t rows) {
    done += rows;
    return !round.over() && (!progress || progress({"", done.load(), 0}));
  });
  auto rest = other.get();
  // Whoever was stopped only says so because of the other's error.
  if (!office && (rest || office.error().code != Code::cancelled)) return office;
  if (!rest) return rest;
  if (!office) return office;
  std::move(rest->tables.begin(), rest->tables.end(), std::back_inserter(office->tables));
  office->sequence = std::max(office->sequence, rest->sequence);
  sort_tables(*office);
  return office;
}

}  // namespace detail

Result<OfficeDigest> digest_office(Storage& storage, const ProgressSink& progress) {
  BUREAU_TRY(const auto tables, storage.stored_tables());
  BUREAU_TRY(const Catalog catalog, make_catalog(tables));
  OfficeDigest office;
  BUREAU_TRY_VOID(storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(office, detail::digest_tables(reader, catalog, progress));
    return {};
  }));
  return office;
}

std::vector<std::string> compare_digests(const OfficeDigest& one, const OfficeDigest& other) {
  std::vector<std::string> differences;
  for (const TableDigest& ours : one.tables) {
    if (ours.table == detail::nodes_table) continue;
    const TableDigest* theirs = find_digest(other, ours.table);
    if (theirs == nullptr) {
      // A table that nobody has filled may not have been made yet.
      if (ours.rows > 0) {
        differences.push_back(
            fmt::format("{}: {} rows, and no such table in the other", ours.table, ours.rows));
      }
    } else if (ours.rows != theirs->rows) {
      differences.push_back(
          fmt::format("{}: {} rows, and {} in the other", ours.table, ours.rows, theirs->rows));
    } else if (ours.checksum != theirs->checksum) {
      differences.push_back(
          fmt::format("{}: {} rows in both, but not the same", ours.table, ours.rows));
    }
  }
  for (const TableDigest& theirs : other.tables) {
    if (theirs.rows == 0 || theirs.table == detail::nodes_table) continue;
    if (find_digest(one, theirs.table) == nullptr) {
      differences.push_back(
          fmt::format("{}: no such table, and {} rows in the other", theirs.table, theirs.rows));
    }
  }
  return differences;
}

BUREAU_END_NAMESPACE
