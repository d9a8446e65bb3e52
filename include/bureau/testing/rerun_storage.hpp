#pragma once

#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// Runs every write closure twice: what the first run wrote is undone. Code that is right on this
/// storage has no effects but through its Writer, as Storage::write asks. Thread-safe as the other
/// storage is.
class RerunStorage final : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  Result<void> write(const WriteOptions& options, WriteClosure closure) override;
};

}  // namespace testing

BUREAU_END_NAMESPACE
