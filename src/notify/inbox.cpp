#include "bureau/notify/inbox.hpp"

#include <fmt/format.h>

#include "notify/notify_rows.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace notify::inside;

namespace {

/// now() and not a moment: a cursor is good for the query that it came from.
Result<Predicate> in_sight(bool snoozed) {
  return Predicate::parse(
      table_of<InboxItem>(),
      snoozed ? "snoozed_until > now()" : "snoozed_until is null or snoozed_until <= now()");
}

Predicate unarchived() { return col(&InboxItem::state) != InboxState::archived; }

/// Puts an item into a state. What is read or archived has been seen. Not an error: it is there.
Result<void> enter(InboxItem& item, InboxState to, Timestamp now) {
  if (item.state == to) return {};
  if (!may_become(item.state, to)) {
    return fail(
        Code::conflict,
        fmt::format("state: an item that is {} cannot become {}", name_of(item.state), name_of(to)),
        "state");
  }
  item.state = to;
  if (!item.seen_at) item.seen_at = now;
  item.archived_at.reset();
  if (to == InboxState::archived) {
    item.archived_at = now;
    item.snoozed_until.reset();
  } else if (to == InboxState::seen) {
    item.read_at.reset();
  } else if (!item.read_at) {
    item.read_at = now;
  }
  return {};
}

bool same(const InboxItem& a, const InboxItem& b) {
  return a.state == b.state && a.snoozed_until == b.snoozed_until;
}

/// Marking a message of one's own asks for no right to change rows: every role may.
template <class F>
Result<InboxItem> change_item(const Repository<InboxItem>& items, Id<User> owner, Id<InboxItem> id,
                              F&& change) {
  return items.rows().scope().write([&](Unit& unit) -> Result<InboxItem> {
    const Repository<InboxItem> mine{Scope(unit)};
    const Predicate which = col(&InboxItem::id) == id && col(&InboxItem::user) == owner;
    BUREAU_TRY(const auto seen, mine.first(which));
    if (!seen) {
      return fail(Code::not_found, fmt::format("inbox_items: no row {}", shown(id)), "id");
    }
    // As it is stored: what is hidden from him stays.
    BUREAU_TRY(const auto before, find_row(unit.transaction().reader(), seen->tenant, id));
    if (!before) return fail(Code::corrupt, fmt::format("inbox_items: no row {}", shown(id)), "id");
    InboxItem after = *before;
    BUREAU_TRY_VOID(change(after, unit.now()));
    if (!same(*before, after)) BUREAU_TRY_VOID(replace_row(unit, *before, std::move(after)));
    return mine.find(id);
  });
}

}  // namespace

Result<Id<User>> Inbox::owner() const {
  const Principal& who = items_.rows().scope().session().principal();
  if (user_ && (who.system || *user_ == who.user)) return *user_;
  if (!user_ && who.user) return who.user;
  return fail(Code::forbidden,
              user_ ? "user: an inbox is the user's own and the system's"
                    : "user: the system and agents have no inbox; name a user",
              "user");
}

Result<Page<InboxItem>> Inbox::list(const InboxQuery& query) const {
  BUREAU_TRY(const Id<User> user, owner());
  if (query.archived && query.snoozed) {
    return fail(Code::invalid, "snoozed: what is archived is not snoozed; ask for one of them",
                "snoozed");
  }
  Query rows;
  rows.where = col(&InboxItem::user) == user;
  if (query.archived) {
    rows.where = rows.where && col(&InboxItem::state) == InboxState::archived;
    if (query.unread) rows.where = rows.where && col(&InboxItem::read_at).is_null();
  } else {
    BUREAU_TRY(const Predicate sight, in_sight(query.snoozed));
    rows.where = rows.where && sight;
    rows.where =
        rows.where && (query.unread ? col(&InboxItem::state) < InboxState::read : unarchived());
  }
  rows.order = {{&table_of<InboxItem>().columns[0], true}};
  rows.limit = query.limit;
  rows.cursor = query.cursor;
  return items_.page(rows);
}

Result<InboxItem> Inbox::find(Id<InboxItem> id) const {
  BUREAU_TRY(const Id<User> user, owner());
  BUREAU_TRY(auto item, items_.first(col(&InboxItem::id) == id && col(&InboxItem::user) == user));
  if (item) return std::move(*item);
  return fail(Code::not_found, fmt::format("inbox_items: no row {}", shown(id)), "id");
}

Result<Inbox::Count> Inbox::count() const {
  BUREAU_TRY(const Id<User> user, owner());
  BUREAU_TRY(const Predicate sight, in_sight(false));
  const Predicate unread =
      col(&InboxItem::user) == user && col(&InboxItem::state) < InboxState::read && sight;
  Count count;
  Aggregate by_state;
  by_state.where = unread;
  by_state.group_by = {&col(&InboxItem::state).info()};
  by_state.measures = {{Aggregate::Function::count, nullptr}};
  BUREAU_TRY_VOID(
      items_.rows().aggregate(std::move(by_state), [&](std::span<const Value> row) -> Result<bool> {
        const auto here = static_cast<std::uint64_t>(row[1].as_integer());
        count.unread += here;
        if (row[0].as_integer() == static_cast<std::int64_t>(InboxState::unseen)) {
          count.unseen += here;
        }
        return true;
      }));
  return count;
}

