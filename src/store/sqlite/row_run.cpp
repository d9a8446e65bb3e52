#include "store/sqlite/row_run.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

RowRun::RowRun(Connection& connection, Statement statement, std::vector<RowRun*>* active)
    : connection_(connection), statement_(std::move(statement)), active_(active) {
  if (active_ != nullptr) active_->push_back(this);
}

RowRun::~RowRun() {
  if (active_ != nullptr) std::erase(*active_, this);
}

Result<bool> RowRun::next(Row& row) {
  if (done_) return false;
  const int code = statement_.step();
  if (code != SQLITE_ROW) {
    done_ = true;
    if (code == SQLITE_DONE) return false;
    return fail(connection_.error(code, "a statement"));
  }
  ++rows_;
  row.values.resize(static_cast<std::size_t>(sqlite3_column_count(statement_.get())));
  for (std::size_t i = 0; i < row.values.size(); ++i) {
    row.values[i] = column_value(statement_.get(), static_cast<int>(i));
  }
  if (returning_ != nullptr) make_reals(row);
  if (active_ != nullptr) keep_texts(row);
  return true;
}

void RowRun::make_reals(Row& row) const {
  for (std::size_t i = 0; i < row.values.size(); ++i) {
    Value& value = row.values[i];
    if (returning_->columns[i].type == Type::real && value.kind() == Value::Kind::integer) {
      value = Value::real(static_cast<double>(value.as_integer()));
    }
  }
}

void RowRun::keep_texts(Row& row) const {
  const auto is_text = [](const Value& value) {
    return value.kind() == Value::Kind::text || value.kind() == Value::Kind::bytes;
  };
  std::size_t size = 0;
  for (const Value& value : row.values) size += is_text(value) ? value.as_text().size() : 0;
  row.texts.clear();
  row.texts.reserve(size);
  for (Value& value : row.values) {
    if (!is_text(value)) continue;
    const std::string_view text = value.as_text();
    const char* const place = row.texts.data() + row.texts.size();
    row.texts.insert(row.texts.end(), text.begin(), text.end());
    value = value.kind() == Value::Kind::text ? Value::text({place, text.size()})
                                              : Value::bytes({place, text.size()});
  }
}

Result<void> RowRun::run(RowSink sink) {
  for (;;) {
    if (!rest_.empty()) {
      row_ = std::move(rest_.front());
      rest_.pop_front();
    } else {
      BUREAU_TRY(const bool found, next(row_));
      if (!found) return {};
    }
    BUREAU_TRY(const bool more, sink(row_.values));
    if (!more) return {};
  }
}

Result<void> RowRun::read_rest() {
  for (;;) {
    Row row;
    BUREAU_TRY(const bool found, next(row));
    if (!found) return {};
    rest_.push_back(std::move(row));
  }
}

Result<void> RowRun::finish() {
  Row row;
  for (;;) {
    BUREAU_TRY(const bool found, next(row));
    if (!found) return {};
  }
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
