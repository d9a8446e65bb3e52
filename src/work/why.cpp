#include "bureau/work/why.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/access/repository.hpp"
#include "bureau/work/agent_registry.hpp"
#include "work/flow.hpp"
#include "work/run_history.hpp"
#include "work/spend.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::uint64_t competitors_max = 10'000;
constexpr std::uint64_t holders_shown = 10;

std::string text_of(Id<Task> id) { return id::to_text(schema<Task>.prefix, id.value); }

/// `kind "sync" in queue "default"`
std::string scope_text(const FlowRule& rule) {
  std::string text;
  const auto add = [&](std::string_view what, const std::string& name) {
    if (name.empty()) return;
    text += fmt::format("{}{} \"{}\"", text.empty() ? "" : ", ", what, name);
  };
  add("queue", rule.queue);
  add("kind", rule.kind);
  add("flow key", rule.flow_key);
  return text.empty() ? "the tenant" : text;
}

/// What one session may know of one task, on one snapshot.
class Asking {
 public:
  Asking(View& view, Task task, Timestamp now)
      : view_(view),
        task_(std::move(task)),
        now_(now),
        shared_(view.reader()),
        flow_(view.reader(), shared_, task_.tenant, now) {}

  Result<Why> answer() {
    out_.task = task_.id;
    out_.status = task_.status;
    out_.at = now_;
    if (task_.status > TaskStatus::ready) {
      BUREAU_TRY_VOID(say_status());
      return std::move(out_);
    }
    if (task_.deadline && *task_.deadline <= now_) {
      say(WaitCause::ended, fmt::format("its deadline, {}, has passed: the next claim ends it",
                                        task_.deadline->to_string()));
      return std::move(out_);
    }
    BUREAU_TRY_VOID(say_suspended());
    BUREAU_TRY_VOID(say_rules());
    say_due();
    out_.claimable = out_.reasons.empty();
    if (out_.claimable) BUREAU_TRY_VOID(say_competitors());
    BUREAU_TRY_VOID(say_worker());
    return std::move(out_);
  }

 private:
  WaitReason& say(WaitCause cause, std::string text) {
    WaitReason& reason = out_.reasons.emplace_back();
    reason.cause = cause;
    reason.text = std::move(text);
    return reason;
  }

  [[nodiscard]] std::string error_text() const {
    return task_.error.value_or("no reason was given");
  }

  /// At which step its run rests, and what it waits for there.
  Result<void> say_rest() {
    BUREAU_TRY(const auto steps, detail::steps_of(view_.reader(), task_.id));
    const bool open = !steps.empty() && steps.back().status == StepStatus::open;
    if (open && steps.back().kind == StepKind::budget) return say_budget(steps.back());
    std::string text = "its run rests";
    if (open) {
      const RunStep& step = steps.back();
      text += fmt::format(" at step {} \"{}\" ({})", step.position, step.name,
                          names<StepKind>[static_cast<std::size_t>(step.kind)]);
    }
    if (task_.pending > 0)
      text += fmt::format(", until {} more of its children end", task_.pending);
    WaitReason& reason = say(WaitCause::waiting, std::move(text));
    if (task_.run_at != Timestamp::never()) reason.until = task_.run_at;
    return {};
  }

  /// Which budget has no room for what its run wants to spend.
  Result<void> say_budget(const RunStep& step) {
    BUREAU_TRY(const auto wanted, detail::spending_at(view_.reader(), task_.id, step.position + 1));
    BUREAU_TRY(const auto waited, detail::spending_at(view_.reader(), task_.id, step.position));
    const auto& spending = waited ? waited : wanted;
    std::string text = fmt::format("its run waits at step {} \"{}\" until its budgets have room",
                                   step.position, step.name);
    std::optional<Timestamp> until;
    if (task_.run_at != Timestamp::never()) until = task_.run_at;
    if (spending) {
      BUREAU_TRY(const auto levels,
                 detail::budget_levels(view_.reader(), task_.tenant, task_.budget, now_));
      const auto refusal = detail::refusal_of(levels, detail::reserved_of(*spending),
                                              spending->currency, spending->unpriced);
      if (!refusal) {
        text += "; there is some now";
      } else {
        BUREAU_TRY(const auto visible,
                   Repository<Budget>(view_).first(col(&Budget::id) == refusal->budget));
        if (visible) text += "; " + refusal->error.message;
      }
    }
    say(WaitCause::budget, std::move(text)).until = until;
    return {};
  }

  Result<void> say_status() {
    switch (task_.status) {
      case TaskStatus::running:
        say(WaitCause::running,
            fmt::format("it is running: attempt {} by \"{}\" on node {}{}", task_.attempt,
                        task_.agent, task_.node,
                        task_.started_at ? ", since " + task_.started_at->to_string() : ""));
        break;
      case TaskStatus::waiting:
        return say_rest();
      case TaskStatus::in_doubt:
        say(WaitCause::in_doubt,
            fmt::format(
                "the outcome of its effect is unknown ({}): somebody has to say what became "
                "of it",
                error_text()));
        break;
      case TaskStatus::completed:
        say(WaitCause::ended, "it is completed");
        break;
      default:
        say(WaitCause::ended,
            fmt::format("it is {}: {}", names<TaskStatus>[static_cast<std::size_t>(task_.status)],
                        error_text()));
    }
    return {};
  }

