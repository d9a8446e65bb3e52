#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

/// Reads RFC 4180 CSV, a record at a time: quoted fields with doubled quotes and line breaks, LF or
/// CRLF, an optional byte order mark, blank lines skipped. Not thread-safe; does not own the text.
class CsvReader {
 public:
  struct Limits {
    std::size_t field_bytes = 1 << 20;
    std::size_t fields = 1024;
  };
  /// A record, and the line (from 1) on which it begins.
  struct Record {
    std::size_t line = 0;
    std::vector<std::string> fields;
  };

  explicit CsvReader(std::string_view text) : CsvReader(text, Limits{}) {}
  CsvReader(std::string_view text, Limits limits);

  /// The next record into `record` (its memory is reused); false at the end. `invalid` names the
  /// line, the field's number and the rule: a quote that is not closed, a quote inside an unquoted
  /// field, text after a closing quote, invalid UTF-8, a NUL, a field over the limit. After an
  /// error the reader stands at the next line, so that a caller may go on with the rows that are
  /// good.
  [[nodiscard]] Result<bool> next(Record& record);

 private:
  std::string_view text_;
  Limits limits_;
  std::size_t position_ = 0;
  std::size_t line_ = 1;
};

/// Appends one field to a CSV line, quoted when it must be, also for a spreadsheet that separates
/// at semicolons or tabs. A text that a spreadsheet would run as a formula (it begins with =, +, -,
/// @, their full-width forms, tab or CR, and is not a number) gets a leading apostrophe. The caller
/// appends the commas and line ends; `out` may hold earlier lines.
void append_csv_field(std::string& out, std::string_view field);

BUREAU_END_NAMESPACE
