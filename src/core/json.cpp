#include "bureau/core/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/canonical_json.hpp"
#include "core/text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

bool key_less(const Json::Member& member, std::string_view key) { return member.first < key; }

}  // namespace

// Here, so that not every file that includes the header makes the variant's functions.
Json::Json() = default;
Json::Json(std::nullptr_t) {}
Json::Json(bool value) : value_(value) {}
Json::Json(std::int64_t value) : value_(value) {}
Json::Json(int value) : value_(static_cast<std::int64_t>(value)) {}
Json::Json(double value) : value_(value) {}
Json::Json(std::string value) : value_(std::move(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(const char* value) : value_(std::string(value)) {}
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

Json Json::array(Array items) {
  Json json;
  json.value_ = std::move(items);
  return json;
}

Json Json::object(std::initializer_list<Member> members) {
  Json json;
  Object& object = json.value_.emplace<Object>(members);
  std::stable_sort(object.begin(), object.end(),
                   [](const Member& a, const Member& b) { return a.first < b.first; });
  // Of equal keys, which are in the order in which they were given, keep the last.
  auto kept = object.begin();
  for (auto member = object.begin(); member != object.end(); ++member) {
    if (std::next(member) != object.end() && std::next(member)->first == member->first) continue;
    if (kept != member) *kept = std::move(*member);
    ++kept;
  }
  object.erase(kept, object.end());
  return json;
}

const Json* Json::find(std::string_view key) const {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  const auto place = std::lower_bound(object->begin(), object->end(), key, key_less);
  return place != object->end() && place->first == key ? &place->second : nullptr;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) value_.emplace<Object>();
  auto& object = std::get<Object>(value_);
  const auto place = std::lower_bound(object.begin(), object.end(), key, key_less);
  if (place != object.end() && place->first == key) {
    place->second = std::move(value);
    return place->second;
  }
  return object.emplace(place, std::string(key), std::move(value))->second;
}

void Json::push_back(Json value) {
  if (is_null()) value_.emplace<Array>();
  std::get<Array>(value_).push_back(std::move(value));
}

bool operator==(const Json& a, const Json& b) { return a.value_ == b.value_; }

/// What the SAX parser reports, made into a value. It keeps the open containers on a stack of its
/// own, so that nothing recurses.
struct Json::Builder {
  using Sax = nlohmann::json;

  struct Open {
    Json container;
    std::string key;  // of the member that comes next
  };

  explicit Builder(const char* const& at, const char* begin) : at_(at), begin_(begin) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(Sax::number_integer_t value) { return add(std::int64_t{value}); }
  bool number_unsigned(Sax::number_unsigned_t value) {
    if (value > INT64_MAX) return refuse("an integer that does not fit 64 bits");
    return add(static_cast<std::int64_t>(value));
  }
  bool number_float(Sax::number_float_t value, const std::string& text) {
    // The lexer falls back to a double when an integer is too big.
    if (std::all_of(text.begin(), text.end(),
                    [](char c) { return c == '-' || (c >= '0' && c <= '9'); }))
      return refuse("an integer that does not fit 64 bits");
    if (!std::isfinite(value)) return refuse("a number beyond the range of a double");
    return add(value);
  }
  bool string(std::string& value) {
    if (!check(value)) return false;
    return add(std::move(value));
  }
  bool binary(Sax::binary_t&) { return refuse("binary data"); }

  bool start_object(std::size_t) { return open(Kind::object); }
  bool start_array(std::size_t) { return open(Kind::array); }
  bool key(std::string& value) {
    if (!check(value)) return false;
    open_.back().key = std::move(value);
    return true;
  }
  bool end_array() { return close(); }
  bool end_object() {
    auto& object = std::get<Object>(open_.back().container.value_);
    const auto less = [](const Member& a, const Member& b) { return a.first < b.first; };
    if (!std::is_sorted(object.begin(), object.end(), less))
      std::sort(object.begin(), object.end(), less);
    const auto same = [](const Member& a, const Member& b) { return a.first == b.first; };
    const auto repeated = std::adjacent_find(object.begin(), object.end(), same);
    if (repeated != object.end()) {
      std::string shown;
      append_json_string(shown, repeated->first.size() <= 60 ? repeated->first : "(a long one)");
      return refuse("an object with the key " + shown + " twice");
    }
    return close();
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) {
    if (dynamic_cast<const nlohmann::detail::out_of_range*>(&error) != nullptr)
      return refuse("a number beyond the range of a double");
    // Of nlohmann's message only the rule is kept: after "last read" it repeats the input.
    const std::string_view what = error.what();
    const std::string_view rule = what.substr(std::min(what.find("syntax error"), what.size()));
    const std::string text(rule.substr(0, rule.find("; last read:")));
    // Position counts the bytes read.
    return refuse(text, position == 0 ? 0 : position - 1);
  }

  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Open& parent = open_.back();
    if (auto* array = std::get_if<Array>(&parent.container.value_)) {
      array->push_back(std::move(value));
    } else {
      std::get<Object>(parent.container.value_)
          .emplace_back(std::move(parent.key), std::move(value));
    }
    return true;
  }

  bool open(Kind kind) {
    if (open_.size() == max_depth)
      return refuse("more than " + std::to_string(max_depth) + " levels");
    auto& value = open_.emplace_back().container.value_;
    if (kind == Kind::array) {
      value.emplace<Array>();
    } else {
      value.emplace<Object>();
    }
    return true;
  }

  bool close() {
    Json value = std::move(open_.back().container);
    open_.pop_back();
    return add(std::move(value));
  }

  /// Escapes can make what the text's own check has not seen: U+0000.
  bool check(const std::string& value) {
    return is_valid_text(value) || refuse("a string that holds U+0000");
  }

  bool refuse(const std::string& rule) {
    return refuse(rule, static_cast<std::size_t>(at_ - begin_));
  }
  bool refuse(const std::string& rule, std::size_t offset) {
    error_ = Error(Code::invalid, "JSON, byte " + std::to_string(offset) + ": " + rule);
    return false;
  }

  const char* const& at_;
  const char* begin_;
  std::vector<Open> open_;
  Json root_;
  Error error_;
};

