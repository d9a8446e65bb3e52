// Reading the journal: records become changes again.

#include "bureau/store/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "store/database_impl.hpp"
#include "store/journal_age.hpp"
#include "store/journal_codec.hpp"
#include "store/migration_records.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

std::string_view to_string(ChangeKind kind) noexcept {
  switch (kind) {
    case ChangeKind::insert:
      return "insert";
    case ChangeKind::update:
      return "update";
    case ChangeKind::remove:
      return "remove";
  }
  return "update";
}

namespace detail {

namespace {

/// Whether a value that was read can stand in the column: what a storage would have refused to
/// write must not reach code that trusts it. Null always can (erased, secret, or not known then).
bool fits(const ColumnInfo& column, const Value& value) {
  if (value.is_null()) return true;
  if (value.kind() != kind_of(column.type)) return false;
  switch (column.type) {
    case Type::boolean:
      return value.as_integer() == 0 || value.as_integer() == 1;
    case Type::enumeration:
      return value.as_integer() >= 0 &&
             static_cast<std::size_t>(value.as_integer()) < column.names.size();
    case Type::real:
      return std::isfinite(value.as_real());
    default:
      return true;
  }
}

}  // namespace

/// Turns one stored record into changes over today's columns.
class JournalDecoder {
 public:
  JournalDecoder(Database::Impl& impl, Reader& reader) : impl_(impl), reader_(reader) {}

  /// Null when the table is not one of this program's.
  Result<bool> decode(const JournalRow& row, std::int64_t after, JournalRecord& out) {
    BUREAU_TRY(auto shape, impl_.shape(reader_, row.shape));
    if (shape->table == nullptr) return false;
    // Each change takes at least a byte, so that a damaged count cannot make this run on.
    if (shape->columns.empty() || row.kind < 0 || row.kind > static_cast<int>(ChangeKind::remove) ||
        row.count < 1 || row.count > row.id.value ||
        static_cast<std::uint64_t>(row.count) > row.body.data.size()) {
      return damaged(row);
    }
    out.table_ = shape->table;
    out.tenant_ = row.tenant;
    out.actor_ = row.actor;
    out.task_ = row.task;
    out.at_ = row.at;
    out.body_.assign(row.body.data.begin(), row.body.data.end());
    const auto kind = static_cast<ChangeKind>(row.kind);
    struct Place {
      std::int64_t sequence;
      std::size_t before, after, changed, changed_count;
      bool has_before, has_after;
    };
    std::vector<Place> places;
    JournalCursor cursor({out.body_.data(), out.body_.size()});
    for (std::int64_t i = 0; i < row.count; ++i) {
      Place p{row.id.value - row.count + 1 + i, 0, 0, out.changed_.size(), 0, false, false};
      const std::size_t image = out.values_.size();
      if (!read_image(cursor, *shape, out)) return damaged(row);
      (kind == ChangeKind::remove ? p.before : p.after) = image;
      (kind == ChangeKind::remove ? p.has_before : p.has_after) = true;
      if (kind == ChangeKind::update) {
        if (!read_update(cursor, *shape, image, out, p.before)) return damaged(row);
        p.has_before = shape->full;
        p.changed_count = out.changed_.size() - p.changed;
      }
      if (failure_) return fail(std::move(*failure_));
      if (p.sequence > after) places.push_back(p);
    }
    if (!cursor.at_end()) return damaged(row);
    const std::size_t width = shape->table->width();
    for (const Place& p : places) {
      Change c{p.sequence, kind, {}, {}, {}};
      if (p.has_before) c.before = {out.values_.data() + p.before, width};
      if (p.has_after) c.after = {out.values_.data() + p.after, width};
      c.changed = {out.changed_.data() + p.changed, p.changed_count};
      out.changes_.push_back(c);
    }
    return !places.empty();
  }

 private:
  static tl::unexpected<Error> damaged(const JournalRow& row) {
    return fail(Code::corrupt,
                fmt::format("bureau_journal: record {} cannot be read", row.id.value));
  }

