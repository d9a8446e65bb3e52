#pragma once

#include <map>
#include <memory>

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
    std::shared_ptr<void>& slot = slots_[&type_key<T>];
    if (!slot) slot = std::make_shared<T>();
    return *static_cast<T*>(slot.get());
  }

 private:
  std::map<const void*, std::shared_ptr<void>> slots_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
