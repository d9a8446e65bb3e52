#include "http/curl_request.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

BUREAU_BEGIN_NAMESPACE
namespace http {

namespace {

/// What the callbacks of one transfer share.
struct Transfer {
  const Request& request;
  CURL* handle = nullptr;
  std::size_t received = 0;
  long answered = 0;  // the status, once its headers have ended: for some all that counts was said
  bool refused_address = false;
  std::string* body = nullptr;  // of the answer; null: nobody wants it
};

/// The answer's; a proxy's answer to CONNECT is none.
long last_status(CURL* handle) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/// 0: it is enough.
std::size_t count_bytes(Transfer& transfer, std::size_t bytes) {
  transfer.received += bytes;
  return transfer.received <= transfer.request.response_bytes_max ? bytes : 0;
}

std::size_t receive(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (transfer.body != nullptr) transfer.body->append(bytes, size * count);
  return count_bytes(transfer, size * count);
}

/// Called with a line at a time.
std::size_t receive_header(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(bytes, size * count);
  if (line == "\r\n" || line == "\n") {
    const long status = last_status(transfer.handle);
    if (status >= 200) transfer.answered = status;  // after 1xx there is more to come
  }
  return count_bytes(transfer, size * count);
}

/// Ends the transfer when it is not 0. A body that nobody wants is not waited for: whoever stalls
/// there would hold up the other messages. What is accepted early is sent to its end.
int watch(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
  const auto& transfer = *static_cast<Transfer*>(context);
  const Request& request = transfer.request;
  const bool accepted = transfer.answered >= 200 && transfer.answered < 300;
  const bool sent_all = sent >= static_cast<curl_off_t>(request.body.size());
  const bool wants_more = transfer.body != nullptr;
  if (!wants_more && transfer.answered != 0 && (sent_all || !accepted)) return 1;
  return request.stop_requested && request.stop_requested() ? 1 : 0;
}

bool is_private(std::uint32_t address) {
  const auto in = [&](std::uint32_t network, int bits) {
    return (address ^ network) >> (32 - bits) == 0;
  };
  return in(0x00000000, 8) || in(0x0A000000, 8) || in(0x64400000, 10) || in(0x7F000000, 8) ||
         in(0xA9FE0000, 16) || in(0xAC100000, 12) || in(0xC0000000, 24) || in(0xC0A80000, 16) ||
         in(0xC6120000, 15) || in(0xE0000000, 4) || in(0xF0000000, 4);
}

bool is_private(const in6_addr& address) {
  const unsigned char* bytes = address.s6_addr;
  const auto v4_at = [&](int at) {
    std::uint32_t inner = 0;
    for (int i = 0; i < 4; ++i) inner = inner << 8 | bytes[at + i];
    return inner;
  };
  if (IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address)) {
    return is_private(v4_at(12));  // ::1 and :: are among them
  }
  static constexpr unsigned char nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
  if (std::equal(nat64, nat64 + 12, bytes)) return is_private(v4_at(12));
  if (bytes[0] == 0x20 && bytes[1] == 0x02) return is_private(v4_at(2));  // 6to4
  const bool unique_local = (bytes[0] & 0xFE) == 0xFC;
  const bool link_local = bytes[0] == 0xFE && (bytes[1] & 0x80) == 0x80;
  return IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address) || unique_local ||
         link_local || bytes[0] == 0xFF;
}

/// Judges the address that a name has led to, so that no name can lead around the rule.
curl_socket_t open_socket(void* context, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(context);
  bool refused = false;
  if (address->family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address->addr, sizeof in);
    refused = is_private(ntohl(in.sin_addr.s_addr));
  } else if (address->family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address->addr, sizeof in);
    refused = is_private(in.sin6_addr);
  } else {
    refused = true;
  }
  // A proxy is of the host's choice, and looks names up for itself.
  const bool trusted = transfer.request.allow_private_addresses || !transfer.request.proxy.empty();
  if (refused && !trusted) {
    transfer.refused_address = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::string host_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", host), url.size());
  const std::size_t user = url.rfind('@', end);
  const std::size_t begin = user == std::string::npos || user < host ? host : user + 1;
  return url.substr(begin, end - begin);
}

long milliseconds(Duration d) {
  return static_cast<long>(
      std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::milliseconds>(d).count()));
}

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using HeaderLines = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

