#pragma once

// One request with libcurl: what nobody but webhook_notifier.cpp and this knows of it.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bureau/core/result.hpp"
#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE
namespace http {

struct Request {
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

/// Posts the body, and gives the status of the answer. Errors: `invalid` for a URL that it will not
/// ask; `unknown_outcome` when the request may have arrived and no status came back; else that it
/// did not: `deadline`, `cancelled`, `forbidden` for an address that is not allowed, `unavailable`.
/// Texts of errors hold no part of the URL but its host.
[[nodiscard]] Result<long> post(const Request& request);

}  // namespace http
BUREAU_END_NAMESPACE
