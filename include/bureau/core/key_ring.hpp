#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "bureau/core/random.hpp"
#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

/// Secret keys by their names, with which texts are sealed so that nobody without the key reads or
/// changes them: XChaCha20-Poly1305 of libsodium. The key that was added last seals; each opens
/// what it has sealed, so a key is replaced by adding the next one and kept for as long as
/// something is sealed with it. Where the keys are kept is the host's business; they are wiped from
/// memory when the ring is destroyed. To be read from several threads once it is filled.
class KeyRing {
 public:
  static constexpr std::size_t key_bytes = 32;

  KeyRing() = default;
  ~KeyRing();
  KeyRing(const KeyRing&) = delete;
  KeyRing& operator=(const KeyRing&) = delete;

  /// `invalid` unless the name has 1 to 64 bytes and the key key_bytes; `exists` when the name is
  /// taken.
  Result<void> add(std::string name, std::span<const std::byte> key);
  /// The name of the key that seals; empty while there is none.
  [[nodiscard]] const std::string& current() const { return current_; }

  /// The sealed text, in base 64 (of URLs, without padding). It can be opened only in the same
  /// `context`: what tells it from other texts that are sealed with the key. `not_found` when the
  /// ring has no such key.
  [[nodiscard]] Result<std::string> seal(std::string_view name, std::string_view context,
                                         std::string_view plain, Random& random) const;
  /// `not_found` when the ring has no such key; `corrupt` when the text was sealed with another
  /// key, in another context, or has been changed.
  [[nodiscard]] Result<std::string> open(std::string_view name, std::string_view context,
                                         std::string_view sealed) const;

 private:
  using Key = std::array<unsigned char, key_bytes>;
  [[nodiscard]] Result<const Key*> find(std::string_view name) const;
  std::map<std::string, Key, std::less<>> keys_;
  std::string current_;
};

BUREAU_END_NAMESPACE
