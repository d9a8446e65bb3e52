#include "bureau/store/move.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/store/predicate.hpp"
#include "bureau/store/stored_catalog.hpp"
#include "store/internal_tables.hpp"
#include "store/journal_age.hpp"
#include "store/migration_records.hpp"
#include "store/office_digest.hpp"
#include "store/page_writer.hpp"
#include "store/row_pages.hpp"
#include "store/row_values.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::each_page;
using detail::find_row;
using detail::RowPage;
using detail::SettingRow;

constexpr detail::PageSize rows_a_write{4'000};
constexpr Id<SettingRow> move_mark(detail::moving_setting);

Result<bool> ignore_row(std::span<const Value>) { return true; }

class Move {
 public:
  Move(Storage& from, Storage& to, const MoveOptions& options)
      : from_(from), to_(to), options_(options) {}

  Result<MoveReport> run() {
    BUREAU_TRY_VOID(read_source_tables());
    BUREAU_TRY_VOID(from_.read(Monotonic::never(), [&](Reader& source) -> Result<void> {
      BUREAU_TRY(const auto key, find_row(source, Id<SettingRow>(detail::cursor_key_setting)));
      BUREAU_TRY(const auto mark, find_row(source, move_mark));
      if (!key || mark) {
        return not_an_office(mark ? "a move into it was cut off" : "there is no office in it");
      }
      BUREAU_TRY(sent_head_, detail::newest_change(source));
      // Tells this state of this office from others.
      state_ = fmt::format("{} {}", sent_head_, key->value.data);
      BUREAU_TRY(const bool goes_on, prepare_destination());
      BUREAU_TRY_VOID(count_all(source));
      BUREAU_TRY(auto differences, send_all(source));
      if (!differences.empty() && goes_on) {
        // What an earlier move left was of another state.
        BUREAU_TRY_VOID(begin_anew());
        BUREAU_TRY(differences, send_all(source));
      }
      if (differences.empty()) return {};
      return fail(Code::corrupt,
                  fmt::format("what arrived is not what was sent: {}", differences.front()));
    }));
    BUREAU_TRY_VOID(open_destination());
    BUREAU_TRY_VOID(from_.read(Monotonic::never(), [&](Reader& source) -> Result<void> {
      BUREAU_TRY(const std::int64_t now, detail::newest_change(source));
      report_.left_out = now - sent_head_;
      return {};
    }));
    return std::move(report_);
  }

 private:
  static Unexpected not_an_office(std::string_view why) {
    return fail(Code::invalid, fmt::format("from: {}", why), "from");
  }

  Result<void> read_source_tables() {
    BUREAU_TRY(const auto tables, from_.stored_tables());
    const bool has_settings = std::any_of(tables.begin(), tables.end(), [](const auto& one) {
      return one.name == table_of<SettingRow>().name;
    });
    if (!has_settings) return not_an_office("there is no office in it");
    BUREAU_TRY(catalog_, make_catalog(tables));
    std::vector<StoredTable> bare(tables.begin(), tables.end());
    for (StoredTable& one : bare) one.definition.set("indexes", Json::array());
    BUREAU_TRY(bare_, make_catalog(bare));
    // What keeps two versions in step is each storage's own, and does not travel.
    BUREAU_TRY(const auto migrations, detail::read_migrations(from_));
    for (const detail::MigrationRow& one : migrations) {
      if (one.state == MigrationState::finalized) continue;
      return not_an_office(
          fmt::format("migration {} ({}) is under way in it: finalize it, or take "
                      "it back",
                      one.id.value, one.name));
    }
    return {};
  }

  // The destination ------------------------------------------------------------------------------

  /// True when it goes on with what an earlier move has left.
  Result<bool> prepare_destination() {
    BUREAU_TRY(const auto there, to_.stored_tables());
    BUREAU_TRY(const Catalog existing, make_catalog(there));
    std::optional<SettingRow> mark;
    bool has_rows = false;
    BUREAU_TRY_VOID(to_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      mark.reset();
      has_rows = false;
      if (existing.find(table_of<SettingRow>().name) != nullptr) {
        BUREAU_TRY(mark, find_row(reader, move_mark));
      }
      for (const TableInfo* table : existing.tables()) {
        BUREAU_TRY_VOID(
            reader.scan({table, {}, {}, 1, {}, false}, [&](std::span<const Value>) -> Result<bool> {
              has_rows = true;
              return false;
            }));
      }
      return {};
    }));
    if (has_rows && !mark) {
      return fail(Code::exists, "to: there is an office already; name an empty place", "to");
    }
    if (mark && mark->value.data == state_ && !options_.start_over) return true;
    BUREAU_TRY_VOID(begin_anew());
    return false;
  }

  Result<void> begin_anew() {
    report_.moved = report_.found = 0;
    // An index costs less when it is made of rows that are there.
    BUREAU_TRY_VOID(to_.migrate(bare_));
    // Before anything else: what is half there must not be taken for an office. The numbers are
    // drawn with it, because a storage shows only those rows of the journal whose numbers were.
    BUREAU_TRY_VOID(to_.write({}, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(writer.remove(mark_row(), ignore_row));
      const SettingRow mark{move_mark, "moving", {state_}};
      BUREAU_TRY_VOID(writer.insert(table_of<SettingRow>(), detail::RowValues(mark).values()));
      if (sent_head_ == 0) return {};
      BUREAU_TRY(const std::int64_t drawn, writer.draw_sequence(1));
      if (drawn >= sent_head_) return {};
      BUREAU_TRY_VOID(writer.draw_sequence(sent_head_ - drawn));
      return {};
    }));
    for (const TableInfo* table : catalog_.tables()) BUREAU_TRY_VOID(empty(*table));
    return {};
  }

  static Select mark_row() {
    const TableInfo& settings = table_of<SettingRow>();
    return {&settings, col(&SettingRow::id) == move_mark, {}, {}, {}, false};
  }

  Result<void> empty(const TableInfo& table) {
    Select some{&table, {}, {}, rows_a_write.rows, {}, false};
    if (table.name == table_of<SettingRow>().name) {
      some.table = &table_of<SettingRow>();
      some.where = !(col(&SettingRow::id) == move_mark);
    }
    for (std::uint64_t removed = rows_a_write.rows; removed == rows_a_write.rows;) {
      BUREAU_TRY_VOID(to_.write({}, [&](Writer& writer) -> Result<void> {
        BUREAU_TRY(removed, writer.remove(some, ignore_row));
        return {};
      }));
    }
    return {};
  }

  /// From now on it is an office.
  Result<void> open_destination() {
    return to_.write({}, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(writer.remove(mark_row(), ignore_row));
      return {};
    });
  }

  // The rows -------------------------------------------------------------------------------------

  Result<void> count_all(Reader& source) {
    if (!options_.progress) return {};
    for (const TableInfo* table : catalog_.tables()) {
      Aggregate count{table, {}, {}, {{Aggregate::Function::count, nullptr}}};
      BUREAU_TRY_VOID(source.aggregate(count, [&](std::span<const Value> row) -> Result<bool> {
        all_ += row[0].as_integer();
        return true;
      }));
    }
    return {};
  }

  /// What arrived otherwise than it was sent.
  Result<std::vector<std::string>> send_all(Reader& source) {
    sent_ = {};
    BUREAU_TRY_VOID(send(source));
    BUREAU_TRY_VOID(to_.migrate(catalog_));
    return check(source);
  }

  Result<void> send(Reader& source) {
    for (const TableInfo* table : catalog_.tables()) {
      if (table->name == table_of<SettingRow>().name) continue;  // beside the mark, at the end
      BUREAU_TRY_VOID(send(source, *table));
    }
    return send_settings(source);
  }

  Result<void> send(Reader& source, const TableInfo& table) {
    BUREAU_TRY(const std::int64_t after, last_there(table));
    detail::TableDigester digester(table);
    detail::PageWriter writer(to_);
    const std::int64_t before = report_.moved;
    auto sent = each_page(source, table, after, rows_a_write, [&](RowPage& page) -> Result<bool> {
      for (std::size_t i = 0; i < page.rows(); ++i) digester.add(page.row(i));
      if (table.name == detail::nodes_table) void_leases(table, page);
      BUREAU_TRY_VOID(writer.add(table, std::exchange(page, RowPage(table))));
      report_.moved = before + writer.written();
      BUREAU_TRY_VOID(tell(table.name));
      return true;
    });
    const auto last = writer.finish();
    report_.moved = before + writer.written();
    BUREAU_TRY_VOID(std::move(sent));
    BUREAU_TRY_VOID(last);
    if (after == 0) sent_.tables.push_back(digester.finish());
    return tell(table.name);
  }

  Result<void> tell(std::string_view what) {
    if (!options_.progress) return {};
    if (options_.progress({what, report_.moved + report_.found, all_})) return {};
    return fail(Code::cancelled, "the move was given up; it goes on when it is called again");
  }

  /// Pages arrive whole and in order, so that the last row tells what is there.
  Result<std::int64_t> last_there(const TableInfo& table) {
    std::int64_t last = 0;
    std::int64_t count = 0;
    BUREAU_TRY_VOID(to_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      last = count = 0;
      BUREAU_TRY_VOID(reader.scan({&table, {}, {{&table.columns[0], true}}, 1, {}, false},
                                  [&](std::span<const Value> row) -> Result<bool> {
                                    last = row[0].as_integer();
                                    return false;
                                  }));
      if (last == 0) return {};
      Aggregate all{&table, {}, {}, {{Aggregate::Function::count, nullptr}}};
      return reader.aggregate(all, [&](std::span<const Value> row) -> Result<bool> {
        count = row[0].as_integer();
        return true;
      });
    }));
    report_.found += count;
    return last;
  }

  /// A lease names a node and its generation: with the next, nobody holds it.
  static void void_leases(const TableInfo& table, RowPage& page) {
    const ColumnInfo* generation = table.find("generation");
    if (generation == nullptr) return;
    for (std::size_t i = 0; i < page.rows(); ++i) {
      Value& value = page.values()[i * table.width() + generation->index];
      value = Value::integer(value.as_integer() + 1);
    }
  }

  Result<void> send_settings(Reader& source) {
    const TableInfo& settings = table_of<SettingRow>();
    detail::TableDigester digester(settings);
    BUREAU_TRY_VOID(each_page(source, settings, 0, {}, [&](RowPage& page) -> Result<bool> {
      for (std::size_t i = 0; i < page.rows(); ++i) digester.add(page.row(i));
      BUREAU_TRY_VOID(to_.write({}, [&](Writer& writer) -> Result<void> {
        const Select all{&settings, !(col(&SettingRow::id) == move_mark), {}, {}, {}, false};
        BUREAU_TRY_VOID(writer.remove(all, ignore_row));
        return writer.insert(settings, page.values());
      }));
      report_.moved += static_cast<std::int64_t>(page.rows());
      return true;
    }));
    sent_.tables.push_back(digester.finish());
    return {};
  }

  // The check ------------------------------------------------------------------------------------

  Result<std::vector<std::string>> check(Reader& source) {
    const bool is_known = sent_.tables.size() == catalog_.tables().size();
    if (!is_known) {  // some of it was sent by an earlier call
      BUREAU_TRY(sent_, detail::digest_tables(source, catalog_, watch("compare")));
    }
    const OfficeDigest& sent = sent_;
    BUREAU_TRY(report_.office, detail::digest_resting(to_, catalog_, sent, watch("compare")));
    std::optional<SettingRow> mark;
    BUREAU_TRY_VOID(to_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(mark, find_row(reader, move_mark));
      return {};
    }));
    auto differences = compare_digests(sent, report_.office);
    // There the mark stands beside the settings.
    const std::string_view settings = table_of<SettingRow>().name;
    std::erase_if(differences, [&](const std::string& text) { return text.starts_with(settings); });
    for (TableDigest& one : report_.office.tables) {
      if (one.table != settings) continue;
      const auto same = std::find_if(sent.tables.begin(), sent.tables.end(),
                                     [&](const auto& other) { return other.table == settings; });
      if (!mark || one.rows != same->rows + 1) differences.emplace_back("bureau_settings");
      one = *same;
    }
    return differences;
  }

  [[nodiscard]] ProgressSink watch(std::string_view what) const {
    if (!options_.progress) return {};
    return [this, what](const Progress& at) {
      return options_.progress({what, std::min(at.done, all_), all_});
    };
  }

  Storage& from_;
  Storage& to_;
  const MoveOptions& options_;
  Catalog catalog_, bare_;  // bare: without indexes
  OfficeDigest sent_;       // of the tables that this call sends whole
  std::string state_;
  std::int64_t sent_head_ = 0;
  std::int64_t all_ = 0;
  MoveReport report_;
};

}  // namespace

Result<MoveReport> move_office(Storage& from, Storage& to, const MoveOptions& options) {
  return Move(from, to, options).run();
}

BUREAU_END_NAMESPACE
