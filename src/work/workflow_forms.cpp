#include "work/workflow_forms.hpp"

#include <fmt/format.h>

#include "access/library_rows.hpp"
#include "access/rights.hpp"
#include "bureau/work/runs.hpp"
#include "bureau/work/workflows.hpp"
#include "work/workflow_values.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

Result<void> check_form_row(std::span<const Value> before, std::span<const Value> after) {
  WorkflowForm is;
  from_values(after, is);
  WorkflowForm was;
  if (!before.empty()) from_values(before, was);
  if (was.status == FormStatus::open && is.status == FormStatus::open) return {};
  return fail(Code::conflict,
              fmt::format("status: a form that is {} stays as it is",
                          names<FormStatus>[static_cast<std::size_t>(was.status)]),
              "status");
}

Result<void> withdraw_forms(Transaction& tx, Id<Task> task) {
  std::vector<WorkflowForm> open;
  const Select asked = select<WorkflowForm>().where(col(&WorkflowForm::task) == task &&
                                                    col(&WorkflowForm::status) == FormStatus::open);
  BUREAU_TRY_VOID(tx.reader().scan(asked, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, open.emplace_back());
    return true;
  }));
  for (const WorkflowForm& before : open) {
    WorkflowForm after = before;
    after.status = FormStatus::withdrawn;
    BUREAU_TRY_VOID(replace_consequence(tx, before, std::move(after)));
  }
  return {};
}

}  // namespace detail

Result<std::vector<WorkflowForm>> WorkflowForms::list() const {
  Query open;
  open.where = col(&WorkflowForm::status) == FormStatus::open;
  open.order = {{&col(&WorkflowForm::created_at).info(), false}};
  return rows_.list(open);
}

Result<WorkflowForm> WorkflowForms::answer(Id<WorkflowForm> id, const Json& answer) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<WorkflowForm> {
    BUREAU_TRY(const WorkflowForm form, detail::stored_row(unit, id));
    const bool late = form.due_at && *form.due_at <= unit.now();
    if (form.status != FormStatus::open || late) {
      const auto status = late ? FormStatus::expired : form.status;
      return fail(Code::conflict,
                  fmt::format("status: the form is {}; it can be answered no more",
                              names<FormStatus>[static_cast<std::size_t>(status)]),
                  "status");
    }
    BUREAU_TRY(const auto fields, detail::WorkflowFields::read(form.fields, "fields"));
    BUREAU_TRY(Json checked, fields.check(answer, "answer"));
    // Whether he may is judged of the row; what follows is the library's to write.
    BUREAU_TRY_VOID(Repository<WorkflowForm>{Scope(unit)}.update(form));
    BUREAU_TRY(const auto judged, detail::find_row(unit.transaction().reader(), id));
    WorkflowForm after = *judged;
    after.status = FormStatus::answered;
    after.answer = std::move(checked);
    after.answered_at = unit.now();
    if (const Id<User> user = unit.session().principal().user) after.answered_by = user;
    BUREAU_TRY(after, detail::replace_consequence(unit, *judged, std::move(after)));
    const Session system = detail::system_beside(unit.session());
    Unit acting(system, unit.transaction());
    BUREAU_TRY_VOID(
        Runs{Scope(acting)}.signal_json(form.task, form.node + ".answer", Json(true),
                                        id::to_text(schema<WorkflowForm>.prefix, form.id.value)));
    return detail::as_seen(unit, std::move(after));
  });
}

BUREAU_END_NAMESPACE
