#pragma once

#include "bureau/store/storage.hpp"
#include "bureau/store/verify.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The table that is each office's own: who issues ids, and for how long ahead.
inline constexpr std::string_view nodes_table = "bureau_nodes";

/// digest_office() of what one snapshot shows.
Result<OfficeDigest> digest_tables(Reader& reader, const Catalog& catalog,
                                   const ProgressSink& progress);

}  // namespace detail
BUREAU_END_NAMESPACE
