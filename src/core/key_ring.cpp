#include "bureau/core/key_ring.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <cstring>
#include <utility>

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr int text_form = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(KeyRing::key_bytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Unexpected changed(std::string_view name) {
  return fail(
      Code::corrupt,
      fmt::format("key \"{}\": what was sealed with it does not open; it was changed, moved "
                  "from elsewhere, or sealed with another key of that name",
                  name),
      "key");
}

}  // namespace

KeyRing::~KeyRing() {
  for (auto& [name, key] : keys_) sodium_memzero(key.data(), key.size());
}

Result<void> KeyRing::add(std::string name, std::span<const std::byte> key) {
  if (name.empty() || name.size() > 64) {
    return fail(Code::invalid,
                fmt::format("name: a key's name has 1 to 64 bytes; it has {}", name.size()),
                "name");
  }
  if (key.size() != key_bytes) {
    return fail(Code::invalid,
                fmt::format("key \"{}\": it has {} bytes, not {}", name, key.size(), key_bytes),
                "key");
  }
  const auto [place, is_new] = keys_.try_emplace(name);
  if (!is_new) {
    return fail(Code::exists, fmt::format("name: there is a key \"{}\" already", name), "name");
  }
  std::memcpy(place->second.data(), key.data(), key_bytes);
  current_ = std::move(name);
  return {};
}

Result<const KeyRing::Key*> KeyRing::find(std::string_view name) const {
  const auto found = keys_.find(name);
  if (found != keys_.end()) return &found->second;
  return fail(Code::not_found, fmt::format("key: this program has no key \"{}\"", name), "key");
}

Result<std::string> KeyRing::seal(std::string_view name, std::string_view context,
                                  std::string_view plain, Random& random) const {
  BUREAU_TRY(const Key* key, find(name));
  std::string sealed(nonce_bytes + plain.size() + tag_bytes, '\0');
  random.fill(std::as_writable_bytes(std::span(sealed.data(), nonce_bytes)));
  crypto_aead_xchacha20poly1305_ietf_encrypt(bytes(sealed) + nonce_bytes, nullptr, bytes(plain),
                                             plain.size(), bytes(context), context.size(), nullptr,
                                             bytes(sealed), key->data());
  std::string text(sodium_base64_encoded_len(sealed.size(), text_form), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes(sealed), sealed.size(), text_form);
  text.pop_back();  // the terminating zero
  return text;
}

Result<std::string> KeyRing::open(std::string_view name, std::string_view context,
                                  std::string_view sealed) const {
  BUREAU_TRY(const Key* key, find(name));
  std::string raw(sealed.size(), '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(bytes(raw), raw.size(), sealed.data(), sealed.size(), nullptr, &size, &end,
                        text_form) != 0 ||
      end != sealed.data() + sealed.size() || size < nonce_bytes + tag_bytes) {
    return changed(name);
  }
  std::string plain(size - nonce_bytes - tag_bytes, '\0');
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          bytes(plain), nullptr, nullptr, bytes(raw) + nonce_bytes, size - nonce_bytes,
          bytes(context), context.size(), bytes(raw), key->data()) != 0) {
    return changed(name);
  }
  return plain;
}

BUREAU_END_NAMESPACE
