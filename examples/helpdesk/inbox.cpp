#include "inbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <unordered_set>

namespace helpdesk {

using bureau::Code;
using bureau::CsvReader;
using bureau::fail;
using bureau::Result;

namespace {

constexpr std::size_t max_text = 100'000, max_subject = 500, max_name = 200, max_email = 320;
constexpr std::size_t max_id = 150, max_label = 100;

using Record = CsvReader::Record;

/// Where each column stands; the header's own rules are kept by the time that there is one.
class Header {
 public:
  static Result<Header> read(const std::string& path, const Record& record,
                             const std::vector<std::string>& known) {
    Header header;
    header.path_ = path;
    for (const std::string& name : record.fields) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        return fail(Code::invalid,
                    fmt::format("{}, line {}: unknown column \"{}\"; a file may have {}", path,
                                record.line, name, fmt::join(known, ", ")),
                    "header");
      }
      if (header.find(name) >= 0) {
        return fail(
            Code::invalid,
            fmt::format("{}, line {}: the column \"{}\" is there twice", path, record.line, name),
            "header");
      }
      header.names_.push_back(name);
    }
    return header;
  }
  [[nodiscard]] int find(std::string_view name) const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return static_cast<int>(i);
    }
    return -1;
  }
  [[nodiscard]] std::size_t size() const { return names_.size(); }

 private:
  std::string path_;
  std::vector<std::string> names_;
};

/// The fields of one row by name, with the rules that several files share.
class Fields {
 public:
  Fields(const Header& header, const Record& record) : header_(header), record_(record) {}

  [[nodiscard]] std::string get(std::string_view name) const {
    const int at = header_.find(name);
    return at < 0 ? std::string() : record_.fields[static_cast<std::size_t>(at)];
  }
  Result<std::string> limited(std::string_view name, std::size_t most) const {
    std::string value = get(name);
    const std::size_t size = bureau::count_code_points(value);
    if (size <= most) return value;
    return fail(Code::invalid, fmt::format("{}: {} characters, the limit is {}", name, size, most),
                std::string(name));
  }
  Result<std::string> required(std::string_view name, std::size_t most) const {
    BUREAU_TRY(std::string value, limited(name, most));
    if (value.find_first_not_of(" \t\r\n") != std::string::npos) return value;
    return fail(Code::invalid, fmt::format("{}: it is empty; it must say something", name),
                std::string(name));
  }

 private:
  const Header& header_;
  const Record& record_;
};

/// Reads all rows, each through `read`; gathers those that it refuses when they are skipped.
template <class Row>
Result<CsvRows<Row>> read_rows(const std::string& path, bool skip_bad,
                               const std::vector<std::string>& known,
                               std::function<Result<void>(const Header&)> check_header,
                               std::function<Result<Row>(const Fields&, const Record&)> read) {
  BUREAU_TRY(const std::string content, read_file(path));
  CsvReader reader(content);
  Record record;
  auto first = reader.next(record);
  if (!first) return fail(Code::invalid, fmt::format("{}: {}", path, first.error().message));
  if (!*first) return fail(Code::invalid, fmt::format("{}: the file is empty", path));
  BUREAU_TRY(const Header header, Header::read(path, record, known));
  BUREAU_TRY_VOID(check_header(header));
  CsvRows<Row> rows;
  for (;;) {
    const auto more = reader.next(record);
    std::string what;
    if (!more) {
      what = fmt::format("{}, {}", path, more.error().message);
    } else if (!*more) {
      break;
    } else if (record.fields.size() != header.size()) {
      what = fmt::format("{}, line {}: {} fields, the header has {}", path, record.line,
                         record.fields.size(), header.size());
    } else {
      auto row = read(Fields(header, record), record);
      if (row) {
        rows.good.push_back(std::move(*row));
        continue;
      }
      what = fmt::format("{}, line {}: {}", path, record.line, row.error().message);
    }
    if (!skip_bad) {
      return fail(Code::invalid, what + "; nothing was imported (--skip-bad leaves such rows out)");
    }
    rows.bad.push_back({record.line, std::move(what)});
  }
  if (rows.good.empty()) {
    return fail(Code::invalid, fmt::format("{}: there is no {}row below the header", path,
                                           rows.bad.empty() ? "" : "good "));
  }
  return rows;
}

