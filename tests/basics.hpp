#pragma once

// What most tests begin with: the value of a Result, or a failed test that shows the error; a
// folder of its own that goes away.

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "bureau/core/result.hpp"

template <class T>
T must(bureau::Result<T> result) {
  if (!result) FAIL(to_string(result.error()));
  return *std::move(result);
}
inline void must(bureau::Result<void> result) {
  if (!result) FAIL(to_string(result.error()));
}

/// A folder of this test's own, removed at its end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "bureau-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name = "office.db") const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};
