#include "bureau/http/webhook_signature.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace bureau;
using namespace bureau::http;
using namespace std::chrono_literals;

namespace {

const std::string signing_key = "whsec_0123456789abcdef";
const std::string body = R"({"event":"deal.won"})";
const Timestamp at = Timestamp::from_micros(1'763'717'400'000'000);

Code code_of(const Result<void>& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}
Result<void> verify(const std::string& header, Timestamp now = at) {
  return verify_webhook_signature(signing_key, header, body, now);
}

}  // namespace

TEST_CASE("A signature is what any other implementation makes of it") {
  // Python: hmac.new(secret, b"1763717400." + body, "sha256").hexdigest()
  CHECK(sign_webhook(signing_key, at, body) ==
        "t=1763717400,v1=1a8eed62f7e1f7ddf8c4a1495fa650f1633e06664e673829dce687652b02286f");
  CHECK(verify(sign_webhook(signing_key, at, body)));
}

TEST_CASE("Whoever changes anything is found out") {
  CHECK(rc::check([] {
    const auto key = *rc::gen::nonEmpty<std::string>();
    const auto text = *rc::gen::arbitrary<std::string>();
    const std::string header = sign_webhook(key, at, text);
    RC_ASSERT(verify_webhook_signature(key, header, text, at).has_value());
    RC_ASSERT_FALSE(verify_webhook_signature(key + "x", header, text, at).has_value());
    RC_ASSERT_FALSE(verify_webhook_signature(key, header, text + "x", at).has_value());
    std::string changed = header;
    changed[*rc::gen::inRange<std::size_t>(0, header.size())] ^= 1;
    RC_ASSERT_FALSE(verify_webhook_signature(key, changed, text, at).has_value());
  }));
}

TEST_CASE("A signature is good for five minutes, and not before its time") {
  const std::string header = sign_webhook(signing_key, at, body);
  CHECK(verify(header, at + 5min));
  CHECK(code_of(verify(header, at + 5min + 2s)) == Code::forbidden);
  CHECK(verify(header, at - 5min));
  CHECK(code_of(verify(header, at - 5min - 1s)) == Code::forbidden);
  CHECK(verify_webhook_signature(signing_key, header, body, at + 1h, 1h));
}

TEST_CASE("Of several v1 one is enough, and what is unknown is passed over") {
  const std::string good = sign_webhook(signing_key, at, body);
  const std::string other = sign_webhook("whsec_of_yesterday", at, body);
  CHECK(verify(other + good.substr(good.find(','))));
  CHECK(verify(good + ",v0=xyz,v2=,q"));
  CHECK(code_of(verify(other)) == Code::forbidden);
}

TEST_CASE("Headers that cannot be read") {
  const std::string mac(64, 'a');
  for (const std::string& header :
       {std::string(), std::string("t=1763717400"), "v1=" + mac, "t=,v1=" + mac, "t=1x,v1=" + mac,
        "t=-1,v1=" + mac, "t=99999999999999999999,v1=" + mac, "t=9000000000000,v1=" + mac,
        "t=1,t=2,v1=" + mac, "t=1,v1=" + mac.substr(1), "t=1,v1=" + std::string(64, 'g'),
        "t=1,v1=" + mac + std::string(5000, ',')}) {
    CAPTURE(header);
    CHECK(code_of(verify(header)) == Code::invalid);
  }
  CHECK(code_of(verify_webhook_signature("", sign_webhook("", at, body), body, at)) ==
        Code::invalid);
}
