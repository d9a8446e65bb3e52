// Linux only: /proc and statvfs. Elsewhere the machine measures nothing, and says so by absence.

#include "work/linux_machine.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#if defined(__linux__)
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#endif

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

std::vector<std::string_view> words(std::string_view line) {
  constexpr std::string_view blanks = " \t";
  std::vector<std::string_view> out;
  while (true) {
    const auto begin = line.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return out;
    line.remove_prefix(begin);
    const auto end = std::min(line.find_first_of(blanks), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <class F>
void each_line(std::string_view text, F&& f) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    f(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// Not negative, and nothing beside it.
std::optional<std::int64_t> number(std::string_view word) {
  std::int64_t value = 0;
  const char* const end = word.data() + word.size();
  const auto read = std::from_chars(word.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end || value < 0) return std::nullopt;
  return value;
}

std::optional<std::vector<std::int64_t>> numbers(std::span<const std::string_view> words) {
  std::vector<std::int64_t> out;
  for (const auto word : words) {
    const auto value = number(word);
    if (!value) return std::nullopt;
    out.push_back(*value);
  }
  return out;
}

}  // namespace

void read_proc_stat(std::string_view text, Duration tick, MachineReading& reading) {
  each_line(text, [&](std::string_view line) {
    const auto found = words(line);
    // user nice system idle iowait irq softirq steal; guests are in user and nice already
    if (found.size() < 9 || found[0] != "cpu") return;
    const auto ticks = numbers(std::span(found).subspan(1, 8));
    if (!ticks) return;
    std::int64_t all = 0;
    for (const std::int64_t part : *ticks) all += part;
    reading.cpu_time = tick * all;
    reading.cpu_busy = tick * (all - (*ticks)[3] - (*ticks)[4]);
  });
}

void read_proc_meminfo(std::string_view text, MachineReading& reading) {
  each_line(text, [&](std::string_view line) {
    const auto found = words(line);
    if (found.size() != 3 || found[2] != "kB") return;
    const auto kilobytes = number(found[1]);
    if (!kilobytes) return;
    if (found[0] == "MemTotal:") reading.memory_bytes = *kilobytes * 1024;
    if (found[0] == "MemAvailable:") reading.memory_available_bytes = *kilobytes * 1024;
  });
}

void read_proc_net_dev(std::string_view text, MachineReading& reading) {
  each_line(text, [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const auto name = words(line.substr(0, colon));
    const auto counts = words(line.substr(colon + 1));
    if (name.size() != 1 || name[0] == "lo" || counts.size() < 9) return;
    const auto received = number(counts[0]);
    const auto sent = number(counts[8]);
    if (!received || !sent) return;
    reading.received_bytes = reading.received_bytes.value_or(0) + *received;
    reading.sent_bytes = reading.sent_bytes.value_or(0) + *sent;
  });
}

void read_proc_self_stat(std::string_view text, Duration tick, std::int64_t page_bytes,
                         MachineReading& reading) {
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return;
  // Behind the name, from the process's state on: utime and stime are 12th and 13th, rss the 22nd.
  const auto found = words(text.substr(name_end + 1));
  if (found.size() < 22) return;
  const auto user = number(found[11]);
  const auto kernel = number(found[12]);
  if (user && kernel) reading.process_cpu = tick * (*user + *kernel);
  if (const auto pages = number(found[21])) reading.process_resident_bytes = *pages * page_bytes;
}

}  // namespace detail

namespace {

#if defined(__linux__)

std::string text_of(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return file ? text.str() : std::string();
}

class LinuxMachine final : public HostMachine {
 public:
  explicit LinuxMachine(std::string volume) : volume_(std::move(volume)) {}

  MachineReading read() override {
    MachineReading reading;
    const long ticks = ::sysconf(_SC_CLK_TCK);
    const Duration tick(ticks > 0 ? 1'000'000 / ticks : 10'000);
    detail::read_proc_stat(text_of("/proc/stat"), tick, reading);
    detail::read_proc_meminfo(text_of("/proc/meminfo"), reading);
    detail::read_proc_net_dev(text_of("/proc/net/dev"), reading);
    detail::read_proc_self_stat(text_of("/proc/self/stat"), tick, ::sysconf(_SC_PAGESIZE), reading);
    struct statvfs space {};
    if (!volume_.empty() && ::statvfs(volume_.c_str(), &space) == 0) {
      const auto block = static_cast<std::int64_t>(space.f_frsize);
      // What only the administrator may use is in neither: as `df` counts.
      const auto used = static_cast<std::int64_t>(space.f_blocks - space.f_bfree);
      const auto available = static_cast<std::int64_t>(space.f_bavail);
      reading.disk_bytes = (used + available) * block;
      reading.disk_available_bytes = available * block;
    }
    return reading;
  }

 private:
  std::string volume_;
};

#else

class UnmeasuredMachine final : public HostMachine {
 public:
  explicit UnmeasuredMachine(const std::string&) {}
  MachineReading read() override { return {}; }
};
using LinuxMachine = UnmeasuredMachine;

#endif

}  // namespace

std::shared_ptr<HostMachine> make_machine(std::string volume) {
  return std::make_shared<LinuxMachine>(std::move(volume));
}

BUREAU_END_NAMESPACE
