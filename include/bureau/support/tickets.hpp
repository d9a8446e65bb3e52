#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/support/saved_view.hpp"
#include "bureau/support/ticket_action.hpp"
#include "bureau/support/ticket_link.hpp"

BUREAU_BEGIN_NAMESPACE

struct NewTicket {
  std::string subject = {};  ///< empty: the beginning of the body's first line
  std::string body = {};
  Id<User> customer = {};
  TicketSource source = TicketSource::api;
  Priority priority = Priority::normal;
  std::optional<std::string> external_id = {};
  Json custom = {};  ///< null or an object
};

struct NewMessage {
  Sender sender = Sender::agent;
  MessageKind kind = MessageKind::visible;
  std::string body;
  std::optional<Id<User>> author = {};    ///< none: who acts, if he is a person
  std::optional<double> confidence = {};  ///< of a suggestion, and only of one: 0 to 1
  std::optional<std::string> external_id = {};
};

/// What split() takes out of a ticket.
struct SplitTicket {
  std::vector<Id<Message>> messages;  ///< of one ticket; the first of them is the customer's
  std::string subject = {};           ///< empty: the beginning of that one's first line
};

/// The tickets of a tenant and their conversations, with a session's rights. All changes of a
/// ticket that have a meaning go through here, so that what depends on them (state, times, number
/// of messages, load of people) is kept in the same commit. What follows from a message that a
/// principal may write (a count, a ticket that opens again) needs no right to change the ticket.
///
/// A call on a unit that fails may have done a part: the closure should return the error, so that
/// nothing of it stays.
class Tickets {
 public:
  explicit Tickets(const Scope& scope) : tickets_(scope), messages_(scope), links_(scope) {}

  /// The ticket with its next number, and its first message. `exists` when a message with that
  /// external_id is there.
  Result<Ticket> open(const NewTicket& ticket) const;
  /// Many with a few statements: all or none. Errors as open().
  Result<std::vector<Ticket>> open_all(std::span<const NewTicket> tickets) const;
  Result<Ticket> find(Id<Ticket> id) const;
  Result<std::optional<Ticket>> by_number(std::int64_t number) const;
  Result<std::vector<Ticket>> list(const Query& query) const;
  Result<std::uint64_t> count(const Predicate& where = {}) const;
  /// In order of their sequence, from the one after `after`, at most `limit`. `not_found` for a
  /// ticket that the principal does not see.
  Result<std::vector<Message>> conversation(Id<Ticket> id, std::int64_t after = 0,
                                            std::uint64_t limit = 1000) const;

  /// Adds to the conversation. A public message that is not the customer's is the first response
  /// and opens a new ticket; one of the customer's opens a ticket that waits for him or was
  /// resolved, and a closed one within the reopen window. After it his message opens a new ticket,
  /// linked as related. What is added to a merged ticket goes to the one that it was merged into,
  /// in the end: the message says which. `conflict` on a closed ticket for all but the customer's.
  Result<Message> add_message(Id<Ticket> id, const NewMessage& message) const;
  /// A public message of who acts: the ticket's customer, or somebody who works on it.
  Result<Message> reply(Id<Ticket> id, std::string body) const;
  Result<Message> note(Id<Ticket> id, std::string body) const;
  /// A draft for a person; `confidence` is from 0 to 1.
  Result<Message> suggest(Id<Ticket> id, std::string body, double confidence) const;
  /// The same, decided on at once: accepted when `accept` holds for the message, else left for a
  /// person. `invalid` when `accept` has variables, now() or sub-selects.
  Result<Message> suggest(Id<Ticket> id, std::string body, double confidence,
                          const Predicate& accept) const;
  /// Decides on a suggestion. `conflict` unless it is proposed or left for a person; `invalid` for
  /// a verdict other than accepted, left_for_person or rejected.
  Result<Message> review(Id<Message> suggestion, Review verdict) const;

  /// To a status by its name. `not_found` for no such status, `conflict` for an illegal transition:
  /// also to open a closed ticket after the reopen window, and to merged, where only merge() leads.
  /// Not an error: the ticket has that status already.
  Result<Ticket> move(Id<Ticket> id, std::string_view status) const;
  /// `invalid` when the assignee is not in the team, or not active; `conflict` on a closed or
  /// merged ticket.
  Result<Ticket> assign(Id<Ticket> id, std::optional<Id<Team>> team,
                        std::optional<Id<User>> assignee) const;
  Result<Ticket> prioritize(Id<Ticket> id, Priority priority) const;
  /// Replaces the tags. Repeated ones are kept once. At most 50, each of 1 to 64 code points.
  Result<Ticket> tag(Id<Ticket> id, std::vector<std::string> tags) const;
  /// What triage found; opens a new ticket. An empty category stands for "unsure": none is kept.
  /// `conflict` on a ticket that is not open.
  Result<Ticket> classify(Id<Ticket> id, std::string_view category, double confidence,
                          Priority priority) const;
  /// Gives the ticket to the team whose skills have its category (of several, the one with the
  /// lowest id), and there to the available, active member with the fewest open tickets below his
  /// capacity (of several, the lowest id). No such team: it stays where it is. No such member: it
  /// waits in the team, for anybody. Sets routed_at. `conflict` on a ticket that is not open.
  Result<Ticket> route(Id<Ticket> id) const;

