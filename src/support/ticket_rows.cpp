// The rows that are kept beside tickets: statuses, numbers, loads.

#include <fmt/format.h>

#include <array>
#include <map>

#include "access/library_rows.hpp"
#include "store/row_values.hpp"
#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

template <Entity T>
Result<std::optional<T>> first_of(Reader& reader, const Select& which) {
  std::optional<T> row;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> values) -> Result<bool> {
    from_values(values, row.emplace());
    return false;
  }));
  return row;
}

Id<Tenant> tenant_of(Unit& unit) { return unit.session().principal().tenant; }

}  // namespace

Result<TicketStatus> status_named(Reader& reader, Id<Tenant> tenant, std::string_view name) {
  BUREAU_TRY(auto row, first_of<TicketStatus>(
                           reader, select<TicketStatus>()
                                       .where(col(&TicketStatus::tenant) == tenant &&
                                              col(&TicketStatus::name) == std::string(name))
                                       .limit(1)));
  if (row) return std::move(*row);
  return fail(Code::not_found, fmt::format("status: there is no \"{}\"", shortened(name)),
              "status");
}

Result<TicketStatus> initial_status(Reader& reader, Id<Tenant> tenant, TicketState state) {
  BUREAU_TRY(auto row,
             first_of<TicketStatus>(reader, select<TicketStatus>()
                                                .where(col(&TicketStatus::tenant) == tenant &&
                                                       col(&TicketStatus::state) == state &&
                                                       col(&TicketStatus::initial) == true)
                                                .limit(1)));
  if (row) return std::move(*row);
  return fail(Code::not_found,
              fmt::format("status: the state \"{}\" has no initial status; "
                          "support::create_default_statuses() makes one",
                          name_of(state)),
              "status");
}

Result<std::int64_t> draw_numbers(Unit& unit, std::int64_t count) {
  const TableInfo& table = table_of<TicketCounter>();
  const Id<TicketCounter> key(tenant_of(unit).value);
  static const ColumnInfo* const last_number = table.find("last_number");
  Update draw{select<TicketCounter>().where(col(&TicketCounter::id) == key),
              {{last_number, Value::integer(count), true}}};
  std::int64_t last = count;
  BUREAU_TRY(auto drawn,
             unit.transaction().update(draw, [&](std::span<const Value> row) -> Result<bool> {
               last = row[last_number->index].as_integer();
               return true;
             }));
  if (drawn == 0) {
    const TicketCounter counter{key, tenant_of(unit), count};
    BUREAU_TRY_VOID(unit.transaction().insert(table, RowValues(counter).values()));
  }
  return last - count + 1;
}

namespace {

/// Loads are derived from journalled rows, and so not journalled themselves.
Result<void> add_load(Unit& unit, Id<User> user, std::int64_t change) {
  const TableInfo& table = table_of<Workload>();
  static const ColumnInfo* const open_tickets = table.find("open_tickets");
  const Id<Workload> key(user.value);
  Update update{select<Workload>().where(col(&Workload::id) == key),
                {{open_tickets, Value::integer(change), true}}};
  Writer& writer = unit.transaction().unjournalled();
  BUREAU_TRY(auto changed, writer.update(update));
  if (changed > 0) return {};
  return writer.insert(table, RowValues(Workload{key, tenant_of(unit), change}).values());
}

std::optional<Id<User>> bearer(const Ticket* ticket) {
  if (ticket == nullptr || !is_open(ticket->state)) return {};
  return ticket->assignee;
}

}  // namespace

Result<void> follow_workload(Unit& unit, const Ticket* before, const Ticket& after) {
  const auto from = bearer(before), to = bearer(&after);
  if (from == to) return {};
  if (from) BUREAU_TRY_VOID(add_load(unit, *from, -1));
  if (to) BUREAU_TRY_VOID(add_load(unit, *to, 1));
  return {};
}

Result<std::int64_t> open_tickets_of(Reader& reader, Id<User> user) {
  std::int64_t load = 0;
  BUREAU_TRY_VOID(reader.find(table_of<Workload>(), user.value,
                              [&](std::span<const Value> row) -> Result<bool> {
                                Workload workload;
                                from_values(row, workload);
                                load = workload.open_tickets;
                                return true;
                              }));
  return load;
}

Result<void> check_assignee(Reader& reader, const Ticket& ticket) {
  BUREAU_TRY(const bool active, detail::is_active_user(reader, ticket.tenant, *ticket.assignee));
  const std::string name = id::to_text(schema<User>.prefix, ticket.assignee->value);
  if (!active) {
    return fail(Code::invalid, fmt::format("assignee: {} is no active user", name), "assignee");
  }
  if (!ticket.team) return {};
  bool member = false;
  BUREAU_TRY_VOID(reader.scan(select<Membership>()
                                  .where(col(&Membership::team) == *ticket.team &&
                                         col(&Membership::user) == *ticket.assignee)
                                  .limit(1),
                              [&](std::span<const Value>) -> Result<bool> {
                                member = true;
                                return false;
                              }));
  if (member) return {};
  return fail(Code::invalid, fmt::format("assignee: {} is not in the ticket's team", name),
              "assignee");
}

