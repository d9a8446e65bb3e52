#pragma once

// Linux only: what the texts of /proc say.

#include <string_view>

#include "bureau/work/machine.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Of /proc/stat. `tick`: the kernel's unit there. Waiting for input and output counts as idle,
/// what other guests of the same host took counts as busy; a text of another form leaves all
/// absent.
void read_proc_stat(std::string_view text, Duration tick, MachineReading& reading);
/// Of /proc/meminfo.
void read_proc_meminfo(std::string_view text, MachineReading& reading);
/// Of /proc/net/dev.
void read_proc_net_dev(std::string_view text, MachineReading& reading);
/// Of /proc/self/stat, whose second field, the program's name, may hold blanks and brackets.
void read_proc_self_stat(std::string_view text, Duration tick, std::int64_t page_bytes,
                         MachineReading& reading);

}  // namespace detail
BUREAU_END_NAMESPACE