bool append(HeaderLines& headers, const std::string& line) {
  curl_slist* grown = curl_slist_append(headers.get(), line.c_str());
  if (grown == nullptr) return false;
  (void)headers.release();
  headers.reset(grown);
  return true;
}

/// Sets options and remembers whether each was taken.
class Options {
 public:
  explicit Options(CURL* handle) : handle_(handle) {}
  template <class V>
  Options& set(CURLoption option, V value) {
    if (code_ == CURLE_OK) code_ = curl_easy_setopt(handle_, option, value);
    return *this;
  }
  [[nodiscard]] CURLcode code() const { return code_; }

 private:
  CURL* handle_;
  CURLcode code_ = CURLE_OK;
};

CURLcode set_up(CURL* handle, Transfer& transfer, curl_slist* headers, char* error) {
  const Request& request = transfer.request;
  Options options(handle);
  options.set(CURLOPT_ERRORBUFFER, error)
      .set(CURLOPT_URL, request.url.c_str())
      .set(CURLOPT_PROTOCOLS_STR, request.allow_http ? "http,https" : "https")
      .set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1))
      .set(CURLOPT_HTTPHEADER, headers)
      .set(CURLOPT_USERAGENT, request.user_agent.c_str())
      .set(CURLOPT_FOLLOWLOCATION, 0L)
      .set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED))
      .set(CURLOPT_PROXY, request.proxy.c_str())  // "" keeps the environment's out
      .set(CURLOPT_NOSIGNAL, 1L)
      .set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request.connect_timeout))
      .set(CURLOPT_TIMEOUT_MS, milliseconds(request.timeout))
      .set(CURLOPT_WRITEFUNCTION, &receive)
      .set(CURLOPT_WRITEDATA, &transfer)
      .set(CURLOPT_HEADERFUNCTION, &receive_header)
      .set(CURLOPT_HEADERDATA, &transfer)
      .set(CURLOPT_NOPROGRESS, 0L)
      .set(CURLOPT_XFERINFOFUNCTION, &watch)
      .set(CURLOPT_XFERINFODATA, &transfer)
      .set(CURLOPT_OPENSOCKETFUNCTION, &open_socket)
      .set(CURLOPT_OPENSOCKETDATA, &transfer);
  if (!request.ca_file.empty()) options.set(CURLOPT_CAINFO, request.ca_file.c_str());
  if (request.method == "HEAD") {
    options.set(CURLOPT_NOBODY, 1L);
  } else if (request.method == "GET" || (request.method == "DELETE" && request.body.empty())) {
    options.set(CURLOPT_HTTPGET, 1L);
  } else {
    options.set(CURLOPT_POST, 1L)
        .set(CURLOPT_POSTFIELDS, request.body.c_str())
        .set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (request.method != "HEAD") options.set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  return options.code();
}

Error error_of(CURLcode code, const Transfer& transfer, bool was_sent, std::string_view text) {
  const std::string host = host_of(transfer.request.url);
  const auto say = [&](Code what, std::string_view rule) {
    return Error(what, fmt::format("url: {}: {}", host, rule), "url");
  };
  if (transfer.refused_address) {
    return say(Code::forbidden, "its address is of this machine or of a private network");
  }
  if (code == CURLE_UNSUPPORTED_PROTOCOL && !was_sent) {  // else the answer was no HTTP
    return say(Code::invalid, transfer.request.allow_http ? "only https and http are asked"
                                                          : "only https is asked");
  }
  if (code == CURLE_URL_MALFORMAT) return say(Code::invalid, "it cannot be read");
  const std::string_view why = text.empty() ? curl_easy_strerror(code) : text;
  if (was_sent) {
    return say(Code::unknown_outcome, fmt::format("the request was sent, no answer came: {}", why));
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) return say(Code::cancelled, "it was to stop");
  if (code == CURLE_OPERATION_TIMEDOUT) return say(Code::deadline, why);
  return say(Code::unavailable, why);
}

