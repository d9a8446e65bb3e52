#include "bureau/http/webhook_notifier.hpp"

#include <atomic>
#include <cstdlib>

#include "bureau/http/webhook_signature.hpp"
#include "bureau/testing/exercise_notifier.hpp"
#include "http/server.hpp"
#include "notify/office.hpp"

using namespace bureau;
using namespace http_test;
using namespace std::chrono_literals;

namespace {

const std::string signing_key = "whsec_0123456789abcdef";

http::WebhookOptions local() {
  http::WebhookOptions options;
  options.allow_http = options.allow_private_addresses = true;
  options.timeout = options.connect_timeout = 60s;  // no test here waits for it
  return options;
}

Delivery message() {
  Delivery delivery;
  delivery.key = "ndl_0000000000007";
  delivery.notification = Id<Notification>(7);
  delivery.event = "deal.won";
  delivery.title = "A deal was won";
  delivery.created_at = must(Timestamp::parse("2026-11-21T09:30:00Z"));
  return delivery;
}

Result<Receipt> ask(const std::string& url, const http::WebhookOptions& options = local(),
                    const Delivery& delivery = message()) {
  const auto notifier = must(http::WebhookNotifier::make(
      [&](const Delivery&) -> Result<http::WebhookEndpoint> {
        return http::WebhookEndpoint{url, signing_key};
      },
      options));
  return notifier->deliver(delivery);
}

Code code_of(const Result<Receipt>& result) {
  REQUIRE_FALSE(result.has_value());
  INFO(to_string(result.error()));
  CHECK_FALSE(result.error().message.empty());
  return result.error().code;
}

}  // namespace

TEST_CASE("A message is one signed POST with its key") {
  const Server server(200);
  CHECK(must(ask(server.url())).status == ReceiptStatus::sent);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 1);
  const std::string& request = requests[0];
  CHECK(request.starts_with("POST /in HTTP/1.1\r\n"));
  CHECK(header_of(request, "Content-Type") == "application/json");
  CHECK(header_of(request, "Bureau-Event") == "deal.won");
  CHECK(header_of(request, "Idempotency-Key") == "ndl_0000000000007");
  CHECK(header_of(request, "User-Agent") == "bureau");
  CHECK(header_of(request, "Expect").empty());
  CHECK(body_of(request) ==
        R"({"body":"","created_at":"2026-11-21T09:30:00Z","data":null,"event":"deal.won",)"
        R"("id":"ntf_0000000000007","title":"A deal was won"})");
  const auto signature = header_of(request, "Bureau-Signature");
  must(http::verify_webhook_signature(signing_key, signature, body_of(request),
                                      Clock::system().now(), 1h));
}

TEST_CASE("What each status comes to") {
  for (const auto& [status, code] :
       std::vector<std::pair<int, std::optional<Code>>>{{200, {}},
                                                        {202, {}},
                                                        {204, {}},
                                                        {301, Code::invalid},
                                                        {304, Code::invalid},
                                                        {400, Code::invalid},
                                                        {401, Code::invalid},
                                                        {404, Code::invalid},
                                                        {408, Code::unavailable},
                                                        {410, Code::gone},
                                                        {429, Code::busy},
                                                        {500, Code::unavailable},
                                                        {503, Code::busy},
                                                        {599, Code::unavailable}}) {
    const int given = status;
    CAPTURE(given);
    const Server server(status);
    const auto answer = ask(server.url());
    CHECK(answer.has_value() == !code.has_value());
    if (!code) continue;
    CHECK(code_of(answer) == *code);
    CHECK(answer.error().message.find(std::to_string(status)) != std::string::npos);
  }
}

TEST_CASE("A redirect is never followed") {
  const Server target(200);
  for (const int status : {301, 302, 303, 307, 308}) {
    const Server server([&](const Connection& connection, const std::string&) {
      connection.answer(status, "Location: " + target.url() + "\r\n");
    });
    const auto answer = ask(server.url());
    CHECK(code_of(answer) == Code::invalid);
    CHECK(answer.error().message.find("redirects are not followed") != std::string::npos);
  }
  CHECK(target.requests().empty());
}

