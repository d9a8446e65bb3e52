#include "bureau/notify/webhooks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "notify/notify_rows.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace notify::inside;

namespace {

Result<void> check_url(std::string_view url) {
  const auto refuse = [&](std::string_view rule) {
    // Shown without its query, which often holds a token.
    return fail(Code::invalid,
                fmt::format("url: {} {}", quoted(url.substr(0, url.find('?'))), rule), "url");
  };
  constexpr std::size_t max_url = 2000;
  if (url.size() > max_url) return refuse("has more than 2000 bytes");
  const bool plain =
      std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (!plain) return refuse("has a space, a control character or what is not ASCII");
  std::size_t host = 0;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (url.starts_with(scheme)) host = scheme.size();
  }
  if (host == 0) return refuse("does not begin with https:// or http://");
  const std::string_view authority = url.substr(host, url.find_first_of("/?#", host) - host);
  if (authority.empty() || authority.front() == ':') return refuse("names no host");
  if (authority.find('@') != std::string_view::npos) return refuse("names a user; it must not");
  if (url.find('#') != std::string_view::npos) return refuse("has a fragment; it must not");
  return {};
}

Result<void> check_events(const std::vector<std::string>& events) {
  if (events.empty()) {
    return fail(Code::invalid, "events: there is none; \"*\" stands for every one", "events");
  }
  for (const std::string& event : events) {
    auto checked = check_text("events", event, max_event);
    if (!checked) return checked;
  }
  return {};
}

Result<void> check_secret(std::string_view text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (plain && text.size() >= 16 && text.size() <= 200) return {};
  return fail(Code::invalid,
              fmt::format("secret: {} bytes{}; it must have 16 to 200 of visible ASCII",
                          text.size(), plain ? "" : ", some not of visible ASCII"),
              "secret");
}

std::string new_secret(Random& random) {
  std::array<std::byte, 32> bytes{};
  random.fill(bytes);
  std::string text = "whsec_";
  for (const std::byte b : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(b));
  return text;
}

Random& random_of(const Repository<Webhook>& webhooks) {
  return webhooks.rows().scope().session().database().random();
}

}  // namespace

Result<Webhook> Webhooks::add(const NewWebhook& given) const {
  BUREAU_TRY_VOID(check_text("name", given.name, 100));
  BUREAU_TRY_VOID(check_url(given.url));
  BUREAU_TRY_VOID(check_events(given.events));
  if (!given.secret.empty()) BUREAU_TRY_VOID(check_secret(given.secret));
  Webhook row;
  row.name = given.name;
  row.url = given.url;
  row.events = given.events;
  row.secret = given.secret.empty() ? new_secret(random_of(webhooks_)) : given.secret;
  return webhooks_.rows().scope().write([&](Unit& unit) -> Result<Webhook> {
    const Repository<Webhook> webhooks{Scope(unit)};
    BUREAU_TRY(const auto taken, webhooks.first(col(&Webhook::name) == given.name));
    if (taken) {
      return fail(Code::exists, fmt::format("name: there is a webhook {}", quoted(given.name)),
                  "name");
    }
    return webhooks.insert(row);
  });
}

Result<Webhook> Webhooks::find(Id<Webhook> id) const { return webhooks_.find(id); }

Result<std::vector<Webhook>> Webhooks::list(std::uint64_t limit) const {
  Query query;
  query.order = {{&col(&Webhook::name).info(), false}};
  query.limit = limit;
  return webhooks_.list(query);
}

Result<Webhook> Webhooks::enable(Id<Webhook> id) const {
  return webhooks_.change(id, [](Webhook& webhook) {
    webhook.enabled = true;
    webhook.failures = 0;
    webhook.disabled_reason.reset();
  });
}

Result<Webhook> Webhooks::disable(Id<Webhook> id, std::string_view reason) const {
  BUREAU_TRY_VOID(check_text("disabled_reason", reason, max_reason));
  return webhooks_.change(id, [&](Webhook& webhook) {
    webhook.enabled = false;
    webhook.disabled_reason = std::string(reason);
  });
}

Result<Webhook> Webhooks::renew_secret(Id<Webhook> id) const {
  const std::string fresh = new_secret(random_of(webhooks_));
  return webhooks_.change(id, [&](Webhook& webhook) { webhook.secret = fresh; });
}

Result<void> Webhooks::remove(Id<Webhook> id) const { return webhooks_.remove(id); }

BUREAU_END_NAMESPACE
