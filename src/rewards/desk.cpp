#include "rewards/desk.hpp"

#include <fmt/format.h>

#include "access/active_user.hpp"
#include "rewards/batch.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

Result<bool> is_manager(Unit& unit) {
  BUREAU_TRY(const Principal who, unit.session().current(unit.transaction().reader()));
  return who.system ||
         (who.kind() == PrincipalKind::user && (who.role == "admin" || who.role == "manager"));
}

Result<void> require_manager(Unit& unit, std::string_view what) {
  BUREAU_TRY(const bool manager, is_manager(unit));
  if (manager) return {};
  return fail(Code::forbidden, fmt::format("{}: only managers and admins may", what));
}

Result<void> require_self(Unit& unit, Id<User> user, std::string_view what) {
  if (unit.session().principal().user == user) return {};
  BUREAU_TRY(const bool manager, is_manager(unit));
  if (manager) return {};
  return fail(Code::forbidden, fmt::format("{}: only for oneself, or by a manager", what));
}

Result<void> check_user(Unit& unit, Id<User> user) {
  BUREAU_TRY(const bool active,
             bureau::detail::is_active_user(unit.transaction().reader(),
                                            unit.session().principal().tenant, user));
  if (active) return {};
  return fail(
      Code::invalid,
      fmt::format("user: {} is no active user", id::to_text(schema<User>.prefix, user.value)),
      "user");
}

Result<Books> open_books(Unit& unit, Id<User> user, std::vector<std::int64_t> days) {
  Transaction& tx = unit.transaction();
  const Id<Tenant> tenant = unit.session().principal().tenant;
  BUREAU_TRY(std::string zone, zone_of(tx.reader(), tenant));
  BUREAU_TRY(const auto cursor, row_with_id<Cursor>(tx.reader(), tenant.value));
  const std::int64_t today = LocalDays().day(zone, unit.now());
  std::int64_t closed = today;
  if (cursor) closed = std::max(closed, days_of_date(cursor->day));
  Books books(tx, tenant, std::move(zone), closed);
  days.push_back(today);
  BUREAU_TRY_VOID(books.read_users({user.value}, distinct(std::move(days))));
  return books;
}

namespace {

/// What these criteria have counted so far they do not count again.
template <Entity T>
Result<void> hold_at(Transaction& tx, Id<Tenant> tenant, std::int64_t position) {
  const TableInfo& table = table_of<T>();
  Update update;
  update.which.table = &table;
  update.which.where = col(&T::tenant) == tenant && col(&T::counts_after) < position;
  update.set = {{table.find("counts_after"), Value::integer(position)},
                {table.find("version"), Value::integer(1), true},
                {table.find("updated_at"), Value::integer(tx.now().micros())}};
  BUREAU_TRY_VOID(tx.update(update));
  return {};
}

}  // namespace

Result<std::int64_t> begin_counting(Unit& unit, bool history) {
  Transaction& tx = unit.transaction();
  const Id<Tenant> tenant = unit.session().principal().tenant;
  BUREAU_TRY(std::int64_t after, tx.database().journal_head(tx.reader()));
  if (history) {
    BUREAU_TRY(const std::int64_t tail, tx.database().journal_tail(tx.reader()));
    after = tail - 1;
  }
  BUREAU_TRY(const auto stored, row_with_id<Cursor>(tx.reader(), tenant.value));
  Cursor cursor = stored.value_or(Cursor());
  ++cursor.generation;
  if (!stored) {
    cursor.id = Id<Cursor>(tenant.value);
    cursor.tenant = tenant;
    cursor.position = after;
    BUREAU_TRY_VOID(insert_rows(tx, std::span(&cursor, 1)));
    return after;
  }
  if (after < cursor.position) {
    BUREAU_TRY_VOID(hold_at<Achievement>(tx, tenant, cursor.position));
    BUREAU_TRY_VOID(hold_at<PointRule>(tx, tenant, cursor.position));
    cursor.position = after;
  }
  BUREAU_TRY_VOID(replace_row(tx, *stored, cursor));
  return after;
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