TEST_CASE("A server that takes the request and says nothing") {
  const Server server([](const Connection& connection, const std::string&) {
    connection.wait_until_client_is_gone();
  });
  auto options = local();
  options.timeout = 300ms;  // it never answers, however long that takes
  const Code code = code_of(ask(server.url(), options));
  // Had this machine not even sent it in time, it would know that it was not sent.
  CHECK((code == Code::unknown_outcome || code == Code::deadline));
}

TEST_CASE("Headers that never end") {
  const Server slow([](const Connection& connection, const std::string&) {
    connection.send("HTTP/1.1 200 OK\r\nX-One: 1\r\n");
    connection.wait_until_client_is_gone();
  });
  auto options = local();
  options.timeout = 300ms;
  const Code code = code_of(ask(slow.url(), options));
  CHECK((code == Code::unknown_outcome || code == Code::deadline));

  const Server endless([](const Connection& connection, const std::string&) {
    connection.send("HTTP/1.1 200 OK\r\n");
    while (connection.send("X-One: " + std::string(1000, '1') + "\r\n")) {
    }
  });
  CHECK(must(ask(endless.url())).status == ReceiptStatus::sent);  // the status was there
}

TEST_CASE("Whoever is to stop stops, and knows whether it has sent") {
  std::atomic<bool> arrived{false};
  const Server server([&](const Connection& connection, const std::string&) {
    arrived.store(true);
    connection.wait_until_client_is_gone();
  });
  Delivery delivery = message();
  delivery.stop_requested = [&] { return arrived.load(); };
  CHECK(code_of(ask(server.url(), local(), delivery)) == Code::unknown_outcome);
  delivery.stop_requested = [] { return true; };
  CHECK(code_of(ask(server.url(), local(), delivery)) == Code::cancelled);
}