namespace {

/// Reads the text and lets the builder know how far.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char** at;
  reference operator*() const { return **at; }
  Cursor& operator++() {
    ++*at;
    return *this;
  }
  Cursor operator++(int) {
    ++*at;
    return *this;
  }
  [[maybe_unused]] friend bool operator==(const Cursor& a, const Cursor& b) {
    return *a.at == *b.at;
  }
};

}  // namespace

Result<Json> Json::parse(std::string_view text) {
  if (auto value = detail::read_canonical_json(text)) return *std::move(value);
  // Before all else: the lexer takes a NUL for the end of the text.
  const std::size_t valid = detail::valid_text_prefix(text);
  if (valid != text.size())
    return fail(Code::invalid, "JSON, byte " + std::to_string(valid) +
                                   (text[valid] == '\0' ? ": a NUL" : ": invalid UTF-8"));
  const char* at = text.data();
  const char* end = text.data() + text.size();
  Builder builder(at, text.data());
  if (!nlohmann::json::sax_parse(Cursor{&at}, Cursor{&end}, &builder))
    return fail(std::move(builder.error_));
  return std::move(builder.root_);
}

namespace {

void append_double(std::string& out, double value) {
  // Nothing that was parsed or stored gets here. Null would be another value; this is none, and
  // whoever reads or stores the text says so.
  if (!std::isfinite(value)) {
    out += std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    return;
  }
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  const std::string_view text(digits, static_cast<std::size_t>(end - digits));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_integer(std::string& out, std::int64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, end);
}

}  // namespace

void Json::dump_to(std::string& out) const {
  switch (kind()) {
    case Kind::null:
      out += "null";
      return;
    case Kind::boolean:
      out += *as_bool() ? "true" : "false";
      return;
    case Kind::integer:
      return append_integer(out, *as_int());
    case Kind::real:
      return append_double(out, *as_double());
    case Kind::string:
      return append_json_string(out, *as_string());
    case Kind::array: {
      char separator = '[';
      for (const Json& item : *as_array()) {
        out += separator;
        separator = ',';
        item.dump_to(out);
      }
      if (separator == '[') out += '[';
      out += ']';
      return;
    }
    case Kind::object: {
      char separator = '{';
      for (const auto& [key, value] : *as_object()) {
        out += separator;
        separator = ',';
        append_json_string(out, key);
        out += ':';
        value.dump_to(out);
      }
      if (separator == '{') out += '{';
      out += '}';
      return;
    }
  }
}

std::string Json::dump() const {
  std::string out;
  dump_to(out);
  return out;
}

BUREAU_END_NAMESPACE
