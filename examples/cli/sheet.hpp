#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/csv.hpp"
#include "bureau/core/json.hpp"

namespace cli {

/// The whole file. `not_found` when it cannot be opened, `invalid` when it is empty.
[[nodiscard]] bureau::Result<std::string> read_file(const std::string& path);

/// A CSV file whose first record names the columns.
class Sheet {
 public:
  static bureau::Result<Sheet> open(const std::string& path, std::string text) {
    Sheet sheet;
    sheet.path_ = path;
    sheet.text_ = std::make_unique<std::string>(std::move(text));
    sheet.reader_ = std::make_unique<bureau::CsvReader>(*sheet.text_);
    auto header = sheet.reader_->next(sheet.record_);
    if (!header) return bureau::fail(sheet.at(header.error()));
    if (!*header)
      return bureau::fail(bureau::Code::invalid, fmt::format("{}: has no header line", path),
                          "file");
    sheet.names_ = sheet.record_.fields;
    return sheet;
  }
  /// The position of the first of these columns that is there.
  [[nodiscard]] std::optional<std::size_t> column(
      std::initializer_list<std::string_view> names) const {
    for (const auto name : names) {
      const auto found = std::find(names_.begin(), names_.end(), name);
      if (found != names_.end()) return static_cast<std::size_t>(found - names_.begin());
    }
    return std::nullopt;
  }
  [[nodiscard]] bureau::Result<bool> next() {
    auto more = reader_->next(record_);
    if (!more) return bureau::fail(at(more.error()));
    if (*more && record_.fields.size() != names_.size()) {
      return bureau::fail(bureau::Code::invalid,
                          fmt::format("{}, line {}: has {} fields, the header names {}", path_,
                                      record_.line, record_.fields.size(), names_.size()),
                          "line");
    }
    return more;
  }
  [[nodiscard]] const std::string& field(std::size_t column) const {
    return record_.fields[column];
  }
  [[nodiscard]] std::string field(std::optional<std::size_t> column) const {
    return column ? record_.fields[*column] : std::string();
  }
  /// A field of at most so many characters, with something in it when it is required; empty where
  /// there is no such column.
  [[nodiscard]] bureau::Result<std::string> field(std::optional<std::size_t> column,
                                                  std::size_t most, bool required = false) const;
  /// `invalid` unless the file has only these columns, each once, in words that mean the same.
  [[nodiscard]] bureau::Result<void> only(
      const std::vector<std::vector<std::string_view>>& known) const;
  [[nodiscard]] std::size_t line() const { return record_.line; }
  [[nodiscard]] bureau::Error at(const bureau::Error& error) const {
    return {error.code, fmt::format("{}, {}", path_, error.message), error.field};
  }
  [[nodiscard]] bureau::Error bad(std::string_view column, std::string_view rule) const {
    return {bureau::Code::invalid,
            fmt::format("{}, line {}, {}: {}", path_, record_.line, column, rule),
            std::string(column)};
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::vector<std::string>& column_names() const { return names_; }
  [[nodiscard]] std::string names() const { return fmt::format("{}", fmt::join(names_, ", ")); }

 private:
  std::string path_;
  std::unique_ptr<std::string> text_;
  std::unique_ptr<bureau::CsvReader> reader_;
  bureau::CsvReader::Record record_;
  std::vector<std::string> names_;
};

}  // namespace cli
