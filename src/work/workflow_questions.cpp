// What a run of a workflow asks people: approvals and forms.

#include <fmt/format.h>

#include <algorithm>

#include "access/library_rows.hpp"
#include "store/row_values.hpp"
#include "work/workflow_run.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

/// A user by his id or his address.
Result<std::int64_t> user_named(View& view, const std::string& member, const std::string& text) {
  if (const auto id = id::from_text(schema<User>.prefix, text)) return *id;
  BUREAU_TRY(const auto found, Repository<User>(view).first(col(&User::email) == text));
  if (found) return found->id.value;
  return fail(Code::not_found, fmt::format("{}: there is no user \"{}\"", member, text), member);
}

Result<std::int64_t> team_named(View& view, const std::string& text) {
  if (const auto id = id::from_text(schema<Team>.prefix, text)) return *id;
  BUREAU_TRY(const auto found, Repository<Team>(view).first(col(&Team::name) == text));
  if (found) return found->id.value;
  return fail(Code::not_found, fmt::format("team: there is none \"{}\"", text), "team");
}

template <class T>
std::optional<Id<T>> id_in(const Json& json, std::string_view member) {
  const Json* value = json.find(member);
  const std::int64_t* number = value == nullptr ? nullptr : value->as_int();
  return number == nullptr ? std::nullopt : std::optional<Id<T>>(Id<T>(*number));
}

}  // namespace

/// Whom a question is for, looked up once: names may mean others later.
Result<Json> WorkflowInterpreter::find_people(const WorkflowNode& node) {
  const bool names_some = node.find("assignee") != nullptr || node.find("team") != nullptr ||
                          node.find("escalate_to") != nullptr;
  if (!names_some) return Json::object();
  return run_.step(node.id + ".people", Effect::pure, [&]() -> Result<Json> {
    Json out = Json::object();
    BUREAU_TRY_VOID(run_.read([&](View& view) -> Result<int> {
      for (const std::string member : {"assignee", "escalate_to", "team"}) {
        if (node.find(member) == nullptr) continue;
        BUREAU_TRY(const std::string name, text(node, member));
        BUREAU_TRY(const std::int64_t id,
                   member == "team" ? team_named(view, name) : user_named(view, member, name));
        out.set(member, id);
      }
      return 0;
    }));
    return out;
  });
}

Result<WorkflowInterpreter::Question> WorkflowInterpreter::read_question(const WorkflowNode& node) {
  Question question;
  BUREAU_TRY(question.title, text(node, "title"));
  constexpr std::size_t title_max = 200;
  if (const auto size = count_code_points(question.title); size == 0 || size > title_max) {
    return fail(Code::invalid, fmt::format("title: {} characters, it has 1 to {}", size, title_max),
                "title");
  }
  if (node.find("within") != nullptr) {
    BUREAU_TRY(question.within, duration(node, "within"));
  }
  if (node.find("escalate_after") != nullptr) {
    BUREAU_TRY(question.escalate_after, duration(node, "escalate_after"));
  }
  BUREAU_TRY(const Json people, find_people(node));
  question.assignee = id_in<User>(people, "assignee");
  question.escalate_to = id_in<User>(people, "escalate_to");
  question.team = id_in<Team>(people, "team");
  return question;
}

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::approve(const WorkflowNode& node) {
  BUREAU_TRY(const Question question, read_question(node));
  ApprovalRequest request;
  request.title = question.title;
  request.assignee = question.assignee;
  request.team = question.team;
  request.within = question.within;
  request.escalate_after = question.escalate_after;
  request.escalate_to = question.escalate_to;
  if (const Json* subject = node.find("subject")) {
    BUREAU_TRY(request.subject, fill(*subject, values_));
  }
  BUREAU_TRY(const Verdict verdict, run_.approval(request, node.id));
  Outcome outcome;
  const auto status = names<ApprovalStatus>[static_cast<std::size_t>(verdict.status)];
  outcome.value = Json::object(
      {{"approved", verdict.approved()},
       {"status", status},
       {"by", verdict.by ? Json(id::to_text(schema<User>.prefix, verdict.by->value)) : Json()},
       {"comment", verdict.comment}});
  if (verdict.approved()) return outcome;
  outcome.label = verdict.status == ApprovalStatus::expired ? "expired" : "rejected";
  return outcome;
}

// Forms ----------------------------------------------------------------------------------------

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::ask(const WorkflowNode& node) {
  BUREAU_TRY(const Question question, read_question(node));
  const auto make_form = [&](Unit& unit) -> Result<Json> {
    Transaction& tx = unit.transaction();
    WorkflowForm form;
    BUREAU_TRY(form.id.value, tx.next_id());
    form.tenant = run_.task().tenant;
    form.task = run_.task().id;
    form.node = node.id;
    form.title = question.title;
    form.fields = *node.find("fields");
    form.assignee = question.assignee;
    form.team = question.team;
    if (question.within) form.due_at = tx.now() + *question.within;
    form.version = 1;
    form.created_at = form.updated_at = tx.now();
    BUREAU_TRY_VOID(tx.insert(table_of<WorkflowForm>(), RowValues(form).values()));
    return Json::object(
        {{"form", form.id.value}, {"due", form.due_at ? Json(form.due_at->micros()) : Json()}});
  };
  BUREAU_TRY(const Json made, run_.step(node.id, make_form));
  std::optional<Timestamp> due;
  if (const std::int64_t* micros = made.find("due")->as_int())
    due = Timestamp::from_micros(*micros);
  Outcome outcome;
  BUREAU_TRY(outcome.value,
             await_answer(node, Id<WorkflowForm>(*made.find("form")->as_int()), due));
  if (!*outcome.value.find("answered")->as_bool()) outcome.label = "expired";
  return outcome;
}

/// The form says what came of it; the signal only wakes. An answer that comes with the deadline
/// counts, if it was there first.
Result<Json> WorkflowInterpreter::await_answer(const WorkflowNode& node, Id<WorkflowForm> id,
                                               std::optional<Timestamp> due) {
  const auto close = [&](Unit& unit) -> Result<Json> {
    BUREAU_TRY(const auto form, find_row(unit.transaction().reader(), id));
    if (form && form->status == FormStatus::answered) {
      return Json::object({{"answered", true},
                           {"answer", form->answer.value_or(Json())},
                           {"by", form->answered_by ? Json(id::to_text(schema<User>.prefix,
                                                                       form->answered_by->value))
                                                    : Json()}});
    }
    const bool over =
        !form || form->status != FormStatus::open || (form->due_at && *form->due_at <= unit.now());
    if (!over) return Json();
    if (form && form->status == FormStatus::open) {
      WorkflowForm expired = *form;
      expired.status = FormStatus::expired;
      BUREAU_TRY_VOID(replace_consequence(unit, *form, std::move(expired)));
    }
    return Json::object({{"answered", false}, {"answer", Json()}, {"by", Json()}});
  };
  for (;;) {
    std::optional<Duration> left;
    // The clock is asked beside a wait, whose moment is recorded when it is reached first.
    if (due) left = std::max(Duration(0), *due - workflow_.clock->now());
    BUREAU_TRY_VOID(run_.wait_for_json(node.id + ".answer", left,
                                       [](const Json&) -> Result<void> { return {}; }));
    BUREAU_TRY(Json closed, run_.step(node.id + ".close", close));
    if (!closed.is_null()) return closed;
  }
}

}  // namespace detail
BUREAU_END_NAMESPACE
