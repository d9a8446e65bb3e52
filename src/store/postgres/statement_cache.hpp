#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Which texts one connection has prepared on the server, and under which names. The least
/// recently used one makes room for a new one. A name is never used again.
class StatementCache {
 public:
  static constexpr std::size_t size_max = 256;

  struct Use {
    std::string name;
    bool is_new = false;  ///< to be prepared first
    std::string evicted;  ///< the name of one that is to be let go of; empty: none
  };
  [[nodiscard]] Use use(std::string_view text);
  /// It could not be prepared.
  void forget(std::string_view name);

 private:
  struct Entry {
    std::string text, name;
  };
  std::list<Entry> entries_;  ///< the most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_text_;
  std::uint64_t next_ = 1;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
