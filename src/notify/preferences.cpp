// What users want to be told of, and which channels there are.

#include <fmt/format.h>

#include "notify/notify_rows.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace notify::inside;

namespace {

Result<Id<User>> owner_of(const Scope& scope, const std::optional<Id<User>>& user) {
  const Principal& who = scope.session().principal();
  if (user && (who.system || *user == who.user)) return *user;
  if (!user && who.user) return who.user;
  return fail(Code::forbidden,
              user ? "user: preferences are kept by the user himself and the system"
                   : "user: the system and agents have no preferences; name a user",
              "user");
}

Predicate is_place(Id<User> user, std::string_view event, std::string_view channel) {
  return col(&NotificationPreference::user) == user &&
         col(&NotificationPreference::event) == std::string(event) &&
         col(&NotificationPreference::channel) == std::string(channel);
}

Result<NotificationPreference> set_in(Unit& unit, Id<User> user, std::string_view event,
                                      std::string_view channel, bool enabled) {
  Reader& reader = unit.transaction().reader();
  const Id<Tenant> tenant = unit.session().principal().tenant;
  BUREAU_TRY(const auto channels, known_channels(reader));
  if (channel != "*") BUREAU_TRY_VOID(channel_named(channels, "channel", channel));
  BUREAU_TRY(const auto whose, find_row(reader, tenant, user));
  if (!whose) return fail(Code::not_found, fmt::format("user: no row {}", shown(user)), "user");
  BUREAU_TRY(const auto stored, rows_of<NotificationPreference>(
                                    reader, select<NotificationPreference>().where(
                                                col(&NotificationPreference::tenant) == tenant &&
                                                is_place(user, event, channel))));
  if (!stored.empty()) {
    if (stored.front().enabled == enabled) return stored.front();
    NotificationPreference after = stored.front();
    after.enabled = enabled;
    return replace_row(unit, stored.front(), std::move(after));
  }
  NotificationPreference made;
  made.user = user;
  made.event = event;
  made.channel = channel;
  made.enabled = enabled;
  return insert_row(unit, std::move(made));
}

}  // namespace

Result<NotificationPreference> Preferences::set(std::string_view event, std::string_view channel,
                                                bool enabled) const {
  BUREAU_TRY(const Id<User> user, owner_of(scope_, user_));
  BUREAU_TRY_VOID(check_text("event", event, max_event));
  return scope_.write([&](Unit& unit) { return set_in(unit, user, event, channel, enabled); });
}

Result<void> Preferences::clear(std::string_view event, std::string_view channel) const {
  BUREAU_TRY(const Id<User> user, owner_of(scope_, user_));
  BUREAU_TRY_VOID(check_text("event", event, max_event));
  BUREAU_TRY_VOID(check_text("channel", channel, 64));
  return scope_.write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(unit.transaction().remove(select<NotificationPreference>().where(
        col(&NotificationPreference::tenant) == unit.session().principal().tenant &&
        is_place(user, event, channel))));
    return {};
  });
}

Result<std::vector<NotificationPreference>> Preferences::list() const {
  BUREAU_TRY(const Id<User> user, owner_of(scope_, user_));
  Query query;
  query.where = col(&NotificationPreference::user) == user;
  query.order = {{&col(&NotificationPreference::event).info(), false},
                 {&col(&NotificationPreference::channel).info(), false}};
  query.limit = 10'000;
  return Repository<NotificationPreference>{scope_}.list(query);
}

namespace notify {

Result<std::vector<NotificationChannel>> channels(const Scope& scope) {
  std::vector<NotificationChannel> out;
  BUREAU_TRY_VOID(scope.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(out, inside::known_channels(reader));
    return {};
  }));
  return out;
}

}  // namespace notify

BUREAU_END_NAMESPACE