  /// Says that `a` is `type` of `b`: link(parent, LinkType::parent, child). Not an error: the link
  /// is there. `invalid` for a ticket with itself, `conflict` when parents would go in a circle or
  /// one of the two is merged. Needs sight of both.
  Result<TicketLink> link(Id<Ticket> a, LinkType type, Id<Ticket> b) const;
  /// Takes a link away: whoever might have made it may.
  Result<void> unlink(Id<TicketLink> link) const;
  /// Those of a ticket that are in sight, the oldest first, at most 1000.
  Result<std::vector<TicketLink>> links(Id<Ticket> id) const;

  /// Makes an open ticket part of another of the same customer: its messages go to the end of the
  /// other's conversation, its links to the other; the history of both tells it; it becomes merged,
  /// and what is written to it from then on goes to the other. A target that is merged itself
  /// stands for the one it was merged into, in the end. Returns the target. `invalid` into itself
  /// or for another customer, `conflict` in a circle, from a ticket that is not open, into a closed
  /// one, or when links of the two would make parents go in a circle. Needs the right to change
  /// both.
  Result<Ticket> merge(Id<Ticket> source, Id<Ticket> target) const;
  /// Makes a new ticket of some messages of another, for the same customer, team and person, linked
  /// as related; the messages that stay close ranks. `not_found` for a message that is not the
  /// ticket's, `invalid` for none, for all, or when the first is not a public one of the
  /// customer's, `conflict` on a closed or merged ticket.
  Result<Ticket> split(Id<Ticket> source, const SplitTicket& split) const;

  /// Does the actions, in order, to many tickets with who acts' rights. Tickets that are named
  /// twice are changed once. `exhausted` for more than bulk_max, `invalid` or `not_found` (field
  /// "actions") for an action that is wrong in itself; else as the mode says.
  Result<BulkReport> change_all(std::span<const Id<Ticket>> ids, std::vector<TicketAction> actions,
                                BulkMode mode = BulkMode::all_or_none) const;
  /// The same to those in sight for which the predicate holds when the call begins.
  Result<BulkReport> change_where(const Predicate& where, std::vector<TicketAction> actions,
                                  BulkMode mode = BulkMode::all_or_none) const;
  /// The tickets that a saved view shows to who asks, a page at a time.
  Result<Page<Ticket>> view(Id<SavedView> view, std::uint64_t limit = 100,
                            std::string cursor = {}) const;

  [[nodiscard]] const Repository<Ticket>& repository() const { return tickets_; }
  [[nodiscard]] const Repository<Message>& messages() const { return messages_; }

 private:
  Repository<Ticket> tickets_;
  Repository<Message> messages_;
  Repository<TicketLink> links_;
};

namespace support {

/// The statuses that a new office starts with, one for each state, named like it. Not an error:
/// they are there already.
Result<void> create_default_statuses(const Session& session);
/// One more status. `exists` when the name is taken, or when the state has its initial status.
Result<TicketStatus> add_status(const Session& session, std::string_view name, TicketState state,
                                bool initial = false);

/// How long after it was closed a ticket may be opened again: 14 days unless the office says
/// otherwise, in its tenant's settings ("reopen_window_s", in seconds).
Result<Duration> reopen_window(const Session& session);
/// `invalid` when it is negative. Zero: never.
Result<void> set_reopen_window(const Session& session, Duration window);

/// Makes the workloads of the session's tenant what its tickets say: after rows were put there by
/// other ways than Tickets. Needs the system's session. Returns how many rows were wrong.
Result<std::uint64_t> recount_workloads(const Session& system);

/// The tables of support/, for a catalog.
Result<void> add_tables(Catalog& catalog);
/// Who may see what: customers their own tickets and the public messages in them; agents the
/// tickets of their teams, those assigned to them and those of no team; managers and admins all.
/// Users and viewers see none of them; a host that wants otherwise adds policies.
Result<void> add_policies(Policies& policies);

}  // namespace support

BUREAU_END_NAMESPACE
