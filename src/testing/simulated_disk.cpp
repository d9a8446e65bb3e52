#include "testing/simulated_disk.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

BUREAU_BEGIN_NAMESPACE
namespace testing::detail {
namespace {

constexpr std::uint64_t torn_sector = 512;

std::uint64_t below(DiskRandom& random, std::uint64_t bound) { return random() % bound; }

bool survives(const LossPlan& plan, DiskRandom& random) { return below(random, 8) < plan.survival; }

/// Writes into `bytes`, which grows with zeros up to `offset` as a sparse file does.
void put(std::uint64_t offset, std::span<const std::byte> data, DiskBytes& bytes) {
  if (data.empty()) return;
  if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
  std::copy(data.begin(), data.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

/// Overwrites with noise what `bytes` already holds between the two offsets.
void destroy(std::uint64_t from, std::uint64_t to, DiskRandom& random, DiskBytes& bytes) {
  for (auto i = from; i < std::min<std::uint64_t>(to, bytes.size()); ++i) {
    bytes[i] = static_cast<std::byte>(random() & 0xff);
  }
}

std::string_view directory_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

LossPlan plan_for(PowerLoss loss, std::uint32_t fragile_sector, DiskRandom& random) {
  static constexpr PowerLoss any[] = {PowerLoss::drop, PowerLoss::keep, PowerLoss::reorder,
                                      PowerLoss::tear};
  static constexpr unsigned survival[] = {1, 4, 7};
  if (loss == PowerLoss::mixed) loss = any[below(random, std::size(any))];
  return {loss, survival[below(random, std::size(survival))], fragile_sector};
}

}  // namespace

std::size_t SimulatedFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= current_.size()) return 0;
  const auto count = std::min<std::uint64_t>(out.size(), current_.size() - offset);
  std::copy_n(current_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
  return count;
}

void SimulatedFile::write(std::uint64_t offset, std::span<const std::byte> data) {
  put(offset, data, current_);
  unsynced_.push_back({++changes_made_, offset, DiskBytes(data.begin(), data.end()), false});
}

void SimulatedFile::truncate(std::uint64_t size) {
  current_.resize(size);
  unsynced_.push_back({++changes_made_, size, {}, true});
}

void SimulatedFile::apply(const Change& change, DiskBytes& bytes) {
  if (change.truncation) {
    bytes.resize(change.offset);
  } else {
    put(change.offset, change.data, bytes);
  }
}

void SimulatedFile::sync(std::uint64_t mark) {
  while (!unsynced_.empty() && unsynced_.front().number <= mark) {
    apply(unsynced_.front(), durable_);
    unsynced_.pop_front();
  }
}

void SimulatedFile::lose_writes(bool all, DiskRandom& random) {
  std::erase_if(unsynced_, [&](const Change& change) {
    return !change.truncation && (all || below(random, 2) == 0);
  });
}

void SimulatedFile::fail_sync(FailedSync outcome, DiskRandom& random) {
  switch (outcome) {
    case FailedSync::waiting:
      break;
    case FailedSync::durable:
      sync(mark());
      break;
    case FailedSync::lost:
      lose_writes(true, random);
      break;
    case FailedSync::random:
      // Loss comes first: a write must never become durable before an older one that is still to
      // come, or the older would overwrite it.
      if (below(random, 4) != 0) lose_writes(below(random, 2) == 0, random);
      if (below(random, 2) == 0) sync(mark());
      break;
  }
}

void SimulatedFile::apply_torn(const Change& change, const LossPlan& plan, DiskRandom& random,
                               DiskBytes& bytes) {
  const std::span<const std::byte> data = change.data;
  for (std::size_t done = 0; done < data.size();) {
    const auto at = change.offset + done;
    const auto length = std::min<std::size_t>(data.size() - done, torn_sector - at % torn_sector);
    auto kept = survives(plan, random) ? length : 0;
    if (kept != 0 && below(random, 16) == 0) kept = below(random, length);
    put(at, data.subspan(done, kept), bytes);
    done += length;
  }
  if (plan.fragile_sector == 0 || below(random, 4) != 0) return;
  const auto end = change.offset + data.size();
  const auto beyond = end % plan.fragile_sector;
  destroy(change.offset - change.offset % plan.fragile_sector, change.offset, random, bytes);
  if (beyond != 0) destroy(end, end + plan.fragile_sector - beyond, random, bytes);
}

DiskBytes SimulatedFile::survivors(const LossPlan& plan, DiskRandom& random) const {
  auto bytes = durable_;
  for (const auto& change : unsynced_) {
    if (plan.loss == PowerLoss::tear && !change.truncation) {
      apply_torn(change, plan, random, bytes);
    } else if (plan.loss == PowerLoss::keep ||
               (plan.loss != PowerLoss::drop && survives(plan, random))) {
      apply(change, bytes);
    }
  }
  return bytes;
}

SimulatedDisk::FilePtr SimulatedDisk::find(std::string_view path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second;
}

SimulatedDisk::FilePtr SimulatedDisk::create(std::string_view path) {
  auto file = std::make_shared<SimulatedFile>();
  unsynced_names_.push_back({std::string(path), file});
  apply(unsynced_names_.back(), names_);
  return file;
}

bool SimulatedDisk::remove(std::string_view path) {
  if (!names_.contains(path)) return false;
  unsynced_names_.push_back({std::string(path), nullptr});
  apply(unsynced_names_.back(), names_);
  return true;
}

void SimulatedDisk::apply(const NameChange& change, Names& names) {
  if (change.file) {
    names[change.path] = change.file;
  } else {
    names.erase(change.path);
  }
}

void SimulatedDisk::sync_directory(std::string_view path) {
  const auto directory = directory_of(path);
  const auto is_in_it = [&](const NameChange& change) {
    return directory_of(change.path) == directory;
  };
  for (const auto& change : unsynced_names_) {
    if (is_in_it(change)) apply(change, durable_names_);
  }
  std::erase_if(unsynced_names_, is_in_it);
}

void SimulatedDisk::set_contents(std::string_view path, DiskBytes bytes) {
  std::erase_if(unsynced_names_, [&](const NameChange& change) { return change.path == path; });
  auto file = std::make_shared<SimulatedFile>(std::move(bytes));
  apply({std::string(path), file}, names_);
  apply({std::string(path), file}, durable_names_);
}

std::vector<std::string> SimulatedDisk::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, file] : names_) paths.push_back(path);
  return paths;
}

