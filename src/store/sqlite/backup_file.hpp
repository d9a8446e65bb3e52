#pragma once

#include <functional>
#include <string>

#include "bureau/store/backup.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/side_files.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// A file that is made beside its name and appears under it when it is whole. Of several who make
/// the same, one at a time can; what one who was killed has left is taken over.
class NewFile {
 public:
  /// `busy` when somebody else is at it. `suffix` tells what it is made for.
  static Result<NewFile> create(const std::string& path, std::string_view suffix);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  /// Takes it away unless it was published.
  ~NewFile();

  [[nodiscard]] const std::string& path() const { return made_; }
  /// So that not all is left to the end.
  Result<void> sync();
  /// Syncs it and gives it its name. `exists` when that is taken, unless `replace`.
  Result<void> publish(bool replace);

 private:
  NewFile(FileHandle file, std::string path, std::string made)
      : file_(std::move(file)), path_(std::move(path)), made_(std::move(made)) {}
  FileHandle file_;
  std::string path_;
  std::string made_;
};

/// Makes the names in a file's folder durable.
Result<void> sync_folder(const std::string& file);

/// Whether something is there under that name.
[[nodiscard]] bool is_there(const std::string& path);

/// Copies what the connection's open snapshot shows into `to`, a little at a time.
Result<void> copy_pages(Connection& from, NewFile& to, const BackupOptions& options);

/// Storage::back_up() from a connection of its own.
Result<BackupReport> make_backup(Connection& from, const std::string& path,
                                 const BackupOptions& options);

/// Makes the copy a backup: one file that needs none beside it, with its moment written in, and
/// without what tells that it is the original.
Result<void> write_moment(const std::string& path, const BackupReport& moment);

/// The moment that is written in; nothing: it is an office. REQUIRES: the file is bureau's.
Result<std::optional<BackupReport>> read_moment(Connection& connection);

/// The tables that are stored there.
Result<std::vector<StoredTable>> read_definitions(Connection& connection);

/// SQLite's own look through the file.
Result<void> look_for_damage(Connection& connection);

/// Opens a backup for reading only.
Result<std::unique_ptr<Connection>> open_read_only(const std::string& path);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
