#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "bureau/notify/notification.hpp"

BUREAU_BEGIN_NAMESPACE

/// One message, as a channel gets it. A plain value.
struct Delivery {
  std::string
      key;  ///< the idempotency key: the same for every attempt at this message, unlike others
  std::int64_t attempt = 1;
  Id<Tenant> tenant;
  Id<Notification> notification;
  std::string event;
  std::optional<Id<User>> user;        ///< the recipient,
  std::string name, email;             ///< and what his account says of him
  std::optional<Id<Webhook>> webhook;  ///< or the webhook
  std::string title, body;
  Json data;
  Timestamp created_at;
  /// True once somebody wants deliver() to return. May be empty; from any thread.
  std::function<bool()> stop_requested = {};
};

/// What a channel says of a message.
enum class ReceiptStatus {
  none,  ///< nothing: not an answer
  sent,
  delivered,
  read,
  bounced,
  failed,
};
template <>
inline constexpr auto names<ReceiptStatus> = enum_names("none", "sent", "delivered", "read",
                                                        "bounced", "failed");

/// The answer to one delivery.
struct Receipt {
  ReceiptStatus status = ReceiptStatus::none;
  std::string external_id = {};  ///< by which later news will name the message; empty: none comes
  std::string reason = {};       ///< of a failure
};

/// Carries one message over one channel. A host implements it for its own channels and gives it to
/// a DeliveryAgent. deliver() is called from several threads at a time, outside any transaction; it
/// may block as long as its time limit (DeliveryOptions), and must look at `stop_requested`.
///
/// What its error says about the message decides what happens next:
///   invalid, not_found, forbidden, gone    refused: it was not sent and will not be
///   unknown_outcome, internal              it may have been sent; so does what throws, answers
///                                          nothing or hangs
///   any other                              it was not sent; later it may go
/// Where the channel takes a key the message is then sent again with the same key; where it does
/// not, one that may have been sent is in doubt, for a person to settle.
class Notifier {
 public:
  virtual ~Notifier() = default;
  /// The channel that it carries, as preferences and callers name it: [a-z][a-z0-9_]*, at most 64
  /// bytes, not "in_app".
  [[nodiscard]] virtual std::string_view channel() const = 0;
  /// Who it is, such as "acme-sms/2": stored, and compared when a program starts.
  [[nodiscard]] virtual std::string_view identity() const = 0;
  /// Whether the same key twice is one message to the recipient. Belongs to the identity.
  [[nodiscard]] virtual bool takes_key() const = 0;
  [[nodiscard]] virtual Result<Receipt> deliver(const Delivery& delivery) = 0;
};

/// Forwards everything; derive from it to watch or disturb a notifier.
class NotifierWrapper : public Notifier {
 public:
  explicit NotifierWrapper(std::shared_ptr<Notifier> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] std::string_view channel() const override { return inner_->channel(); }
  [[nodiscard]] std::string_view identity() const override { return inner_->identity(); }
  [[nodiscard]] bool takes_key() const override { return inner_->takes_key(); }
  [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override {
    return inner_->deliver(delivery);
  }

 private:
  std::shared_ptr<Notifier> inner_;
};

/// Writes each message as one line: time, recipient, event, title, body. For terminals, logs and
/// development. What is in the texts cannot steer a terminal: control characters become spaces.
class ConsoleNotifier final : public Notifier {
 public:
  /// One line without its end. Called by one thread at a time.
  using Line = std::function<Result<void>(std::string_view)>;
  explicit ConsoleNotifier(Line line) : line_(std::move(line)) {}
  /// The stream outlives it. `unavailable` when it cannot be written to.
  explicit ConsoleNotifier(std::ostream& stream);

  [[nodiscard]] std::string_view channel() const override { return "console"; }
  [[nodiscard]] std::string_view identity() const override { return "bureau-console/1"; }
  [[nodiscard]] bool takes_key() const override { return false; }
  [[nodiscard]] Result<Receipt> deliver(const Delivery& delivery) override;

 private:
  std::mutex mutex_;
  Line line_;
};

BUREAU_END_NAMESPACE
