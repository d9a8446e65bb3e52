// Links between tickets.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "store/row_values.hpp"
#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::name_of;

namespace {

/// The one form that a link is kept in.
TicketLink normal(Id<Ticket> a, LinkType type, Id<Ticket> b) {
  TicketLink link;
  const bool turned = type == LinkType::child || (type == LinkType::related && b.value < a.value);
  link.a = turned ? b : a;
  link.b = turned ? a : b;
  link.type = type == LinkType::child ? LinkType::parent : type;
  return link;
}

std::string name_of(Id<Ticket> ticket) { return id::to_text(schema<Ticket>.prefix, ticket.value); }

Result<std::vector<TicketLink>> links_where(Reader& reader, const Predicate& where) {
  std::vector<TicketLink> links;
  BUREAU_TRY_VOID(reader.scan(select<TicketLink>().where(where).order_by(col(&TicketLink::id)),
                              [&](std::span<const Value> row) -> Result<bool> {
                                from_values(row, links.emplace_back());
                                return true;
                              }));
  return links;
}

Predicate touches(Id<Ticket> ticket) {
  return col(&TicketLink::a) == ticket || col(&TicketLink::b) == ticket;
}

Predicate same(const TicketLink& link) {
  return col(&TicketLink::a) == link.a && col(&TicketLink::b) == link.b &&
         col(&TicketLink::type) == link.type;
}

/// Whether `below` is a descendant of `above`, whoever may see the links between.
Result<bool> descends(Reader& reader, Id<Ticket> below, Id<Ticket> above) {
  std::set<std::int64_t> seen = {above.value};
  std::vector<Id<Ticket>> open = {above};
  while (!open.empty()) {
    const Id<Ticket> at = open.back();
    open.pop_back();
    BUREAU_TRY(const auto children,
               links_where(reader, col(&TicketLink::a) == at &&
                                       col(&TicketLink::type) == LinkType::parent));
    for (const TicketLink& link : children) {
      if (link.b == below) return true;
      if (seen.insert(link.b.value).second) open.push_back(link.b);
    }
  }
  return false;
}

Result<void> refuse_circle(Reader& reader, const TicketLink& link) {
  if (link.type != LinkType::parent) return {};
  BUREAU_TRY(const bool circle, descends(reader, link.a, link.b));
  if (!circle) return {};
  return fail(Code::conflict,
              fmt::format("link: {} cannot become the parent of {}, below which it is already; "
                          "parents go in no circle",
                          name_of(link.a), name_of(link.b)),
              "link");
}

Result<void> refuse_merged(const Ticket& ticket) {
  if (ticket.state != TicketState::merged) return {};
  return fail(Code::conflict,
              fmt::format("status: ticket {} is merged; link the one that it was merged into",
                          ticket.number),
              "status");
}

}  // namespace

Result<TicketLink> Tickets::link(Id<Ticket> a, LinkType type, Id<Ticket> b) const {
  if (a == b) {
    return fail(Code::invalid,
                fmt::format("link: {} with itself; a link is between two tickets", name_of(a)),
                "link");
  }
  return links_.rows().scope().write([&](Unit& unit) -> Result<TicketLink> {
    for (const Id<Ticket> end : {a, b}) {
      BUREAU_TRY(const Ticket ticket, detail::stored_row(unit, end));
      BUREAU_TRY_VOID(refuse_merged(ticket));
    }
    const Repository<TicketLink> links{Scope(unit)};
    const TicketLink made = normal(a, type, b);
    BUREAU_TRY(auto present, links.first(same(made)));
    if (present) return std::move(*present);
    BUREAU_TRY_VOID(refuse_circle(unit.transaction().reader(), made));
    return links.insert(made);
  });
}

Result<void> Tickets::unlink(Id<TicketLink> link) const {
  return links_.rows().scope().write([&](Unit& unit) {
    return detail::remove_own_row(unit, table_of<TicketLink>(), link.value,
                                  detail::RuleKind::insert);
  });
}

Result<std::vector<TicketLink>> Tickets::links(Id<Ticket> id) const {
  BUREAU_TRY_VOID(tickets_.find(id));
  Query query;
  query.where = touches(id);
  query.order = {{&col(&TicketLink::id).info(), false}};
  query.limit = 1000;
  return links_.list(query);
}

namespace detail {

Result<void> write_link(Unit& unit, Id<Ticket> a, LinkType type, Id<Ticket> b) {
  TicketLink link = normal(a, type, b);
  BUREAU_TRY(const auto present, links_where(unit.transaction().reader(), same(link)));
  if (!present.empty()) return {};
  BUREAU_TRY(link.id.value, unit.transaction().next_id());
  link.tenant = unit.session().principal().tenant;
  link.version = 1;
  link.created_at = link.updated_at = unit.now();
  return unit.transaction().insert(table_of<TicketLink>(), RowValues(link).values());
}

Result<void> move_links(Unit& unit, Id<Ticket> from, Id<Ticket> to) {
  Reader& reader = unit.transaction().reader();
  BUREAU_TRY(const auto links, links_where(reader, touches(from)));
  // All go first: what is left of them must not stand in the way of what they become.
  BUREAU_TRY_VOID(unit.transaction().remove(select<TicketLink>().where(touches(from))));
  for (const TicketLink& link : links) {
    const Id<Ticket> a = link.a == from ? to : link.a, b = link.b == from ? to : link.b;
    if (a == b) continue;
    TicketLink moved = normal(a, link.type, b);
    BUREAU_TRY(const auto present, links_where(reader, same(moved)));
    if (!present.empty()) continue;
    BUREAU_TRY_VOID(refuse_circle(reader, moved));
    moved.id = link.id;
    moved.tenant = link.tenant;
    moved.version = link.version + 1;
    moved.created_at = link.created_at;
    moved.updated_at = std::max(unit.now(), link.created_at);
    BUREAU_TRY_VOID(unit.transaction().insert(table_of<TicketLink>(), RowValues(moved).values()));
  }
  return {};
}

Result<void> remove_own_row(Unit& unit, const TableInfo& table, std::int64_t id, RuleKind rule) {
  BUREAU_TRY_VOID(Rows(Scope(unit), table).find(id, [](std::span<const Value>) {}));
  BUREAU_TRY(const Rights* rights, SessionDoor::rights(unit));
  BUREAU_TRY(const BoundRule* needed, rights->rule(table, rule));
  RowCopy row;
  Reader& reader = unit.transaction().reader();
  BUREAU_TRY_VOID(reader.find(table, id, [&](std::span<const Value> values) -> Result<bool> {
    row.assign(values);
    return true;
  }));
  BUREAU_TRY(const bool allowed, satisfies(*needed, reader, row.values()));
  if (!allowed) {
    return fail(Code::forbidden,
                fmt::format("{}: delete is not allowed of such a row", table.name));
  }
  Select which;
  which.table = &table;
  which.where =
      compare_column(table.columns[0], Predicate::Op::equal, {OwnedValue(Value::integer(id))});
  BUREAU_TRY_VOID(unit.transaction().remove(which));
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
