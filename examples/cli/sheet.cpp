#include "sheet.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace cli {

using namespace bureau;

Result<std::string> read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return fail(Code::invalid, fmt::format("{}: it is a folder, not a file", path), "file");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::not_found, fmt::format("{}: cannot be read", path), "file");
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) return fail(Code::unavailable, fmt::format("{}: cannot be read", path), "file");
  std::string all = std::move(text).str();
  if (all.empty()) return fail(Code::invalid, fmt::format("{}: the file is empty", path), "file");
  return all;
}

Result<void> Sheet::only(const std::vector<std::vector<std::string_view>>& known) const {
  std::vector<std::string_view> there(known.size());
  for (const std::string& name : names_) {
    const auto words = std::find_if(known.begin(), known.end(), [&](const auto& same) {
      return std::find(same.begin(), same.end(), name) != same.end();
    });
    if (words == known.end()) {
      std::vector<std::string_view> all;
      for (const auto& same : known) all.insert(all.end(), same.begin(), same.end());
      return fail(bad("header", fmt::format("unknown column \"{}\"; a file may have {}", name,
                                            fmt::join(all, ", "))));
    }
    std::string_view& before = there[static_cast<std::size_t>(words - known.begin())];
    if (!before.empty()) {
      return fail(
          bad("header", fmt::format("the columns \"{}\" and \"{}\" mean the same", before, name)));
    }
    before = name;
  }
  return {};
}

Result<std::string> Sheet::field(std::optional<std::size_t> column, std::size_t most,
                                 bool required) const {
  if (!column) return std::string();
  std::string value = record_.fields[*column];
  const std::size_t size = count_code_points(value);
  if (size > most) {
    return fail(
        bad(names_[*column], fmt::format("has {} characters, the limit is {}", size, most)));
  }
  if (required && value.find_first_not_of(" \t\r\n") == std::string::npos) {
    return fail(bad(names_[*column], "is empty"));
  }
  return value;
}

}  // namespace cli
