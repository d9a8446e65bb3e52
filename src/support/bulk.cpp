// Changes of many tickets.

#include <fmt/format.h>

#include <set>

#include "support/actions.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// Each once, in the order given; `exhausted` beyond the limit.
Result<std::vector<Id<Ticket>>> distinct(std::span<const Id<Ticket>> ids) {
  std::set<std::int64_t> seen;
  std::vector<Id<Ticket>> out;
  for (const Id<Ticket> id : ids) {
    if (seen.insert(id.value).second) out.push_back(id);
  }
  if (out.size() <= bulk_max) return out;
  return fail(Code::exhausted,
              fmt::format("tickets: {} of them, the limit is {}", out.size(), bulk_max), "tickets");
}

Result<void> change_one(Unit& unit, Id<Ticket> id, std::span<const TicketAction> actions) {
  return detail::do_actions(
      unit, id, actions,
      [](const TicketAction&, const Error& error) -> Result<void> { return fail(error); });
}

Result<BulkReport> change_together(const Scope& scope, std::span<const Id<Ticket>> ids,
                                   std::span<const TicketAction> actions) {
  return scope.write([&](Unit& unit) -> Result<BulkReport> {
    for (const Id<Ticket> id : ids) {
      auto changed = change_one(unit, id, actions);
      if (changed) continue;
      Error error = std::move(changed).error();
      error.message =
          fmt::format("{}: {}", id::to_text(schema<Ticket>.prefix, id.value), error.message);
      return fail(std::move(error));
    }
    return BulkReport{ids.size()};
  });
}

/// What is about the ticket, and not about the storage.
bool is_refusal(Code code) {
  return code == Code::invalid || code == Code::not_found || code == Code::conflict ||
         code == Code::forbidden || code == Code::exists;
}

Result<BulkReport> change_each(const Scope& scope, std::span<const Id<Ticket>> ids,
                               std::span<const TicketAction> actions) {
  if (scope.unit() != nullptr) {
    return fail(Code::invalid,
                "mode: inside a unit tickets are changed all or none; \"each\" needs a session",
                "mode");
  }
  BulkReport report;
  for (const Id<Ticket> id : ids) {
    auto changed = scope.write([&](Unit& unit) { return change_one(unit, id, actions); });
    if (changed) {
      ++report.changed;
      continue;
    }
    if (!is_refusal(changed.error().code)) return fail(std::move(changed).error());
    report.refused.push_back({id, std::move(changed).error()});
  }
  return report;
}

}  // namespace

Result<BulkReport> Tickets::change_all(std::span<const Id<Ticket>> ids,
                                       std::vector<TicketAction> actions, BulkMode mode) const {
  const Scope& scope = tickets_.rows().scope();
  BUREAU_TRY(const auto chosen, distinct(ids));
  BUREAU_TRY(actions, detail::prepare_actions(scope, std::move(actions)));
  return mode == BulkMode::each ? change_each(scope, chosen, actions)
                                : change_together(scope, chosen, actions);
}

Result<BulkReport> Tickets::change_where(const Predicate& where, std::vector<TicketAction> actions,
                                         BulkMode mode) const {
  std::vector<Id<Ticket>> ids;
  BUREAU_TRY_VOID(
      tickets_.rows().list({where, {}, bulk_max + 1, {}}, [&](std::span<const Value> row) {
        ids.emplace_back(row[0].as_integer());
        return true;
      }));
  return change_all(ids, std::move(actions), mode);
}

BUREAU_END_NAMESPACE
