// How long a closed ticket may be opened again.

#include <fmt/format.h>

#include <algorithm>

#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::string_view setting = "reopen_window_s";
constexpr Duration usual_window = std::chrono::hours(24 * 14);
constexpr Duration longest_window = std::chrono::hours(24 * 365 * 100);  // as good as for ever

Result<Duration> window_of(Reader& reader, Id<Tenant> tenant) {
  Duration window = usual_window;
  BUREAU_TRY_VOID(reader.find(
      table_of<Tenant>(), tenant.value, [&](std::span<const Value> row) -> Result<bool> {
        Tenant office;
        from_values(row, office);
        const Json* stored = office.settings.find(setting);
        const std::int64_t* seconds = stored == nullptr ? nullptr : stored->as_int();
        if (seconds == nullptr) return true;
        const auto longest = longest_window.count() / 1'000'000;
        window = std::chrono::seconds(std::clamp<std::int64_t>(*seconds, 0, longest));
        return true;
      }));
  return window;
}

}  // namespace

namespace detail {

Result<bool> may_reopen(Unit& unit, const Ticket& closed) {
  BUREAU_TRY(const Duration window, window_of(unit.transaction().reader(), closed.tenant));
  if (window.count() <= 0 || !closed.closed_at) return false;
  return unit.now() - *closed.closed_at <= window;
}

Result<void> may_move(Unit& unit, const Ticket& ticket, const TicketStatus& to) {
  if (to.state == TicketState::merged && ticket.state != TicketState::merged) {
    return fail(Code::conflict,
                fmt::format("status: ticket {} cannot be moved to \"{}\"; only merging leads there",
                            ticket.number, to.name),
                "status");
  }
  if (ticket.state != TicketState::closed || !is_open(to.state)) return {};
  BUREAU_TRY(const bool opens, may_reopen(unit, ticket));
  if (opens) return {};
  return fail(Code::conflict,
              fmt::format("status: ticket {} was closed {}, and the office's reopen window has "
                          "passed; open a new one and link it",
                          ticket.number,
                          ticket.closed_at ? ticket.closed_at->to_string() : std::string("once")),
              "status");
}

}  // namespace detail

namespace support {

Result<Duration> reopen_window(const Session& session) {
  return session.read([&](View& view) -> Result<Duration> {
    return window_of(view.reader(), session.principal().tenant);
  });
}

Result<void> set_reopen_window(const Session& session, Duration window) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(window).count();
  if (window.count() < 0 || window > longest_window) {
    return fail(Code::invalid,
                fmt::format("reopen_window_s: {} seconds; it must be from 0 to {} (100 years)",
                            seconds, longest_window.count() / 1'000'000),
                std::string(setting));
  }
  return session.write([&](Unit& unit) -> Result<void> {
    const Repository<Tenant> tenants{Scope(unit)};
    BUREAU_TRY_VOID(tenants.change(session.principal().tenant, [&](Tenant& office) -> Result<void> {
      if (!office.settings.is_null() && office.settings.as_object() == nullptr) {
        return fail(Code::invalid, "settings: those of the tenant are no object", "settings");
      }
      office.settings.set(setting, Json(static_cast<std::int64_t>(seconds)));
      return {};
    }));
    return {};
  });
}

}  // namespace support
BUREAU_END_NAMESPACE
