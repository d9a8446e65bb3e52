// What the desk's agents read: reply templates and trained models.

#include <fmt/format.h>

#include "bureau/support/desk_agents.hpp"
#include "support/text_template.hpp"
#include "support/ticket_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::size_t max_template = 20'000, max_category = 100;
constexpr std::string_view general = "*";

}  // namespace

Result<ReplyTemplate> save_template(const Session& session, std::string_view category,
                                    std::string_view body) {
  BUREAU_TRY_VOID(detail::check_body("category", category, max_category));
  BUREAU_TRY_VOID(detail::check_body("body", body, max_template));
  BUREAU_TRY_VOID(detail::check_template("body", body));
  return session.write([&](Unit& unit) -> Result<ReplyTemplate> {
    const Repository<ReplyTemplate> templates{Scope(unit)};
    BUREAU_TRY(auto present,
               templates.first(col(&ReplyTemplate::category) == std::string(category)));
    if (present && present->body == body) return std::move(*present);
    if (present) {
      present->body = body;
      return templates.update(std::move(*present));
    }
    ReplyTemplate made;
    made.category = category;
    made.body = body;
    return templates.insert(std::move(made));
  });
}

std::string render_template(std::string_view body, std::string_view customer, std::int64_t number,
                            std::string_view subject) {
  return detail::fill_template(body, [&](std::string_view name) -> std::optional<std::string> {
    if (name == "customer") return std::string(customer);
    if (name == "number") return std::to_string(number);
    if (name == "subject") return std::string(subject);
    return {};
  });
}

Result<std::int64_t> store_model(const Session& session, std::string_view name,
                                 const TextClassifier& classifier, std::int64_t examples,
                                 std::string_view digest) {
  BUREAU_TRY_VOID(detail::check_body("name", name, max_category));
  const std::string bytes = classifier.serialize();
  return session.write([&](Unit& unit) -> Result<std::int64_t> {
    const Repository<TrainedModel> models{Scope(unit)};
    BUREAU_TRY(auto newest, models.first(col(&TrainedModel::name) == std::string(name),
                                         {{&col(&TrainedModel::model_version).info(), true}}));
    TrainedModel made;
    made.name = name;
    made.model_version = newest ? newest->model_version + 1 : 1;
    made.examples = examples;
    made.digest = digest;
    made.model.data = bytes;
    BUREAU_TRY(made, models.insert(std::move(made)));
    return made.model_version;
  });
}

Result<StoredModel> load_model(const Session& session, std::string_view name) {
  const Repository<TrainedModel> models{Scope(session)};
  BUREAU_TRY(auto newest, models.first(col(&TrainedModel::name) == std::string(name),
                                       {{&col(&TrainedModel::model_version).info(), true}}));
  if (!newest) {
    return fail(
        Code::not_found,
        fmt::format("model: none with the name \"{}\" was ever trained", detail::shortened(name)),
        "name");
  }
  BUREAU_TRY(auto classifier, TextClassifier::deserialize(newest->model.data));
  return StoredModel{std::make_shared<const TextClassifier>(std::move(classifier)),
                     newest->model_version, newest->digest};
}

// Agents ---------------------------------------------------------------------------------------

Result<TriageResult> TriageAgent::execute(Run& run, const TicketPayload& payload) {
  // Reading and judging hold no lock; what is written is decided on again in the completion.
  BUREAU_TRY(const auto text, run.read([&](View& view) -> Result<std::string> {
    const Repository<Message> messages{Scope(view)};
    BUREAU_TRY(auto first, messages.first(col(&Message::ticket) == payload.ticket &&
                                          col(&Message::sequence) == 1));
    if (first) return std::move(first->body);
    return fail(Code::invalid,
                fmt::format("ticket: {} is not there or has no message",
                            id::to_text(schema<Ticket>.prefix, payload.ticket.value)),
                "ticket");
  }));
  const Prediction seen = classifier_->predict(text);
  const auto priority = priorities_.find(seen.label);
  return run.complete(any_thread, [&](Unit& unit) -> Result<TriageResult> {
    const Tickets tickets{unit};
    BUREAU_TRY(const Ticket ticket, tickets.find(payload.ticket));
    const TriageResult result{seen.label, seen.confidence, seen.unsure};
    if (!is_open(ticket.state)) return result;
    const bool known = !seen.unsure && priority != priorities_.end();
    BUREAU_TRY(const Ticket triaged,
               tickets.classify(payload.ticket, seen.unsure ? std::string_view() : seen.label,
                                seen.confidence, known ? priority->second : ticket.priority));
    BUREAU_TRY_VOID(
        Tasks{unit}.enqueue(route_ticket, payload, EnqueueOptions{.priority = triaged.priority}));
    return result;
  });
}

Result<RouteResult> RoutingAgent::execute(Run& run, const TicketPayload& payload) {
  return run.complete(any_thread, [&](Unit& unit) -> Result<RouteResult> {
    const Tickets tickets{unit};
    BUREAU_TRY(Ticket ticket, tickets.find(payload.ticket));
    if (!is_open(ticket.state)) return RouteResult{ticket.team, ticket.assignee};
    BUREAU_TRY(ticket, tickets.route(payload.ticket));
    BUREAU_TRY_VOID(
        Tasks{unit}.enqueue(draft_reply, payload, EnqueueOptions{.priority = ticket.priority}));
    return RouteResult{ticket.team, ticket.assignee};
  });
}

Result<void> ResponderAgent::on_initialize() {
  if (accept_.has_variables() || accept_.uses_now() || accept_.has_select()) {
    return fail(Code::invalid,
                fmt::format("accept: {} has variables, now() or a sub-select; the reviewer's rule "
                            "is about the message alone",
                            detail::shortened(accept_.to_text(), 200)),
                "accept");
  }
  return {};
}

Result<DraftResult> ResponderAgent::execute(Run& run, const TicketPayload& payload) {
  struct Draft {
    std::string body;
    double confidence = 0;
  };
  BUREAU_TRY(const auto draft, run.read([&](View& view) -> Result<Draft> {
    BUREAU_TRY(const Ticket ticket, Tickets{view}.find(payload.ticket));
    const Repository<ReplyTemplate> templates{Scope(view)};
    std::optional<ReplyTemplate> found;
    double confidence = 0;  // the general reply answers nothing in particular
    if (ticket.category) {
      BUREAU_TRY(found, templates.first(col(&ReplyTemplate::category) == *ticket.category));
    }
    if (found) {
      confidence = ticket.confidence.value_or(0);
    } else {
      BUREAU_TRY(found, templates.first(col(&ReplyTemplate::category) == std::string(general)));
    }
    if (!found) {
      return fail(Code::not_found,
                  fmt::format("template: none for \"{}\", and no general one (\"{}\")",
                              ticket.category.value_or(""), general),
                  "category");
    }
    BUREAU_TRY(auto text, detail::render_for(Scope(view), ticket.id, found->body));
    return Draft{std::move(text), confidence};
  }));
  return run.complete(any_thread, [&](Unit& unit) -> Result<DraftResult> {
    const Tickets tickets{unit};
    BUREAU_TRY(const Ticket ticket, tickets.find(payload.ticket));
    if (!is_open(ticket.state)) return DraftResult{};
    BUREAU_TRY(const Message made,
               tickets.suggest(payload.ticket, draft.body, draft.confidence, accept_));
    return DraftResult{made.id, made.review == Review::accepted};
  });
}

BUREAU_END_NAMESPACE
