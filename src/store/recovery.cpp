#include "store/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "bureau/store/stored_catalog.hpp"
#include "store/database_impl.hpp"
#include "store/journal_codec.hpp"
#include "store/recovery_migrations.hpp"
#include "store/row_pages.hpp"
#include "store/row_values.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

constexpr PageSize records_a_write{500};

/// The images of a record, told by the columns that they were written with.
class ImageReader {
 public:
  /// `keys` has the keys that are left; what was sealed with another reads as null.
  ImageReader(std::string_view body, const std::map<std::int64_t, std::string>& keys)
      : cursor_(body), keys_(keys) {}

  struct Field {
    Value value;
    bool told = true;  ///< false: secret
  };
  /// False: it cannot be read.
  bool field(Field& out) {
    JournalTag tag{};
    if (!cursor_.tag(tag)) return false;
    out = {Value(), tag != JournalTag::secret};
    if (tag != JournalTag::sealed) return cursor_.content(tag, out.value);
    std::uint64_t subject = 0;
    std::string_view sealed;
    if (!cursor_.varint(subject) || !cursor_.block(sealed)) return false;
    const auto key = keys_.find(static_cast<std::int64_t>(subject));
    if (key == keys_.end()) return true;
    std::string& plain = opened_.emplace_back();
    if (!unseal(key->second, sealed, plain)) return false;
    JournalCursor inner(plain);
    JournalTag inner_tag{};
    return inner.tag(inner_tag) && inner.content(inner_tag, out.value);
  }
  bool image(std::size_t width, std::vector<Field>& out) {
    out.assign(width, {});
    return std::all_of(out.begin(), out.end(), [&](Field& one) { return field(one); });
  }
  /// What an update says beside its image: which columns changed, and what they held.
  bool pass_over_changes(std::size_t width, bool full) {
    std::uint64_t count = 0;
    if (!cursor_.varint(count) || count > width) return false;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t column = 0;
      Field before;
      if (!cursor_.varint(column) || (full && !field(before))) return false;
    }
    return true;
  }
  [[nodiscard]] bool at_end() const { return cursor_.at_end(); }

 private:
  JournalCursor cursor_;
  const std::map<std::int64_t, std::string>& keys_;
  Scratch opened_;
};

/// The columns of a record, as the tables have them now.
struct ReplayShape {
  std::string name;
  const TableInfo* table = nullptr;  ///< null: a table that is no more
  bool full = false;
  std::vector<const ColumnInfo*> columns;  ///< null: one that is no more, or of another type
  std::vector<OwnedValue> untold;  ///< what columns hold that it does not tell, by their index
};

/// One replay: reads one snapshot of the history, writes the office in steps.
class Replay {
 public:
  Replay(Storage& history, Storage& office, const ReplayOptions& options)
      : history_(history), office_(office), options_(options) {
    report_.sequence = options.after;
  }

