#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/support/ticket.hpp"

BUREAU_BEGIN_NAMESPACE

struct NewTicket {
  std::string subject;  ///< empty: the beginning of the body's first line
  std::string body;
  Id<User> customer;
  TicketSource source = TicketSource::api;
  Priority priority = Priority::normal;
  std::optional<std::string> external_id = {};
  Json custom = {};
};

/// The tickets of a tenant and their conversations, with a session's rights. All changes of a
/// ticket that have a meaning go through here, so that what depends on them (state, times, number
/// of messages, load of people) is kept in the same commit.
class Tickets {
 public:
  explicit Tickets(Scope scope) : tickets_(scope), messages_(scope) {}

  /// The ticket with its next number, and its first message. `exists` when a message with that
  /// external_id is there.
  Result<Ticket> open(const NewTicket& ticket) const;
  Result<Ticket> find(Id<Ticket> id) const { return tickets_.find(id); }
  Result<std::optional<Ticket>> by_number(std::int64_t number) const;
  Result<std::vector<Ticket>> list(const Query& query) const { return tickets_.list(query); }
  Result<std::uint64_t> count(const Predicate& where = {}) const { return tickets_.count(where); }
  /// In order of their sequence.
  Result<std::vector<Message>> conversation(Id<Ticket> id) const;

  /// Adds to the conversation. A public message that is not the customer's is the first response;
  /// one of the customer's opens a ticket that waits for him or was resolved. `conflict` on a
  /// closed or merged ticket.
  struct NewMessage {
    Sender sender = Sender::agent;
    MessageKind kind = MessageKind::visible;
    std::string body;
    std::optional<Id<User>> author = {};
    std::optional<double> confidence = {};
    std::optional<std::string> external_id = {};
  };
  Result<Message> add_message(Id<Ticket> id, const NewMessage& message) const;
  Result<Message> reply(Id<Ticket> id, std::string body) const;
  Result<Message> note(Id<Ticket> id, std::string body) const;
  /// A draft for a person; `confidence` is from 0 to 1.
  Result<Message> suggest(Id<Ticket> id, std::string body, double confidence) const;
  /// Decides on a suggestion. `conflict` unless it is proposed or left for a person.
  Result<Message> review(Id<Message> suggestion, Review verdict) const;

  /// To a status by its name. `not_found` for no such status, `conflict` for an illegal transition.
  Result<Ticket> move(Id<Ticket> id, std::string_view status) const;
  Result<Ticket> assign(Id<Ticket> id, std::optional<Id<Team>> team,
                        std::optional<Id<User>> assignee) const;
  Result<Ticket> prioritize(Id<Ticket> id, Priority priority) const;
  Result<Ticket> tag(Id<Ticket> id, std::vector<std::string> tags) const;
  /// What triage found; opens a new ticket.
  Result<Ticket> classify(Id<Ticket> id, std::string_view category, double confidence,
                          Priority priority) const;
  /// Gives the ticket to the team whose skills have its category (of several, the one with the
  /// lowest id), and there to the available member with the fewest open tickets within his capacity
  /// (of several, the lowest id). No such team or member: it stays where it is. Sets routed_at.
  Result<Ticket> route(Id<Ticket> id) const;

  [[nodiscard]] const Repository<Ticket>& repository() const { return tickets_; }

 private:
  Repository<Ticket> tickets_;
  Repository<Message> messages_;
};

namespace support {

/// The statuses that a new office starts with, one for each state, named like it. Not an error:
/// they are there already.
Result<void> create_default_statuses(const Session& session);

/// The tables of support/, for a catalog.
Result<void> add_tables(Catalog& catalog);
/// Who may see what: customers their own tickets and the public messages in them; agents the
/// tickets of their teams, those assigned to them and those of no team; managers and admins all.
Result<void> add_policies(Policies& policies);

}  // namespace support

BUREAU_END_NAMESPACE
