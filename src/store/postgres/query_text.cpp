#include "store/postgres/query_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "store/postgres/sql.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr std::size_t longest_text = 100'000;
constexpr std::array<std::string_view, 5> reading_words = {"select", "values", "with", "table",
                                                           "("};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80U;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class QueryLexer {
 public:
  QueryLexer(std::string_view text, const std::vector<OwnedValue>& params)
      : text_(text), params_(params) {}

  /// Past one token, or blanks and comments; its text is added to `out`.
  void next(std::string& out) {
    const std::size_t begin = at_;
    if (is_parameter()) return parameter(out);
    step();
    at_ = std::min(std::max(at_, begin + 1), text_.size());
    out += text_.substr(begin, at_ - begin);
  }
  /// Whether blanks or a comment begin here.
  [[nodiscard]] bool is_space() const {
    constexpr std::string_view blanks = " \t\r\n\f\v";
    return blanks.find(text_[at_]) != std::string_view::npos || at("--") || at("/*");
  }
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] std::size_t highest() const { return highest_; }

 private:
  [[nodiscard]] bool at(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  [[nodiscard]] bool is_parameter() const {
    return text_[at_] == '$' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]);
  }

  void step() {
    const char c = text_[at_];
    if (at("--")) {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (at("/*")) {
      comment();
    } else if (c == '\'' || c == '"') {
      quoted_by(c, false);
    } else if (c == '$') {
      dollars();
    } else if (is_letter(c)) {
      const bool escapes =
          (c == 'e' || c == 'E') && at_ + 1 < text_.size() && text_[at_ + 1] == '\'';
      if (escapes) {
        ++at_;
        return quoted_by('\'', true);
      }
      while (at_ < text_.size() &&
             (is_letter(text_[at_]) || is_digit(text_[at_]) || text_[at_] == '$'))
        ++at_;
    } else {
      ++at_;
    }
  }

  void comment() {
    int depth = 0;
    do {
      if (at("/*")) {
        ++depth;
        at_ += 2;
      } else if (at("*/")) {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && at_ < text_.size());
  }

  void quoted_by(char quote, bool escapes) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (escapes && text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == quote) {
        ++at_;
        if (at_ >= text_.size() || text_[at_] != quote) return;
      }
    }
  }

  /// $tag$ ... $tag$, or a dollar alone.
  void dollars() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
    if (end >= text_.size() || text_[end] != '$') {
      ++at_;
      return;
    }
    const std::string_view tag = text_.substr(at_, end + 1 - at_);
    const std::size_t close = text_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
  }

  void parameter(std::string& out) {
    std::size_t number = 0;
    for (++at_; at_ < text_.size() && is_digit(text_[at_]); ++at_) {
      number =
          std::min<std::size_t>(number * 10 + static_cast<std::size_t>(text_[at_] - '0'), 99999);
    }
    highest_ = std::max(highest_, number);
    if (number == 0 || number > params_.size()) return;
    const Value value = params_[number - 1].view();
    Sql literal("");
    literal.literal(value);
    const std::string_view type =
        value.is_null() ? std::string_view("text") : type_name(parameter_type(value.kind()));
    out += fmt::format("({}::{})", literal.text, type);
  }

  std::string_view text_;
  const std::vector<OwnedValue>& params_;
  std::size_t at_ = 0, highest_ = 0;
};

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

Result<QueryText> read_query_text(std::string_view text, const std::vector<OwnedValue>& params) {
  if (text.size() > longest_text) {
    return fail(Code::exhausted,
                fmt::format("sql: the text has {} bytes, at most {} are allowed", text.size(),
                            longest_text),
                "sql");
  }
  if (!is_valid_text(text)) {
    return fail(Code::invalid, "sql: it is not valid UTF-8 without NUL", "sql");
  }
  QueryLexer lexer(text, params);
  QueryText out;
  std::string word;
  while (!lexer.done()) {
    const bool space = lexer.is_space();
    std::string token;
    lexer.next(token);
    if (!space && word.empty() && token != ";") {
      word = lower(token);
      if (word == "explain" && !out.explain) {
        out.explain = true;
        word.clear();
        continue;
      }
    }
    out.text += token;
  }
  if (word.empty()) return fail(Code::invalid, "sql: there is no statement in it", "sql");
  if (lexer.highest() != params.size()) {
    return fail(Code::invalid,
                fmt::format("sql: the statement has {} parameters, {} were given", lexer.highest(),
                            params.size()),
                "params");
  }
  out.reads = std::find(reading_words.begin(), reading_words.end(), word) != reading_words.end();
  return out;
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
