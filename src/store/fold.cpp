#include <algorithm>
#include <array>
#include <cstdint>

#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// Code points first, first + step, ... last become themselves plus delta.
struct FoldRun {
  std::uint16_t first, last;
  std::uint8_t step;
  std::int16_t delta;
};

/// Unicode's simple case folding (statuses C and S) of ASCII, Latin-1, Latin Extended-A, Greek and
/// Cyrillic. Folded text is stored, so a change here needs a migration; a test pins it.
constexpr std::array fold_runs = std::to_array<FoldRun>({
    {0x0041, 0x005A, 1, 32},  {0x00B5, 0x00B5, 1, 775},  {0x00C0, 0x00D6, 1, 32},
    {0x00D8, 0x00DE, 1, 32},  {0x0100, 0x012E, 2, 1},    {0x0132, 0x0136, 2, 1},
    {0x0139, 0x0147, 2, 1},   {0x014A, 0x0176, 2, 1},    {0x0178, 0x0178, 1, -121},
    {0x0179, 0x017D, 2, 1},   {0x017F, 0x017F, 1, -268}, {0x0370, 0x0372, 2, 1},
    {0x0376, 0x0376, 1, 1},   {0x037F, 0x037F, 1, 116},  {0x0386, 0x0386, 1, 38},
    {0x0388, 0x038A, 1, 37},  {0x038C, 0x038C, 1, 64},   {0x038E, 0x038F, 1, 63},
    {0x0391, 0x03A1, 1, 32},  {0x03A3, 0x03AB, 1, 32},   {0x03C2, 0x03C2, 1, 1},
    {0x03CF, 0x03CF, 1, 8},   {0x03D0, 0x03D0, 1, -30},  {0x03D1, 0x03D1, 1, -25},
    {0x03D5, 0x03D5, 1, -15}, {0x03D6, 0x03D6, 1, -22},  {0x03D8, 0x03EE, 2, 1},
    {0x03F0, 0x03F0, 1, -54}, {0x03F1, 0x03F1, 1, -48},  {0x03F4, 0x03F4, 1, -60},
    {0x03F5, 0x03F5, 1, -64}, {0x03F7, 0x03F7, 1, 1},    {0x03F9, 0x03F9, 1, -7},
    {0x03FA, 0x03FA, 1, 1},   {0x03FD, 0x03FF, 1, -130}, {0x0400, 0x040F, 1, 80},
    {0x0410, 0x042F, 1, 32},  {0x0460, 0x0480, 2, 1},    {0x048A, 0x04BE, 2, 1},
    {0x04C0, 0x04C0, 1, 15},  {0x04C1, 0x04CD, 2, 1},    {0x04D0, 0x052E, 2, 1},
});

constexpr unsigned fold_code_point(unsigned code_point) {
  const auto run = std::lower_bound(fold_runs.begin(), fold_runs.end(), code_point,
                                    [](const FoldRun& r, unsigned c) { return r.last < c; });
  if (run == fold_runs.end() || code_point < run->first) return code_point;
  if ((code_point - run->first) % run->step != 0) return code_point;
  return static_cast<unsigned>(static_cast<int>(code_point) + run->delta);
}

constexpr unsigned table_end = 0x0530;

constexpr auto fold_table = [] {
  std::array<std::uint16_t, table_end> table{};
  for (unsigned c = 0; c < table_end; ++c)
    table[c] = static_cast<std::uint16_t>(fold_code_point(c));
  return table;
}();

}  // namespace

std::string fold_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // All that folds, and all that it folds to, has one or two bytes.
    const bool pair = (byte & 0xE0) == 0xC0 && i + 1 < text.size();
    unsigned code_point = byte;
    if (pair) code_point = (byte & 0x1FU) << 6 | (static_cast<unsigned char>(text[i + 1]) & 0x3FU);
    if ((byte >= 0x80 && !pair) || code_point >= table_end) {
      out += text[i];
      continue;
    }
    if (pair) ++i;
    const unsigned mapped = fold_table[code_point];
    if (mapped < 0x80) {
      out += static_cast<char>(mapped);
    } else {
      out += static_cast<char>(0xC0 | mapped >> 6);
      out += static_cast<char>(0x80 | (mapped & 0x3F));
    }
  }
  return out;
}

BUREAU_END_NAMESPACE
