#include "core/forks.hpp"

#include <pthread.h>

#include <atomic>

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {
std::atomic<std::uint32_t> count{0};
void in_child() { count.fetch_add(1, std::memory_order_relaxed); }
}  // namespace

std::uint32_t forks() noexcept {
  static const int registered = pthread_atfork(nullptr, nullptr, &in_child);
  (void)registered;
  return count.load(std::memory_order_relaxed);
}

}  // namespace detail
BUREAU_END_NAMESPACE
