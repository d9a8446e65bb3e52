#pragma once

#include <cstdio>
#include <cstdlib>

/// Stops the fuzzer with the input that broke a rule; also where NDEBUG silences assert.
#define FUZZ_CHECK(condition)                                                      \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)
