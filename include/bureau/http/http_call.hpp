#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bureau/work/agent.hpp"
#include "bureau/work/task_kind.hpp"

BUREAU_BEGIN_NAMESPACE
namespace http {

/// A request to another program. Enqueued as a task it is an outbox: it is written in the commit of
/// what it follows from, sent after that, and repeated until it is answered.
struct HttpCall {
  std::string method = "POST";  ///< GET, HEAD, POST, PUT, PATCH or DELETE
  std::string url;
  Json headers = Json::object();  ///< texts by their names; no secrets: managers see them
  std::string body;
  std::string credentials;  ///< by which name the caller asks for them; empty: none
};

/// What was answered, with a status of 2xx.
struct HttpAnswer {
  std::int64_t status = 0;
  std::string content_type;
  std::string body;  ///< what is not UTF-8 in it is replaced
};

}  // namespace http

template <>
inline constexpr auto record<http::HttpCall> =
    fields(column("method", &http::HttpCall::method), column("url", &http::HttpCall::url),
           column("headers", &http::HttpCall::headers), column("body", &http::HttpCall::body),
           column("credentials", &http::HttpCall::credentials));
template <>
inline constexpr auto record<http::HttpAnswer> = fields(column("status", &http::HttpAnswer::status),
                                                        column("content_type",
                                                               &http::HttpAnswer::content_type),
                                                        column("body", &http::HttpAnswer::body));

namespace http {

/// For a server that does one request once for one Idempotency-Key, or whose request does no harm
/// twice. Every attempt has the same key, made of the task's id.
inline constexpr auto http_call = task_kind<HttpCall, HttpAnswer>(
    "http.call", Effect::external_idempotent,
    retry::exponential(12, std::chrono::seconds(2), std::chrono::hours(1)), "http");
/// For all others: sent once. When nobody knows whether it has arrived the task is in doubt, and a
/// person or Tasks::resolve() says what became of it.
inline constexpr auto http_call_once = task_kind<HttpCall, HttpAnswer>(
    "http.call_once", Effect::external_unsafe, retry::never, "http");

using Headers = std::vector<std::pair<std::string, std::string>>;
/// The headers (Authorization, as a rule) for HttpCall::credentials. Called from the threads that
/// send.
using CredentialSource = std::function<Result<Headers>(std::string_view name, const Task& task)>;

struct HttpCallerOptions {
  /// Which servers may be called: "https://api.example.com", "https://stock.example.com:8443".
  /// Whoever may enqueue could otherwise have anything called. Any one else is `forbidden`. At
  /// least one.
  std::vector<std::string> origins = {};
  CredentialSource credentials = {};
  Duration connect_timeout = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(30);  ///< of a whole request; less than the kinds' limit
  std::size_t answer_bytes_max = 256 * 1024;    ///< of headers and body; more is `exhausted`
  bool allow_http = false;                      ///< without TLS too
  /// Addresses of this machine and of private networks too, where a name leads there.
  bool allow_private_addresses = false;
  std::string proxy = {};    ///< empty: none. The environment's are never used.
  std::string ca_file = {};  ///< empty: the system's certificates
  std::string user_agent = "bureau";
};

/// Carries both kinds. What is answered: 2xx completes the task. 408, 425, 429 and 5xx, no
/// connection and no answer are tried again (`busy`, `unavailable`, `unknown_outcome`); any other
/// status, a redirect among them, is `invalid` and is not. Errors hold the status and the beginning
/// of the answer, and of the URL no more than its host.
class HttpCaller final : public Agent {
 public:
  /// `invalid` without an origin, for one that cannot be read, and for a time-out that is not
  /// positive; `unavailable` when libcurl cannot be used.
  [[nodiscard]] static Result<std::shared_ptr<HttpCaller>> make(HttpCallerOptions options);
  ~HttpCaller() override;

  [[nodiscard]] std::string_view name() const override { return "http-caller"; }
  [[nodiscard]] std::vector<KindInfo> capabilities() const override {
    return {http_call, http_call_once};
  }
  [[nodiscard]] Result<void> validate(const Task& task) const override;
  Result<Json> execute(Run& run, const Task& task) override;

 private:
  explicit HttpCaller(HttpCallerOptions options) : options_(std::move(options)) {}
  HttpCallerOptions options_;
};

}  // namespace http
BUREAU_END_NAMESPACE
