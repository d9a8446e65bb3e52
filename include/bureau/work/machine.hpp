#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a machine and this process have and use. What cannot be measured is absent, never zero.
struct MachineReading {
  /// Of all cores together since the machine's start: what they had to give, and what was used.
  std::optional<Duration> cpu_time, cpu_busy;
  std::optional<std::int64_t> memory_bytes, memory_available_bytes;
  std::optional<std::int64_t> disk_bytes, disk_available_bytes;  ///< of the office's volume
  /// Over all network interfaces but the loopback, since the machine's start.
  std::optional<std::int64_t> received_bytes, sent_bytes;
  std::optional<Duration> process_cpu;  ///< of this process, in user and kernel mode
  std::optional<std::int64_t> process_resident_bytes;
};

/// Measures. Thread-safe. A host or a test may bring its own.
class HostMachine {
 public:
  virtual ~HostMachine() = default;
  [[nodiscard]] virtual MachineReading read() = 0;
};

/// The machine that this process runs on; on other systems than Linux it measures nothing yet. In a
/// container, CPU, memory and network are what its /proc says: often the whole machine's.
/// `volume` is a file or folder on the volume whose space is meant; empty: none.
[[nodiscard]] std::shared_ptr<HostMachine> make_machine(std::string volume);

/// How much of a machine was in use. Absent where a reading was.
struct MachineUse {
  std::optional<double> cpu, memory, disk;         ///< shares, 0 to 1
  std::optional<double> received_rate, sent_rate;  ///< bytes a second
};
/// CPU and network: between the two readings, which lie `passed` apart; absent when they stand
/// still or have gone back, as counters do when the machine was started again. Memory and disk: as
/// `now` has them.
[[nodiscard]] MachineUse use_between(const MachineReading& before, const MachineReading& now,
                                     Duration passed);

/// How well off a machine is, from 0 to 100: 100 times the worst of
///   cpu     1 up to 70 % busy, then straight down to 0.5 at 100 % (a busy machine is slow, not
///   broken) memory  1 up to 80 % in use, then straight down to 0 at 100 % disk    1 up to 80 % in
///   use, then straight down to 0 at 100 %
/// The worst decides, because an idle processor makes up for no full disk. More use never gives a
/// higher score. What is absent has no say; absent when all three are. The network has no say: how
/// much it could carry is not known.
[[nodiscard]] std::optional<double> health_score(const MachineUse& use);

BUREAU_END_NAMESPACE
