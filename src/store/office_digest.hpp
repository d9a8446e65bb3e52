#pragma once

#include <sodium.h>

#include <string>

#include "bureau/store/storage.hpp"
#include "bureau/store/verify.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The table that is each office's own: who issues ids, and for how long ahead.
inline constexpr std::string_view nodes_table = "bureau_nodes";

/// The digest of a table whose rows come one after the other, by their ids.
class TableDigester {
 public:
  explicit TableDigester(const TableInfo& table);
  void add(std::span<const Value> row);
  [[nodiscard]] TableDigest finish();
  [[nodiscard]] std::int64_t last_id() const { return last_id_; }

 private:
  TableDigest digest_;
  std::int64_t last_id_ = 0;
  crypto_generichash_state state_{};
  std::string bytes_;
};

/// digest_office() of what one snapshot shows.
Result<OfficeDigest> digest_tables(Reader& reader, const Catalog& catalog,
                                   const ProgressSink& progress);
/// The same of a storage that nobody writes: two tables at a time, the large ones first, as
/// `expected` tells.
[[nodiscard]] Result<OfficeDigest> digest_resting(Storage& storage, const Catalog& catalog,
                                                  const OfficeDigest& expected,
                                                  const ProgressSink& progress);

}  // namespace detail
BUREAU_END_NAMESPACE
