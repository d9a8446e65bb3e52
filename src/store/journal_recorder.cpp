// Writing the journal: shapes, sealed values, and the records of one transaction.

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

#include "core/stable_hash.hpp"
#include "store/database_impl.hpp"
#include "store/journal_codec.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {
/// A record larger than this is closed, so that a reader never has to hold much at a time.
constexpr std::size_t max_record_bytes = 256 * 1024;

std::int64_t subject_of(const TableInfo& table, std::span<const Value> row) {
  if (table.personal_subject != TableInfo::absent) {
    const Value& v = row[static_cast<std::size_t>(table.personal_subject)];
    if (!v.is_null() && v.as_integer() > 0) return v.as_integer();
  }
  return row[0].as_integer();
}
}  // namespace

Json shape_columns(const TableInfo& table) {
  Json columns = Json::array();
  for (const ColumnInfo& c : table.columns) {
    columns.push_back(Json::array({Json(c.name), Json(to_string(c.type))}));
  }
  return columns;
}

std::int64_t shape_id(const TableInfo& table) {
  // A collision within one office's few hundred shapes is out of the question.
  std::string text(table.name);
  text += static_cast<char>('0' + static_cast<int>(table.journal));
  shape_columns(table).dump_to(text);
  return static_cast<std::int64_t>((stable_hash(text) >> 1U) | 1U);
}

std::string seal(Random& random, std::string_view key, std::string_view plain) {
  std::string out(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.size(), '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  random.fill(std::as_writable_bytes(std::span(out.data(), crypto_secretbox_NONCEBYTES)));
  crypto_secretbox_easy(bytes + crypto_secretbox_NONCEBYTES,
                        reinterpret_cast<const unsigned char*>(plain.data()), plain.size(), bytes,
                        reinterpret_cast<const unsigned char*>(key.data()));
  return out;
}

bool unseal(std::string_view key, std::string_view sealed, std::string& plain) {
  constexpr std::size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (key.size() != seal_key_bytes || sealed.size() < overhead) return false;
  plain.resize(sealed.size() - overhead);
  const auto* bytes = reinterpret_cast<const unsigned char*>(sealed.data());
  return crypto_secretbox_open_easy(reinterpret_cast<unsigned char*>(plain.data()),
                                    bytes + crypto_secretbox_NONCEBYTES,
                                    sealed.size() - crypto_secretbox_NONCEBYTES, bytes,
                                    reinterpret_cast<const unsigned char*>(key.data())) == 0;
}

Result<std::int64_t> count_erasures(Reader& reader) {
  RightsRow row;
  BUREAU_TRY_VOID(reader.find(table_of<RightsRow>(), erasures_row,
                              [&](std::span<const Value> values) -> Result<bool> {
                                from_values(values, row);
                                return true;
                              }));
  return row.epoch;
}

Result<void> count_up(Writer& writer, std::int64_t id) {
  const TableInfo& table = table_of<RightsRow>();
  Update update{{&table, col(&RightsRow::id) == Id<RightsRow>(id)}, {}};
  update.set = {{table.find("epoch"), Value::integer(1), true}};
  BUREAU_TRY(auto changed, writer.update(update));
  if (changed != 0) return {};
  return writer.insert(table, RowValues(RightsRow{Id<RightsRow>(id), 1}).values());
}

// Recorder -------------------------------------------------------------------------------------

Recorder::Pending& Recorder::open(const TableInfo& table, ChangeKind kind, std::int64_t tenant) {
  if (pending_.empty() || pending_.back().table != &table || pending_.back().kind != kind ||
      pending_.back().tenant != tenant || pending_.back().body.size() > max_record_bytes) {
    pending_.push_back({&table, kind, tenant, 0, {}});
  }
  ++pending_.back().count;
  if (const auto* watched = database_.impl_->rights_table(table);
      watched != nullptr && (kind != ChangeKind::insert || watched->inserts)) {
    rights_touched_ = true;
    if (watched->epoch && std::find(touched_rights_.begin(), touched_rights_.end(), tenant) ==
                              touched_rights_.end()) {
      touched_rights_.push_back(tenant);
    }
  }
  return pending_.back();
}

std::int64_t Recorder::tenant_of(const TableInfo& table, std::span<const Value> row) const {
  if (table.tenant == TableInfo::absent) return transaction_.attribution().tenant;
  const Value& v = row[static_cast<std::size_t>(table.tenant)];
  return v.is_null() ? 0 : v.as_integer();
}

Result<std::int64_t> Recorder::erasures() {
  if (erasures_ < 0) {
    BUREAU_TRY(erasures_, count_erasures(transaction_.reader()));
  }
  return erasures_;
}

Result<std::string> Recorder::key_for(std::int64_t subject) {
  for (const NewKey& k : new_keys_) {
    if (k.subject == subject) return k.key;
  }
  BUREAU_TRY(const std::int64_t as_of, erasures());
  if (auto cached = database_.impl_->cached_key(subject, as_of)) return *cached;
  KeyRow row;
  bool found = false;
  BUREAU_TRY_VOID(transaction_.reader().find(table_of<KeyRow>(), subject,
                                             [&](std::span<const Value> values) -> Result<bool> {
                                               from_values(values, row);
                                               found = true;
                                               return true;
                                             }));
  if (!found) {
    row.id = Id<KeyRow>(subject);
    row.key.data.resize(seal_key_bytes);
    database_.random().fill(std::as_writable_bytes(std::span(row.key.data)));
    BUREAU_TRY_VOID(
        transaction_.unjournalled().insert(table_of<KeyRow>(), RowValues(row).values()));
    new_keys_.push_back({subject, row.key.data});
  }
  return row.erased ? std::string() : row.key.data;
}

Result<void> Recorder::append_value(const TableInfo& table, const ColumnInfo& column,
                                    const Value& value, std::span<const Value> row,
                                    std::string& out) {
  if (column.secret) {
    put_tag(out, JournalTag::secret);
    return {};
  }
  if (!column.personal || value.is_null()) {
    put_value(out, value);
    return {};
  }
  const std::int64_t subject = subject_of(table, row);
  BUREAU_TRY(std::string key, key_for(subject));
  if (key.empty()) {  // the person's history was erased: nothing of it enters again
    put_tag(out, JournalTag::null);
    return {};
  }
  std::string plain;
  put_value(plain, value);
  const std::string sealed = seal(database_.random(), key, plain);
  put_tag(out, JournalTag::sealed);
  put_varint(out, static_cast<std::uint64_t>(subject));
  put_varint(out, sealed.size());
  out.append(sealed);
  return {};
}

Result<void> Recorder::append_row(const TableInfo& table, std::span<const Value> row,
                                  std::string& out) {
  if (!table.has_sealed) {
    for (const Value& v : row) put_value(out, v);
    return {};
  }
  for (const ColumnInfo& column : table.columns) {
    BUREAU_TRY_VOID(append_value(table, column, row[column.index], row, out));
  }
  return {};
}

Result<void> Recorder::inserted(const TableInfo& table, std::span<const Value> row) {
  Pending& record = open(table, ChangeKind::insert, tenant_of(table, row));
  return append_row(table, row, record.body);
}

Result<void> Recorder::removed(const TableInfo& table, std::span<const Value> row) {
  Pending& record = open(table, ChangeKind::remove, tenant_of(table, row));
  return append_row(table, row, record.body);
}

Result<void> Recorder::updated(const TableInfo& table, std::span<const Value> before,
                               std::span<const Value> after) {
  Pending& record = open(table, ChangeKind::update, tenant_of(table, after));
  BUREAU_TRY_VOID(append_row(table, after, record.body));
  std::uint64_t changed = 0;
  for (std::size_t i = 0; i < after.size(); ++i) changed += before[i] == after[i] ? 0 : 1;
  put_varint(record.body, changed);
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (before[i] == after[i]) continue;
    put_varint(record.body, i);
    if (table.journal == journal::Mode::full) {
      BUREAU_TRY_VOID(append_value(table, table.columns[i], before[i], before, record.body));
    }
  }
  return {};
}

