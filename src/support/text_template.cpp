#include "support/text_template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "access/rights.hpp"
#include "bureau/core/civil.hpp"
#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr auto variables = std::to_array<TextVariable>({{"customer", Type::text},
                                                        {"number", Type::integer},
                                                        {"subject", Type::text},
                                                        {"status", Type::text},
                                                        {"priority", Type::enumeration},
                                                        {"category", Type::text},
                                                        {"team", Type::text},
                                                        {"assignee", Type::text},
                                                        {"created_at", Type::timestamp}});

/// The name of the variable that begins at `at` (a brace), or nothing: letters and _ in braces.
std::optional<std::string_view> variable_at(std::string_view body, std::size_t at) {
  const std::size_t end = body.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1);
  if (end == std::string_view::npos || body[end] != '}' || end == at + 1) return {};
  return body.substr(at + 1, end - at - 1);
}

bool is_variable(std::string_view name) {
  return std::any_of(variables.begin(), variables.end(),
                     [&](const TextVariable& v) { return v.name == name; });
}

}  // namespace

std::span<const TextVariable> text_variables() { return variables; }

namespace detail {

Result<void> check_template(std::string_view field, std::string_view body) {
  for (std::size_t at = body.find('{'); at != std::string_view::npos; at = body.find('{', at + 1)) {
    const auto name = variable_at(body, at);
    if (!name || is_variable(*name)) continue;
    std::string known;
    for (const TextVariable& v : variables) {
      known += fmt::format("{}{{{}}}", known.empty() ? "" : ", ", v.name);
    }
    return fail(Code::invalid,
                fmt::format("{}: there is no variable {{{}}}; there are {}", field,
                            shortened(*name), known),
                std::string(field));
  }
  return {};
}

std::string fill_template(std::string_view body,
                          FunctionRef<std::optional<std::string>(std::string_view)> value) {
  std::string out;
  out.reserve(body.size());
  for (std::size_t at = 0; at < body.size();) {
    const auto name = body[at] == '{' ? variable_at(body, at) : std::nullopt;
    const auto text = name ? value(*name) : std::nullopt;
    if (!text) {
      out += body[at++];
      continue;
    }
    out += *text;
    at += name->size() + 2;
  }
  return out;
}

namespace {

/// The date on a wall of the office.
Result<std::string> local_date(const Scope& scope, Id<Tenant> tenant, Timestamp at) {
  std::string name = "UTC";
  BUREAU_TRY_VOID(scope.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(reader.find(table_of<Tenant>(), tenant.value,
                                [&](std::span<const Value> row) -> Result<bool> {
                                  Tenant office;
                                  from_values(row, office);
                                  name = office.zone;
                                  return true;
                                }));
    return {};
  }));
  const auto zone = Zone::find(name);
  return (zone ? *zone : Zone()).to_civil(at).date.to_string();
}

/// Empty for what was removed, or is not in sight.
template <Entity T>
Result<std::string> name_in(const Scope& scope, Id<T> id) {
  auto row = Repository<T>{scope}.find(id);
  if (row) return std::move(row->name);
  if (row.error().code == Code::not_found) return std::string();
  return fail(std::move(row).error());
}

/// Whether the variable is a column of the ticket that who acts does not see.
Result<bool> is_hidden(const Scope& scope, std::string_view name) {
  const ColumnInfo* column = table_of<Ticket>().find(name);
  bool hidden = false;
  BUREAU_TRY_VOID(SessionDoor::read(scope, [&](Reader&, const Rights& rights) -> Result<void> {
    hidden = column != nullptr && rights.hides(*column);
    return {};
  }));
  return hidden;
}

Result<std::string> value_of(const Scope& scope, const Ticket& ticket, std::string_view name) {
  BUREAU_TRY(const bool hidden, is_hidden(scope, name));
  if (hidden) return std::string();  // it reads as zero, which is somebody's value
  if (name == "customer") return name_in(scope, ticket.customer);
  if (name == "number") return std::to_string(ticket.number);
  if (name == "subject") return ticket.subject;
  if (name == "status") return ticket.status;
  if (name == "priority") return std::string(name_of(ticket.priority));
  if (name == "category") return ticket.category.value_or("");
  if (name == "team") return ticket.team ? name_in(scope, *ticket.team) : std::string();
  if (name == "assignee") return ticket.assignee ? name_in(scope, *ticket.assignee) : std::string();
  return local_date(scope, ticket.tenant, ticket.created_at);
}

}  // namespace

Result<std::string> render_for(const Scope& scope, Id<Ticket> id, std::string_view body) {
  BUREAU_TRY(const Ticket ticket, Repository<Ticket>{scope}.find(id));
  // Only what the text names is read.
  std::map<std::string_view, std::string> values;
  for (std::size_t at = body.find('{'); at != std::string_view::npos; at = body.find('{', at + 1)) {
    const auto name = variable_at(body, at);
    if (!name || !is_variable(*name) || values.contains(*name)) continue;
    BUREAU_TRY(values[*name], value_of(scope, ticket, *name));
  }
  return fill_template(body, [&](std::string_view name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return {};
    return found->second;
  });
}

}  // namespace detail
BUREAU_END_NAMESPACE
