#include <fmt/format.h>

#include <algorithm>

#include "store/row_values.hpp"
#include "work/approval_rules.hpp"
#include "work/run_history.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// What is kept of it in the step: while it is open the approval alone.
Json verdict_json(const Verdict& verdict) {
  Json out = Json::object();
  out.set("approval", verdict.approval.value);
  out.set("status", names<ApprovalStatus>[static_cast<std::size_t>(verdict.status)]);
  if (verdict.by) out.set("by", verdict.by->value);
  out.set("comment", verdict.comment);
  return out;
}

Verdict verdict_from(const Json& json) {
  Verdict verdict;
  const auto number = [&](std::string_view name) {
    const Json* member = json.find(name);
    const std::int64_t* value = member == nullptr ? nullptr : member->as_int();
    return value == nullptr ? 0 : *value;
  };
  const auto text = [&](std::string_view name) {
    const Json* member = json.find(name);
    const std::string* value = member == nullptr ? nullptr : member->as_string();
    return value == nullptr ? std::string() : *value;
  };
  verdict.approval = Id<Approval>(number("approval"));
  const std::string status = text("status");
  const auto& all = names<ApprovalStatus>;
  const auto found = std::find(all.begin(), all.end(), status);
  if (found != all.end()) verdict.status = static_cast<ApprovalStatus>(found - all.begin());
  if (const std::int64_t by = number("by"); by != 0) verdict.by = Id<User>(by);
  verdict.comment = text("comment");
  return verdict;
}

Result<Approval> ask(Transaction& tx, const Task& task, const ApprovalRequest& request) {
  Approval approval;
  BUREAU_TRY(approval.id.value, tx.next_id());
  approval.tenant = task.tenant;
  approval.task = task.id;
  approval.title = request.title;
  approval.subject = request.subject;
  approval.digest = detail::digest_of(request.subject);
  approval.record_table = request.record_table;
  approval.record = request.record;
  approval.record_version = request.record_version;
  approval.assignee = request.assignee;
  approval.team = request.team;
  if (request.within) approval.due_at = tx.now() + *request.within;
  if (request.escalate_after) approval.escalate_at = tx.now() + *request.escalate_after;
  approval.escalate_to = request.escalate_to;
  approval.version = 1;
  approval.created_at = approval.updated_at = tx.now();
  BUREAU_TRY_VOID(tx.insert(table_of<Approval>(), detail::RowValues(approval).values()));
  return approval;
}

Timestamp wakes_at(const Approval& approval) {
  return std::min(approval.due_at.value_or(Timestamp::never()),
                  approval.escalate_at.value_or(Timestamp::never()));
}

}  // namespace

Result<Verdict> Run::approval(const ApprovalRequest& request, std::string_view name) {
  BUREAU_TRY_VOID(detail::check_request(request));
  Turn turn(*this);
  BUREAU_TRY(auto place, turn.begin(StepKind::approval, name));
  RunStep row = turn.recorded();
  const bool is_recorded = place == Turn::Place::recorded;
  if (is_recorded && row.status != StepStatus::open) {
    return verdict_from(row.result.value_or(Json()));
  }
  Verdict verdict;
  BUREAU_TRY_VOID(commit(
      [&](Transaction& tx) -> Result<void> {
        Approval approval;
        if (is_recorded) {
          const Id<Approval> asked = verdict_from(row.result.value_or(Json())).approval;
          BUREAU_TRY(approval, detail::approval_of(tx.reader(), asked));
          BUREAU_TRY_VOID(detail::age(tx, approval));
        } else {
          BUREAU_TRY(approval, ask(tx, task_, request));
        }
        verdict = {approval.id, approval.status, approval.decided_by,
                   approval.comment.value_or("")};
        row.result = verdict_json(verdict);
        if (approval.status == ApprovalStatus::open)
          return turn.rest(tx, row, wakes_at(approval), 0);
        row.status = StepStatus::finished;
        return turn.put(tx, row);
      },
      WhenCancelled::refuse));
  if (row.status == StepStatus::open) return turn.rested();
  turn.keep(row);
  return verdict;
}

BUREAU_END_NAMESPACE
