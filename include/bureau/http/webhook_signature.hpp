#pragma once

#include <string>
#include <string_view>

#include "bureau/core/result.hpp"
#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE
namespace http {

/// The header that a webhook's request carries.
inline constexpr std::string_view signature_header = "Bureau-Signature";

/// "t=1763717400,v1=5257a8...": seconds since 1970, and the HMAC-SHA256, in lower-case hexadecimal,
/// of the seconds, a point and the body, with the secret's bytes as the key.
[[nodiscard]] std::string sign_webhook(std::string_view secret, Timestamp at,
                                       std::string_view body);

/// For those who receive webhooks: whether this header was made for this body, with this secret,
/// not more than `tolerance` ago (nor ahead of `now`). Other members of the header are passed over,
/// and one of several v1 is enough, so that a secret can be changed. Compares in constant time.
/// `invalid` for a header that cannot be read, `forbidden` for one that is not good: too old, or
/// not of this secret and body. Whoever wants each request once keeps its Idempotency-Key.
[[nodiscard]] Result<void> verify_webhook_signature(std::string_view secret,
                                                    std::string_view header, std::string_view body,
                                                    Timestamp now,
                                                    Duration tolerance = std::chrono::minutes(5));

}  // namespace http
BUREAU_END_NAMESPACE
