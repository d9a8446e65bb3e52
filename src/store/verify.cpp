#include "bureau/store/verify.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>

#include "bureau/store/stored_catalog.hpp"
#include "store/internal_tables.hpp"
#include "store/journal_codec.hpp"
#include "store/office_digest.hpp"
#include "store/row_pages.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::size_t checksum_bytes = 16;

/// The checksum of rows that come one after the other.
class RowChecksum {
 public:
  RowChecksum() { crypto_generichash_init(&state_, nullptr, 0, checksum_bytes); }
  void add(std::span<const Value> row) {
    bytes_.clear();
    for (const Value& value : row) {
      // The two zeros of IEEE are equal to every predicate, and SQLite keeps one of them.
      const bool zero = value.kind() == Value::Kind::real && value.as_real() == 0;
      detail::put_value(bytes_, zero ? Value::real(0) : value);
    }
    crypto_generichash_update(&state_, reinterpret_cast<const unsigned char*>(bytes_.data()),
                              bytes_.size());
  }
  std::string finish() {
    std::array<unsigned char, checksum_bytes> digest{};
    crypto_generichash_final(&state_, digest.data(), digest.size());
    std::string text;
    for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
    return text;
  }

 private:
  crypto_generichash_state state_{};
  std::string bytes_;
};

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

Result<OfficeDigest> digest_tables(Reader& reader, const Catalog& catalog,
                                   const ProgressSink& progress) {
  OfficeDigest office;
  std::int64_t done = 0;
  std::vector<const TableInfo*> tables(catalog.tables().begin(), catalog.tables().end());
  std::sort(tables.begin(), tables.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });
  for (const TableInfo* table : tables) {
    RowChecksum checksum;
    TableDigest digest{std::string(table->name), 0, {}};
    BUREAU_TRY_VOID(each_page(reader, *table, 0, {}, [&](RowPage& page) -> Result<bool> {
      for (std::size_t i = 0; i < page.rows(); ++i) checksum.add(page.row(i));
      digest.rows += static_cast<std::int64_t>(page.rows());
      done += static_cast<std::int64_t>(page.rows());
      if (table->name == table_of<JournalRow>().name) office.sequence = page.last_id();
      if (progress && !progress({table->name, done, 0})) {
        return fail(Code::cancelled, "the check was given up");
      }
      return true;
    }));
    digest.checksum = checksum.finish();
    office.tables.push_back(std::move(digest));
  }
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
