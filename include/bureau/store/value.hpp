#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a column holds. The storage class follows from it: integers for boolean, integer,
/// timestamp, duration, id and enumeration; UTF-8 text for text and json (canonical).
enum class Type : std::uint8_t {
  boolean,
  integer,
  real,
  text,
  timestamp,    ///< microseconds since 1970-01-01 UTC
  duration,     ///< microseconds
  id,           ///< a row of the column's `references` table
  enumeration,  ///< the index of the name in the column's `names`
  json,         ///< canonical JSON text
  bytes,
};
[[nodiscard]] std::string_view to_string(Type type) noexcept;

/// One value on its way to or from a storage: a view, cheap to copy. Text and bytes point into
/// memory that somebody else keeps alive; storages promise it for the length of a callback only.
class Value {
 public:
  enum class Kind : std::uint8_t { null, integer, real, text, bytes };

  constexpr Value() = default;
  [[nodiscard]] static constexpr Value integer(std::int64_t v) {
    Value x;
    x.kind_ = Kind::integer;
    x.integer_ = v;
    return x;
  }
  [[nodiscard]] static constexpr Value real(double v) {
    Value x;
    x.kind_ = Kind::real;
    x.real_ = v;
    return x;
  }
  [[nodiscard]] static constexpr Value text(std::string_view v) {
    Value x;
    x.kind_ = Kind::text;
    x.data_ = v.data();
    x.size_ = v.size();
    return x;
  }
  [[nodiscard]] static constexpr Value bytes(std::string_view v) {
    Value x = text(v);
    x.kind_ = Kind::bytes;
    return x;
  }

  [[nodiscard]] constexpr Kind kind() const { return kind_; }
  [[nodiscard]] constexpr bool is_null() const { return kind_ == Kind::null; }
  /// REQUIRES: the kind that the name says (text also for bytes).
  [[nodiscard]] constexpr std::int64_t as_integer() const { return integer_; }
  [[nodiscard]] constexpr double as_real() const { return real_; }
  [[nodiscard]] constexpr std::string_view as_text() const { return {data_, size_}; }

  /// Same kind and same content; two nulls are equal here (a predicate says otherwise).
  friend bool operator==(const Value& a, const Value& b) {
    if (a.kind_ != b.kind_) return false;
    switch (a.kind_) {
      case Kind::null:
        return true;
      case Kind::integer:
        return a.integer_ == b.integer_;
      case Kind::real:
        return !(a.real_ < b.real_) && !(b.real_ < a.real_);
      default:
        return a.as_text() == b.as_text();
    }
  }

 private:
  Kind kind_ = Kind::null;
  union {
    std::int64_t integer_ = 0;
    double real_;
    const char* data_;
  };
  std::size_t size_ = 0;
};

/// The order that PREDICATES.md states: null first, then numbers by size, text and bytes bytewise.
/// Values of different kinds (which one column never holds) order by kind. <0, 0, >0.
[[nodiscard]] int compare(const Value& a, const Value& b) noexcept;

/// A value that owns its text.
class OwnedValue {
 public:
  OwnedValue() = default;
  explicit OwnedValue(const Value& v);
  [[nodiscard]] static OwnedValue text(std::string v);
  [[nodiscard]] static OwnedValue bytes(std::string v);
  [[nodiscard]] Value view() const;
  friend bool operator==(const OwnedValue& a, const OwnedValue& b) { return a.view() == b.view(); }

 private:
  Value::Kind kind_ = Value::Kind::null;
  union {
    std::int64_t integer_ = 0;
    double real_;
  };
  std::string text_;
};

BUREAU_END_NAMESPACE
