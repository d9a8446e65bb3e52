#pragma once

#include <bureau/bureau.hpp>
#include <bureau/core/csv.hpp>
#include <optional>
#include <string>
#include <vector>

namespace helpdesk {

/// One message of the inbox, as its file has it.
struct InboxMessage {
  std::string external_id;  ///< the file's id, or line and content: the same in every run
  std::string customer, email, subject, text;
  std::optional<bureau::Timestamp> received_at;
  std::string label;  ///< what it is about, where the file knows: only for measuring
};

/// A row that is not imported, and why: names file, line, field and rule.
struct BadRow {
  std::size_t line = 0;
  std::string what;
};

template <class Row>
struct CsvRows {
  std::vector<Row> good;
  std::vector<BadRow> bad;  ///< empty unless bad rows are skipped
};

struct Example {
  std::string text, label;
};

/// The messages of a CSV file whose header has `text` (or `message`, or `body`) and may have id,
/// customer, email, subject, received_at and category. `invalid` for the first bad row, unless they
/// are skipped; always for a header that is wrong and a file without a row.
bureau::Result<CsvRows<InboxMessage>> read_inbox(const std::string& path, bool skip_bad);
/// The labelled texts of a CSV file with the columns text and category.
bureau::Result<CsvRows<Example>> read_examples(const std::string& path, bool skip_bad);

/// A whole file with the columns named, in that order: for the office's own small files.
bureau::Result<std::vector<std::vector<std::string>>> read_table(
    const std::string& path, const std::vector<std::string>& columns);

/// The bytes of a file; `not_found` or `unavailable` name it.
bureau::Result<std::string> read_file(const std::string& path);
/// A short text that differs when the content does.
std::string digest_of(std::string_view content);

}  // namespace helpdesk