  bool read_value(JournalCursor& cursor, Value& out, JournalRecord& record) {
    JournalTag tag{};
    if (!cursor.tag(tag)) return false;
    if (tag != JournalTag::sealed) return cursor.content(tag, out);
    std::uint64_t subject = 0;
    std::string_view sealed;
    if (!cursor.varint(subject) || !cursor.block(sealed)) return false;
    if (subject < 1 || subject > INT64_MAX) return false;  // no id
    out = Value();
    auto key = key_for(static_cast<std::int64_t>(subject));
    if (!key) {
      failure_ = std::move(key).error();
      return true;
    }
    if (key->empty()) return true;  // erased
    std::string& plain = record.opened_.emplace_back();
    if (!unseal(*key, sealed, plain)) return false;
    JournalCursor inner(plain);
    JournalTag inner_tag{};
    return inner.tag(inner_tag) && inner.content(inner_tag, out);
  }

  /// Empty: erased.
  Result<std::string> key_for(std::int64_t subject) {
    if (erasures_ < 0) {
      BUREAU_TRY(erasures_, count_erasures(reader_));
    }
    if (auto cached = impl_.cached_key(subject, erasures_)) return *cached;
    KeyRow row;
    BUREAU_TRY(const bool found, reader_.find(table_of<KeyRow>(), subject,
                                              [&](std::span<const Value> values) -> Result<bool> {
                                                from_values(values, row);
                                                return true;
                                              }));
    if (!found || row.erased) return std::string();
    impl_.cache_key(subject, row.key.data, erasures_);
    return row.key.data;
  }

  bool read_into(JournalCursor& cursor, const Database::Impl::Shape& shape, std::int32_t place,
                 std::size_t image, JournalRecord& out) {
    Value v;
    if (!read_value(cursor, v, out)) return false;
    if (place < 0) return true;
    const auto column = static_cast<std::size_t>(place);
    if (!fits(shape.table->columns[column], v)) return false;
    out.values_[image + column] = v;
    return true;
  }

  bool read_image(JournalCursor& cursor, const Database::Impl::Shape& shape, JournalRecord& out) {
    const std::size_t start = out.values_.size();
    out.values_.resize(start + shape.table->width());
    for (const std::int32_t place : shape.columns) {
      if (!read_into(cursor, shape, place, start, out)) return false;
    }
    return true;
  }

  bool read_update(JournalCursor& cursor, const Database::Impl::Shape& shape, std::size_t image,
                   JournalRecord& out, std::size_t& before) {
    std::uint64_t count = 0;
    if (!cursor.varint(count) || count > shape.columns.size()) return false;
    if (shape.full) {
      const std::size_t width = shape.table->width();
      before = out.values_.size();
      out.values_.resize(before + width);
      std::copy_n(out.values_.begin() + static_cast<std::ptrdiff_t>(image), width,
                  out.values_.begin() + static_cast<std::ptrdiff_t>(before));
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t column = 0;
      if (!cursor.varint(column) || column >= shape.columns.size()) return false;
      const std::int32_t place = shape.columns[column];
      if (place >= 0) out.changed_.push_back(static_cast<std::uint16_t>(place));
      if (shape.full && !read_into(cursor, shape, place, before, out)) return false;
    }
    return true;
  }

  std::int64_t erasures_ = -1;
  std::optional<Error> failure_;  // of the storage, in the middle of a value
  Database::Impl& impl_;
  Reader& reader_;
};

}  // namespace detail

// Database: shapes, keys, reading ---------------------------------------------------------------

/// Also the other way: a record may be a newer program's.
Result<const ColumnInfo*> Database::Impl::column_today(Reader& reader, const TableInfo& table,
                                                       const std::string& name) {
  if (const ColumnInfo* found = table.find(name)) return found;
  BUREAU_TRY(const auto renames, detail::read_renames(reader));
  std::string newer = name, older = name;
  for (std::size_t i = 0; i < renames.size(); ++i) {
    const auto& forward = renames[i];
    if (forward.table == table.name && forward.from == newer) newer = forward.to;
    const auto& backward = renames[renames.size() - 1 - i];
    if (backward.table == table.name && backward.to == older) older = backward.from;
  }
  const ColumnInfo* found = table.find(newer);
  return found != nullptr ? found : table.find(older);
}

