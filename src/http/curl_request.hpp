#pragma once

// One request with libcurl, which nothing else here knows.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bureau/core/result.hpp"
#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE
namespace http {

struct Request {
  std::string method = "POST";
  std::string url;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  Duration connect_timeout{0}, timeout{0};
  std::size_t response_bytes_max = 0;
  bool allow_http = false;
  bool allow_private_addresses = false;
  std::string proxy, ca_file, user_agent;
  std::function<bool()> stop_requested;
};

/// Counts a use of libcurl in this process; `unavailable` when it cannot be used.
[[nodiscard]] Result<void> begin_use();
void end_use();

struct Answer {
  long status = 0;
  std::string content_type, body;
};

/// Sends the request, and gives the status of the answer. Errors: `invalid` for a URL that it will
/// not ask; `unknown_outcome` when the request may have arrived and no status came back; else that
/// it did not: `deadline`, `cancelled`, `forbidden` for an address that is not allowed,
/// `unavailable`. Texts of errors hold no part of the URL but its host.
[[nodiscard]] Result<long> status_of(const Request& request);
/// The same, and waits for the whole answer. `exhausted` when it has more than response_bytes_max;
/// `unknown_outcome` also when its status came, and not all of its body.
[[nodiscard]] Result<Answer> ask(const Request& request);

/// Scheme, host and port of a URL: "https://api.example.com", in small letters, the port only when
/// it is not the scheme's own. `invalid` for what is no URL of http or https, and for one that
/// holds a user's name or password.
[[nodiscard]] Result<std::string> origin_of(const std::string& url);

}  // namespace http
BUREAU_END_NAMESPACE