/// Keeps SIGPIPE from this thread for as long as it lives: libcurl leaves it to its caller when it
/// is to use no signals, and what OpenSSL writes into a closed connection raises it.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigset_t pending;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    was_pending_ = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    blocked_ = pthread_sigmask(SIG_BLOCK, &pipe_, &before_) == 0;
  }
  ~NoPipeSignal() {
    if (!blocked_) return;
    const timespec at_once{};
    if (!was_pending_) {
      while (sigtimedwait(&pipe_, nullptr, &at_once) == SIGPIPE) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false, blocked_ = false;
};

std::mutex& use_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

Result<void> begin_use() {
  std::lock_guard lock(use_mutex());
  const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code == CURLE_OK) return {};
  return fail(Code::unavailable, fmt::format("libcurl: {}", curl_easy_strerror(code)));
}

void end_use() {
  std::lock_guard lock(use_mutex());
  curl_global_cleanup();
}

namespace {

/// Sends it, and has `judge(code, status, sent, text)` say what came of it.
template <class Judge>
auto perform(Transfer& transfer, Judge&& judge) -> decltype(judge(CURLE_OK, 0L, true, "")) {
  const Request& request = transfer.request;
  const NoPipeSignal no_pipe_signal;
  const Handle handle(curl_easy_init(), &curl_easy_cleanup);
  HeaderLines headers(nullptr, &curl_slist_free_all);
  bool ready = handle != nullptr && append(headers, "Expect:");  // waits for nobody's consent
  for (const auto& [name, value] : request.headers) {
    ready = ready && append(headers, name + ": " + value);
  }
  transfer.handle = handle.get();
  char text[CURL_ERROR_SIZE] = "";
  if (!ready || set_up(handle.get(), transfer, headers.get(), text) != CURLE_OK) {
    return fail(Code::unavailable, "libcurl: the request could not be set up");
  }
  const CURLcode code = curl_easy_perform(handle.get());
  long sent = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_REQUEST_SIZE, &sent);
  return judge(code, last_status(handle.get()), sent > 0, text);
}

}  // namespace

Result<long> status_of(const Request& request) {
  Transfer transfer{request};
  return perform(
      transfer, [&](CURLcode code, long status, bool was_sent, const char* text) -> Result<long> {
        if (code == CURLE_OK) return status;
        // Its status was read: what of the rest is missing, wrong or too much says
        // nothing more. Only when this side gave up among the headers is it not taken
        // for an answer.
        const bool gave_up = code == CURLE_OPERATION_TIMEDOUT || code == CURLE_ABORTED_BY_CALLBACK;
        if (status >= 200 && (transfer.answered != 0 || !gave_up)) return status;
        return fail(error_of(code, transfer, was_sent, text));
      });
}

Result<Answer> ask(const Request& request) {
  Answer answer;
  Transfer transfer{request};
  transfer.body = &answer.body;
  return perform(
      transfer, [&](CURLcode code, long status, bool was_sent, const char* text) -> Result<Answer> {
        if (transfer.received > request.response_bytes_max) {
          return fail(Code::exhausted,
                      fmt::format("answer: {}: it has more than {} bytes", host_of(request.url),
                                  request.response_bytes_max),
                      "answer");
        }
        if (code != CURLE_OK) return fail(error_of(code, transfer, was_sent, text));
        answer.status = status;
        const char* type = nullptr;
        curl_easy_getinfo(transfer.handle, CURLINFO_CONTENT_TYPE, &type);
        if (type != nullptr) answer.content_type = type;
        return std::move(answer);
      });
}

namespace {

/// A part of a URL; empty when it has none.
std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

}  // namespace

Result<std::string> origin_of(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  const auto say = [&](std::string_view rule) {
    return fail(Code::invalid, fmt::format("url: {}: {}", host_of(url), rule), "url");
  };
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return say("it cannot be read");
  }
  const std::string scheme = part_of(parsed.get(), CURLUPART_SCHEME);
  if (scheme != "https" && scheme != "http") return say("only https and http are asked");
  const bool names_user = !part_of(parsed.get(), CURLUPART_USER).empty() ||
                          !part_of(parsed.get(), CURLUPART_PASSWORD).empty();
  if (names_user)
    return say("it holds a user's name or password; credentials have their own place");
  std::string host = part_of(parsed.get(), CURLUPART_HOST);
  std::transform(host.begin(), host.end(), host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::string port = part_of(parsed.get(), CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  return fmt::format("{}://{}{}{}", scheme, host, port.empty() ? "" : ":", port);
}

}  // namespace http
BUREAU_END_NAMESPACE
