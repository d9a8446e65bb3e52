#include "bureau/http/http_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "http/curl_request.hpp"

BUREAU_BEGIN_NAMESPACE
namespace http {

namespace {

constexpr std::array<std::string_view, 6> methods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
/// What is not a caller's to say.
constexpr std::array<std::string_view, 8> own_headers{
    "idempotency-key", "host",    "content-length", "transfer-encoding",
    "connection",      "upgrade", "expect",         "proxy-authorization"};

template <std::size_t n>
bool contains(const std::array<std::string_view, n>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::string in_small_letters(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// A token of RFC 9110, 5.6.2.
bool is_header_name(std::string_view name) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
  });
}

Result<void> check_header(std::string_view name, std::string_view value) {
  const auto say = [&](std::string_view rule) {
    return fail(Code::invalid,
                fmt::format("headers: \"{}\": {}", detail::shortened(name, 40), rule), "headers");
  };
  if (!is_header_name(name)) return say("it is no header's name");
  if (contains(own_headers, in_small_letters(name))) return say("it is not for a caller to set");
  const bool is_text = std::all_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F;
  });
  if (!is_text || !is_valid_text(value)) return say("its value would break out of its line");
  return {};
}

Result<Headers> headers_of(const HttpCall& call) {
  const Json::Object* given = call.headers.as_object();
  if (given == nullptr) {
    return fail(Code::invalid, "headers: they are an object of texts by their names", "headers");
  }
  Headers out;
  for (const auto& [name, value] : *given) {
    const std::string* text = value.as_string();
    if (text == nullptr) {
      return fail(Code::invalid,
                  fmt::format("headers: \"{}\": it is no text", detail::shortened(name, 40)),
                  "headers");
    }
    BUREAU_TRY_VOID(check_header(name, *text));
    out.emplace_back(name, *text);
  }
  return out;
}

Result<void> check_call(const HttpCall& call) {
  if (!contains(methods, call.method)) {
    return fail(Code::invalid,
                fmt::format("method: \"{}\" is none of GET, HEAD, POST, PUT, PATCH and DELETE",
                            detail::shortened(call.method, 20)),
                "method");
  }
  if ((call.method == "GET" || call.method == "HEAD") && !call.body.empty()) {
    return fail(Code::invalid, fmt::format("body: a {} has none", call.method), "body");
  }
  BUREAU_TRY_VOID(headers_of(call));
  BUREAU_TRY_VOID(origin_of(call.url));
  return {};
}

Result<void> check_status(const Answer& answer) {
  if (answer.status >= 200 && answer.status < 300) return {};
  Code code = Code::invalid;
  if (answer.status == 429 || answer.status == 503 || answer.status == 425) code = Code::busy;
  if (answer.status == 408 || (answer.status >= 500 && code != Code::busy)) {
    code = Code::unavailable;
  }
  const std::string said = detail::shortened(detail::to_valid_text(answer.body), 500);
  return fail(
      code,
      fmt::format("status: it answered {}{}{}", answer.status, said.empty() ? "" : ": ", said),
      "status");
}

}  // namespace

Result<std::shared_ptr<HttpCaller>> HttpCaller::make(HttpCallerOptions options) {
  for (const auto& [name, limit] :
       {std::pair("connect_timeout", options.connect_timeout), {"timeout", options.timeout}}) {
    if (limit > Duration(0)) continue;
    return fail(Code::invalid, fmt::format("{}: {} us is not above 0", name, limit.count()), name);
  }
  if (options.origins.empty()) {
    return fail(Code::invalid, "origins: there is none; say which servers may be called",
                "origins");
  }
  for (std::string& origin : options.origins) {
    auto read = origin_of(origin);
    if (!read) {
      return fail(Code::invalid, fmt::format("origins: {}", read.error().message), "origins");
    }
    origin = std::move(*read);
  }
  BUREAU_TRY_VOID(begin_use());
  return std::shared_ptr<HttpCaller>(new HttpCaller(std::move(options)));
}

HttpCaller::~HttpCaller() { end_use(); }

Result<void> HttpCaller::validate(const Task& task) const {
  BUREAU_TRY(const HttpCall call, record_from_json<HttpCall>(task.payload));
  return check_call(call);
}

Result<Json> HttpCaller::execute(Run& run, const Task& task) {
  BUREAU_TRY(const HttpCall call, record_from_json<HttpCall>(task.payload));
  BUREAU_TRY_VOID(check_call(call));
  BUREAU_TRY(const std::string origin, origin_of(call.url));
  const auto& origins = options_.origins;
  if (std::find(origins.begin(), origins.end(), origin) == origins.end()) {
    return fail(Code::forbidden,
                fmt::format("url: {} is not among the servers that may be called", origin), "url");
  }
  Request request;
  request.method = call.method;
  request.url = call.url;
  request.body = call.body;
  BUREAU_TRY(request.headers, headers_of(call));
  const bool says_type = std::any_of(
      request.headers.begin(), request.headers.end(),
      [](const auto& header) { return in_small_letters(header.first) == "content-type"; });
  if (!call.body.empty() && !says_type) {
    request.headers.emplace_back("Content-Type", "application/json");
  }
  if (!call.credentials.empty()) {
    if (!options_.credentials) {
      return fail(Code::invalid, "credentials: this program has none", "credentials");
    }
    BUREAU_TRY(const Headers secret, options_.credentials(call.credentials, task));
    request.headers.insert(request.headers.end(), secret.begin(), secret.end());
  }
  request.headers.emplace_back("Idempotency-Key", run.idempotency_key());
  request.connect_timeout = options_.connect_timeout;
  request.timeout = options_.timeout;
  request.response_bytes_max = options_.answer_bytes_max;
  request.allow_http = options_.allow_http;
  request.allow_private_addresses = options_.allow_private_addresses;
  request.proxy = options_.proxy;
  request.ca_file = options_.ca_file;
  request.user_agent = options_.user_agent;
  request.stop_requested = [&run] { return run.stop_requested(); };
  BUREAU_TRY(const Answer answer, ask(request));
  BUREAU_TRY_VOID(check_status(answer));
  return record_to_json(HttpAnswer{answer.status, detail::to_valid_text(answer.content_type),
                                   detail::to_valid_text(answer.body)});
}

}  // namespace http
BUREAU_END_NAMESPACE