Result<void> Recorder::flush() {
  if (pending_.empty()) return {};
  std::int64_t total = 0;
  for (const Pending& p : pending_) total += p.count;
  Writer& writer = transaction_.unjournalled();
  std::int64_t next = 0;
  const TableInfo& journal_table = table_of<JournalRow>();
  std::vector<Value> values;
  values.reserve(pending_.size() * journal_table.width());
  const Attribution& by = transaction_.attribution();
  for (const Pending& p : pending_) {
    next += p.count;
    const auto shape = database_.impl_->shape_ids.find(p.table);
    if (shape == database_.impl_->shape_ids.end()) {
      return fail(Code::internal,
                  fmt::format("{}: this table is not in the catalog", p.table->name));
    }
    for (const std::int64_t v :
         {next, p.tenant, by.actor, by.task, shape->second, static_cast<std::int64_t>(p.kind),
          p.count, transaction_.now().micros()}) {
      values.push_back(Value::integer(v));
    }
    values.push_back(Value::bytes(p.body));
  }
  BUREAU_TRY_VOID(writer.insert_numbered(journal_table, values, total));
  return bump_rights();
}

Result<void> Recorder::bump_rights() {
  for (const std::int64_t tenant : touched_rights_) {
    BUREAU_TRY_VOID(count_up(transaction_.unjournalled(), tenant == 0 ? 1 : tenant));
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
