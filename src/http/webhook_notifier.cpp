#include "bureau/http/webhook_notifier.hpp"

#include <fmt/format.h>

#include "bureau/access/repository.hpp"
#include "bureau/http/webhook_signature.hpp"
#include "http/curl_request.hpp"

BUREAU_BEGIN_NAMESPACE
namespace http {

namespace {

std::string body_of(const Delivery& delivery) {
  return Json::object(
             {{"id", id::to_text(schema<Notification>.prefix, delivery.notification.value)},
              {"event", delivery.event},
              {"created_at", delivery.created_at.to_string()},
              {"title", delivery.title},
              {"body", delivery.body},
              {"data", delivery.data}})
      .dump();
}

/// A header's value: what is not visible ASCII would end it, or the request.
std::string header_text(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c < 0x20 || c == 0x7F) c = '_';
  }
  return out;
}

Result<Receipt> receipt_of(long status) {
  const auto say = [&](Code code, std::string_view rule) {
    return fail(code, fmt::format("status: it answered {}{}", status, rule), "status");
  };
  if (status >= 200 && status < 300) return Receipt{ReceiptStatus::sent, {}, {}};
  if (status >= 300 && status < 400) return say(Code::invalid, "; redirects are not followed");
  if (status == 429 || status == 503) return say(Code::busy, "");
  if (status == 408 || status >= 500) return say(Code::unavailable, "");
  if (status == 410) return say(Code::gone, "");
  if (status >= 400) return say(Code::invalid, "");
  return say(Code::unknown_outcome, ", which is no answer");
}

}  // namespace

EndpointSource stored_webhooks(Access& access) {
  return [&access](const Delivery& delivery) -> Result<WebhookEndpoint> {
    if (!delivery.webhook) {
      return fail(Code::invalid, "webhook: the message is for a user", "webhook");
    }
    BUREAU_TRY(const Webhook webhook,
               Repository<Webhook>{access.system(delivery.tenant)}.find(*delivery.webhook));
    return WebhookEndpoint{webhook.url, webhook.secret};
  };
}

WebhookNotifier::WebhookNotifier(EndpointSource source, WebhookOptions options)
    : source_(std::move(source)), options_(std::move(options)) {
  if (options_.clock == nullptr) options_.clock = &Clock::system();
}

Result<std::shared_ptr<WebhookNotifier>> WebhookNotifier::make(EndpointSource source,
                                                               WebhookOptions options) {
  if (!source) return fail(Code::invalid, "source: there is none", "source");
  for (const auto& [name, limit] :
       {std::pair("connect_timeout", options.connect_timeout), {"timeout", options.timeout}}) {
    if (limit > Duration(0)) continue;
    return fail(Code::invalid, fmt::format("{}: {} us is not above 0", name, limit.count()), name);
  }
  BUREAU_TRY_VOID(begin_use());
  return std::shared_ptr<WebhookNotifier>(
      new WebhookNotifier(std::move(source), std::move(options)));
}

WebhookNotifier::~WebhookNotifier() { end_use(); }

Result<Receipt> WebhookNotifier::deliver(const Delivery& delivery) {
  BUREAU_TRY(const WebhookEndpoint endpoint, source_(delivery));
  if (endpoint.secret.empty()) {
    return fail(Code::invalid, "secret: the webhook has none; messages are signed", "secret");
  }
  Request request;
  request.url = endpoint.url;
  request.body = body_of(delivery);
  request.headers = {
      {"Content-Type", "application/json"},
      {"Bureau-Event", header_text(delivery.event)},
      {std::string(signature_header),
       sign_webhook(endpoint.secret, options_.clock->now(), request.body)},
      {"Idempotency-Key", header_text(delivery.key)},
  };
  request.connect_timeout = options_.connect_timeout;
  request.timeout = options_.timeout;
  request.response_bytes_max = options_.response_bytes_max;
  request.allow_http = options_.allow_http;
  request.allow_private_addresses = options_.allow_private_addresses;
  request.proxy = options_.proxy;
  request.ca_file = options_.ca_file;
  request.user_agent = options_.user_agent;
  request.stop_requested = delivery.stop_requested;
  BUREAU_TRY(const long status, status_of(request));
  return receipt_of(status);
}

}  // namespace http
BUREAU_END_NAMESPACE
