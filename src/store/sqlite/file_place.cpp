#include "store/sqlite/file_place.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <array>
#include <filesystem>

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

// Linux's numbers (statfs(2)), 32 bits.
constexpr std::uint32_t fuse = 0x65735546;
struct Kind {
  std::uint32_t type;
  std::string_view name;
};
constexpr std::array network_kinds{
    Kind{0x6969, "NFS"},        Kind{0x517B, "SMB"},
    Kind{0xFE534D42, "SMB2"},   Kind{0xFF534D42, "CIFS"},
    Kind{0x01021997, "9P"},     Kind{0x5346414F, "AFS"},
    Kind{0x6B414653, "AFS"},    Kind{0x73757245, "Coda"},
    Kind{0x564C, "NCP"},        Kind{0x00C36400, "Ceph"},
    Kind{0x0BD00BD0, "Lustre"}, Kind{0x47504653, "GPFS"},
    Kind{0x7461636F, "OCFS2"},  Kind{0xAAD7AAEA, "PanFS"},
    Kind{0x19830326, "BeeGFS"}, Kind{0x786F4256, "VirtualBox shared folder"},
};

std::filesystem::path folder_of(const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

}  // namespace

std::string_view network_file_system(std::int64_t type) {
  for (const Kind& kind : network_kinds) {
    if (kind.type == static_cast<std::uint32_t>(type)) return kind.name;
  }
  return {};
}

Result<void> check_file_system(const SqliteOptions& options) {
  const std::string folder = folder_of(options.path).string();
  std::int64_t type = 0;
  if (options.file_system) {
    type = options.file_system(folder);
  } else {
    struct statfs status {};
    if (::statfs(folder.c_str(), &status) != 0) return {};  // opening it says what is wrong
    type = static_cast<std::int64_t>(status.f_type);
  }
  if (const auto name = network_file_system(type); !name.empty()) {
    return fail(
        Code::invalid,
        fmt::format("{}: it is on a network file system ({}), where locks and shared memory "
                    "do not hold between machines; put the office on a local disk",
                    options.path, name),
        "path");
  }
  if (static_cast<std::uint32_t>(type) == fuse) {
    log(options.log, LogLevel::warning, "sqlite",
        "the office is on a file system that a program serves (FUSE): locks, shared memory and "
        "syncs are as good as that program",
        {{"path", std::string_view(options.path)}});
  }
  return {};
}

std::string resolve(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  const auto target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target.string();
}

void look_at_mode(const SqliteOptions& options) {
  struct stat status {};
  if (::stat(options.path.c_str(), &status) != 0 || (status.st_mode & 077) == 0) return;
  const std::string mode = fmt::format("{:04o}", status.st_mode & 07777);
  log(options.log, LogLevel::warning, "sqlite",
      "others than its owner may use the office's file, and SQLite gives its log the same mode; "
      "chmod 600 keeps them out",
      {{"path", std::string_view(options.path)}, {"mode", std::string_view(mode)}});
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
