#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bureau/core/result.hpp"
#include "bureau/store/progress.hpp"

BUREAU_BEGIN_NAMESPACE

class Storage;

/// What a table holds, in a few bytes: the same rows give the same checksum on every storage.
struct TableDigest {
  std::string table;
  std::int64_t rows = 0;
  std::string checksum;  ///< 32 hexadecimal digits: BLAKE2b over the rows in the order of their ids
  friend bool operator==(const TableDigest&, const TableDigest&) = default;
};

struct OfficeDigest {
  std::vector<TableDigest> tables;  ///< by name, those of other programs and the library's own too
  std::int64_t sequence = 0;        ///< of the newest change
  [[nodiscard]] std::int64_t rows() const;
};

/// Reads every row, of one moment. Progress is in rows. Errors: those of the storage, `cancelled`.
[[nodiscard]] Result<OfficeDigest> digest_office(Storage& storage,
                                                 const ProgressSink& progress = {});

/// The tables in which two offices differ: each with a sentence for people that names it. Empty:
/// they are the same. Who issues ids (bureau_nodes) is each office's own, and left out.
[[nodiscard]] std::vector<std::string> compare_digests(const OfficeDigest& one,
                                                       const OfficeDigest& other);

BUREAU_END_NAMESPACE
