#include "sheet.hpp"

#include <fstream>
#include <sstream>

namespace cli {

using namespace bureau;

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::not_found, fmt::format("{}: cannot be read", path), "file");
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) return fail(Code::unavailable, fmt::format("{}: cannot be read", path), "file");
  std::string all = std::move(text).str();
  if (all.empty()) return fail(Code::invalid, fmt::format("{}: the file is empty", path), "file");
  return all;
}

}  // namespace cli
