#pragma once

#include <optional>
#include <span>
#include <string>

#include "bureau/access/repository.hpp"
#include "bureau/notify/notification.hpp"

BUREAU_BEGIN_NAMESPACE

struct InboxQuery {
  bool unread = false;    ///< only what was not read
  bool archived = false;  ///< what was archived, instead of what was not
  bool snoozed = false;   ///< what is out of sight, instead of what is not
  std::uint64_t limit = 50;
  std::string cursor = {};
};

/// The inbox of one user. He sees and changes his own, whatever his role permits otherwise; so does
/// the system. An item of another's inbox is `not_found`.
///
/// A snoozed item comes back by itself, as it was.
class Inbox {
 public:
  /// That of the session's own user; every call is `forbidden` for the system and agents, which
  /// have none.
  explicit Inbox(Scope scope) : items_(scope) {}
  /// Of that user: for the system. `forbidden` for anybody but himself.
  Inbox(Scope scope, Id<User> user) : items_(scope), user_(user) {}

  /// The newest first. `invalid` for a query that asks for what is both archived and snoozed.
  Result<Page<InboxItem>> list(const InboxQuery& query = {}) const;
  Result<InboxItem> find(Id<InboxItem> id) const;
  /// How many are in sight and not read, and how many of these he has not seen.
  struct Count {
    std::uint64_t unread = 0, unseen = 0;
  };
  Result<Count> count() const;

  // Of one item. Not an error: it is so already.
  Result<InboxItem> mark_seen(Id<InboxItem> id) const;
  Result<InboxItem> mark_read(Id<InboxItem> id) const;
  /// Seen, but not read. `conflict` for an archived one.
  Result<InboxItem> mark_unread(Id<InboxItem> id) const;
  Result<InboxItem> archive(Id<InboxItem> id) const;
  /// As it was before it was archived.
  Result<InboxItem> unarchive(Id<InboxItem> id) const;
  /// Out of sight until then; none: back into sight. `invalid` unless it is in the future,
  /// `conflict` for an archived one.
  Result<InboxItem> snooze(Id<InboxItem> id, std::optional<Timestamp> until) const;

  /// All that is in sight, in one commit: to seen, read or archived (`invalid` for unseen). Returns
  /// how many changed.
  Result<std::uint64_t> mark_all(InboxState state) const;

 private:
  [[nodiscard]] Result<Id<User>> owner() const;
  Repository<InboxItem> items_;
  std::optional<Id<User>> user_;
};

BUREAU_END_NAMESPACE