std::uint64_t SimulatedDisk::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, file] : names_) bytes += file->size();
  return bytes;
}

std::size_t SimulatedDisk::write(SimulatedFile& file, std::uint64_t offset,
                                 std::span<const std::byte> data) {
  const auto end = offset + data.size();
  auto fits = data.size();
  if (capacity_ != UINT64_MAX && end > file.size()) {
    const auto total = used();
    const auto room = total < capacity_ ? capacity_ - total : 0;
    // A hole before the first byte takes no room now, but counts once it is there.
    const auto inside = offset < file.size() ? file.size() - offset : 0;
    fits = std::min<std::uint64_t>(data.size(), inside + room);
  }
  if (fits != 0) file.write(offset, data.first(fits));
  return fits;
}

void SimulatedDisk::lose_power(PowerLoss loss, std::uint32_t fragile_sector, DiskRandom& random) {
  auto survived = std::move(durable_names_);
  for (const auto& change : unsynced_names_) {
    const auto plan = plan_for(loss, fragile_sector, random);
    if (plan.loss == PowerLoss::keep || (plan.loss != PowerLoss::drop && survives(plan, random))) {
      apply(change, survived);
    }
  }
  unsynced_names_.clear();
  for (auto& [path, file] : survived) {
    const auto plan = plan_for(loss, fragile_sector, random);
    file = std::make_shared<SimulatedFile>(file->survivors(plan, random));
  }
  names_ = survived;
  durable_names_ = std::move(survived);
}

}  // namespace testing::detail
BUREAU_END_NAMESPACE
