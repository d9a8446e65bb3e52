#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

#include "access/library_rows.hpp"
#include "store/row_values.hpp"
#include "work/approval_rules.hpp"
#include "work/new_task.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

std::string_view name_of(ApprovalStatus status) {
  return names<ApprovalStatus>[static_cast<std::size_t>(status)];
}

Error not_open(const Approval& approval) {
  return {Code::conflict,
          fmt::format("status: the approval is {}; it was decided once", name_of(approval.status)),
          "status"};
}

std::optional<Id<User>> user_of(const Unit& unit) {
  if (const Id<User> user = unit.session().principal().user) return user;
  return std::nullopt;
}

/// Somebody else is at it.
Result<void> check_claim(const Unit& unit, const Approval& approval) {
  if (!approval.claimed_by || approval.claimed_by == user_of(unit)) return {};
  return fail(Code::conflict, "claimed_by: somebody else is at this approval", "claimed_by");
}

/// The row, written over itself: `forbidden` for whoever may not change it.
Result<Approval> rewritten(Unit& unit, Id<Approval> id) {
  BUREAU_TRY(Approval stored, detail::stored_row(unit, id));
  BUREAU_TRY_VOID(Repository<Approval>{Scope(unit)}.update(stored));
  return detail::approval_of(unit.transaction().reader(), id);
}

Result<Approval> change_open(const Repository<Approval>& rows, Id<Approval> id,
                             FunctionRef<Result<void>(Unit&, Approval&)> how) {
  return rows.rows().scope().write([&](Unit& unit) -> Result<Approval> {
    BUREAU_TRY(Approval approval, detail::stored_row(unit, id));
    BUREAU_TRY_VOID(detail::age(unit.transaction(), approval));
    if (approval.status != ApprovalStatus::open) return fail(not_open(approval));
    // Whether he may is judged of the row as it is by now; what he changes is the library's to
    // write.
    BUREAU_TRY(const Approval judged, rewritten(unit, id));
    Approval after = judged;
    BUREAU_TRY_VOID(how(unit, after));
    return detail::replace_consequence(unit, judged, std::move(after));
  });
}

}  // namespace

namespace detail {

std::string digest_of(const Json& subject) {
  const std::string text = subject.dump();
  unsigned char hash[crypto_generichash_BYTES];
  crypto_generichash(hash, sizeof hash, reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(), nullptr, 0);
  std::string hex(2 * sizeof hash + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), hash, sizeof hash);
  hex.pop_back();
  return hex;
}

Result<void> check_request(const ApprovalRequest& request) {
  const auto invalid = [](std::string_view field, std::string_view rule) {
    return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
  };
  if (request.title.empty()) return invalid("title", "an approval needs one");
  if (request.within && *request.within <= Duration(0)) {
    return invalid("within", "a time in which to decide is positive");
  }
  if (request.escalate_after && *request.escalate_after <= Duration(0)) {
    return invalid("escalate_after", "a time after which to escalate is positive");
  }
  if (request.escalate_after.has_value() != request.escalate_to.has_value()) {
    return invalid("escalate_to", "goes with escalate_after");
  }
  if (request.record_table.has_value() != request.record.has_value() ||
      request.record.has_value() != request.record_version.has_value()) {
    return invalid("record", "table, id and version go together");
  }
  return check_payload(request.subject);
}

Result<bool> is_current(Transaction& transaction, const Approval& approval) {
  if (!approval.record_table) return true;
  const TableInfo* table = transaction.database().catalog().find(*approval.record_table);
  const ColumnInfo* version = table == nullptr ? nullptr : table->find("version");
  if (version == nullptr) return false;
  bool same = false;
  BUREAU_TRY_VOID(transaction.reader().find(
      *table, approval.record.value_or(0), [&](std::span<const Value> row) -> Result<bool> {
        same = row[version->index].as_integer() == approval.record_version;
        return true;
      }));
  return same;
}

Result<Approval> approval_of(Reader& reader, Id<Approval> id) {
  BUREAU_TRY(auto found, find_row(reader, id));
  if (found) return std::move(*found);
  return fail(Code::not_found, "approval: there is none with this id", "approval");
}

