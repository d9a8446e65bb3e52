#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

/// A reference to a callable: two pointers, no allocation, no ownership. The callable must outlive
/// the call that receives it, which is always so for an argument.
template <class Signature>
class FunctionRef;

template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> &&
           // NOLINTNEXTLINE(google-explicit-constructor): converts like a reference
           std::is_invocable_r_v<R, F&, Args...>) FunctionRef(F&& callable)
  noexcept
      : object_(address(callable)), call_([](void* object, Args... args) -> R {
          using Callable = std::remove_reference_t<F>;
          auto& target = [object]() -> Callable& {
            if constexpr (std::is_function_v<Callable>) {
              return *reinterpret_cast<Callable*>(object);
            } else {
              return *static_cast<Callable*>(object);
            }
          }();
          if constexpr (std::is_void_v<R>) {
            target(std::forward<Args>(args)...);
          } else {
            return target(std::forward<Args>(args)...);
          }
        }) {}

  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  template <class F>
  static void* address(F& callable) {
    if constexpr (std::is_function_v<F>) {
      return reinterpret_cast<void*>(&callable);
    } else {
      return const_cast<void*>(static_cast<const void*>(std::addressof(callable)));
    }
  }

  void* object_;
  R (*call_)(void*, Args...);
};

BUREAU_END_NAMESPACE
