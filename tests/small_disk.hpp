#pragma once

// A disk that is soon full, and that can be given room.

#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "basics.hpp"

/// Memory that is mounted as a disk of its own, for as long as the object lives. Only root may do
/// that, and not in every container.
class SmallDisk {
 public:
  SmallDisk() {
    mounted_ = ::mount("small", folder().c_str(), "tmpfs", 0, "size=64m,mode=0700") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] bool is_there() const { return mounted_; }
  [[nodiscard]] std::string folder() const { return folder_.file("disk"); }
  [[nodiscard]] std::string file(const std::string& name = "office.db") const {
    return folder() + "/" + name;
  }
  [[nodiscard]] std::uint64_t used() const {
    struct statvfs now {};
    REQUIRE(::statvfs(folder().c_str(), &now) == 0);
    return (now.f_blocks - now.f_bfree) * now.f_frsize;
  }
  /// From now on there is room for so much more.
  void leave(std::uint64_t bytes) const {
    const std::string size = "size=" + std::to_string(used() + bytes);
    REQUIRE(::mount("small", folder().c_str(), "tmpfs", MS_REMOUNT, size.c_str()) == 0);
  }

 private:
  /// The folder that it is mounted in goes after it.
  struct Point : Folder {
    Point() { std::filesystem::create_directory(file("disk")); }
  } folder_;
  bool mounted_ = false;
};

/// Without such a disk the test says that it was skipped.
#define BUREAU_NEED_SMALL_DISK(disk)                                         \
  const SmallDisk disk;                                                      \
  if (!disk.is_there()) {                                                    \
    MESSAGE("skipped: a small disk cannot be mounted here (it takes root)"); \
    return;                                                                  \
  }                                                                          \
  static_cast<void>(0)
