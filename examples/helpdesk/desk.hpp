#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "setup.hpp"

namespace helpdesk {

struct DeskOptions {
  std::string path;               ///< the office's file, or the URL of a PostgreSQL database
  std::string schema = "bureau";  ///< there
  unsigned threads = 32;  // handlers wait for commits, and those who wait together share one
  bureau::LogSink log;
};

/// Whether the office is on a server.
[[nodiscard]] bool is_url(std::string_view office);

/// What was learnt, and from what.
struct Learnt {
  std::shared_ptr<const bureau::TextClassifier> classifier;
  double training_seconds = 0;  ///< 0 when the office had it already
};

struct Progress {
  std::uint64_t triaged = 0, routed = 0, drafted = 0;
};

/// What a subscriber to the office's tickets has seen happen.
struct Seen {
  Progress counts;
  std::string newest;  ///< the ticket that was routed last, and where to
};

/// The office at work: opened, given messages, let run. Its calls come from one thread.
class Desk {
 public:
  static bureau::Result<std::unique_ptr<Desk>> open(const DeskOptions& options);

  /// The office's own classifier when it was trained from the same examples, else trains and stores
  /// one.
  bureau::Result<Learnt> learn(const std::vector<Example>& examples, unsigned threads);
  /// Makes what is missing, and registers the agents. `on_routed` is told of each ticket when the
  /// commit that routed it has returned; it may be empty.
  bureau::Result<void> set_up(const Setup& setup,
                              std::shared_ptr<const bureau::TextClassifier> classifier,
                              std::function<void(bureau::Id<bureau::Ticket>)> on_routed = {});

  /// Makes a ticket of each message that has none yet: ticket, message and its triage task in one
  /// commit, `batch` of them at a time. `imported` is told of those that are safe.
  struct Imported {
    std::uint64_t made = 0, known = 0;
  };
  bureau::Result<Imported> import(
      const std::vector<InboxMessage>& messages, std::size_t batch,
      const std::function<void(std::span<const InboxMessage* const>)>& imported);
  /// Opens tickets for messages that are new for certain, in one commit.
  bureau::Result<std::vector<bureau::Ticket>> open_tickets(
      std::span<const InboxMessage* const> messages);

  /// Starts the agents; work_off() returns when no task is left to run.
  bureau::Result<void> start();
  bureau::Result<void> work_off(const std::function<void(const Progress&)>& watch);
  bureau::Result<void> stop();

  /// What the agents have done since start().
  [[nodiscard]] Progress progress() const;
  /// Begins to listen to the feed; seen() says what it told.
  bureau::Result<void> listen();
  [[nodiscard]] Seen seen() const;
  [[nodiscard]] bureau::Engine& engine() { return *engine_; }
  [[nodiscard]] bureau::Session session() { return engine_->system(tenant_); }
  /// Of the office's file; nothing on a server.
  [[nodiscard]] std::optional<std::uint64_t> file_bytes() const;

 private:
  Desk() = default;
  bureau::Result<void> know_customers();
  bureau::Result<std::vector<bureau::Ticket>> open_in(
      bureau::Unit& unit, std::span<const InboxMessage* const> messages,
      std::map<std::string, bureau::Id<bureau::User>>& newcomers);

  std::string path_;  ///< empty on a server
  std::unique_ptr<bureau::Engine> engine_;
  bureau::Id<bureau::Tenant> tenant_;
  std::map<std::string, bureau::Id<bureau::User>> customers_;  ///< by folded address
  mutable std::mutex seen_mutex_;
  Seen seen_;
  std::map<std::int64_t, std::string> team_names_;
  bureau::FeedSubscription subscription_;
};

inline constexpr const char* office_name = "Larkfield";
inline constexpr const char* model_name = "triage";

}  // namespace helpdesk
