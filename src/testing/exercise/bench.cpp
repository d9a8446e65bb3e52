#include "testing/exercise/bench.hpp"

#include <fmt/format.h>

#include <algorithm>

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

Result<void> Bench::write(WriteClosure closure) const { return storage->write({}, closure); }

Result<void> Bench::read(ReadClosure closure) const {
  return storage->read(Monotonic::never(), closure);
}

Result<Ids> Bench::ids(const Select& select) const {
  Ids found;
  BUREAU_TRY_VOID(read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(found, ids_of(reader, select));
    return {};
  }));
  return found;
}

tl::unexpected<Error> wrong(std::string message) {
  return fail(Code::internal, std::move(message));
}

tl::unexpected<Error> skip(std::string reason) { return fail(Code::cancelled, std::move(reason)); }

Result<void> expect(bool holds, std::string_view what) {
  if (holds) return {};
  return wrong(std::string(what));
}

Result<void> expect_ids(const Result<Ids>& got, const Ids& want, std::string_view what) {
  if (!got) return wrong(fmt::format("{}: {}", what, to_string(got.error())));
  if (*got == want) return {};
  return wrong(fmt::format("{}: rows {} instead of {}", what, shown(*got), shown(want)));
}

Result<void> expect_number(std::int64_t got, std::int64_t want, std::string_view what) {
  if (got == want) return {};
  return wrong(fmt::format("{}: {} instead of {}", what, got, want));
}

Result<void> expect_error(const Error* error, std::initializer_list<Code> codes,
                          std::string_view what, std::string_view field) {
  const std::string_view wanted = to_string(*codes.begin());
  if (error == nullptr) return wrong(fmt::format("{}: no error instead of {}", what, wanted));
  if (std::find(codes.begin(), codes.end(), error->code) == codes.end())
    return wrong(fmt::format("{}: {} instead of {}", what, to_string(*error), wanted));
  if (!field.empty() && error->field != field)
    return wrong(
        fmt::format("{}: the error's field is '{}' instead of '{}'", what, error->field, field));
  return {};
}

void Heard::add() {
  const std::lock_guard lock(mutex_);
  ++count_;
  changed_.notify_all();
}

int Heard::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

Result<void> Heard::expect_more_than(int before, const Bench& bench, std::string_view what) {
  const Monotonic end = bench.soon(std::chrono::seconds(10));
  std::unique_lock lock(mutex_);
  bool waits = true;
  while (waits && count_ == before) waits = bench.clock.wait_until(lock, changed_, end);
  if (count_ > before) return {};
  return wrong(fmt::format("no hint within ten seconds of {}", what));
}

Result<Rows> rows_of(Reader& reader, const Select& select) {
  Rows rows;
  BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> row) -> Result<bool> {
    rows.emplace_back(row.begin(), row.end());
    return true;
  }));
  return rows;
}

Result<Ids> ids_of(Reader& reader, const Select& select) {
  Ids ids;
  BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> row) -> Result<bool> {
    ids.push_back(row[0].as_integer());
    return true;
  }));
  return ids;
}

std::string shown(const Ids& ids) { return fmt::format("({})", fmt::join(ids, " ")); }

std::string shown(const std::vector<OwnedValue>& row) {
  std::string out = "(";
  for (const OwnedValue& value : row) {
    if (out.size() > 1) out += ", ";
    const Value view = value.view();
    switch (view.kind()) {
      case Value::Kind::null:
        out += "null";
        break;
      case Value::Kind::integer:
        out += std::to_string(view.as_integer());
        break;
      case Value::Kind::real:
        out += fmt::format("{}", view.as_real());
        break;
      default:
        append_json_string(out, view.as_text());
        break;
    }
  }
  return out + ")";
}

std::vector<Value> views(const std::vector<OwnedValue>& row) {
  std::vector<Value> out;
  out.reserve(row.size());
  for (const OwnedValue& value : row) out.push_back(value.view());
  return out;
}

Item item(std::int64_t id, std::string subject) {
  Item made;
  made.id = Id<Item>(id);
  made.subject = std::move(subject);
  return made;
}

Counter counter(std::int64_t id, std::int64_t added) {
  Counter made;
  made.id = Id<Counter>(id);
  made.added = added;
  return made;
}

Crew crew(std::int64_t id, std::string name) {
  Crew made;
  made.id = Id<Crew>(id);
  made.owner = name;
  made.name = std::move(name);
  return made;
}

const Catalog& catalog() {
  static const Catalog all = [] {
    Catalog made;
    static_cast<void>(made.add(table_of<Item>()));
    static_cast<void>(made.add(table_of<Crew>()));
    static_cast<void>(made.add(table_of<Counter>()));
    return made;
  }();
  return all;
}

Result<Select> items_where(std::string_view text) {
  Select select;
  select.table = &table_of<Item>();
  BUREAU_TRY(select.where, Predicate::parse(*select.table, text, &catalog()));
  return select;
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
