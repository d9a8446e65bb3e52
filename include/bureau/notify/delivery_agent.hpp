#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bureau/access/access.hpp"
#include "bureau/notify/notifier.hpp"
#include "bureau/work/agent.hpp"

BUREAU_BEGIN_NAMESPACE

struct DeliveryPayload {
  Id<NotificationDelivery> delivery;
  std::string channel;
};
template <>
inline constexpr auto record<DeliveryPayload> =
    fields(column("delivery", &DeliveryPayload::delivery),
           column("channel", &DeliveryPayload::channel, max_length(64)));
struct DeliveryResult {
  DeliveryStatus status = DeliveryStatus::queued;
};
template <>
inline constexpr auto record<DeliveryResult> = fields(column("status", &DeliveryResult::status));

/// A channel that takes no key: nothing is ever sent twice, so nothing is tried twice either.
inline constexpr auto deliver_once = task_kind<DeliveryPayload, DeliveryResult>(
    "deliver_once", Effect::external_unsafe, retry::never, "notify", std::chrono::minutes(1));
/// A channel that takes one: tried with the same key for about an hour and a half.
inline constexpr auto deliver_keyed = task_kind<DeliveryPayload, DeliveryResult>(
    "deliver_keyed", Effect::external_idempotent,
    retry::exponential(10, std::chrono::seconds(10), std::chrono::minutes(30)), "notify",
    std::chrono::minutes(1));

struct DeliveryOptions {
  /// A notifier of another identity than the channel had takes its place. Off: it is refused, since
  /// messages may be waiting for the other.
  bool replace = false;
  /// How often it looks, in a tenant for which it works, for what became of tasks elsewhere.
  Duration settle_every = std::chrono::minutes(1);
};

/// Hands messages to notifiers: the only agent of notify/. Tasks of a channel that none of its
/// notifiers carries are left to other programs.
///
///   engine->add(std::make_shared<DeliveryAgent>(engine->access(), notifiers));
class DeliveryAgent final : public Agent {
 public:
  /// `access` outlives it.
  DeliveryAgent(Access& access, std::vector<std::shared_ptr<Notifier>> notifiers,
                DeliveryOptions options = {});

  [[nodiscard]] std::string_view name() const override { return "delivery"; }
  [[nodiscard]] std::vector<KindInfo> capabilities() const override;
  /// Announces the channels. `invalid` for a bad name or two notifiers of one channel, `conflict`
  /// for a notifier that is not the one the channel has.
  Result<void> on_initialize() override;
  [[nodiscard]] bool can_process(const Task& task) const override;
  [[nodiscard]] Result<void> validate(const Task& task) const override;
  Result<Json> execute(Run& run, const Task& task) override;

 private:
  struct Message;
  Result<Message> load(Run& run, Id<NotificationDelivery> delivery) const;
  Result<Json> skip(Run& run, const Message& message);
  Result<Json> conclude(Run& run, const Message& message, const Receipt& receipt);
  Error note_failure(const Run& run, const Message& message, const Error& error);
  void settle(Id<Tenant> tenant);

  Access& access_;
  std::vector<std::shared_ptr<Notifier>> notifiers_;
  DeliveryOptions options_;
  std::mutex settled_mutex_;
  std::map<Id<Tenant>, Monotonic> settled_;
};

BUREAU_END_NAMESPACE
