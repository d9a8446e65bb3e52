// What one user was told, and what he wants to be told of.

#include "bureau/notify/inbox.hpp"

#include "bureau/notify/notifications.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

std::optional<Id<User>> owner_of(const py::object& user) {
  if (user.is_none()) return std::nullopt;
  return id_of<User>(user, "user");
}

/// What a user has of his own; none: what who acts has.
template <class Own>
Own own(const Scope& in, const std::optional<Id<User>>& user) {
  return user ? Own(in, *user) : Own(in);
}
template <class Own, class F>
auto in_own(const ScopePtr& scope, const py::object& user, F&& f) {
  const auto owner = owner_of(user);
  return unwrap(
      scope->with_write([&](const Scope& in, Engine&) { return f(own<Own>(in, owner)); }));
}
template <class Own, class F>
auto from_own(const ScopePtr& scope, const py::object& user, F&& f) {
  const auto owner = owner_of(user);
  return unwrap(scope->with([&](const Scope& in, Engine&) { return f(own<Own>(in, owner)); }));
}

// The inbox ------------------------------------------------------------------------------------

py::tuple list(const ScopePtr& scope, const py::object& user, const py::dict& fields) {
  Given given("inbox.list", fields);
  InboxQuery query;
  query.unread = given.flag("unread");
  query.archived = given.flag("archived");
  query.snoozed = given.flag("snoozed");
  query.limit = given.limit("limit", query.limit);
  query.cursor = given.text("after");
  given.done();
  const auto page =
      from_own<Inbox>(scope, user, [&](const Inbox& inbox) { return inbox.list(query); });
  return py::make_tuple(rows_of(page.items), page.next);
}

py::object change(const ScopePtr& scope, const py::object& user, const std::string& verb,
                  const py::object& item) {
  static const std::unordered_map<std::string, Result<InboxItem> (Inbox::*)(Id<InboxItem>) const>
      verbs{{"mark_seen", &Inbox::mark_seen},
            {"mark_read", &Inbox::mark_read},
            {"mark_unread", &Inbox::mark_unread},
            {"archive", &Inbox::archive},
            {"unarchive", &Inbox::unarchive}};
  const auto id = id_of<InboxItem>(item, "item");
  const auto call = verbs.at(verb);
  return row_of(in_own<Inbox>(scope, user, [&](const Inbox& inbox) { return (inbox.*call)(id); }));
}

py::object snooze(const ScopePtr& scope, const py::object& user, const py::object& item,
                  const py::object& until) {
  const auto id = id_of<InboxItem>(item, "item");
  std::optional<Timestamp> moment;
  if (!until.is_none()) moment = timestamp_from_python(until.ptr(), "until");
  return row_of(
      in_own<Inbox>(scope, user, [&](const Inbox& inbox) { return inbox.snooze(id, moment); }));
}

std::uint64_t mark_all(const ScopePtr& scope, const py::object& user, const py::dict& fields) {
  Given given("inbox.mark_all", fields);
  const InboxState state = given.choice("state", InboxState::unseen);
  given.done();
  return in_own<Inbox>(scope, user, [&](const Inbox& inbox) { return inbox.mark_all(state); });
}

// Preferences ----------------------------------------------------------------------------------

py::object prefer(const ScopePtr& scope, const py::object& user, const py::dict& fields) {
  Given given("preferences.set", fields);
  const std::string event = given.text("event"), channel = given.text("channel");
  const bool enabled = given.flag("enabled");
  given.done();
  return row_of(in_own<Preferences>(
      scope, user, [&](const Preferences& p) { return p.set(event, channel, enabled); }));
}

}  // namespace

void init_inbox(ScopeClass& scope) {
  scope.def("inbox_list", list)
      .def("inbox_find",
           [](const ScopePtr& self, const py::object& user, const py::object& item) {
             const auto id = id_of<InboxItem>(item, "item");
             return row_of(
                 from_own<Inbox>(self, user, [&](const Inbox& inbox) { return inbox.find(id); }));
           })
      .def("inbox_count",
           [](const ScopePtr& self, const py::object& user) {
             const auto count =
                 from_own<Inbox>(self, user, [](const Inbox& inbox) { return inbox.count(); });
             return py::make_tuple(count.unread, count.unseen);
           })
      .def("inbox_change", change)
      .def("inbox_snooze", snooze)
      .def("inbox_mark_all", mark_all);
  scope.def("preference_set", prefer)
      .def("preference_clear",
           [](const ScopePtr& self, const py::object& user, const std::string& event,
              const std::string& channel) {
             const auto owner = owner_of(user);
             unwrap(self->with_write([&](const Scope& in, Engine&) {
               return own<Preferences>(in, owner).clear(event, channel);
             }));
           })
      .def("preferences",
           [](const ScopePtr& self, const py::object& user) {
             return rows_of(
                 from_own<Preferences>(self, user, [](const Preferences& p) { return p.list(); }));
           })
      .def("notification_channels", [](const ScopePtr& self) {
        return rows_of(
            unwrap(self->with([](const Scope& in, Engine&) { return notify::channels(in); })));
      });
}

}  // namespace bureau_python
