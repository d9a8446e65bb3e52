#include "output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "bureau/core/csv.hpp"
#include "office.hpp"

namespace cli {

using namespace bureau;

namespace {

constexpr std::size_t max_cell = 60;  // code points of a table's cell

/// One line, without control characters, shortened.
std::string visible(std::string_view text) {
  std::string out = without_controls(text);
  if (count_code_points(out) <= max_cell) return out;
  std::size_t end = 0;
  for (std::size_t points = 0; points < max_cell; ++points) {
    do {
      ++end;
    } while (end < out.size() && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80);
  }
  return out.substr(0, end) + "…";
}

void print_line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += cells[i];
    if (i + 1 < cells.size()) line.append(widths[i] + 2 - count_code_points(cells[i]), ' ');
  }
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
}

/// A file or a pipe gets the bytes as they are; a terminal would obey some.
void print_csv(const std::vector<std::string>& cells) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    append_csv_field(line, terminal ? without_controls(cells[i]) : cells[i]);
  }
  line += "\r\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

}  // namespace

void RowPrinter::add(std::vector<std::string> cells, Json json) {
  if (format_ == Format::json) {
    json_.push_back(std::move(json));
  } else {
    rows_.push_back(std::move(cells));
  }
}

void RowPrinter::finish() {
  if (format_ == Format::json) {
    fmt::print("{}\n", printable(json_));
    return;
  }
  if (format_ == Format::csv) {
    print_csv(names_);
    for (const auto& row : rows_) print_csv(row);
    return;
  }
  std::vector<std::size_t> widths;
  for (const auto& name : names_) widths.push_back(count_code_points(name));
  for (auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = visible(row[i]);
      widths[i] = std::max(widths[i], count_code_points(row[i]));
    }
  }
  print_line(names_, widths);
  for (const auto& row : rows_) print_line(row, widths);
}

namespace {

std::vector<const ColumnInfo*> chosen(Format format, const TableInfo& table,
                                      const std::vector<std::string_view>& shown,
                                      const std::vector<std::string_view>& only) {
  std::vector<const ColumnInfo*> columns;
  if (!only.empty() || format == Format::table) {
    for (const auto name : only.empty() ? shown : only) columns.push_back(table.find(name));
  } else {
    for (const ColumnInfo& c : table.columns) {
      if (!c.hidden && !c.secret) columns.push_back(&c);
    }
  }
  return columns;
}

std::vector<std::string> names_of(const std::vector<const ColumnInfo*>& columns) {
  std::vector<std::string> names;
  for (const ColumnInfo* c : columns) names.emplace_back(c->name);
  return names;
}

}  // namespace

EntityPrinter::EntityPrinter(Format format, const TableInfo& table,
                             std::vector<std::string_view> columns,
                             std::vector<std::string_view> only)
    : columns_(chosen(format, table, columns, only)), printer_(format, names_of(columns_)) {}

void EntityPrinter::add(std::span<const Value> row) {
  std::vector<std::string> cells;
  cells.reserve(columns_.size());
  Json json = Json::object();
  for (const ColumnInfo* c : columns_) {
    cells.push_back(to_text(*c, row[c->index]));
    json.set(c->name, to_json(*c, row[c->index]));
  }
  printer_.add(std::move(cells), std::move(json));
}

std::string without_controls(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  // C1 control characters are two bytes in UTF-8.
  for (std::size_t at = 0; (at = out.find('\xc2', at)) != std::string::npos; ++at) {
    if (at + 1 < out.size() && static_cast<unsigned char>(out[at + 1]) < 0xa0)
      out.replace(at, 2, " ");
  }
  return out;
}

std::string printable(const Json& json) {
  const std::string text = json.dump();
  std::string out;
  // Outside its strings JSON has none of these, so that an escape is what stands for them.
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0xff;
    if (byte == 0xc2 && next < 0xa0) {
      out += fmt::format("\\u{:04x}", next);
      ++i;
    } else if (byte == 0x7f) {
      out += "\\u007f";
    } else {
      out += text[i];
    }
  }
  return out;
}

int report(const Error& error) {
  fmt::print(stderr, "bureau: {}\n", without_controls(error.message));
  return failed;
}

}  // namespace cli
