#pragma once

// What both kill tests are told.

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bureau/core/random.hpp"

struct Arguments {
  int rounds = 0;
  std::uint64_t seed = 0;
};

/// Ends the program when they cannot be read.
inline Arguments read_arguments(int argc, char** argv, std::string_view program, int rounds) {
  Arguments arguments;
  arguments.rounds = rounds;
  arguments.seed = bureau::Random::system().below(1'000'000'000);
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    char* end = nullptr;
    const auto value = i + 1 < argc ? std::strtoull(argv[i + 1], &end, 10) : 0;
    const bool number = end != nullptr && *end == '\0' && end != argv[i + 1];
    if (name == "--rounds" && number && value > 0 && value <= 1'000'000) {
      arguments.rounds = static_cast<int>(value);
    } else if (name == "--seed" && number) {
      arguments.seed = value;
    } else {
      fmt::print(stderr, "usage: {} [--rounds N] [--seed S]\n", program);
      std::exit(2);
    }
  }
  return arguments;
}
