#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

/// A JSON value. Objects keep their keys unique and sorted bytewise, so that equal values have
/// equal canonical text. Numbers are 64-bit integers or finite doubles. A plain value; safe to
/// share between threads while nobody changes it.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;
  enum class Kind { null, boolean, integer, real, string, array, object };
  static constexpr int max_depth = 64;

  Json();
  Json(std::nullptr_t);          // NOLINT
  Json(bool value);              // NOLINT
  Json(std::int64_t value);      // NOLINT
  Json(int value);               // NOLINT
  Json(double value);            // NOLINT
  Json(std::string value);       // NOLINT
  Json(std::string_view value);  // NOLINT
  Json(const char* value);       // NOLINT
  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(const Json&);
  Json& operator=(Json&&) noexcept;
  ~Json();
  /// json::array({1, "two"}) and json::object({{"a", 1}}); of repeated keys the last one stays.
  [[nodiscard]] static Json array(Array items = {});
  [[nodiscard]] static Json object(std::initializer_list<Member> members = {});

  /// Reads RFC 8259 text: valid UTF-8, no repeated keys, at most max_depth levels, integers that
  /// fit 64 bits kept exact, other numbers finite. `invalid` names the byte offset and the rule.
  /// Never recurses beyond max_depth.
  [[nodiscard]] static Result<Json> parse(std::string_view text);
  /// The canonical text: no spaces, sorted keys, shortest round-trip numbers (a double always has a
  /// point or an exponent). Control characters are escaped, all else is raw UTF-8. A number that is
  /// not finite becomes NaN, Infinity or -Infinity: no JSON, and parsers and storages refuse it.
  [[nodiscard]] std::string dump() const;
  void dump_to(std::string& out) const;

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(value_.index()); }
  [[nodiscard]] bool is_null() const { return kind() == Kind::null; }

  // Typed access: a pointer, null when the value is of another kind.
  [[nodiscard]] const bool* as_bool() const { return std::get_if<bool>(&value_); }
  [[nodiscard]] const std::int64_t* as_int() const { return std::get_if<std::int64_t>(&value_); }
  [[nodiscard]] const double* as_double() const { return std::get_if<double>(&value_); }
  [[nodiscard]] const std::string* as_string() const { return std::get_if<std::string>(&value_); }
  [[nodiscard]] const Array* as_array() const { return std::get_if<Array>(&value_); }
  [[nodiscard]] const Object* as_object() const { return std::get_if<Object>(&value_); }
  [[nodiscard]] Array* as_array() { return std::get_if<Array>(&value_); }

  /// The member of that name, or null when there is none or this is no object.
  [[nodiscard]] const Json* find(std::string_view key) const;
  /// Adds or replaces a member; makes a null value an object first. REQUIRES: null or object.
  Json& set(std::string_view key, Json value);
  /// Appends; makes a null value an array first. REQUIRES: null or array.
  void push_back(Json value);

  friend bool operator==(const Json& a, const Json& b);

 private:
  struct Builder;  // makes values of what the parser reads
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value_;
};

/// Appends `text` as a JSON string with its quotes: what dump() does to strings.
void append_json_string(std::string& out, std::string_view text);

/// True when the text is valid UTF-8 without NUL.
[[nodiscard]] bool is_valid_text(std::string_view text) noexcept;
/// How many code points valid UTF-8 holds.
[[nodiscard]] std::size_t count_code_points(std::string_view text) noexcept;

BUREAU_END_NAMESPACE
