#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/bureau.hpp"

namespace cli {

enum class Format { table, json, csv };

/// Prints rows of texts to stdout in one of three forms. As a table, control characters are spaces,
/// so that no text can move the cursor or colour the terminal; as JSON they are escaped; as CSV
/// they are spaces on a terminal, and elsewhere as they are, with what a spreadsheet would run
/// defused.
class RowPrinter {
 public:
  RowPrinter(Format format, std::vector<std::string> names)
      : format_(format), names_(std::move(names)) {}
  /// One row: the cells as text, and the same as JSON.
  void add(std::vector<std::string> cells, bureau::Json json);
  void finish();

 private:
  Format format_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::string>> rows_;
  bureau::Json json_ = bureau::Json::array();
};

/// Prints rows of an entity: `columns` of them as table, as JSON and CSV all columns, or `only`
/// these.
class EntityPrinter {
 public:
  EntityPrinter(Format format, const bureau::TableInfo& table,
                std::vector<std::string_view> columns, std::vector<std::string_view> only = {});
  void add(std::span<const bureau::Value> row);
  void finish() { printer_.finish(); }

 private:
  std::vector<const bureau::ColumnInfo*> columns_;
  RowPrinter printer_;
};

/// The text with control characters as spaces: no text can move the cursor or colour the terminal.
std::string without_controls(std::string_view text);

/// The JSON in one line, with every control character escaped: dump() leaves DEL and C1 (U+0080 to
/// U+009F) as they are, which some terminals obey.
std::string printable(const bureau::Json& json);

/// "code: message" to stderr, as "bureau: ...", and the exit code.
int report(const bureau::Error& error);

}  // namespace cli
