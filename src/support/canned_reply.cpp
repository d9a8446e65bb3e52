#include "bureau/support/canned_reply.hpp"

#include "support/shared_rows.hpp"
#include "support/text_template.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

Result<void> check_sharing(const Session& session, Sharing scope,
                           const std::optional<Id<Team>>& team) {
  const auto refuse = [](const char* field, std::string rule) {
    return fail(Code::invalid, std::string(field) + ": " + rule, field);
  };
  if (scope == Sharing::own && !session.principal().user) {
    return refuse("scope", "\"personal\" is for people; who acts here has no account");
  }
  if (scope == Sharing::team && !team)
    return refuse("team", "none is given; the scope is a team's");
  if (scope != Sharing::team && team) {
    return refuse("team",
                  fmt::format("one is given, but the scope is \"{}\"", detail::name_of(scope)));
  }
  return {};
}

}  // namespace detail

Result<CannedReply> CannedReplies::save(const NewCannedReply& given) const {
  constexpr std::size_t max_body = 20'000;
  BUREAU_TRY_VOID(detail::check_body("body", given.body, max_body));
  BUREAU_TRY_VOID(detail::check_template("body", given.body));
  return rows_.rows().scope().write([&](Unit& unit) -> Result<CannedReply> {
    CannedReply row;
    row.name = given.name;
    row.body = given.body;
    row.scope = given.scope;
    row.team = given.team;
    return detail::save_shared(
        unit, std::move(row),
        [](CannedReply& present, const CannedReply& now) { present.body = now.body; });
  });
}

Result<CannedReply> CannedReplies::named(std::string_view name) const {
  // The system is nobody's friend: it speaks for the office.
  if (rows_.rows().scope().session().principal().kind() != PrincipalKind::user) {
    BUREAU_TRY(auto found, rows_.first(col(&CannedReply::name) == std::string(name) &&
                                       col(&CannedReply::scope) == Sharing::office));
    if (found) return std::move(*found);
  }
  return detail::nearest_named(rows_, "canned", name);
}

Result<std::string> CannedReplies::render(Id<CannedReply> reply, Id<Ticket> ticket) const {
  BUREAU_TRY(const CannedReply row, rows_.find(reply));
  return detail::render_for(rows_.rows().scope(), ticket, row.body);
}

Result<void> CannedReplies::remove(Id<CannedReply> reply) const {
  return rows_.rows().scope().write([&](Unit& unit) {
    return detail::remove_own_row(unit, table_of<CannedReply>(), reply.value,
                                  detail::RuleKind::update);
  });
}

BUREAU_END_NAMESPACE