Result<std::shared_ptr<const Database::Impl::Shape>> Database::Impl::shape(Reader& reader,
                                                                           std::int64_t id) {
  {
    std::shared_lock lock(shapes_mutex);
    if (auto known = shapes.find(id); known != shapes.end()) return known->second;
  }
  detail::ShapeRow row;
  BUREAU_TRY(bool found, reader.find(table_of<detail::ShapeRow>(), id,
                                     [&](std::span<const Value> values) -> Result<bool> {
                                       from_values(values, row);
                                       return true;
                                     }));
  if (!found) return fail(Code::corrupt, fmt::format("bureau_shapes: no shape {}", id));
  auto made = std::make_shared<Shape>();
  made->table = catalog.find(row.table_name);
  made->full = row.mode == static_cast<std::int64_t>(journal::Mode::full);
  const auto* columns = row.columns.as_array();
  bool readable = columns != nullptr;
  for (std::size_t i = 0; readable && made->table != nullptr && i < columns->size(); ++i) {
    const auto* pair = (*columns)[i].as_array();
    readable = pair != nullptr && pair->size() == 2 && (*pair)[0].as_string() != nullptr &&
               (*pair)[1].as_string() != nullptr;
    if (!readable) break;
    BUREAU_TRY(const ColumnInfo* column,
               column_today(reader, *made->table, *(*pair)[0].as_string()));
    const bool same = column != nullptr && to_string(column->type) == *(*pair)[1].as_string();
    made->columns.push_back(same ? column->index : -1);
  }
  if (!readable) return fail(Code::corrupt, fmt::format("bureau_shapes: shape {} is damaged", id));
  std::unique_lock lock(shapes_mutex);
  return shapes.emplace(id, std::move(made)).first->second;
}

/// REQUIRES: keys_mutex.
void Database::Impl::forget_lost_keys() {
  const std::uint64_t losses = storage->losses();
  if (losses == keys_losses) return;
  keys.clear();
  keys_as_of = 0;
  keys_losses = losses;
}

std::optional<std::string> Database::Impl::cached_key(std::int64_t subject, std::int64_t erasures) {
  std::lock_guard lock(keys_mutex);
  forget_lost_keys();
  if (erasures != keys_as_of) return std::nullopt;
  const auto found = keys.find(subject);
  if (found == keys.end()) return std::nullopt;
  return found->second;
}

void Database::Impl::cache_key(std::int64_t subject, const std::string& key,
                               std::int64_t erasures) {
  std::lock_guard lock(keys_mutex);
  forget_lost_keys();
  // A snapshot from before an erasure must not bring its key back.
  if (erasures < keys_as_of) return;
  if (erasures > keys_as_of || keys.size() >= max_cached_keys) keys.clear();
  keys_as_of = erasures;
  keys[subject] = key;
}

namespace {
/// The records whose last number is beyond `after`.
Predicate beyond(std::int64_t after) {
  if (after <= 0) return {};  // 0 is no id, and so nothing to compare with
  return col(&detail::JournalRow::id) > Id<detail::JournalRow>(after);
}

/// The id and count of the first or last record.
Result<bool> end_record(Reader& reader, bool last, std::int64_t& id, std::int64_t& count) {
  const TableInfo& table = table_of<detail::JournalRow>();
  Select select{&table, {}, {{&table.columns[0], last}}, 1, {}, false};
  bool found = false;
  BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> row) -> Result<bool> {
    id = row[0].as_integer();
    count = row[6].as_integer();
    found = true;
    return false;
  }));
  if (found && (count < 1 || count > id)) {
    return fail(Code::corrupt, fmt::format("bureau_journal: record {} cannot be read", id));
  }
  return found;
}
}  // namespace

Result<std::int64_t> detail::newest_change(Reader& reader) {
  std::int64_t id = 0;
  std::int64_t count = 0;
  BUREAU_TRY_VOID(end_record(reader, true, id, count));
  return id;
}

Result<std::int64_t> Database::journal_head(Reader& reader) {
  return detail::newest_change(reader);
}

Result<std::int64_t> Database::journal_tail(Reader& reader) {
  std::int64_t id = 0;
  std::int64_t count = 0;
  BUREAU_TRY(bool found, end_record(reader, false, id, count));
  return found ? id - count + 1 : 1;
}

