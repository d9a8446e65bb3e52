#include <cstdio>

#if __has_include(<bureau/bureau.hpp>)
#include <bureau/bureau.hpp>
#endif
#include <bureau/core/config.hpp>
#include <bureau/core/result.hpp>

// Calls into the library, so that what it links is really there.
int main() {
  const bureau::Result<int> result = bureau::fail(bureau::Code::invalid, "nothing", "field");
  if (result || bureau::to_string(result.error()).empty()) return 1;
  std::printf("%d.%d.%d\n", BUREAU_VERSION_MAJOR, BUREAU_VERSION_MINOR, BUREAU_VERSION_PATCH);
}