Result<InboxItem> Inbox::mark_seen(Id<InboxItem> id) const {
  BUREAU_TRY(const Id<User> user, owner());
  return change_item(items_, user, id, [](InboxItem& item, Timestamp now) -> Result<void> {
    if (item.state != InboxState::unseen) return {};  // it has been seen
    return enter(item, InboxState::seen, now);
  });
}

Result<InboxItem> Inbox::mark_read(Id<InboxItem> id) const {
  BUREAU_TRY(const Id<User> user, owner());
  return change_item(items_, user, id, [](InboxItem& item, Timestamp now) -> Result<void> {
    if (item.state == InboxState::archived && item.read_at) return {};
    return enter(item, InboxState::read, now);
  });
}

Result<InboxItem> Inbox::mark_unread(Id<InboxItem> id) const {
  BUREAU_TRY(const Id<User> user, owner());
  return change_item(items_, user, id, [](InboxItem& item, Timestamp now) -> Result<void> {
    if (item.state == InboxState::archived) {
      return fail(Code::conflict, "state: an archived item cannot be marked unread; take it out",
                  "state");
    }
    if (item.state == InboxState::unseen) return {};  // nor has it been read
    return enter(item, InboxState::seen, now);
  });
}

Result<InboxItem> Inbox::archive(Id<InboxItem> id) const {
  BUREAU_TRY(const Id<User> user, owner());
  return change_item(items_, user, id, [](InboxItem& item, Timestamp now) {
    return enter(item, InboxState::archived, now);
  });
}

Result<InboxItem> Inbox::unarchive(Id<InboxItem> id) const {
  BUREAU_TRY(const Id<User> user, owner());
  return change_item(items_, user, id, [](InboxItem& item, Timestamp now) -> Result<void> {
    if (item.state != InboxState::archived) return {};
    return enter(item, item.read_at ? InboxState::read : InboxState::seen, now);
  });
}

Result<InboxItem> Inbox::snooze(Id<InboxItem> id, std::optional<Timestamp> until) const {
  BUREAU_TRY(const Id<User> user, owner());
  return change_item(items_, user, id, [&](InboxItem& item, Timestamp now) -> Result<void> {
    if (item.state == InboxState::archived) {
      return fail(Code::conflict, "state: an archived item cannot be snoozed", "state");
    }
    if (until && *until <= now) {
      return fail(Code::invalid,
                  fmt::format("snoozed_until: {} is not in the future", until->to_string()),
                  "snoozed_until");
    }
    item.snoozed_until = until;
    return {};
  });
}

namespace {

/// One statement: the items of a user in sight that are in `from` become `to`.
Result<std::uint64_t> move_all(Unit& unit, Id<User> user, InboxState from, InboxState to) {
  const TableInfo& table = table_of<InboxItem>();
  const Value now = Value::integer(unit.now().micros());
  BUREAU_TRY(const Predicate sight, in_sight(false));
  Update update;
  update.which = select<InboxItem>().where(
      col(&InboxItem::tenant) == unit.session().principal().tenant &&
      col(&InboxItem::user) == user && col(&InboxItem::state) == from && sight.at(unit.now()));
  update.set = {{table.find("state"), Value::integer(static_cast<std::int64_t>(to)), false},
                {table.find("updated_at"), now, false},
                {table.find("version"), Value::integer(1), true}};
  const auto stamp = [&](std::string_view column, Value value) {
    update.set.push_back({table.find(column), value, false});
  };
  if (from == InboxState::unseen) stamp("seen_at", now);
  if (to == InboxState::read) stamp("read_at", now);
  if (to == InboxState::archived) {
    stamp("archived_at", now);
    stamp("snoozed_until", Value());
  }
  return unit.transaction().update(update);
}

}  // namespace

Result<std::uint64_t> Inbox::mark_all(InboxState state) const {
  BUREAU_TRY(const Id<User> user, owner());
  if (state == InboxState::unseen) {
    return fail(Code::invalid, "state: what was seen cannot become unseen", "state");
  }
  return items_.rows().scope().write([&](Unit& unit) -> Result<std::uint64_t> {
    std::uint64_t changed = 0;
    for (const InboxState from : {InboxState::unseen, InboxState::seen, InboxState::read}) {
      if (from >= state) break;
      BUREAU_TRY(const auto some, move_all(unit, user, from, state));
      changed += some;
    }
    return changed;
  });
}

BUREAU_END_NAMESPACE
