#include "bureau/testing/rerun_storage.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

Result<void> RerunStorage::write(const WriteOptions& options, WriteClosure closure) {
  bool ran = false;
  Result<void> first = inner().write(options, [&](Writer& writer) -> Result<void> {
    ran = true;
    static_cast<void>(closure(writer));
    return fail(Code::cancelled, "the first of two runs");
  });
  if (!ran) return first;  // no transaction was to be had
  return inner().write(options, closure);
}

}  // namespace testing

BUREAU_END_NAMESPACE
