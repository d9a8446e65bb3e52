#include "store/postgres/query_tree.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// Columns are counted from the first of the server's own (FirstLowInvalidHeapAttributeNumber).
constexpr int first_column = -7;
constexpr int depth_max = 2000;

constexpr std::array<std::string_view, 4> function_fields = {":funcid", ":opfuncid", ":aggfnoid",
                                                             ":winfnoid"};

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return {};
  return value;
}

/// {NAME :field value ...}, (list), and words between blanks, in which \ takes the meaning of what
/// follows.
class TreeReader {
 public:
  explicit TreeReader(std::string_view tree) : tree_(tree) {}

  bool run() {
    while (good_ && !word().empty()) value(0);
    return good_ && all_named();
  }
  QueryReads take() { return std::move(reads_); }

 private:
  /// The word at hand; empty: there is none.
  std::string_view word() {
    if (!word_.empty()) return word_;
    const auto is_blank = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
    const auto is_bracket = [](char c) { return c == '(' || c == ')' || c == '{' || c == '}'; };
    while (at_ < tree_.size() && is_blank(tree_[at_])) ++at_;
    if (at_ == tree_.size()) return {};
    const std::size_t begin = at_++;
    if (!is_bracket(tree_[begin])) {
      if (tree_[begin] == '\\') ++at_;
      while (at_ < tree_.size() && !is_blank(tree_[at_]) && !is_bracket(tree_[at_])) {
        at_ += tree_[at_] == '\\' ? 2 : 1;
      }
    }
    at_ = std::min(at_, tree_.size());
    word_ = tree_.substr(begin, at_ - begin);
    return word_;
  }
  void pass() { word_ = {}; }

  void value(int depth) {
    if (depth > depth_max) {
      good_ = false;
      return;
    }
    const std::string_view first = word();
    pass();
    if (first == "{") return node(depth);
    if (first == ")" || first == "}") good_ = false;
    if (first != "(") return;
    while (good_ && word() != ")") {
      if (word().empty()) good_ = false;
      if (good_) value(depth + 1);
    }
    pass();
  }

  using Fields = std::map<std::string_view, std::vector<std::string_view>>;

  void node(int depth) {
    const std::string_view name = word();
    pass();
    Fields fields;
    std::vector<std::string_view>* field = nullptr;
    while (good_ && word() != "}") {
      if (word().empty()) {
        good_ = false;
      } else if (word().front() == ':') {
        field = &fields[word()];
        field->clear();
        pass();
      } else if (word() == "{" || word() == "(") {
        nested(field, depth);
      } else {
        if (field != nullptr) field->push_back(word());
        pass();
      }
    }
    pass();
    if (good_) take_in(name, fields);
  }

  /// Of a list of numbers, its words.
  void nested(std::vector<std::string_view>* field, int depth) {
    const std::size_t begin = at_;
    const bool list = word() == "(";
    value(depth + 1);
    if (!list || field == nullptr || !good_) return;
    std::string_view inside = tree_.substr(begin, at_ - begin - 1);
    if (inside.find_first_of("({") != std::string_view::npos) return;
    while (!inside.empty()) {
      const std::size_t end = std::min(inside.find(' '), inside.size());
      if (end > 0) field->push_back(inside.substr(0, end));
      inside.remove_prefix(std::min(end + 1, inside.size()));
    }
  }

  std::optional<std::int64_t> number_of(const Fields& fields, std::string_view name) {
    const auto found = fields.find(name);
    if (found == fields.end() || found->second.size() != 1) return {};
    return number(found->second.front());
  }

  void take_in(std::string_view name, const Fields& fields) {
    for (const std::string_view field : function_fields) {
      if (!fields.contains(field)) continue;
      const auto oid = number_of(fields, field);
      // A function that was not looked up yet cannot be judged.
      if (!oid || *oid == 0) {
        good_ = false;
        return;
      }
      reads_.functions.push_back(*oid);
    }
    const bool in_range = name == "RTE" || name == "RANGETBLENTRY";
    const auto relid = number_of(fields, ":relid");
    if (in_range && number_of(fields, ":rtekind") == 0) {
      if (!relid) good_ = false;
      named_.push_back(relid.value_or(0));
    }
    // Up to version 15 a table's own entry holds what is read of it, since 16 one beside it.
    if (!in_range && name != "RTEPERMISSIONINFO") return;
    const auto columns = fields.find(":selectedCols");
    if (columns == fields.end() || !relid || *relid == 0) return;
    take_columns(*relid, columns->second);
  }

  void take_columns(std::int64_t relid, const std::vector<std::string_view>& words) {
    QueryReads::Relation relation{relid, {}};
    if (words.empty() || words.front() != "b") good_ = false;
    for (std::size_t i = 1; i < words.size() && good_; ++i) {
      const auto bit = number(words[i]);
      if (!bit) good_ = false;
      if (bit) relation.columns.push_back(static_cast<int>(*bit) + first_column);
    }
    reads_.relations.push_back(std::move(relation));
  }

  /// Of each table that is named, what is read of it is known.
  [[nodiscard]] bool all_named() const {
    return std::all_of(named_.begin(), named_.end(), [&](std::int64_t oid) {
      return std::any_of(reads_.relations.begin(), reads_.relations.end(),
                         [&](const QueryReads::Relation& one) { return one.oid == oid; });
    });
  }

  std::string_view tree_, word_;
  std::size_t at_ = 0;
  bool good_ = true;
  QueryReads reads_;
  std::vector<std::int64_t> named_;
};

}  // namespace

std::optional<QueryReads> read_query_tree(std::string_view tree) {
  TreeReader reader(tree);
  if (!reader.run()) return {};
  return reader.take();
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
