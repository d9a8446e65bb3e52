#include "testing/fault_machine.hpp"

#include <utility>

BUREAU_BEGIN_NAMESPACE
namespace testing::detail {

// Faults -----------------------------------------------------------------------------------------

void FaultMachine::fail(FaultRule rule) {
  const std::lock_guard guard(mutex_);
  rules_.push_back({rule});
}

void FaultMachine::heal() {
  const std::lock_guard guard(mutex_);
  rules_.clear();
}

std::uint64_t FaultMachine::faults() const {
  const std::lock_guard guard(mutex_);
  return faults_;
}

void FaultMachine::set_disk_capacity(std::uint64_t bytes) {
  const std::lock_guard guard(mutex_);
  disk_.set_capacity(bytes);
}

void FaultMachine::set_sync_delay(Duration delay, std::function<void(Duration)> wait) {
  const std::lock_guard guard(mutex_);
  sync_delay_ = delay;
  wait_ = std::move(wait);
}

void FaultMachine::set_lying_syncs(bool lying) {
  const std::lock_guard guard(mutex_);
  lying_syncs_ = lying;
}

const FaultRule* FaultMachine::count_and_find_fault(DiskOperation operation, DiskFile kind) {
  ++counts_[static_cast<std::size_t>(operation)];
  const FaultRule* found = nullptr;
  for (auto& [rule, seen] : rules_) {
    if (rule.operation != operation || (rule.file != DiskFile::any && rule.file != kind)) continue;
    const auto index = seen++;
    if (index >= rule.after && index - rule.after < rule.times && !found) found = &rule;
  }
  if (found) ++faults_;
  return found;
}

// Life and death ---------------------------------------------------------------------------------

FaultMachine::Step FaultMachine::step() {
  ++steps_;
  if (!end_at_step_ || steps_ <= *end_at_step_) return Step::done;
  down_ = true;
  return end_is_power_cut_ ? Step::in_flight : Step::dead;
}

std::uint64_t FaultMachine::steps() const {
  const std::lock_guard guard(mutex_);
  return steps_;
}

void FaultMachine::plan_end(std::uint64_t steps, bool power_cut) {
  const std::lock_guard guard(mutex_);
  end_at_step_ = steps_ + steps;
  end_is_power_cut_ = power_cut;
}

bool FaultMachine::is_down() const {
  const std::lock_guard guard(mutex_);
  return down_;
}

void FaultMachine::begin_life() {
  nodes_.clear();
  end_at_step_.reset();
  down_ = false;
  ++life_;
}

void FaultMachine::restore_power(PowerLoss loss, std::uint64_t seed) {
  const std::lock_guard guard(mutex_);
  DiskRandom random(seed);
  disk_.lose_power(loss, fragile_sector_, random);
  begin_life();
}

void FaultMachine::restart() {
  const std::lock_guard guard(mutex_);
  begin_life();
}

// Looking ----------------------------------------------------------------------------------------

std::uint64_t FaultMachine::count(DiskOperation operation) const {
  const std::lock_guard guard(mutex_);
  return counts_[static_cast<std::size_t>(operation)];
}

std::vector<std::string> FaultMachine::files() const {
  const std::lock_guard guard(mutex_);
  return disk_.paths();
}

std::optional<DiskBytes> FaultMachine::contents(std::string_view path) const {
  const std::lock_guard guard(mutex_);
  const auto file = disk_.find(path);
  if (!file) return std::nullopt;
  return file->current();
}

void FaultMachine::set_contents(std::string_view path, DiskBytes bytes) {
  const std::lock_guard guard(mutex_);
  disk_.set_contents(path, std::move(bytes));
}

std::size_t FaultMachine::open_files() const {
  const std::lock_guard guard(mutex_);
  return open_files_;
}

// Files ------------------------------------------------------------------------------------------

Refusal FaultMachine::open(std::string_view path, DiskFile kind, OpenMode mode, OpenFile& out) {
  const std::lock_guard guard(mutex_);
  if (down_ || count_and_find_fault(DiskOperation::open, kind)) return Refusal::io_error;
  auto file = path.empty() ? std::make_shared<SimulatedFile>() : disk_.find(path);
  if (file && !path.empty() && mode.create && mode.exclusive) return Refusal::exists;
  if (!file && !mode.create) return Refusal::missing;
  if (!file) {
    const auto moment = step();
    if (moment != Step::dead) file = disk_.create(path);
    if (moment != Step::done) return Refusal::io_error;
  }
  auto& known = nodes_[file.get()];
  auto node = known.lock();
  if (!node) known = node = std::make_shared<OpenNode>(OpenNode{file});
  out.node = std::move(node);
  out.path = path;
  out.kind = kind;
  out.life = life_;
  out.remove_on_close = mode.remove_on_close && !path.empty();
  out.sync_directory = mode.create && (kind == DiskFile::wal || kind == DiskFile::journal);
  ++open_files_;
  return Refusal::none;
}

void FaultMachine::close(OpenFile& file) {
  const std::lock_guard guard(mutex_);
  file.node->lock.unlock(file.level, LockLevel::none);
  file.node->memory.unlock_all(file.slots);
  if (std::exchange(file.in_memory_of_node, false)) file.node->memory.leave();
  if (file.remove_on_close && !is_dead(file)) disk_.remove(file.path);
  if (file.node.use_count() == 1 && file.life == life_) nodes_.erase(file.node->file.get());
  file.node.reset();
  --open_files_;
}

Refusal FaultMachine::read(OpenFile& file, std::uint64_t offset, std::span<std::byte> out,
                           std::size_t& count) {
  const std::lock_guard guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  if (count_and_find_fault(DiskOperation::read, file.kind)) return Refusal::io_error;
  count = file.node->file->read(offset, out);
  return Refusal::none;
}

Refusal FaultMachine::write(OpenFile& file, std::uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  auto refusal = Refusal::none;
  if (const auto* rule = count_and_find_fault(DiskOperation::write, file.kind)) {
    if (rule->fault == DiskFault::io_error) return Refusal::io_error;
    refusal = rule->fault == DiskFault::disk_full ? Refusal::disk_full : Refusal::io_error;
    data = data.first(random_() % data.size());
  }
  const auto moment = step();
  if (moment == Step::dead) return Refusal::io_error;
  const auto written = disk_.write(*file.node->file, offset, data);
  if (moment == Step::in_flight) return Refusal::io_error;
  return written < data.size() ? Refusal::disk_full : refusal;
}

Refusal FaultMachine::truncate(OpenFile& file, std::uint64_t size) {
  const std::lock_guard guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  if (count_and_find_fault(DiskOperation::truncate, file.kind)) return Refusal::io_error;
  const auto moment = step();
  if (moment != Step::dead) file.node->file->truncate(size);
  return moment == Step::done ? Refusal::none : Refusal::io_error;
}

Refusal FaultMachine::sync(OpenFile& file) {
  std::unique_lock guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  const auto* rule = count_and_find_fault(DiskOperation::sync, file.kind);
  const bool fails = rule != nullptr;  // the rule itself may be gone after the wait
  const auto outcome = fails ? rule->failed_sync : FailedSync::waiting;
  if (step() != Step::done) return Refusal::io_error;

  // What is written during the wait is not part of this sync.
  const auto mark = file.node->file->mark();
  if (sync_delay_ > Duration::zero() && wait_) {
    const auto wait = wait_;
    const auto delay = sync_delay_;
    guard.unlock();
    wait(delay);
    guard.lock();
    if (is_dead(file)) return Refusal::io_error;
  }
  if (fails) {
    file.node->file->fail_sync(outcome, random_);
    return Refusal::io_error;
  }
  if (!lying_syncs_) file.node->file->sync(mark);
  if (!std::exchange(file.sync_directory, false)) return Refusal::none;
  return sync_directory(file.path);
}

Refusal FaultMachine::sync_directory(std::string_view path) {
  if (step() != Step::done) return Refusal::io_error;
  if (!lying_syncs_) disk_.sync_directory(path);
  return Refusal::none;
}

Refusal FaultMachine::size(OpenFile& file, std::uint64_t& bytes) {
  const std::lock_guard guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  if (count_and_find_fault(DiskOperation::size, file.kind)) return Refusal::io_error;
  bytes = file.node->file->size();
  return Refusal::none;
}

Refusal FaultMachine::remove(std::string_view path, DiskFile kind, bool sync) {
  const std::lock_guard guard(mutex_);
  if (down_ || count_and_find_fault(DiskOperation::remove, kind)) return Refusal::io_error;
  if (!disk_.find(path)) return Refusal::missing;
  const auto moment = step();
  if (moment != Step::dead) disk_.remove(path);
  if (moment != Step::done) return Refusal::io_error;
  return sync ? sync_directory(path) : Refusal::none;
}

Refusal FaultMachine::access(std::string_view path, bool& there, std::uint64_t& bytes) {
  const std::lock_guard guard(mutex_);
  if (down_ || count_and_find_fault(DiskOperation::access, DiskFile::any)) return Refusal::io_error;
  const auto file = disk_.find(path);
  there = file != nullptr;
  bytes = file ? file->size() : 0;
  return Refusal::none;
}

bool FaultMachine::is_moved(const OpenFile& file) const {
  const std::lock_guard guard(mutex_);
  return !file.path.empty() && disk_.find(file.path) != file.node->file;
}

// Locks and shared memory ------------------------------------------------------------------------

Refusal FaultMachine::lock(OpenFile& file, LockLevel wanted) {
  const std::lock_guard guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  if (count_and_find_fault(DiskOperation::lock, file.kind)) return Refusal::io_error;
  return file.node->lock.lock(file.level, wanted) ? Refusal::none : Refusal::busy;
}

void FaultMachine::unlock(OpenFile& file, LockLevel wanted) {
  const std::lock_guard guard(mutex_);
  file.node->lock.unlock(file.level, wanted);
}

bool FaultMachine::reserved(const OpenFile& file) const {
  const std::lock_guard guard(mutex_);
  return file.node->lock.reserved();
}

Refusal FaultMachine::map_memory(OpenFile& file, std::size_t index, std::size_t bytes, bool make,
                                 void*& out) {
  const std::lock_guard guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  if (count_and_find_fault(DiskOperation::shm_map, file.kind)) return Refusal::io_error;
  auto& memory = file.node->memory;
  if (!std::exchange(file.in_memory_of_node, true)) memory.join();
  out = memory.region(index, bytes, make);
  return Refusal::none;
}

Refusal FaultMachine::lock_memory(OpenFile& file, int first, int count, bool exclusive) {
  const std::lock_guard guard(mutex_);
  if (is_dead(file)) return Refusal::io_error;
  if (count_and_find_fault(DiskOperation::shm_lock, file.kind)) return Refusal::io_error;
  const bool locked = file.node->memory.lock(file.slots, first, count, exclusive);
  return locked ? Refusal::none : Refusal::busy;
}

void FaultMachine::unlock_memory(OpenFile& file, int first, int count) {
  const std::lock_guard guard(mutex_);
  file.node->memory.unlock(file.slots, first, count);
}

void FaultMachine::leave_memory(OpenFile& file) {
  const std::lock_guard guard(mutex_);
  file.node->memory.unlock_all(file.slots);
  if (std::exchange(file.in_memory_of_node, false)) file.node->memory.leave();
}

void FaultMachine::memory_barrier() const { const std::lock_guard guard(mutex_); }

}  // namespace testing::detail
BUREAU_END_NAMESPACE
