#include "bureau/core/key_ring.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <sodium.h>

#include <string>
#include <vector>

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

std::vector<std::byte> key_of(unsigned char byte) {
  return std::vector<std::byte>(KeyRing::key_bytes, std::byte{byte});
}

void add(KeyRing& ring, const char* name, unsigned char byte) {
  REQUIRE(ring.add(name, key_of(byte)).has_value());
}

Code code_of(const Result<std::string>& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}

}  // namespace

TEST_CASE("What is sealed opens with its key, in its context, unchanged, and nowhere else") {
  KeyRing ring, other;
  add(ring, "2026", 1);
  add(other, "2026", 2);
  rc::check([&](const std::string& plain, const std::string& context, std::uint64_t seed) {
    SeededRandom random(seed);
    const std::string sealed = *ring.seal("2026", context, plain, random);
    RC_ASSERT(ring.open("2026", context, sealed) == plain);
    RC_ASSERT(sealed.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789-_") == std::string::npos);
    RC_ASSERT(ring.open("2026", context + "x", sealed).error().code == Code::corrupt);
    RC_ASSERT(other.open("2026", context, sealed).error().code == Code::corrupt);
    std::string changed = sealed;
    const std::size_t at = random.below(changed.size());
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    RC_ASSERT(ring.open("2026", context, changed).error().code == Code::corrupt);
    RC_ASSERT(ring.open("2026", context, sealed.substr(0, at)).error().code == Code::corrupt);
    // The nonce is another each time.
    RC_ASSERT(*ring.seal("2026", context, plain, random) != sealed);
  });
}

TEST_CASE("It is libsodium's XChaCha20-Poly1305: what is stored opens without bureau") {
  KeyRing ring;
  add(ring, "k", 7);
  SeededRandom random(3);
  const std::string sealed = *ring.seal("k", "here", "a secret", random);
  std::vector<unsigned char> raw(sealed.size());
  std::size_t size = 0;
  REQUIRE(sodium_base642bin(raw.data(), raw.size(), sealed.data(), sealed.size(), nullptr, &size,
                            nullptr, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0);
  std::string plain(8, '\0');
  const std::vector<unsigned char> key(32, 7);
  REQUIRE(crypto_aead_xchacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(plain.data()),
                                                     nullptr, nullptr, raw.data() + 24, size - 24,
                                                     reinterpret_cast<const unsigned char*>("here"),
                                                     4, raw.data(), key.data()) == 0);
  CHECK(plain == "a secret");
}

TEST_CASE("The newest key seals, older ones open") {
  KeyRing ring;
  CHECK(ring.current().empty());
  SeededRandom random(1);
  CHECK(code_of(ring.seal("old", "", "x", random)) == Code::not_found);
  add(ring, "old", 1);
  const std::string sealed = *ring.seal(ring.current(), "", "x", random);
  add(ring, "new", 2);
  CHECK(ring.current() == "new");
  CHECK(ring.open("old", "", sealed) == "x");
  CHECK(code_of(ring.open("lost", "", sealed)) == Code::not_found);
}

TEST_CASE("A key that breaks a rule is refused, and the ring stays as it was") {
  KeyRing ring;
  add(ring, "k", 1);
  const auto refused = [&](const char* name, std::size_t bytes) {
    const auto outcome = ring.add(name, std::vector<std::byte>(bytes));
    REQUIRE_FALSE(outcome.has_value());
    CHECK(ring.current() == "k");
    return outcome.error();
  };
  CHECK(refused("", 32).field == "name");
  CHECK(refused(std::string(65, 'n').c_str(), 32).code == Code::invalid);
  CHECK(refused("short", 31).message == "key \"short\": it has 31 bytes, not 32");
  CHECK(refused("long", 33).code == Code::invalid);
  CHECK(refused("k", 32).code == Code::exists);
}
