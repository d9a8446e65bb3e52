#pragma once

#include <array>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "bureau/core/metrics.hpp"
#include "bureau/store/database.hpp"
#include "store/internal_tables.hpp"
#include "store/row_values.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {
class AsyncWrites;
}

struct Database::Impl {
  explicit Impl(DatabaseOptions options);
  ~Impl();

  std::shared_ptr<Storage> storage;
  Catalog catalog;
  Clock& clock;
  Random& random;
  LogSink log;
  std::shared_ptr<const KeyRing> key_ring;
  IdSource ids;
  std::string cursor_key;
  std::int64_t version = 0;  // of the program: the number of its newest migration
  std::unique_ptr<detail::AsyncWrites> async_writes;

  std::mutex node_mutex;  // one thread takes the node or extends its reservation: node_taken
  std::condition_variable node_free;
  bool node_taken = false;
  std::atomic<bool> has_node{false};
  Database::Node node;

  Histogram write_seconds{duration_bounds(), 1e-6};
  static constexpr std::size_t codes = 16;
  std::array<Counter, codes + 1> failed_writes;  // by Code

  std::vector<Database::RightsTable> rights_tables;
  std::atomic<std::uint64_t> rights_commits{0};
  [[nodiscard]] const Database::RightsTable* rights_table(const TableInfo& table) const {
    for (const auto& watched : rights_tables) {
      if (watched.table == &table) return &watched;
    }
    return nullptr;
  }

  /// Journal shapes by id: how the columns of a record map to those of the table today.
  struct Shape {
    const TableInfo* table = nullptr;   // null: a table that this program does not know
    bool full = false;                  // updates have their values before
    std::vector<std::int32_t> columns;  // position today, or -1
  };
  std::shared_mutex shapes_mutex;
  std::unordered_map<std::int64_t, std::shared_ptr<const Shape>> shapes;
  std::unordered_map<const TableInfo*, std::int64_t> shape_ids;  // fixed once open
  Result<std::shared_ptr<const Shape>> shape(Reader& reader, std::int64_t id);

  /// Keys of personal values, as of so many erasures: one more, by whichever process, empties it.
  std::mutex keys_mutex;
  std::unordered_map<std::int64_t, std::string> keys;
  std::int64_t keys_as_of = 0;
  std::uint64_t keys_losses = 0;  // of the storage, when they were read
  void forget_lost_keys();
  static constexpr std::size_t max_cached_keys = 100'000;
  [[nodiscard]] std::optional<std::string> cached_key(std::int64_t subject, std::int64_t erasures);
  void cache_key(std::int64_t subject, const std::string& key, std::int64_t erasures);

  /// Today's column that a record's is: of that name, or of one that it has been given since.
  Result<const ColumnInfo*> column_today(Reader& reader, const TableInfo& table,
                                         const std::string& name);

  Result<void> ensure_ids(Monotonic deadline = Monotonic::never());
  Result<void> await_node(std::unique_lock<std::mutex>& lock, Monotonic deadline);
  Result<void> take_node(Monotonic deadline);
  Result<void> extend_reservation(Monotonic deadline);
  Result<void> prepare();  // shapes and settings, after migration
};

namespace detail {
/// How many times personal history was erased, as the snapshot has it.
[[nodiscard]] Result<std::int64_t> count_erasures(Reader& reader);
/// Adds one to a row of bureau_rights.
[[nodiscard]] Result<void> count_up(Writer& writer, std::int64_t id);
[[nodiscard]] std::int64_t shape_id(const TableInfo& table);
[[nodiscard]] Json shape_columns(const TableInfo& table);
/// Adds one value's sealed form (nonce and box) to `out`. `key` has 32 bytes.
[[nodiscard]] std::string seal(Random& random, std::string_view key, std::string_view plain);
[[nodiscard]] bool unseal(std::string_view key, std::string_view sealed, std::string& plain);
inline constexpr std::size_t seal_key_bytes = 32;
}  // namespace detail

BUREAU_END_NAMESPACE