  void say_due() {
    if (task_.status != TaskStatus::scheduled || task_.run_at <= now_) return;
    std::string text = fmt::format("not due until {}", task_.run_at.to_string());
    if (task_.error) text += fmt::format(" (attempt {} failed: {})", task_.attempt, *task_.error);
    say(WaitCause::not_due, std::move(text)).until = task_.run_at;
  }

  Result<void> say_suspended() {
    TenantStatus status = TenantStatus::active;
    BUREAU_TRY_VOID(view_.reader().find(table_of<Tenant>(), task_.tenant.value,
                                        [&](std::span<const Value> row) -> Result<bool> {
                                          Tenant tenant;
                                          from_values(row, tenant);
                                          status = tenant.status;
                                          return true;
                                        }));
    if (status == TenantStatus::suspended) say(WaitCause::suspended, "its tenant is suspended");
    return {};
  }

  Result<void> say_rules() {
    BUREAU_TRY_VOID(shared_.load());
    BUREAU_TRY_VOID(flow_.load());
    if (task_.flow_key) BUREAU_TRY_VOID(flow_.load_keys({*task_.flow_key}));
    for (const detail::TenantFlow::Room& of : flow_.rooms(task_)) {
      limited_ = limited_ || of.rule->type != FlowRuleType::pause;
      if (of.room <= 0) BUREAU_TRY_VOID(say_rule(of, {}));
    }
    return {};
  }

  /// `ahead`: the better-ranked that will use it up; empty: those that run, or have begun, do.
  Result<void> say_rule(const detail::TenantFlow::Room& of, const std::vector<Id<Task>>& ahead) {
    const FlowRule& rule = *of.rule;
    static constexpr WaitCause causes[] = {WaitCause::paused, WaitCause::concurrency,
                                           WaitCause::rate};
    const WaitCause cause = causes[static_cast<std::size_t>(rule.type)];
    BUREAU_TRY(const auto visible,
               Repository<FlowRule>(view_).first(col(&FlowRule::id) == rule.id));
    if (!visible) {
      say(cause, "a rule of its tenant holds it back");
      return {};
    }
    std::vector<Id<Task>> tasks;
    if (!ahead.empty()) {
      BUREAU_TRY(tasks, in_sight(ahead));
    } else if (cause == WaitCause::concurrency) {
      BUREAU_TRY(tasks, holders(rule));
    }
    std::string text = cause == WaitCause::paused ? pause_text(rule) : limit_text(rule);
    if (!ahead.empty()) {
      text += "; these come first:";
    } else if (cause == WaitCause::concurrency) {
      text += "; these hold their leases:";
    } else if (of.more_at) {
      text += "; the next at " + of.more_at->to_string();
    }
    for (const Id<Task> task : tasks) text += " " + text_of(task);
    WaitReason& reason = say(cause, std::move(text));
    reason.until = cause == WaitCause::rate ? of.more_at : rule.until;
    reason.rule = rule;
    reason.tasks = std::move(tasks);
    return {};
  }

  [[nodiscard]] static std::string limit_text(const FlowRule& rule) {
    std::string text = fmt::format("at most {} of {}{}", rule.at_most, scope_text(rule),
                                   rule.each_key ? " for each flow key" : "");
    if (rule.type == FlowRuleType::concurrency) return text + " at a time";
    return fmt::format("{} begin in {} s", text, static_cast<double>(rule.period.count()) / 1e6);
  }

  [[nodiscard]] std::string pause_text(const FlowRule& rule) const {
    std::string text =
        fmt::format("{} is paused since {}", scope_text(rule), rule.created_at.to_string());
    if (rule.made_by) {
      const auto user = Repository<User>(view_).find(*rule.made_by);
      text += " by " + (user ? user->name : id::to_text(schema<User>.prefix, rule.made_by->value));
    }
    if (rule.until) text += ", until " + rule.until->to_string();
    if (!rule.reason.empty()) text += ": " + rule.reason;
    return text;
  }

  [[nodiscard]] Result<std::vector<Id<Task>>> ids(const Predicate& where) const {
    BUREAU_TRY(const auto tasks,
               Repository<Task>(view_).list({.where = where, .limit = holders_shown}));
    std::vector<Id<Task>> out;
    for (const Task& task : tasks) out.push_back(task.id);
    return out;
  }

  [[nodiscard]] Result<std::vector<Id<Task>>> in_sight(std::vector<Id<Task>> tasks) const {
    if (tasks.size() > holders_shown) tasks.resize(holders_shown);
    return ids(col(&Task::id).in(tasks));
  }