Result<std::int64_t> Database::last_change(Reader& reader, std::span<const RightsTable> tables,
                                           std::int64_t tenant, std::int64_t after) {
  // Shapes by whether the table belongs to a tenant and whether its inserts count.
  std::array<std::vector<std::int64_t>, 4> shapes;
  Select every_shape = select<detail::ShapeRow>();
  BUREAU_TRY_VOID(reader.scan(every_shape, [&](std::span<const Value> values) -> Result<bool> {
    detail::ShapeRow row;
    from_values(values, row);
    for (const RightsTable& t : tables) {
      if (t.table->name != row.table_name) continue;
      const bool tenanted = t.table->tenant != TableInfo::absent;
      shapes[(tenanted ? 2U : 0U) + (t.inserts ? 1U : 0U)].push_back(row.id.value);
    }
    return true;
  }));
  using Row = detail::JournalRow;
  Predicate any = Predicate::never();
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].empty()) continue;
    Predicate of_these = col(&Row::shape).in(shapes[i]);
    if ((i & 2U) != 0) of_these = of_these && col(&Row::tenant) == tenant;
    if ((i & 1U) == 0)
      of_these = of_these && col(&Row::kind) != static_cast<int>(ChangeKind::insert);
    any = any || of_these;
  }
  if (any.is_never()) return after;
  Aggregate newest;
  newest.table = &table_of<Row>();
  newest.where = beyond(after) && any;
  newest.measures = {{Aggregate::Function::maximum, &newest.table->columns[0]}};
  std::int64_t last = after;
  BUREAU_TRY_VOID(reader.aggregate(newest, [&](std::span<const Value> row) -> Result<bool> {
    if (!row[0].is_null()) last = row[0].as_integer();
    return true;
  }));
  return last;
}

Result<std::int64_t> Database::read_journal(Reader& reader, std::int64_t after, std::size_t limit,
                                            FunctionRef<Result<bool>(JournalRecord&&)> sink) {
  return give_records(reader, after, limit, {}, sink);
}

Result<std::int64_t> Database::read_journal(Reader& reader, std::int64_t after, std::size_t limit,
                                            const JournalFilter& filter,
                                            FunctionRef<Result<bool>(JournalRecord&&)> sink) {
  std::vector<std::int64_t> shapes;
  BUREAU_TRY_VOID(
      reader.scan(select<detail::ShapeRow>(), [&](std::span<const Value> values) -> Result<bool> {
        detail::ShapeRow row;
        from_values(values, row);
        const bool wanted = std::any_of(filter.tables.begin(), filter.tables.end(),
                                        [&](const auto* t) { return t->name == row.table_name; });
        if (wanted) shapes.push_back(row.id.value);
        return true;
      }));
  using Row = detail::JournalRow;
  // Where almost all is of others, one call does not read all of it.
  constexpr std::int64_t numbers_a_call = 65'536;
  const std::int64_t until = std::max<std::int64_t>(after, 0) + numbers_a_call;
  Predicate which = col(&Row::shape).in(shapes) && col(&Row::id) <= Id<Row>(until);
  if (filter.tenant != 0) which = which && col(&Row::tenant) == filter.tenant;
  bool stopped = false;
  std::size_t found = 0;
  const auto give = [&](JournalRecord&& record) -> Result<bool> {
    BUREAU_TRY(const bool more, sink(std::move(record)));
    stopped = !more;
    return more;
  };
  BUREAU_TRY(const std::int64_t through, give_records(reader, after, limit, which, give, &found));
  if (stopped || found >= limit) return through;
  BUREAU_TRY(const std::int64_t head, journal_head(reader));
  return std::min(head, until);  // the rest is of others
}

