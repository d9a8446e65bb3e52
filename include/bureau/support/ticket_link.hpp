#pragma once

#include "bureau/support/ticket.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a ticket is to another: "a is the parent of b", "a is a duplicate of b", "a causes b".
enum class LinkType { parent, child, related, duplicate, causes };
template <>
inline constexpr auto names<LinkType> = enum_names("parent", "child", "related", "duplicate",
                                                   "causes");

/// One link, kept in one form only: what is said to be a child is stored as its parent's link, and
/// of two related tickets `a` is the one with the lower id. A link is in sight of whoever sees both
/// of its tickets.
struct TicketLink {
  Id<TicketLink> id;
  Id<Tenant> tenant;
  Id<Ticket> a;
  LinkType type = LinkType::related;
  Id<Ticket> b;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto schema<TicketLink> =
    table("ticket_links", "tkl", journal::full, column("id", &TicketLink::id),
          column("tenant", &TicketLink::tenant), column("a", &TicketLink::a, immutable),
          column("type", &TicketLink::type, immutable), column("b", &TicketLink::b, immutable),
          column("version", &TicketLink::version), column("created_at", &TicketLink::created_at),
          column("updated_at", &TicketLink::updated_at), unique_index("pair", "a", "b", "type"),
          index("b", "b"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::TicketLink);