Result<InboxMessage> read_message(const Fields& fields, const Record& record,
                                  std::string_view text_column) {
  InboxMessage message;
  BUREAU_TRY(message.text, fields.required(text_column, max_text));
  BUREAU_TRY(message.customer, fields.limited("customer", max_name));
  BUREAU_TRY(message.email, fields.limited("email", max_email));
  if (!message.email.empty() && message.email.find('@') == std::string::npos) {
    return fail(Code::invalid, fmt::format("email: \"{}\" has no @", message.email), "email");
  }
  BUREAU_TRY(message.subject, fields.limited("subject", max_subject));
  BUREAU_TRY(message.label, fields.limited("category", max_label));
  if (const std::string at = fields.get("received_at"); !at.empty()) {
    auto parsed = bureau::Timestamp::parse(at);
    if (!parsed) {
      return fail(Code::invalid, fmt::format("received_at: {}", parsed.error().message),
                  "received_at");
    }
    message.received_at = *parsed;
  }
  BUREAU_TRY(std::string id, fields.limited("id", max_id));
  message.external_id =
      id.empty() ? fmt::format("line-{}-{}", record.line, digest_of(message.text)) : "id-" + id;
  return message;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return fail(Code::not_found, fmt::format("{}: there is no such file", path));
  }
  if (std::filesystem::is_directory(status)) {
    return fail(Code::invalid, fmt::format("{}: it is a folder, not a file", path));
  }
  std::ifstream file(path, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file || file.bad()) {
    return fail(Code::unavailable, fmt::format("{}: it cannot be read", path));
  }
  return content;
}

std::string digest_of(std::string_view content) {
  // FNV-1a: it must be the same in every run and on every machine; it guards against nobody.
  std::uint64_t hash = 1469598103934665603ULL;
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

Result<CsvRows<InboxMessage>> read_inbox(const std::string& path, bool skip_bad) {
  std::string text_column;
  auto check_header = [&](const Header& header) -> Result<void> {
    for (const char* name : {"text", "message", "body"}) {
      if (header.find(name) < 0) continue;
      if (!text_column.empty()) {
        return fail(Code::invalid,
                    fmt::format("{}, line 1: the columns \"{}\" and \"{}\" mean the same", path,
                                text_column, name));
      }
      text_column = name;
    }
    if (!text_column.empty()) return {};
    return fail(
        Code::invalid,
        fmt::format("{}, line 1: there is no column \"text\", \"message\" or \"body\"", path));
  };
  std::unordered_set<std::string> ids;
  auto read = [&](const Fields& fields, const Record& record) -> Result<InboxMessage> {
    BUREAU_TRY(InboxMessage message, read_message(fields, record, text_column));
    if (ids.insert(message.external_id).second) return message;
    return fail(Code::invalid,
                fmt::format("id: \"{}\" is there twice; it names one message", fields.get("id")),
                "id");
  };
  return read_rows<InboxMessage>(
      path, skip_bad,
      {"id", "customer", "email", "subject", "text", "message", "body", "received_at", "category"},
      check_header, read);
}

Result<CsvRows<Example>> read_examples(const std::string& path, bool skip_bad) {
  auto check_header = [&](const Header& header) -> Result<void> {
    for (const char* name : {"text", "category"}) {
      if (header.find(name) >= 0) continue;
      return fail(Code::invalid, fmt::format("{}, line 1: there is no column \"{}\"", path, name));
    }
    return {};
  };
  auto read = [](const Fields& fields, const Record&) -> Result<Example> {
    Example example;
    BUREAU_TRY(example.text, fields.required("text", max_text));
    BUREAU_TRY(example.label, fields.required("category", max_label));
    return example;
  };
  return read_rows<Example>(path, skip_bad, {"text", "category"}, check_header, read);
}

Result<std::vector<std::vector<std::string>>> read_table(const std::string& path,
                                                         const std::vector<std::string>& columns) {
  auto check_header = [&](const Header& header) -> Result<void> {
    for (const std::string& name : columns) {
      if (header.find(name) >= 0) continue;
      return fail(Code::invalid, fmt::format("{}, line 1: there is no column \"{}\"", path, name));
    }
    return {};
  };
  auto read = [&](const Fields& fields, const Record&) -> Result<std::vector<std::string>> {
    std::vector<std::string> row;
    for (const std::string& name : columns) row.push_back(fields.get(name));
    return row;
  };
  BUREAU_TRY(auto rows,
             read_rows<std::vector<std::string>>(path, false, columns, check_header, read));
  return std::move(rows.good);
}

}  // namespace helpdesk
