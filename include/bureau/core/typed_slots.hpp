#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

template <class T>
inline constexpr char type_key = 0;

/// One object of each type, made when it is first asked for: what a layer keeps with an object of a
/// layer above, which knows nothing of it. Not thread-safe.
class TypedSlots {
 public:
  template <class T>
  T& of() {
    for (const auto& [key, object] : slots_) {
      if (key == &type_key<T>) return *static_cast<T*>(object.get());
    }
    auto made = std::make_shared<T>();
    slots_.emplace_back(&type_key<T>, made);
    return *made;
  }

 private:
  std::vector<std::pair<const void*, std::shared_ptr<void>>> slots_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
