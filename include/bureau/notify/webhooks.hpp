#pragma once

#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/notify/notification.hpp"

BUREAU_BEGIN_NAMESPACE

/// After so many failed attempts in a row a webhook is disabled.
inline constexpr std::int64_t webhook_failures_max = 20;

struct NewWebhook {
  std::string name = {};
  std::string url = {};
  std::vector<std::string> events = {"*"};
  std::string secret = {};  ///< 16 to 200 bytes of ASCII; empty: one is made
};

/// The webhooks of a tenant: kept by admins and managers.
class Webhooks {
 public:
  explicit Webhooks(Scope scope) : webhooks_(scope) {}

  /// The secret that it returns is shown this once. `invalid` for a URL that is not http or https,
  /// that names a user or has a fragment; `exists` when the name is taken.
  Result<Webhook> add(const NewWebhook& webhook) const;
  Result<Webhook> find(Id<Webhook> id) const;
  Result<std::vector<Webhook>> list(std::uint64_t limit = 1000) const;
  /// Enabled again with its failures forgotten, or disabled for the reason given.
  Result<Webhook> enable(Id<Webhook> id) const;
  Result<Webhook> disable(Id<Webhook> id, std::string_view reason) const;
  /// A new secret, shown this once; the old one is gone.
  Result<Webhook> renew_secret(Id<Webhook> id) const;
  Result<void> remove(Id<Webhook> id) const;

  [[nodiscard]] const Repository<Webhook>& repository() const { return webhooks_; }

 private:
  Repository<Webhook> webhooks_;
};

BUREAU_END_NAMESPACE