  Result<ReplayReport> run() {
    BUREAU_TRY_VOID(check_migrations());
    BUREAU_TRY_VOID(make_tables());
    BUREAU_TRY_VOID(history_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY_VOID(check_same_office(reader));
      BUREAU_TRY_VOID(check_nothing_began(reader));
      BUREAU_TRY_VOID(find_end(reader));
      BUREAU_TRY_VOID(take_over(reader));
      return replay(reader);
    }));
    return report_;
  }

 private:
  static Unexpected damaged(const JournalRow& row) {
    return fail(Code::corrupt,
                fmt::format("history: record {} of its journal cannot be read", row.id.value));
  }
  Result<void> in_office(FunctionRef<Result<void>(Reader&)> closure) {
    return office_.read(Monotonic::never(), closure);
  }

  /// What a migration did to rows is in no journal: a replay ends before it.
  Result<void> check_migrations() {
    BUREAU_TRY(const Migrations ours, read_all_migrations(office_));
    BUREAU_TRY(theirs_, read_all_migrations(history_));
    unknown_ = unknown_columns(ours.records);
    BUREAU_TRY(migrated_, first_migration_since(ours, theirs_, options_.after));
    return {};
  }
  /// In the snapshot that is replayed: its tables were read before.
  Result<void> check_nothing_began(Reader& reader) {
    if (catalog_.find(table_of<MigrationRow>().name) == nullptr) return {};
    BUREAU_TRY(const Migrations now, read_all_migrations(reader));
    if (now == theirs_) return {};
    return fail(Code::busy, "history: it is being migrated; try again afterwards", "history");
  }
  /// The tables that the changes are made in: as the history has them, or, where those were
  /// migrated since, as the backup has them.
  Result<void> make_tables() {
    BUREAU_TRY(auto tables, history_.stored_tables());
    const auto is_host = [](const StoredTable& one) { return !one.name.starts_with("bureau_"); };
    if (migrated_) {
      BUREAU_TRY(const Catalog later, make_catalog(tables));
      std::erase_if(tables, is_host);
      BUREAU_TRY(auto ours, office_.stored_tables());
      std::copy_if(ours.begin(), ours.end(), std::back_inserter(tables), is_host);
      BUREAU_TRY(catalog_, make_catalog(tables));
      note_doubtful(later);
    }
    BUREAU_TRY(catalog_, make_catalog(tables));
    if (catalog_.find(journal_.name) == nullptr) return foreign_history("it has no journal");
    if (auto migrated = office_.migrate(catalog_); !migrated) {
      return foreign_history(migrated.error().message);
    }
    return {};
  }

  /// A null of these may be one that was allowed after the backup, or a personal value that was
  /// erased.
  void note_doubtful(const Catalog& later) {
    for (const TableInfo* table : catalog_.tables()) {
      const TableInfo* const then = later.find(table->name);
      for (const ColumnInfo& column : table->columns) {
        const ColumnInfo* const there = then == nullptr ? nullptr : then->find(column.name);
        if (!column.nullable && (there == nullptr || there->nullable)) doubtful_.insert(&column);
      }
    }
  }

  /// An office keeps one key of 32 random bytes from its first day; and the change that the backup
  /// ends with is the same in both.
  Result<void> check_same_office(Reader& reader) {
    std::optional<SettingRow> ours;
    std::optional<JournalRow> our_last;
    const Id<SettingRow> key(cursor_key_setting);
    const Id<JournalRow> last(options_.after);
    BUREAU_TRY_VOID(in_office([&](Reader& office) -> Result<void> {
      BUREAU_TRY(ours, find_row(office, key));
      if (options_.after > 0) {
        BUREAU_TRY(our_last, find_row(office, last));
      }
      return {};
    }));
    BUREAU_TRY(const auto theirs, find_row(reader, key));
    if (!ours || !theirs || !(ours->value == theirs->value)) {
      return foreign_history("it is another office's");
    }
    if (options_.after == 0) return {};
    BUREAU_TRY(const auto their_last, find_row(reader, last));
    has_last_ = their_last.has_value();
    if (!has_last_) return {};  // trimmed? check_reaches() sees
    if (!our_last || our_last->at != their_last->at || !(our_last->body == their_last->body)) {
      return went_another_way();
    }
    return {};
  }
  [[nodiscard]] Unexpected went_another_way() const {
    return foreign_history(fmt::format(
        "change {} is another one in it: they have gone different ways", options_.after));
  }

  /// Looks through what comes after for where to stop.
  Result<void> find_end(Reader& reader) {
    if (options_.to_sequence && *options_.to_sequence < options_.after) {
      return fail(Code::invalid,
                  fmt::format("sequence: {} is before the backup, which ends with {}; take an "
                              "earlier backup",
                              *options_.to_sequence, options_.after),
                  "sequence");
    }
    BUREAU_TRY_VOID(check_moment());
    end_ = options_.after;
    Around around;
    BUREAU_TRY_VOID(each_page(reader, journal_, options_.after, records_a_write,
                              [&](RowPage& page) -> Result<bool> {
                                for (std::size_t i = 0; i < page.rows(); ++i) {
                                  BUREAU_TRY(const bool more, look_at(page.row(i), around));
                                  if (!more) return false;
                                }
                                return true;
                              }));
    BUREAU_TRY_VOID(check_reaches(reader));
    BUREAU_TRY_VOID(check_boundary(around));
    if (!migrated_ || end_ <= migrated_->after) return {};
    return foreign_history(
        fmt::format("{} began in it after change {}; recover to that or an earlier "
                    "one, or take a backup that was made after the migration",
                    migrated_->by, migrated_->after));
  }

  Result<void> check_moment() {
    if (!options_.to_moment || options_.after == 0) return {};
    std::optional<JournalRow> newest;
    BUREAU_TRY_VOID(in_office([&](Reader& office) -> Result<void> {
      BUREAU_TRY(newest, find_row(office, Id<JournalRow>(options_.after)));
      return {};
    }));
    if (!newest || newest->at <= *options_.to_moment) return {};
    return fail(Code::invalid,
                fmt::format("moment: {} is before the backup, which has a change of {}; take an "
                            "earlier backup",
                            options_.to_moment->to_string(), newest->at.to_string()),
                "moment");
  }

  /// The records on both sides of the end.
  struct Around {
    std::int64_t first = 0;  ///< the first number after the backup
    Timestamp last_at, next_at;
    std::int64_t next = 0;  ///< 0: there is none
    bool any = false;
    std::int64_t boundary = 0;  ///< the newest at which a write ended
  };
  Result<bool> look_at(std::span<const Value> values, Around& around) {
    JournalRow row;
    from_values(values, row);
    if (row.count < 1 || row.count > row.id.value) return damaged(row);
    const std::int64_t first = row.id.value - row.count + 1;
    if (!around.any) around.first = first;
    const bool beyond = (options_.to_sequence && row.id.value > *options_.to_sequence) ||
                        (options_.to_moment && row.at > *options_.to_moment);
    // Records of one write have one moment.
    if (around.any && row.at != around.last_at) around.boundary = end_;
    if (beyond) {
      around.next = row.id.value;
      around.next_at = row.at;
      if (!around.any) around.first = first;
      return false;
    }
    around.any = true;
    around.last_at = row.at;
    end_ = row.id.value;
    return true;
  }

  Result<void> check_reaches(Reader& reader) {
    std::int64_t oldest = 0, newest = 0;
    for (const bool last : {false, true}) {
      Select select{&journal_, {}, {{&journal_.columns[0], last}}, 1, {}, false};
      BUREAU_TRY_VOID(reader.scan(select, [&](std::span<const Value> values) -> Result<bool> {
        JournalRow row;
        from_values(values, row);
        (last ? newest : oldest) = last ? row.id.value : row.id.value - row.count + 1;
        return true;
      }));
    }
    if (oldest > options_.after + 1) {
      return fail(Code::gone,
                  fmt::format("history: its oldest change is {}, and the backup ends with {}; take "
                              "a later backup, or a history that reaches back",
                              oldest, options_.after),
                  "history");
    }
    if (newest < options_.after) {
      return foreign_history(
          fmt::format("it ends with change {}, before the backup's {}", newest, options_.after));
    }
    if (!has_last_ && oldest <= options_.after) return went_another_way();
    if (options_.to_sequence && *options_.to_sequence > newest) {
      return fail(Code::invalid,
                  fmt::format("sequence: {} is beyond the history, which ends with {}",
                              *options_.to_sequence, newest),
                  "sequence");
    }
    return {};
  }

  /// A write is whole or not at all: all its records have one moment.
  Result<void> check_boundary(const Around& around) const {
    if (!options_.to_sequence) return {};
    const bool inside = end_ != *options_.to_sequence ||
                        (around.any && around.next != 0 && around.next_at == around.last_at);
    if (!inside) return {};
    return fail(Code::invalid,
                fmt::format("sequence: {} is in the midst of a write; {} is the end of the one "
                            "before it",
                            *options_.to_sequence, std::max(around.boundary, options_.after)),
                "sequence");
  }

  // What the changes need ----------------------------------------------------------------------

  Result<void> take_over(Reader& reader) {
    BUREAU_TRY_VOID(copy_missing<ShapeRow>(reader));
    BUREAU_TRY_VOID(read_shapes(reader));
    BUREAU_TRY_VOID(take_keys(reader));
    return take_nodes(reader);
  }

  template <Entity T>
  Result<std::vector<T>> all_rows(Reader& reader) {
    std::vector<T> rows;
    BUREAU_TRY_VOID(reader.scan(select<T>(), [&](std::span<const Value> values) -> Result<bool> {
      from_values(values, rows.emplace_back());
      return true;
    }));
    return rows;
  }

  template <Entity T>
  Result<void> copy_missing(Reader& reader) {
    BUREAU_TRY(const auto rows, all_rows<T>(reader));
    return office_.write({}, [&](Writer& writer) -> Result<void> {
      for (const T& row : rows) {
        BUREAU_TRY(const auto known, find_row(writer, row.id));
        if (known) continue;
        BUREAU_TRY_VOID(writer.insert(table_of<T>(), RowValues(row).values()));
      }
      return {};
    });
  }

  Result<void> read_shapes(Reader& reader) {
    BUREAU_TRY(const auto rows, all_rows<ShapeRow>(reader));
    for (const ShapeRow& row : rows) {
      ReplayShape& shape = shapes_[row.id.value];
      shape.name = row.table_name;
      shape.table = catalog_.find(row.table_name);
      shape.full = row.mode == static_cast<std::int64_t>(journal::Mode::full);
      const auto* columns = row.columns.as_array();
      if (columns == nullptr) continue;
      for (const Json& one : *columns) {
        const auto* pair = one.as_array();
        const bool readable = pair != nullptr && pair->size() == 2 &&
                              (*pair)[0].as_string() != nullptr &&
                              (*pair)[1].as_string() != nullptr;
        const ColumnInfo* column = !readable || shape.table == nullptr
                                       ? nullptr
                                       : shape.table->find(*(*pair)[0].as_string());
        if (column != nullptr && to_string(column->type) != *(*pair)[1].as_string()) {
          column = nullptr;
        }
        shape.columns.push_back(column);
      }
      if (shape.table != nullptr) BUREAU_TRY_VOID(fill_untold(shape));
    }
    return {};
  }

  /// As the storage fills in what a program does not know of.
  Result<void> fill_untold(ReplayShape& shape) {
    for (const ColumnInfo& column : shape.table->columns) {
      shape.untold.emplace_back(natural_zero(column));
    }
    const auto told = [&](const ColumnInfo* column) {
      return std::find(shape.columns.begin(), shape.columns.end(), column) != shape.columns.end();
    };
    for (const UnknownColumn& one : unknown_) {
      const ColumnInfo* const column =
          one.table == shape.table->name ? shape.table->find(one.column) : nullptr;
      if (column == nullptr || told(column) || (one.dropped && column->nullable)) continue;
      BUREAU_TRY(shape.untold[column->index], from_json(*column, one.value));
      const Value text = shape.untold[column->index].view();
      if (column->folded && !text.is_null()) {
        shape.untold[column->folded_index] = OwnedValue::text(fold_case(text.as_text()));
      }
    }
    return {};
  }

  /// A key that was destroyed stays destroyed, whatever the backup has.
  Result<void> take_keys(Reader& reader) {
    BUREAU_TRY_VOID(copy_missing<KeyRow>(reader));
    BUREAU_TRY(const auto rows, all_rows<KeyRow>(reader));
    const TableInfo& table = table_of<KeyRow>();
    std::int64_t erased = 0;
    BUREAU_TRY_VOID(office_.write({}, [&](Writer& writer) -> Result<void> {
      erased = 0;
      for (const KeyRow& row : rows) {
        if (!row.erased) continue;
        Update update{{&table, col(&KeyRow::id) == row.id && col(&KeyRow::erased) == false}, {}};
        update.set = {{table.find("key"), Value::bytes("")},
                      {table.find("erased"), Value::integer(1)}};
        BUREAU_TRY(const auto changed, writer.update(update));
        erased += static_cast<std::int64_t>(changed);
      }
      return erased == 0 ? Result<void>() : count_up(writer, erasures_row);
    }));
    report_.erased = erased;
    for (const KeyRow& row : rows) {
      if (!row.erased) keys_[row.id.value] = row.key.data;
    }
    return {};
  }

  /// No id that the history has is drawn again.
  Result<void> take_nodes(Reader& reader) {
    BUREAU_TRY_VOID(copy_missing<NodeRow>(reader));
    BUREAU_TRY(const auto rows, all_rows<NodeRow>(reader));
    const TableInfo& table = table_of<NodeRow>();
    return office_.write({}, [&](Writer& writer) -> Result<void> {
      for (const NodeRow& row : rows) {
        Update update{{&table, col(&NodeRow::id) == row.id &&
                                   col(&NodeRow::reserved_until_ms) < row.reserved_until_ms},
                      {}};
        update.set = {{table.find("reserved_until_ms"), Value::integer(row.reserved_until_ms)}};
        BUREAU_TRY_VOID(writer.update(update));
        // Nor is a lease of its held by whoever takes the place next.
        Update later{
            {&table, col(&NodeRow::id) == row.id && col(&NodeRow::generation) <= row.generation},
            {}};
        later.set = {{table.find("generation"), Value::integer(row.generation + 1)}};
        BUREAU_TRY_VOID(writer.update(later));
      }
      return {};
    });
  }

  // The changes ----------------------------------------------------------------------------------

  Result<void> replay(Reader& reader) {
    if (end_ == options_.after) return {};
    return each_page(
        reader, journal_, options_.after, records_a_write, [&](RowPage& page) -> Result<bool> {
          std::size_t rows = 0;
          while (rows < page.rows() && page.row(rows)[0].as_integer() <= end_) ++rows;
          if (rows > 0) BUREAU_TRY_VOID(replay_page(page, rows));
          if (options_.progress && !options_.progress({"replay", report_.sequence - options_.after,
                                                       end_ - options_.after})) {
            return fail(Code::cancelled, "the replay was given up");
          }
          return rows == page.rows() && report_.sequence < end_;
        });
  }

  Result<void> replay_page(RowPage& page, std::size_t rows) {
    const std::int64_t last = page.row(rows - 1)[0].as_integer();
    std::int64_t changes = 0;
    BUREAU_TRY_VOID(office_.write({}, [&](Writer& writer) -> Result<void> {
      changes = 0;
      BUREAU_TRY_VOID(writer.draw_sequence(last - report_.sequence));
      const std::size_t values = rows * journal_.width();
      BUREAU_TRY_VOID(writer.insert(journal_, std::span(page.values()).first(values)));
      for (std::size_t i = 0; i < rows; ++i) {
        JournalRow row;
        from_values(page.row(i), row);
        BUREAU_TRY_VOID(replay_record(writer, row));
        changes += row.count;
      }
      return {};
    }));
    report_.sequence = last;
    report_.changes += changes;
    return {};
  }

  Result<void> replay_record(Writer& writer, const JournalRow& row) {
    const auto shape = shapes_.find(row.shape);
    if (shape == shapes_.end()) return damaged(row);
    if (!knows_all(shape->second)) {
      return foreign_history(
          fmt::format("change {} is of a form of {} that came after the backup; take a "
                      "later one",
                      row.id.value, shape->second.name));
    }
    ImageReader images({row.body.data.data(), row.body.data.size()}, keys_);
    const auto kind = static_cast<ChangeKind>(row.kind);
    for (std::int64_t i = 0; i < row.count; ++i) {
      std::vector<ImageReader::Field> image;
      if (!images.image(shape->second.columns.size(), image)) return damaged(row);
      if (kind == ChangeKind::update &&
          !images.pass_over_changes(image.size(), shape->second.full)) {
        return damaged(row);
      }
      auto made = make_change(writer, kind, shape->second, image);
      // What the tables of that time allowed, and the backup's do not.
      const bool is_refused =
          !made && (made.error().code == Code::exists || made.error().code == Code::invalid);
      if (migrated_ && is_refused) {
        return foreign_history(fmt::format("change {}: {}", row.id.value, made.error().message));
      }
      BUREAU_TRY_VOID(std::move(made));
    }
    return images.at_end() ? Result<void>() : damaged(row);
  }

  /// Nothing of what it tells would be left out.
  static bool knows_all(const ReplayShape& shape) {
    return shape.table != nullptr &&
           std::find(shape.columns.begin(), shape.columns.end(), nullptr) == shape.columns.end();
  }

  Result<void> make_change(Writer& writer, ChangeKind kind, const ReplayShape& shape,
                           const std::vector<ImageReader::Field>& image) {
    const TableInfo& table = *shape.table;
    // The values, and which of them the record tells.
    std::vector<Value> row(table.width());
    std::vector<bool> told(table.width());
    for (const ColumnInfo& column : table.columns) {
      row[column.index] = shape.untold[column.index].view();
    }
    for (std::size_t i = 0; i < image.size(); ++i) {
      const ColumnInfo* column = shape.columns[i];
      if (column == nullptr || !image[i].told) continue;
      const bool kept = !image[i].value.is_null() || column->nullable;
      if (!kept && doubtful_.count(column) > 0) {
        return fail(Code::invalid,
                    fmt::format("{}.{} is null, which it could not be when the backup was made",
                                table.name, column->name));
      }
      if (kept) row[column->index] = image[i].value;
      told[column->index] = true;
    }
    const Predicate this_row =
        compare_column(table.columns[0], Predicate::Op::equal, {OwnedValue(row[0])});
    if (kind == ChangeKind::insert) return writer.insert(table, row);
    if (kind == ChangeKind::remove) {
      BUREAU_TRY_VOID(writer.remove({&table, this_row},
                                    [](std::span<const Value>) -> Result<bool> { return true; }));
      return {};
    }
    Update update{{&table, this_row}, {}};
    for (const ColumnInfo& column : table.columns) {
      if (column.index != 0 && told[column.index])
        update.set.push_back({&column, row[column.index]});
    }
    BUREAU_TRY(const auto changed, writer.update(update));
    // Made while its table had no journal.
    if (changed == 0) return writer.insert(table, row);
    return {};
  }

  Storage& history_;
  Storage& office_;
  const ReplayOptions& options_;
  const TableInfo& journal_ = table_of<JournalRow>();
  Catalog catalog_;
  bool has_last_ = true;  ///< whether it has the change that the backup ends with
  std::int64_t end_ = 0;
  std::optional<MigrationSince> migrated_;
  Migrations theirs_;
  std::set<const ColumnInfo*> doubtful_;
  std::vector<UnknownColumn> unknown_;  ///< of migrations that the backup has
  std::map<std::int64_t, ReplayShape> shapes_;
  std::map<std::int64_t, std::string> keys_;
  ReplayReport report_;
};

}  // namespace

Result<ReplayReport> replay_journal(Storage& history, Storage& office,
                                    const ReplayOptions& options) {
  return Replay(history, office, options).run();
}

}  // namespace detail
BUREAU_END_NAMESPACE
