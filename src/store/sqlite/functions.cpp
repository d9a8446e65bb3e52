#include "store/sqlite/functions.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "bureau/core/json.hpp"
#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

std::string_view text_of(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

void answer_text(sqlite3_context* context, std::string_view text) {
  sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

/// failure.cpp knows this form: the field, a colon, and the rule's last words.
void answer_overflow(sqlite3_context* context, const std::string& message) {
  sqlite3_result_error(context, message.c_str(), static_cast<int>(message.size()));
}

/// Follows arguments [first, count) as members; null when the path leads nowhere.
const Json* follow(const Json& document, int first, int count, sqlite3_value** arguments) {
  const Json* at = &document;
  for (int i = first; i < count && at != nullptr; ++i) at = at->find(text_of(arguments[i]));
  return at;
}

/// The kinds: b boolean, i integer, r real, t text, and x for "1 when it is there and not null".
void json_get(sqlite3_context* context, int count, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) != SQLITE_TEXT) return;
  const Json document = Json::parse(text_of(arguments[0])).value_or(Json());
  const Json* found = follow(document, 2, count, arguments);
  if (found == nullptr) return;
  switch (text_of(arguments[1]).front()) {
    case 'b':
      if (const bool* b = found->as_bool()) sqlite3_result_int(context, *b ? 1 : 0);
      break;
    case 'i':
      if (const auto* i = found->as_int()) sqlite3_result_int64(context, *i);
      break;
    case 'r':
      if (const double* d = found->as_double()) sqlite3_result_double(context, *d);
      break;
    case 't':
      if (const std::string* s = found->as_string()) answer_text(context, *s);
      break;
    default:
      if (!found->is_null()) sqlite3_result_int(context, 1);
  }
}

void json_has(sqlite3_context* context, int count, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) != SQLITE_TEXT) return;
  const std::string_view text = text_of(arguments[0]);
  // Of an array whose text has no escapes and does not have the element's, no more need be known.
  if (count == 2 && text.starts_with('[') && text.find('\\') == std::string_view::npos &&
      text.find(text_of(arguments[1])) == std::string_view::npos) {
    return sqlite3_result_int(context, 0);
  }
  const Json document = Json::parse(text).value_or(Json());
  const Json* found = follow(document, 2, count, arguments);
  const Json::Array* items = found == nullptr ? nullptr : found->as_array();
  if (items == nullptr) return;
  const std::string_view element = text_of(arguments[1]);
  const bool has = std::any_of(items->begin(), items->end(), [&](const Json& item) {
    const std::string* of = item.as_string();
    return of != nullptr && *of == element;
  });
  sqlite3_result_int(context, has ? 1 : 0);
}

/// SQLite's own + makes a real of a sum that does not fit. The third argument is the column's name.
void add(sqlite3_context* context, int, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) == SQLITE_NULL) return;
  const std::int64_t a = sqlite3_value_int64(arguments[0]);
  const std::int64_t b = sqlite3_value_int64(arguments[1]);
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return answer_overflow(context, fmt::format("{}: the sum of {} and {} {}",
                                                text_of(arguments[2]), a, b, does_not_fit));
  }
  sqlite3_result_int64(context, sum);
}

/// 128 bits hold the sum of any number of rows, so whether it overflows does not hang on their
/// order, as it does with SQLite's sum().
/// Packed: SQLite gives memory that is aligned to 8 bytes only.
struct __attribute__((packed)) IntegerSum {
  __extension__ __int128 sum;
  std::int64_t count;
  char column[96];  // the second argument of bureau_sum, for its error
};

void add_to_sum(sqlite3_context* context, int count, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) == SQLITE_NULL) return;
  auto* state = static_cast<IntegerSum*>(sqlite3_aggregate_context(context, sizeof(IntegerSum)));
  if (state == nullptr) return sqlite3_result_error_nomem(context);
  if (state->count == 0 && count > 1) {
    const std::string_view column = text_of(arguments[1]);
    column.copy(state->column, sizeof state->column - 1);  // what SQLite gives is zeroed
  }
  state->sum += sqlite3_value_int64(arguments[0]);
  ++state->count;
}

void answer_sum(sqlite3_context* context) {
  const auto* state = static_cast<IntegerSum*>(sqlite3_aggregate_context(context, 0));
  if (state == nullptr) return;
  if (state->sum > INT64_MAX || state->sum < INT64_MIN) {
    const std::string_view column = static_cast<const char*>(state->column);
    return answer_overflow(context, fmt::format("{}: the sum {}", column, does_not_fit));
  }
  sqlite3_result_int64(context, static_cast<std::int64_t>(state->sum));
}

void answer_average(sqlite3_context* context) {
  const auto* state = static_cast<IntegerSum*>(sqlite3_aggregate_context(context, 0));
  if (state == nullptr || state->count == 0) return;
  sqlite3_result_double(context,
                        static_cast<double>(state->sum) / static_cast<double>(state->count));
}

void fold(sqlite3_context* context, int, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) != SQLITE_TEXT) return;
  answer_text(context, fold_case(text_of(arguments[0])));
}

using Scalar = void (*)(sqlite3_context*, int, sqlite3_value**);
using Final = void (*)(sqlite3_context*);

}  // namespace

int add_functions(sqlite3* connection) {
  // Innocuous: the condition of a partial index may use them although the schema is not trusted.
  constexpr int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  const auto make = [&](const char* name, int arguments, Scalar scalar, Scalar step, Final last) {
    return sqlite3_create_function_v2(connection, name, arguments, flags, nullptr, scalar, step,
                                      last, nullptr);
  };
  const int codes[] = {
      make("bureau_json_get", -1, json_get, nullptr, nullptr),
      make("bureau_json_has", -1, json_has, nullptr, nullptr),
      make("bureau_add", 3, add, nullptr, nullptr),
      make("bureau_sum", 2, nullptr, add_to_sum, answer_sum),
      make("bureau_average", 1, nullptr, add_to_sum, answer_average),
      make("bureau_fold", 1, fold, nullptr, nullptr),
  };
  for (const int code : codes) {
    if (code != SQLITE_OK) return code;
  }
  return SQLITE_OK;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
