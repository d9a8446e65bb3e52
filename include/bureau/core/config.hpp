#pragma once

/// The library's version; the one place that states it. CMake reads it from here.
#define BUREAU_VERSION_MAJOR 0
#define BUREAU_VERSION_MINOR 1
#define BUREAU_VERSION_PATCH 0

/// Everything lives in `bureau`, in one inline namespace per ABI version, so that two versions
/// cannot be linked together by mistake.
#define BUREAU_BEGIN_NAMESPACE \
  namespace bureau {           \
  inline namespace v0 {
#define BUREAU_END_NAMESPACE \
  }                          \
  }
