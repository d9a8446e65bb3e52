#include "bureau/http/webhook_signature.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <charconv>
#include <optional>

BUREAU_BEGIN_NAMESPACE
namespace http {

namespace {

using Mac = std::array<unsigned char, crypto_auth_hmacsha256_BYTES>;
constexpr std::size_t max_header = 4096;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Mac mac_of(std::string_view secret, std::string_view seconds, std::string_view body) {
  crypto_auth_hmacsha256_state state;
  Mac mac{};
  crypto_auth_hmacsha256_init(&state, bytes_of(secret), secret.size());
  crypto_auth_hmacsha256_update(&state, bytes_of(seconds), seconds.size());
  crypto_auth_hmacsha256_update(&state, bytes_of("."), 1);
  crypto_auth_hmacsha256_update(&state, bytes_of(body), body.size());
  crypto_auth_hmacsha256_final(&state, mac.data());
  return mac;
}

std::optional<Mac> mac_from(std::string_view hex) {
  Mac mac{};
  if (hex.size() != 2 * mac.size()) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* at = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, mac[i], 16);
    if (error != std::errc() || end != at + 2) return std::nullopt;
  }
  return mac;
}

struct Header {
  std::string_view seconds;
  std::int64_t at = 0;
  std::vector<Mac> macs;
};

tl::unexpected<Error> unreadable(std::string_view rule) {
  return fail(Code::invalid, fmt::format("{}: {}", signature_header, rule),
              std::string(signature_header));
}

Result<Header> read_header(std::string_view text) {
  if (text.size() > max_header) return unreadable("it has more than 4096 bytes");
  Header header;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view member = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (member.starts_with("t=")) {
      if (!header.seconds.empty()) return unreadable("it has two times");
      header.seconds = member.substr(2);
      const char* last = header.seconds.data() + header.seconds.size();
      const auto [at, error] = std::from_chars(header.seconds.data(), last, header.at);
      // A year far beyond any clock, so that micros cannot overflow.
      constexpr std::int64_t latest = 253'402'300'800;
      if (error != std::errc() || at != last || header.at < 0 || header.at > latest) {
        return unreadable("its t is no number of seconds");
      }
    } else if (member.starts_with("v1=")) {
      const auto mac = mac_from(member.substr(3));
      if (!mac) return unreadable("its v1 is not 64 hexadecimal digits");
      header.macs.push_back(*mac);
    }
  }
  if (header.seconds.empty()) return unreadable("it has no t");
  if (header.macs.empty()) return unreadable("it has no v1");
  return header;
}

}  // namespace

std::string sign_webhook(std::string_view secret, Timestamp at, std::string_view body) {
  const std::string seconds = std::to_string(at.micros() / 1'000'000);
  std::string header = fmt::format("t={},v1=", seconds);
  for (const unsigned char byte : mac_of(secret, seconds, body)) {
    header += fmt::format("{:02x}", byte);
  }
  return header;
}

Result<void> verify_webhook_signature(std::string_view secret, std::string_view header,
                                      std::string_view body, Timestamp now, Duration tolerance) {
  BUREAU_TRY(const Header given, read_header(header));
  const auto refuse = [](std::string rule) {
    return fail(Code::forbidden, fmt::format("{}: {}", signature_header, rule),
                std::string(signature_header));
  };
  if (secret.empty()) return fail(Code::invalid, "secret: it is empty", "secret");
  const Mac right = mac_of(secret, given.seconds, body);
  bool good = false;
  for (const Mac& mac : given.macs) {
    if (sodium_memcmp(mac.data(), right.data(), right.size()) == 0) good = true;
  }
  if (!good) return refuse("it is not of this secret and body");
  const Duration off = now - Timestamp::from_micros(given.at * 1'000'000);
  // The stamp has whole seconds.
  if (off > tolerance + std::chrono::seconds(1) || off < -tolerance) {
    return refuse(fmt::format("t is {} s away from now, the tolerance is {} s",
                              std::chrono::duration_cast<std::chrono::seconds>(off).count(),
                              std::chrono::duration_cast<std::chrono::seconds>(tolerance).count()));
  }
  return {};
}

}  // namespace http
BUREAU_END_NAMESPACE