Result<void> age(Transaction& tx, Approval& approval) {
  if (approval.status != ApprovalStatus::open) return {};
  const Approval before = approval;
  if (approval.due_at && *approval.due_at <= tx.now()) {
    approval.status = ApprovalStatus::expired;
  } else if (approval.escalate_at && *approval.escalate_at <= tx.now()) {
    approval.assignee = approval.escalate_to;
    approval.team.reset();
    approval.claimed_by.reset();
    approval.escalate_at.reset();
  } else {
    return {};
  }
  BUREAU_TRY(approval, replace_consequence(tx, before, approval));
  return {};
}

Result<void> check_approval_row(std::span<const Value> before, std::span<const Value> after) {
  Approval is;
  from_values(after, is);
  if (before.empty()) {
    if (is.status == ApprovalStatus::open && is.digest == digest_of(is.subject)) return {};
    return fail(Code::invalid, "status: an approval begins open, with its subject's digest",
                "status");
  }
  Approval was;
  from_values(before, was);
  if (was.status == is.status && was.status == ApprovalStatus::open) return {};
  if (was.status != is.status && may_become(was.status, is.status)) return {};
  return fail(Code::conflict,
              fmt::format("status: an approval that is {} cannot become {}", name_of(was.status),
                          name_of(is.status)),
              "status");
}

}  // namespace detail

Result<std::vector<Approval>> Approvals::list() const {
  Query open;
  open.where = col(&Approval::status) == ApprovalStatus::open;
  open.order = {{&col(&Approval::created_at).info(), false}};
  return rows_.list(open);
}

Result<Approval> Approvals::claim(Id<Approval> id) const {
  return change_open(rows_, id, [](Unit& unit, Approval& approval) -> Result<void> {
    BUREAU_TRY_VOID(check_claim(unit, approval));
    approval.claimed_by = user_of(unit);
    return {};
  });
}

Result<Approval> Approvals::release(Id<Approval> id) const {
  return change_open(rows_, id, [](Unit& unit, Approval& approval) -> Result<void> {
    const Principal& who = unit.session().principal();
    const bool keeps_order = who.system || who.role == "manager" || who.role == "admin";
    if (!keeps_order) BUREAU_TRY_VOID(check_claim(unit, approval));
    approval.claimed_by.reset();
    return {};
  });
}

Result<Approval> Approvals::decide(Id<Approval> id, bool approve, std::string_view comment) const {
  return change_open(rows_, id, [&](Unit& unit, Approval& approval) -> Result<void> {
    BUREAU_TRY_VOID(check_claim(unit, approval));
    BUREAU_TRY(const bool current, detail::is_current(unit.transaction(), approval));
    const ApprovalStatus wanted = approve ? ApprovalStatus::approved : ApprovalStatus::rejected;
    approval.status = current ? wanted : ApprovalStatus::stale;
    approval.decided_by = user_of(unit);
    approval.decided_at = unit.now();
    if (!comment.empty()) approval.comment = std::string(comment);
    return detail::wake(unit.transaction(), approval.task);
  });
}

Result<void> Approvals::use(Unit& unit, Id<Approval> id, const Json& subject) {
  Transaction& transaction = unit.transaction();
  BUREAU_TRY(const Approval approval, detail::approval_of(transaction.reader(), id));
  const auto refuse = [](std::string_view why) {
    return fail(Code::conflict, fmt::format("approval: {}", why), "approval");
  };
  if (transaction.attribution().task != approval.task.value) {
    return refuse("it is used by the run that asked for it");
  }
  if (approval.status == ApprovalStatus::used) return refuse("it has been used");
  if (approval.status != ApprovalStatus::approved) {
    return refuse(fmt::format("it is {}, not approved", name_of(approval.status)));
  }
  if (approval.digest != detail::digest_of(subject)) {
    return refuse("what was approved is not what is to be done");
  }
  BUREAU_TRY(const bool current, detail::is_current(transaction, approval));
  if (!current) return refuse("the record that it is about has changed since");
  Approval used = approval;
  used.status = ApprovalStatus::used;
  BUREAU_TRY_VOID(detail::replace_consequence(transaction, approval, std::move(used)));
  return {};
}

BUREAU_END_NAMESPACE
