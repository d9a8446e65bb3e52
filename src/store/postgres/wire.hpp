#pragma once

#include <libpq-fe.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/postgres/sql.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, ClearResult>;

/// Parameters as libpq takes them, in the server's binary form.
class WireParameters {
 public:
  explicit WireParameters(std::span<const Parameter> parameters);
  [[nodiscard]] int count() const { return static_cast<int>(types_.size()); }
  [[nodiscard]] const Oid* types() const { return types_.data(); }
  [[nodiscard]] const char* const* values() const { return values_.data(); }
  [[nodiscard]] const int* lengths() const { return lengths_.data(); }
  [[nodiscard]] const int* formats() const { return formats_.data(); }

 private:
  std::vector<Oid> types_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
  std::string bytes_;
};

/// Whole rows as a binary COPY takes them.
[[nodiscard]] std::string copy_data(std::span<const Value> rows, std::size_t width);

/// One value of a binary result. Texts point into the result.
[[nodiscard]] Value value_at(const PGresult* result, int row, int column);
/// The whole row, into `out` (as many values as the result has columns).
void read_row(const PGresult* result, int row, std::vector<Value>& out);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
