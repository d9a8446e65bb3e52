#include "bureau/core/csv.hpp"

#include <algorithm>

#include "core/text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// Reads one record. Its quotes decide where it ends; a fault in what a field holds is noted, and
/// the record read to its end, so that the next one begins where it should.
class RecordParser {
 public:
  RecordParser(std::string_view text, std::size_t position, const CsvReader::Limits& limits,
               CsvReader::Record& record)
      : text_(text), position_(position), limits_(limits), record_(record) {}

  /// False when the quotes are wrong: then nobody knows where the record ends.
  bool parse() {
    for (;;) {
      begin_field();
      const bool closed = at('"') ? quoted() : unquoted();
      if (!closed) return false;
      end_field();
      if (at(',')) {
        ++position_;
        continue;
      }
      break;
    }
    skip_line_end();
    record_.fields.resize(std::min(count_, limits_.fields));
    return true;
  }

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t line_ends() const { return line_ends_; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] Error& error() { return error_; }

  void note(Code code, const std::string& rule) {
    if (failed_) return;
    failed_ = true;
    const std::string line = "line " + std::to_string(record_.line);
    error_ = Error(code, line + ", field " + std::to_string(count_) + ": " + rule, line);
  }

 private:
  [[nodiscard]] bool at(char c) const { return position_ < text_.size() && text_[position_] == c; }
  /// A CR is a line's end only before LF; alone it is a character as any other.
  [[nodiscard]] bool at_line_end() const {
    return at('\n') || text_.substr(position_, 2) == "\r\n";
  }

  void begin_field() {
    ++count_;
    if (count_ == limits_.fields + 1)
      note(Code::exhausted, "more than " + std::to_string(limits_.fields) + " fields");
    if (count_ > record_.fields.size() && count_ <= limits_.fields) record_.fields.emplace_back();
    field_ = count_ <= limits_.fields ? &record_.fields[count_ - 1] : nullptr;
    if (field_ != nullptr) field_->clear();
    size_ = 0;
  }

  void take(std::size_t from, std::size_t to) {
    size_ += to - from;
    if (field_ != nullptr && size_ <= limits_.field_bytes) field_->append(text_, from, to - from);
  }

  void end_field() {
    if (size_ > limits_.field_bytes) {
      note(Code::exhausted, "longer than " + std::to_string(limits_.field_bytes) + " bytes");
    } else if (field_ != nullptr) {
      const std::size_t valid = detail::valid_text_prefix(*field_);
      if (valid == field_->size()) return;
      note(Code::invalid, (*field_)[valid] == '\0' ? "a NUL" : "invalid UTF-8");
    }
  }

  bool unquoted() {
    const std::size_t from = position_;
    for (; position_ < text_.size(); ++position_) {
      const char c = text_[position_];
      if (c == ',' || c == '\n' || (c == '\r' && at_line_end())) break;
      if (c == '"') note(Code::invalid, "a quote inside an unquoted field");
    }
    take(from, position_);
    return true;
  }

  bool quoted() {
    for (;;) {
      const std::size_t from = ++position_;
      position_ = std::min(text_.find('"', from), text_.size());
      take(from, position_);
      line_ends_ += static_cast<std::size_t>(
          std::count(text_.begin() + static_cast<std::ptrdiff_t>(from),
                     text_.begin() + static_cast<std::ptrdiff_t>(position_), '\n'));
      if (position_ == text_.size()) return broken("quoted field is not closed");
      ++position_;
      if (!at('"')) break;
      take(position_, position_ + 1);
    }
    if (position_ < text_.size() && !at(',') && !at_line_end())
      return broken("text after a closing quote");
    return true;
  }

  /// Wrong quotes explain all else that was found.
  bool broken(const std::string& rule) {
    failed_ = false;
    note(Code::invalid, rule);
    return false;
  }

  void skip_line_end() {
    if (position_ == text_.size()) return;
    position_ += at('\n') ? 1 : 2;
    ++line_ends_;
  }

  std::string_view text_;
  std::size_t position_;
  const CsvReader::Limits& limits_;
  CsvReader::Record& record_;
  std::string* field_ = nullptr;  // null beyond the limit of fields
  std::size_t count_ = 0;
  std::size_t size_ = 0;  // of the field, kept or not
  std::size_t line_ends_ = 0;
  bool failed_ = false;
  Error error_;
};

/// What a spreadsheet takes for a number: a sign, digits with a point, an exponent.
bool is_number(std::string_view text) {
  std::size_t i = text.starts_with('+') || text.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const std::size_t from = i;
    while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
    return i - from;
  };
  std::size_t mantissa = digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    mantissa += digits();
  }
  if (mantissa == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

/// What a spreadsheet would run, or a Japanese one: full-width signs are typed there as well.
bool is_formula(std::string_view text) {
  for (const std::string_view begin :
       {"=", "+", "-", "@", "\t", "\r", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"}) {
    if (text.starts_with(begin)) return !is_number(text);
  }
  return false;
}

}  // namespace

CsvReader::CsvReader(std::string_view text, Limits limits) : text_(text), limits_(limits) {
  if (text_.starts_with(byte_order_mark)) position_ = byte_order_mark.size();
}

Result<bool> CsvReader::next(Record& record) {
  for (;;) {
    if (position_ >= text_.size()) return false;
    const std::string_view rest = text_.substr(position_, 2);
    const std::size_t blank = rest[0] == '\n' ? 1 : rest == "\r\n" ? 2 : 0;
    if (blank == 0) break;
    position_ += blank;
    ++line_;
  }
  record.line = line_;
  RecordParser parser(text_, position_, limits_, record);
  if (!parser.parse()) {
    // A quote that is not closed took the lines below with it: go on with the first of them.
    const std::size_t line_end = text_.find('\n', position_);
    position_ = line_end == std::string_view::npos ? text_.size() : line_end + 1;
    ++line_;
    return fail(std::move(parser.error()));
  }
  position_ = parser.position();
  line_ += parser.line_ends();
  if (parser.failed()) return fail(std::move(parser.error()));
  return true;
}

void append_csv_field(std::string& out, std::string_view field) {
  const bool begins_line = out.empty() || out.back() == '\n';
  const bool formula = is_formula(field);
  // Some spreadsheets separate at semicolons or tabs too. An empty first field would make a blank
  // line, and a byte order mark would be taken for one.
  const bool special = field.find_first_of(",;\t\"\r\n") != std::string_view::npos ||
                       (begins_line && (field.empty() || field.starts_with(byte_order_mark)));
  if (!special) {
    if (formula) out += '\'';
    out += field;
    return;
  }
  out += '"';
  if (formula) out += '\'';
  for (std::size_t from = 0;;) {
    const std::size_t quote = field.find('"', from);
    out.append(field, from, quote == std::string_view::npos ? quote : quote - from + 1);
    if (quote == std::string_view::npos) break;
    out += '"';
    from = quote + 1;
  }
  out += '"';
}

BUREAU_END_NAMESPACE