TEST_CASE("A connection that breaks") {
  for (const std::string said : {"", "HTTP/1."}) {
    CAPTURE(said);
    const Server server(
        [&](const Connection& connection, const std::string&) { connection.send(said); });
    CHECK(code_of(ask(server.url())) == Code::unknown_outcome);
  }
  // The status was read: what follows it says nothing.
  for (const std::string said :
       {"HTTP/1.1 200 OK\r\nX-One", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"}) {
    const Server server(
        [&](const Connection& connection, const std::string&) { connection.send(said); });
    CHECK(must(ask(server.url())).status == ReceiptStatus::sent);
  }
}

TEST_CASE("Once the headers have ended the status decides, whatever becomes of the body") {
  using Ending = std::function<void(const Connection&, const std::string& headers)>;
  const auto say = [](const std::string& more, const std::string& body) -> Ending {
    return [=](const Connection& connection, const std::string& headers) {
      connection.send(headers + more + "\r\n" + body);
    };
  };
  const auto stall = [](const Ending& begin) -> Ending {
    return [=](const Connection& connection, const std::string& headers) {
      begin(connection, headers);
      connection.wait_until_client_is_gone();
    };
  };
  const Ending reset = [](const Connection& connection, const std::string& headers) {
    connection.end_with_reset();
    connection.send(headers + "Content-Length: 10\r\n\r\nabc");
  };
  const Ending trickle = [](const Connection& connection, const std::string& headers) {
    connection.send(headers + "Transfer-Encoding: chunked\r\n\r\n");
    while (connection.send("1\r\nx\r\n")) {
    }
  };
  // Nobody here closes a connection that stalls: the client has to, and before its 60 s are over.
  const std::vector<std::pair<std::string, Ending>> endings{
      {"no body", stall(say("Content-Length: 10\r\n", ""))},
      {"half a body", stall(say("Content-Length: 10\r\n", "abc"))},
      {"no end is said", stall(say("", "abc"))},
      {"half a chunk", stall(say("Transfer-Encoding: chunked\r\n", "a\r\nabc"))},
      {"trickles", trickle},
      {"reset", reset},
      {"closed", say("Content-Length: 10\r\n", "abc")},
      {"bad chunk", say("Transfer-Encoding: chunked\r\n", "nonsense\r\n")},
  };
  for (const auto& [status, code] :
       std::vector<std::pair<int, std::optional<Code>>>{{200, {}},
                                                        {302, Code::invalid},
                                                        {400, Code::invalid},
                                                        {410, Code::gone},
                                                        {429, Code::busy},
                                                        {500, Code::unavailable}}) {
    for (const auto& [name, ending] : endings) {
      const std::string what = std::to_string(status) + ", " + name;
      CAPTURE(what);
      const std::string headers = "HTTP/1.1 " + std::to_string(status) + " Said\r\n";
      const Ending& end = ending;
      const Server server(
          [&](const Connection& connection, const std::string&) { end(connection, headers); });
      const auto answer = ask(server.url());
      CHECK(answer.has_value() == !code.has_value());
      if (code) CHECK(code_of(answer) == *code);
    }
  }
}

TEST_CASE("A bad header after the status, or a reset among them, leaves the status as it is") {
  for (const std::string more : {"Content-Length: nonsense\r\n\r\n", "X-One"}) {
    CAPTURE(more);
    const Server server([&](const Connection& connection, const std::string&) {
      connection.end_with_reset();
      connection.send("HTTP/1.1 200 OK\r\n" + more);
    });
    CHECK(must(ask(server.url())).status == ReceiptStatus::sent);
  }
}

TEST_CASE("100 Continue and 103 Early Hints are no answer") {
  for (const std::string interim :
       {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"}) {
    CAPTURE(interim);
    const Server silent(
        [&](const Connection& connection, const std::string&) { connection.send(interim); });
    CHECK(code_of(ask(silent.url())) == Code::unknown_outcome);
    const Server refuses([&](const Connection& connection, const std::string&) {
      connection.send(interim);
      connection.answer(400);
    });
    CHECK(code_of(ask(refuses.url())) == Code::invalid);
  }
}

TEST_CASE("A request that is accepted before it has arrived is sent to its end") {
  Delivery delivery = message();
  delivery.body = std::string(20'000'000, 'x');  // more than the buffers of a connection take
  std::size_t arrived = 0;
  const auto answer_at_once = [&](int status) {
    arrived = 0;
    const Server server(
        [&](const Connection& connection, const std::string& request) {
          connection.send("HTTP/1.1 " + std::to_string(status) +
                          " Said\r\nContent-Length: 10\r\n\r\n");
          arrived = request.size() + connection.wait_until_client_is_gone();
        },
        Server::Reads::headers);
    return ask(server.url(), local(), delivery);
  };
  CHECK(must(answer_at_once(202)).status == ReceiptStatus::sent);
  CHECK(arrived > delivery.body.size());
  CHECK(code_of(answer_at_once(413)) == Code::invalid);  // nor is the rest waited for
}

TEST_CASE("A proxy's consent to a tunnel is no answer") {
  const Server proxy([](const Connection& connection, const std::string&) {
    connection.send("HTTP/1.1 200 Connection established\r\n\r\n");
  });
  auto options = local();
  options.proxy = proxy.url();
  CHECK_FALSE(ask("https://erp.example.com/in", options).has_value());
}

TEST_CASE("What is no HTTP") {
  const Server server([](const Connection& connection, const std::string&) {
    connection.send("SSH-2.0-OpenSSH_9.2\r\n");
  });
  CHECK(code_of(ask(server.url())) == Code::unknown_outcome);
}

TEST_CASE("A huge answer is not read") {
  for (const int status : {200, 500}) {
    const Server server([&](const Connection& connection, const std::string&) {
      connection.send("HTTP/1.1 " + std::to_string(status) + " Said\r\n\r\n");
      while (connection.send(std::string(100'000, 'x'))) {
      }
    });
    auto options = local();
    options.response_bytes_max = 1000;
    const auto answer = ask(server.url(), options);
    CHECK(answer.has_value() == (status == 200));
  }
}

TEST_CASE("Nobody there") {
  std::string url;
  {
    const Server server(200);
    url = server.url();
  }
  CHECK(code_of(ask(url)) == Code::unavailable);
  CHECK(code_of(ask("http://no-such-host.invalid/in")) == Code::unavailable);
}

TEST_CASE("Only https is asked, unless the host allows http") {
  const Server server(200);
  auto options = local();
  options.allow_http = false;
  CHECK(code_of(ask(server.url(), options)) == Code::invalid);
  CHECK(code_of(ask("file:///etc/passwd")) == Code::invalid);
  CHECK(code_of(ask("ftp://127.0.0.1/in")) == Code::invalid);
  CHECK(code_of(ask("not a url")) == Code::invalid);
  CHECK(code_of(ask(server.url("https"))) == Code::unavailable);  // it does not speak TLS
  CHECK(server.requests().empty());
}

TEST_CASE("Addresses of this machine and of private networks are refused, by any name") {
  const Server server(200);
  auto options = local();
  options.allow_private_addresses = false;
  for (const std::string host : {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0",
                                 "10.0.0.1", "192.168.1.1", "169.254.169.254", "172.16.0.1",
                                 "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]"}) {
    CAPTURE(host);
    const auto answer = ask(server.url("http", host), options);
    CHECK(code_of(answer) == Code::forbidden);
    CHECK(answer.error().message.find("private network") != std::string::npos);
  }
  CHECK(server.requests().empty());
}

TEST_CASE("The environment's proxy is not used, the option's is") {
  const Server server(200);
  const Server proxy(202);
  for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) {
    ::setenv(name, proxy.url().c_str(), 1);
  }
  must(ask(server.url()));
  for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) {
    ::unsetenv(name);
  }
  CHECK(server.requests().size() == 1);
  CHECK(proxy.requests().empty());
  auto options = local();
  options.proxy = proxy.url();
  must(ask("http://erp.example.com/in", options));
  CHECK(proxy.requests().size() == 1);
}

TEST_CASE("Errors show no more of a URL than its host") {
  const Server server(500);
  const auto answer = ask(server.url() + "?token=geheim");
  CHECK(answer.error().message.find("geheim") == std::string::npos);
  const auto nobody = ask("http://me:geheim@no-such-host.invalid/in?token=geheim");
  CHECK(nobody.error().message.find("geheim") == std::string::npos);
}

TEST_CASE("Values cannot break out of their header") {
  const Server server(200);
  Delivery delivery = message();
  delivery.event = "deal.won\r\nX-Evil: 1";
  must(ask(server.url(), local(), delivery));
  CHECK(header_of(server.requests().at(0), "X-Evil").empty());
}

TEST_CASE("It passes the suite for notifiers") {
  const Server server(200);
  const auto report = testing::exercise_notifier([&]() -> Result<std::shared_ptr<Notifier>> {
    return http::WebhookNotifier::make(
        [&](const Delivery&) -> Result<http::WebhookEndpoint> {
          return http::WebhookEndpoint{server.url(), signing_key};
        },
        local());
  });
  INFO(report.summary());
  CHECK(report.passed());
}

TEST_CASE("Bad options") {
  const auto source = [](const Delivery&) -> Result<http::WebhookEndpoint> {
    return http::WebhookEndpoint{};
  };
  http::WebhookOptions options;
  options.timeout = 0s;
  CHECK(http::WebhookNotifier::make(source, options).error().field == "timeout");
  options = {};
  options.connect_timeout = -1s;
  CHECK(http::WebhookNotifier::make(source, options).error().field == "connect_timeout");
  CHECK(http::WebhookNotifier::make(nullptr).error().field == "source");
  const auto notifier = must(http::WebhookNotifier::make(source));
  CHECK(notifier->deliver(message()).error().field == "secret");
}
