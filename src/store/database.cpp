#include "bureau/store/database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "store/async_writes.hpp"
#include "store/database_impl.hpp"
#include "store/interruptible_wait.hpp"
#include "store/migration_list.hpp"
#include "store/migrator_impl.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// How far ahead a node reserves id time, and when it reserves more. A start after a crash skips at
/// most the first: with 41 bits of milliseconds there is room for 69 years of it.
constexpr Duration reservation = std::chrono::minutes(5);
constexpr Duration reservation_lead = std::chrono::minutes(1);

template <Entity T>
Result<bool> find_row(Reader& reader, std::int64_t id, T& out) {
  return reader.find(table_of<T>(), id, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, out);
    return true;
  });
}

std::int64_t clock_ms(const Clock& clock) {
  return std::max<std::int64_t>(0, clock.now().micros() / 1000 - id::epoch_ms);
}

}  // namespace

Database::Impl::Impl(DatabaseOptions options)
    : storage(std::move(options.storage)),
      catalog(std::move(options.catalog)),
      clock(options.clock != nullptr ? *options.clock : Clock::system()),
      random(options.random != nullptr ? *options.random : Random::system()),
      log(std::move(options.log)),
      key_ring(std::move(options.keys)),
      ids(clock),
      async_writes(std::make_unique<detail::AsyncWrites>(options.async_writes_max, log)) {}

Database::Impl::~Impl() = default;

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Database::~Database() {
  if (impl_) impl_->async_writes->close();
  if (impl_ && impl_->has_node) impl_->storage->release_node(impl_->node.number);
}