  [[nodiscard]] Result<std::vector<Id<Task>>> holders(const FlowRule& rule) const {
    Predicate held = col(&Task::status) == TaskStatus::running;
    if (!rule.queue.empty()) held = held && col(&Task::queue) == rule.queue;
    if (!rule.kind.empty()) held = held && col(&Task::kind) == rule.kind;
    if (!rule.flow_key.empty()) held = held && col(&Task::flow_key) == rule.flow_key;
    if (rule.each_key) held = held && col(&Task::flow_key) == task_.flow_key.value_or("");
    return ids(held);
  }

  [[nodiscard]] Predicate may_run() const {
    return (col(&Task::status) == TaskStatus::ready ||
            (col(&Task::status) == TaskStatus::scheduled && col(&Task::run_at) <= now_)) &&
           (col(&Task::deadline).is_null() || col(&Task::deadline) > now_);
  }

  /// Lets the better-ranked of its queue begin, as a claim does, and sees what is left for it.
  Result<void> say_competitors() {
    const Predicate better = may_run() && col(&Task::queue) == task_.queue &&
                             (col(&Task::rank) < task_.rank ||
                              (col(&Task::rank) == task_.rank && col(&Task::id) < task_.id));
    if (limited_) BUREAU_TRY_VOID(let_begin(better));
    for (const detail::TenantFlow::Room& of : flow_.rooms(task_)) {
      if (of.room > 0) continue;
      out_.claimable = false;
      BUREAU_TRY_VOID(say_rule(of, ahead_of(*of.rule)));
    }
    if (!out_.claimable) return {};
    BUREAU_TRY(const auto count, Repository<Task>(view_).count(better));
    if (count == 0) return {};
    say(WaitCause::behind, fmt::format("{} better-ranked tasks of its queue come first", count))
        .count = count;
    return {};
  }

  Result<void> let_begin(const Predicate& better) {
    std::vector<Task> tasks;
    const Select in_order = select<Task>()
                                .where(better && col(&Task::tenant) == task_.tenant)
                                .order_by(col(&Task::rank))
                                .limit(competitors_max);
    BUREAU_TRY_VOID(view_.reader().scan(in_order, [&](std::span<const Value> row) -> Result<bool> {
      from_values(row, tasks.emplace_back());
      return true;
    }));
    for (const Task& task : tasks) {
      const std::string key = task.flow_key.value_or("");
      if (!key.empty()) BUREAU_TRY_VOID(flow_.load_keys({key}));
      if (flow_.lane_room(task.queue, task.kind) <= 0) continue;
      if (flow_.key_room(task.queue, task.kind, key) <= 0) continue;
      flow_.count(task.queue, task.kind, key);
      begun_.push_back(task);
    }
    return {};
  }

  [[nodiscard]] std::vector<Id<Task>> ahead_of(const FlowRule& rule) const {
    std::vector<Id<Task>> out;
    for (const Task& task : begun_) {
      const bool counts = !rule.each_key || task.flow_key == task_.flow_key;
      if (counts && rule.covers(task)) out.push_back(task.id);
    }
    return out;
  }

  Result<void> say_worker() {
    BUREAU_TRY(const bool done,
               is_done_by_a_node(view_.session().database(), view_.reader(), task_.kind));
    if (!done) {
      say(WaitCause::no_worker,
          fmt::format("no live node has an agent for kind \"{}\"", task_.kind));
    }
    return {};
  }

  View& view_;
  Task task_;
  Timestamp now_;
  detail::SharedFlow shared_;
  detail::TenantFlow flow_;
  bool limited_ = false;  // by more than pauses
  std::vector<Task> begun_;
  Why out_;
};

}  // namespace

Result<Why> why(const Session& session, Id<Task> task) {
  const Timestamp now = session.database().clock().now();
  return session.read([&](View& view) -> Result<Why> {
    BUREAU_TRY(Task row, Repository<Task>(view).find(task));
    return Asking(view, std::move(row), now).answer();
  });
}

Json to_json(const Why& why) {
  Json reasons = Json::array();
  for (const WaitReason& reason : why.reasons) {
    Json tasks = Json::array();
    for (const Id<Task> task : reason.tasks) tasks.push_back(text_of(task));
    reasons.push_back(Json::object(
        {{"cause", std::string(names<WaitCause>[static_cast<std::size_t>(reason.cause)])},
         {"text", reason.text},
         {"until", reason.until ? Json(reason.until->to_string()) : Json()},
         {"rule",
          reason.rule ? Json(id::to_text(schema<FlowRule>.prefix, reason.rule->id.value)) : Json()},
         {"tasks", std::move(tasks)},
         {"count", static_cast<std::int64_t>(reason.count)}}));
  }
  return Json::object(
      {{"task", text_of(why.task)},
       {"status", std::string(names<TaskStatus>[static_cast<std::size_t>(why.status)])},
       {"at", why.at.to_string()},
       {"claimable", why.claimable},
       {"reasons", std::move(reasons)}});
}

BUREAU_END_NAMESPACE
