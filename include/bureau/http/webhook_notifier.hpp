#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "bureau/access/access.hpp"
#include "bureau/core/clock.hpp"
#include "bureau/notify/notifier.hpp"

BUREAU_BEGIN_NAMESPACE
namespace http {

/// Where a webhook's messages go, and what signs them.
struct WebhookEndpoint {
  std::string url;
  std::string secret;
};
/// Finds it for a delivery. Called from the threads that deliver.
using EndpointSource = std::function<Result<WebhookEndpoint>(const Delivery&)>;

/// The rows of Webhook, read with the system's rights: secrets are nobody else's. `access` outlives
/// it.
[[nodiscard]] EndpointSource stored_webhooks(Access& access);

struct WebhookOptions {
  Clock* clock = nullptr;  ///< stamps signatures; not owned; null: Clock::system()
  Duration connect_timeout = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(15);  ///< of a whole request; less than a task's limit
  std::size_t response_bytes_max = 64 * 1024;   ///< of headers and body; more is not read
  bool allow_http = false;                      ///< without TLS too
  /// Addresses of this machine and of private networks too. Off, since whoever may keep webhooks
  /// could otherwise reach what only this machine can. A proxy has to see to it itself.
  bool allow_private_addresses = false;
  std::string proxy = {};    ///< empty: none. The environment's are never used.
  std::string ca_file = {};  ///< empty: the system's certificates
  std::string user_agent = "bureau";
};

/// Carries the channel "webhook": one POST of JSON for each message, signed and with its key.
///
///   POST URL                         {"body": ..., "created_at": ..., "data": ..., "event": ...,
///   Content-Type: application/json    "id": "ntf_...", "title": ...}
///   Bureau-Event: ticket.assigned
///   Bureau-Signature: t=...,v1=...
///   Idempotency-Key: ndl_...         the same in every attempt
///
/// What is answered: 2xx is sent. 408, 429 and 5xx, no connection and no answer are tried again
/// later. Any other 4xx is a refusal. So is a redirect, which is never followed: it would send the
/// message where nobody said. Only the status counts: once its headers have ended nothing more is
/// waited for, and no more than response_bytes_max is read. Whatever the environment says of
/// proxies, certificates or passwords is not looked at.
///
/// deliver() blocks up to the time-out. When it is to stop it does so within about a second.
class WebhookNotifier final : public Notifier {
 public:
  /// `invalid` for a time-out that is not positive; `unavailable` when libcurl cannot be used. The
  /// use of libcurl is counted with it, as a host's own is.
  [[nodiscard]] static Result<std::shared_ptr<WebhookNotifier>> make(EndpointSource source,
                                                                     WebhookOptions options = {});
  ~WebhookNotifier() override;

  [[nodiscard]] std::string_view channel() const override { return "webhook"; }
  [[nodiscard]] std::string_view identity() const override { return "bureau-webhook/1"; }
  [[nodiscard]] bool takes_key() const override { return true; }
  [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override;

 private:
  WebhookNotifier(EndpointSource source, WebhookOptions options);
  EndpointSource source_;
  WebhookOptions options_;
};

}  // namespace http
BUREAU_END_NAMESPACE
