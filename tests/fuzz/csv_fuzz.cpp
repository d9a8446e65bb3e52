#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/core/csv.hpp"
#include "bureau/core/json.hpp"
#include "fuzz_check.hpp"

using bureau::CsvReader;

namespace {

/// Good fields, written and read again, are the same unless they were disarmed.
void check_round_trip(const CsvReader::Record& record) {
  std::string text;
  for (const auto& field : record.fields) {
    if (!text.empty()) text += ',';
    const std::size_t before = text.size();
    bureau::append_csv_field(text, field);
    // The first field of a line is never written as nothing.
    FUZZ_CHECK(before != 0 || !text.empty());
  }
  CsvReader reader(text);
  CsvReader::Record again;
  const auto more = reader.next(again);
  FUZZ_CHECK(more && *more);
  FUZZ_CHECK(again.fields.size() == record.fields.size());
  for (std::size_t i = 0; i < again.fields.size(); ++i) {
    FUZZ_CHECK(again.fields[i] == record.fields[i] || again.fields[i] == "'" + record.fields[i]);
  }
  FUZZ_CHECK(!*reader.next(again));
}

}  // namespace

/// It ends, lines rise, limits hold, good fields are good text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const CsvReader::Limits limits{.field_bytes = 64, .fields = 8};
  CsvReader reader(text, limits);
  CsvReader::Record record;
  std::size_t line = 0;
  for (std::size_t steps = 0;; ++steps) {
    FUZZ_CHECK(steps <= size);
    const auto more = reader.next(record);
    if (more && !*more) return 0;
    FUZZ_CHECK(record.line > line);
    line = record.line;
    if (!more) {
      FUZZ_CHECK(more.error().field == "line " + std::to_string(line));
      continue;
    }
    FUZZ_CHECK(!record.fields.empty() && record.fields.size() <= limits.fields);
    for (const auto& field : record.fields)
      FUZZ_CHECK(field.size() <= limits.field_bytes && bureau::is_valid_text(field));
    check_round_trip(record);
  }
}