Result<std::unique_ptr<Database>> Database::open(DatabaseOptions options) {
  if (!options.storage) return fail(Code::invalid, "storage: must be given", "storage");
  const std::vector<Migration> migrations = std::move(options.migrations);
  const OnOpen on_open = options.on_open;
  auto impl = std::make_unique<Impl>(std::move(options));
  impl->version = detail::version_of(migrations);
  BUREAU_TRY_VOID(detail::add_internal_tables(impl->catalog));
  BUREAU_TRY_VOID(
      detail::open_tables({impl->storage, impl->catalog, migrations, on_open, impl->clock}));
  BUREAU_TRY_VOID(impl->prepare());
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Result<void> Database::Impl::prepare() {
  for (const TableInfo* table : catalog.tables()) {
    if (table->journal == journal::Mode::none) continue;
    const std::int64_t id = detail::shape_id(*table);
    shape_ids.emplace(table, id);
    auto shape = std::make_shared<Shape>();
    shape->table = table;
    shape->full = table->journal == journal::Mode::full;
    for (std::size_t i = 0; i < table->width(); ++i) {
      shape->columns.push_back(static_cast<std::int32_t>(i));
    }
    shapes.emplace(id, std::move(shape));
  }
  // Written only when something is missing: opening an office that is up to date writes nothing.
  bool complete = false;
  auto look = [&](Reader& reader) -> Result<void> {
    detail::SettingRow setting;
    BUREAU_TRY(bool found, find_row(reader, detail::cursor_key_setting, setting));
    complete = found;
    if (found) cursor_key = setting.value.data;
    detail::SettingRow moving;
    BUREAU_TRY(const bool half_there, find_row(reader, detail::moving_setting, moving));
    if (half_there) {
      return fail(Code::unavailable,
                  "a move into this office has not come to its end; call it again, or make the "
                  "place empty");
    }
    for (const auto& [table, id] : shape_ids) {
      detail::ShapeRow row;
      BUREAU_TRY(bool known, find_row(reader, id, row));
      complete = complete && known;
    }
    return {};
  };
  BUREAU_TRY_VOID(storage->read(Monotonic::never(), look));
  if (complete) return {};
  return storage->write({}, [&](Writer& writer) -> Result<void> {
    detail::SettingRow setting;
    BUREAU_TRY(bool found, find_row(writer, detail::cursor_key_setting, setting));
    if (!found) {
      setting = {Id<detail::SettingRow>(detail::cursor_key_setting), "cursor_key", {}};
      setting.value.data.resize(detail::seal_key_bytes);
      random.fill(std::as_writable_bytes(std::span(setting.value.data)));
      BUREAU_TRY_VOID(
          writer.insert(table_of<detail::SettingRow>(), detail::RowValues(setting).values()));
    }
    cursor_key = setting.value.data;
    for (const auto& [table, id] : shape_ids) {
      detail::ShapeRow row;
      BUREAU_TRY(bool known, find_row(writer, id, row));
      if (known) continue;
      row = {Id<detail::ShapeRow>(id), std::string(table->name),
             static_cast<std::int64_t>(table->journal), detail::shape_columns(*table)};
      BUREAU_TRY_VOID(writer.insert(table_of<detail::ShapeRow>(), detail::RowValues(row).values()));
    }
    return {};
  });
}

Result<void> Database::Impl::ensure_ids(Monotonic deadline) {
  if (has_node && !ids.wants_reservation(reservation_lead)) return {};
  std::unique_lock lock(node_mutex);
  // Whoever comes first extends; the others have enough left meanwhile.
  if (has_node && node_taken) return {};
  BUREAU_TRY_VOID(await_node(lock, deadline));
  if (has_node && !ids.wants_reservation(reservation_lead)) return {};
  node_taken = true;
  lock.unlock();
  auto done = has_node ? extend_reservation(deadline) : take_node(deadline);
  lock.lock();
  node_taken = false;
  node_free.notify_all();
  return done;
}

/// Another thread may wait long, for a write of another process.
Result<void> Database::Impl::await_node(std::unique_lock<std::mutex>& lock, Monotonic deadline) {
  while (node_taken) {
    if (detail::wait_interruptibly(lock, node_free, clock, deadline) || !node_taken) continue;
    return fail(Code::deadline,
                "node: the deadline passed while another thread waited to take a place");
  }
  return {};
}

Result<void> Database::Impl::take_node(Monotonic deadline) {
  const Storage::NodeRange range = storage->node_range();
  const auto start = static_cast<int>(random.below(static_cast<std::uint64_t>(range.count)));
  for (int i = 0; i < id::node_count; ++i) {
    const int place = i < range.count ? (start + i) % range.count : i;
    const int number = (range.first + place) % id::node_count;
    BUREAU_TRY(bool held, storage->hold_node(number));
    if (!held) continue;
    detail::NodeRow row;
    std::int64_t begin = 0;
    auto take = [&](Writer& writer) -> Result<void> {
      row = {};
      BUREAU_TRY(bool found, find_row(writer, number + 1, row));
      begin = std::max(row.reserved_until_ms, clock_ms(clock));
      row.generation += 1;
      row.reserved_until_ms = begin + reservation / std::chrono::milliseconds(1);
      BUREAU_TRY_VOID(detail::register_program(writer, number, row.generation, version));
      if (!found) {
        row.id = Id<detail::NodeRow>(number + 1);
        return writer.insert(table_of<detail::NodeRow>(), detail::RowValues(row).values());
      }
      const TableInfo& t = table_of<detail::NodeRow>();
      Update update{{&t, col(&detail::NodeRow::id) == row.id}, {}};
      update.set = {{t.find("generation"), Value::integer(row.generation)},
                    {t.find("reserved_until_ms"), Value::integer(row.reserved_until_ms)}};
      BUREAU_TRY_VOID(writer.update(update));
      return {};
    };
    if (auto taken = storage->write({.deadline = deadline}, take); !taken) {
      storage->release_node(number);
      return taken;
    }
    ids.assign(number, begin, row.reserved_until_ms);
    node = {number, row.generation};
    has_node = true;
    return {};
  }
  return fail(Code::exhausted,
              fmt::format("node: all {} places are held by live processes", id::node_count),
              "node");
}

Result<void> Database::Impl::extend_reservation(Monotonic deadline) {
  const std::int64_t from = std::max(ids.position_ms(), clock_ms(clock));
  const std::int64_t until = from + reservation / std::chrono::milliseconds(1);
  const TableInfo& t = table_of<detail::NodeRow>();
  Update update{{&t, col(&detail::NodeRow::id) == Id<detail::NodeRow>(node.number + 1) &&
                         col(&detail::NodeRow::generation) == node.generation},
                {}};
  update.set = {{t.find("reserved_until_ms"), Value::integer(until)}};
  auto extend = [&](Writer& writer) -> Result<void> {
    BUREAU_TRY(auto changed, writer.update(update));
    if (changed == 1) return {};
    return fail(Code::unavailable,
                fmt::format("node {}: another process has taken this place; open the office again",
                            node.number),
                "node");
  };
  BUREAU_TRY_VOID(storage->write({.deadline = deadline}, extend));
  ids.assign(node.number, 0, until);
  return {};
}

Result<void> Database::read(Monotonic deadline, ReadClosure closure) {
  return impl_->storage->read(deadline, closure);
}

Result<void> Database::write(const WriteOptions& options, const Attribution& attribution,
                             FunctionRef<Result<void>(Transaction&)> closure) {
  BUREAU_TRY_VOID(impl_->ensure_ids(options.deadline));
  Afterwards after;
  auto run = [&](Writer& writer) { return run_closure(writer, attribution, closure, after); };
  const Monotonic begun = impl_->clock.monotonic();
  auto written = impl_->storage->write(options, run);
  impl_->write_seconds.observe(impl_->clock.monotonic() - begun);
  if (!written) {
    impl_->failed_writes[static_cast<std::size_t>(written.error().code)].add();
    return written;
  }
  committed(after);
  return {};
}

Result<void> Database::run_closure(Writer& writer, const Attribution& attribution,
                                   FunctionRef<Result<void>(Transaction&)> closure,
                                   Afterwards& after) {
  Transaction transaction(*this, writer, impl_->clock.now());
  transaction.attribution_ = attribution;
  BUREAU_TRY_VOID(closure(transaction));
  BUREAU_TRY_VOID(transaction.recorder_.flush());
  after.new_keys = std::move(transaction.recorder_.new_keys());
  after.erasures = transaction.recorder_.seen_erasures();
  after.rights = transaction.recorder_.touched_rights();
  return {};
}

void Database::committed(const Afterwards& after) {
  if (after.rights) impl_->rights_commits.fetch_add(1);
  for (const auto& made : after.new_keys) {
    impl_->cache_key(made.subject, made.key, after.erasures);
  }
}

void Database::write_metrics(PrometheusText& text) const {
  text.family("bureau_write_duration_seconds", PrometheusText::Type::histogram,
              "How long this process's writes took, from the call until they were durable.");
  text.histogram({}, impl_->write_seconds);
  text.family("bureau_write_failures_total", PrometheusText::Type::counter,
              "Writes of this process that were not made, by the code of the error.");
  for (std::size_t code = 1; code <= Impl::codes; ++code) {
    text.sample({{"code", to_string(static_cast<Code>(code))}}, impl_->failed_writes[code].value());
  }
}

Storage& Database::storage() { return *impl_->storage; }
const Catalog& Database::catalog() const { return impl_->catalog; }
Clock& Database::clock() const { return impl_->clock; }
Random& Database::random() const { return impl_->random; }
const KeyRing* Database::keys() const { return impl_->key_ring.get(); }
const LogSink& Database::log() const { return impl_->log; }
std::string_view Database::cursor_key() const { return impl_->cursor_key; }

Result<Database::Node> Database::node() {
  BUREAU_TRY_VOID(impl_->ensure_ids());
  return impl_->node;
}

void Database::watch_rights(std::vector<RightsTable> tables) {
  impl_->rights_tables = std::move(tables);
}

std::uint64_t Database::rights_commits() const { return impl_->rights_commits.load(); }

Result<std::int64_t> Database::rights_epoch(Reader& reader, std::int64_t tenant) {
  detail::RightsRow row;
  BUREAU_TRY_VOID(find_row(reader, detail::rights_row_of(tenant), row));
  return row.epoch;
}

// Transaction ---------------------------------------------------------------------------------

Result<std::int64_t> Transaction::next_id() { return database_.impl_->ids.next(); }

Result<void> Transaction::insert(const TableInfo& table, std::span<const Value> rows) {
  BUREAU_TRY_VOID(writer_.insert(table, rows));
  if (table.journal == journal::Mode::none) return {};
  for (std::size_t at = 0; at < rows.size(); at += table.width()) {
    BUREAU_TRY_VOID(recorder_.inserted(table, rows.subspan(at, table.width())));
  }
  return {};
}

namespace {

/// Rows that outlive the callback that gave them.
class RowCopies {
 public:
  explicit RowCopies(const TableInfo& table) : width_(table.width()) {}
  void add(std::span<const Value> row) {
    for (const Value& v : row) values_.emplace_back(v);
  }
  [[nodiscard]] std::size_t count() const { return values_.size() / width_; }
  void row(std::size_t i, std::vector<Value>& out) const {
    out.clear();
    for (std::size_t c = 0; c < width_; ++c) out.push_back(values_[i * width_ + c].view());
  }

 private:
  std::size_t width_;
  std::vector<OwnedValue> values_;
};

}  // namespace

Result<std::uint64_t> Transaction::update(const Update& update) {
  return this->update(update, [](std::span<const Value>) -> Result<bool> { return true; });
}

Result<std::uint64_t> Transaction::update(const Update& update, RowSink returning) {
  const TableInfo& table = *update.which.table;
  if (table.journal == journal::Mode::none) return writer_.update(update, returning);
  RowCopies before(table);
  std::unordered_map<std::int64_t, std::size_t> places;
  if (table.journal == journal::Mode::full) {
    BUREAU_TRY_VOID(writer_.scan(update.which, [&](std::span<const Value> row) -> Result<bool> {
      places.emplace(row[0].as_integer(), before.count());
      before.add(row);
      return true;
    }));
  }
  std::vector<Value> old;
  return writer_.update(update, [&](std::span<const Value> row) -> Result<bool> {
    if (table.journal == journal::Mode::full) {
      const auto place = places.find(row[0].as_integer());
      if (place == places.end()) {
        return fail(Code::internal, fmt::format("{}: an update changed a row that its own select "
                                                "does not give",
                                                table.name));
      }
      before.row(place->second, old);
    } else {
      // What was is not known here: the assigned columns count as changed.
      old.assign(row.begin(), row.end());
      for (const Assignment& a : update.set) {
        old[a.column->index] = row[a.column->index].is_null() ? Value::integer(0) : Value();
      }
    }
    BUREAU_TRY_VOID(recorder_.updated(table, old, row));
    return returning(row);
  });
}

Result<void> Transaction::replace(const TableInfo& table, std::span<const Value> before,
                                  std::span<const Value> after) {
  return replace_all(table, before, after);
}

Result<void> Transaction::replace_all(const TableInfo& table, std::span<const Value> before,
                                      std::span<const Value> after) {
  const std::size_t width = table.width();
  std::vector<bool> changes(width);
  for (std::size_t at = 0; at < before.size(); at += width) {
    for (std::size_t i = 0; i < width; ++i) {
      changes[i] = changes[i] || !(before[at + i] == after[at + i]);
    }
  }
  std::vector<const ColumnInfo*> columns;
  for (const ColumnInfo& column : table.columns) {
    if (changes[column.index]) columns.push_back(&column);
  }
  if (columns.empty()) return {};
  std::vector<Value> rows;
  rows.reserve(before.size() / width * (columns.size() + 1));
  for (std::size_t at = 0; at < after.size(); at += width) {
    rows.push_back(after[at]);
    for (const ColumnInfo* column : columns) rows.push_back(after[at + column->index]);
  }
  BUREAU_TRY_VOID(writer_.update_rows(table, columns, rows));
  if (table.journal == journal::Mode::none) return {};
  for (std::size_t at = 0; at < after.size(); at += width) {
    BUREAU_TRY_VOID(recorder_.updated(table, before.subspan(at, width), after.subspan(at, width)));
  }
  return {};
}

Result<std::uint64_t> Transaction::remove(const Select& which) {
  const TableInfo& table = *which.table;
  return writer_.remove(which, [&](std::span<const Value> row) -> Result<bool> {
    if (table.journal != journal::Mode::none) BUREAU_TRY_VOID(recorder_.removed(table, row));
    return true;
  });
}

BUREAU_END_NAMESPACE