Result<Ticket> save(Unit& unit, const Ticket& before, const Ticket& after) {
  // What follows from what he asked for.
  static constexpr std::array<std::string_view, 9> worked_out = {
      "state",     "triaged_at",  "routed_at",    "first_response_at", "resolved_at",
      "closed_at", "merged_into", "reopen_count", "message_count"};
  BUREAU_TRY(Ticket written, update_working_out(Scope(unit), after, worked_out));
  BUREAU_TRY_VOID(follow_workload(unit, &before, written));
  return written;
}

Result<Ticket> save_consequence(Unit& unit, const Ticket& before, Ticket after) {
  BUREAU_TRY(after, replace_consequence(unit, before, std::move(after)));
  BUREAU_TRY_VOID(follow_workload(unit, &before, after));
  return after;
}

}  // namespace detail

namespace support {

Result<void> create_default_statuses(const Session& session) {
  return session.write([](Unit& unit) -> Result<void> {
    const Repository<TicketStatus> statuses{Scope(unit)};
    BUREAU_TRY(auto present, statuses.list({.limit = 1}));
    if (!present.empty()) return {};
    std::vector<TicketStatus> rows;
    for (std::size_t i = 0; i < names<TicketState>.size(); ++i) {
      TicketStatus status;
      status.name = names<TicketState>[i];
      status.state = static_cast<TicketState>(i);
      status.initial = true;
      rows.push_back(std::move(status));
    }
    BUREAU_TRY_VOID(statuses.insert_all(std::move(rows)));
    return {};
  });
}

Result<TicketStatus> add_status(const Session& session, std::string_view name, TicketState state,
                                bool initial) {
  constexpr std::size_t max_name = 64;
  BUREAU_TRY_VOID(detail::check_body("name", name, max_name));
  return session.write([&](Unit& unit) -> Result<TicketStatus> {
    const Repository<TicketStatus> statuses{Scope(unit)};
    if (initial) {
      BUREAU_TRY(auto taken, statuses.first(col(&TicketStatus::state) == state &&
                                            col(&TicketStatus::initial) == true));
      if (taken) {
        return fail(Code::exists,
                    fmt::format("initial: the state \"{}\" has its initial status, \"{}\"",
                                detail::name_of(state), taken->name),
                    "initial");
      }
    }
    TicketStatus status;
    status.name = name;
    status.state = state;
    status.initial = initial;
    return statuses.insert(std::move(status));
  });
}

Result<std::uint64_t> recount_workloads(const Session& system) {
  if (!system.principal().system) {
    return fail(Code::forbidden, "workloads: only the system counts them anew");
  }
  return system.write([&](Unit& unit) -> Result<std::uint64_t> {
    Reader& reader = unit.transaction().reader();
    const Id<Tenant> tenant = unit.session().principal().tenant;
    std::map<std::int64_t, std::int64_t> counted, stored;
    Aggregate open;
    open.table = &table_of<Ticket>();
    open.where = col(&Ticket::tenant) == tenant &&
                 col(&Ticket::state) <= TicketState::waiting_on_customer &&
                 col(&Ticket::assignee).is_not_null();
    open.group_by = {open.table->find("assignee")};
    open.measures = {{Aggregate::Function::count, nullptr}};
    BUREAU_TRY_VOID(reader.aggregate(open, [&](std::span<const Value> row) -> Result<bool> {
      counted[row[0].as_integer()] = row[1].as_integer();
      return true;
    }));
    BUREAU_TRY_VOID(reader.scan(select<Workload>().where(col(&Workload::tenant) == tenant),
                                [&](std::span<const Value> row) -> Result<bool> {
                                  Workload w;
                                  from_values(row, w);
                                  stored[w.id.value] = w.open_tickets;
                                  return true;
                                }));
    std::uint64_t wrong = 0;
    for (const auto& [user, load] : stored) {
      if (!counted.contains(user)) counted[user] = 0;
    }
    for (const auto& [user, load] : counted) {
      const auto found = stored.find(user);
      const std::int64_t difference = load - (found == stored.end() ? 0 : found->second);
      if (difference == 0) continue;
      BUREAU_TRY_VOID(detail::add_load(unit, Id<User>(user), difference));
      ++wrong;
    }
    return wrong;
  });
}

}  // namespace support
BUREAU_END_NAMESPACE