Result<std::vector<Database::ChangedTable>> Database::changed_tables(Reader& reader,
                                                                     std::int64_t after) {
  using Row = detail::JournalRow;
  struct Group {
    std::int64_t tenant, shape, last;
  };
  std::vector<Group> groups;
  Aggregate newest;
  newest.table = &table_of<Row>();
  newest.where = beyond(after);
  newest.group_by = {&col(&Row::tenant).info(), &col(&Row::shape).info()};
  newest.measures = {{Aggregate::Function::maximum, &newest.table->columns[0]}};
  BUREAU_TRY_VOID(reader.aggregate(newest, [&](std::span<const Value> row) -> Result<bool> {
    groups.push_back({row[0].as_integer(), row[1].as_integer(), row[2].as_integer()});
    return true;
  }));
  std::vector<ChangedTable> changed;
  for (const Group& group : groups) {
    BUREAU_TRY(const auto shape, impl_->shape(reader, group.shape));
    if (shape->table != nullptr) changed.push_back({shape->table, group.tenant, group.last});
  }
  return changed;
}

Result<std::int64_t> Database::give_records(Reader& reader, std::int64_t after, std::size_t limit,
                                            const Predicate& which,
                                            FunctionRef<Result<bool>(JournalRecord&&)> sink,
                                            std::size_t* found) {
  BUREAU_TRY(std::int64_t tail, journal_tail(reader));
  if (after + 1 < tail) {
    return fail(
        Code::gone,
        fmt::format("sequence: changes after {} are asked for, the oldest kept is {}", after, tail),
        "sequence");
  }
  // Rows are taken out of the scan first: decoding may read shapes and keys through `reader`.
  const TableInfo& table = table_of<detail::JournalRow>();
  Select select{&table, beyond(after) && which, {}, limit, {}, false};
  std::vector<detail::JournalRow> rows;
  BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, rows.emplace_back());
    return true;
  }));
  if (found != nullptr) *found = rows.size();
  detail::JournalDecoder decoder(*impl_, reader);
  std::int64_t through = after;
  for (const auto& row : rows) {
    JournalRecord record;
    BUREAU_TRY(bool known, decoder.decode(row, after, record));
    through = row.id.value;
    if (!known) continue;
    BUREAU_TRY(bool more, sink(std::move(record)));
    if (!more) break;
  }
  return through;
}

Result<std::uint64_t> Database::trim_journal(std::int64_t through) {
  // In steps, so that other writers get in between.
  constexpr std::uint64_t step = 2'000;
  std::uint64_t total = 0;
  for (std::uint64_t removed = step; removed == step; total += removed) {
    BUREAU_TRY(removed, trim_journal(through, step));
  }
  return total;
}

Result<std::uint64_t> Database::trim_journal(std::int64_t through, std::uint64_t records) {
  const TableInfo& table = table_of<detail::JournalRow>();
  std::uint64_t removed = 0;
  BUREAU_TRY_VOID(impl_->storage->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY(const std::int64_t newest, detail::newest_change(writer));
    removed = 0;
    if (std::min(through, newest - 1) <= 0) return {};
    const auto last = Id<detail::JournalRow>(std::min(through, newest - 1));
    Select which{&table, col(&detail::JournalRow::id) <= last, {}, records, {}, false};
    BUREAU_TRY(removed,
               writer.remove(which, [](std::span<const Value>) -> Result<bool> { return true; }));
    return {};
  }));
  return removed;
}

Result<void> Database::erase_personal_history(std::int64_t subject) {
  if (subject <= 0) return fail(Code::invalid, "subject: must be an id", "subject");
  BUREAU_TRY_VOID(impl_->storage->write({}, [&](Writer& writer) -> Result<void> {
    const TableInfo& keys = table_of<detail::KeyRow>();
    Update update{{&keys, col(&detail::KeyRow::id) == Id<detail::KeyRow>(subject)}, {}};
    update.set = {{keys.find("key"), Value::bytes("")}, {keys.find("erased"), Value::integer(1)}};
    BUREAU_TRY(auto changed, writer.update(update));
    if (changed == 0) {
      const detail::KeyRow row{Id<detail::KeyRow>(subject), {}, true};
      BUREAU_TRY_VOID(writer.insert(keys, detail::RowValues(row).values()));
    }
    return detail::count_up(writer, detail::erasures_row);
  }));
  const std::lock_guard lock(impl_->keys_mutex);
  impl_->keys.erase(subject);
  return {};
}

BUREAU_END_NAMESPACE
