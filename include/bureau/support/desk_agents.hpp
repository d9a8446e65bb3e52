#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bureau/ai/text_classifier.hpp"
#include "bureau/support/tickets.hpp"
#include "bureau/work/agent.hpp"
#include "bureau/work/tasks.hpp"

BUREAU_BEGIN_NAMESPACE

/// A reply as an office words it, for one category, or "*" for all that have none of their own. May
/// name text_variables(), as {customer}.
struct ReplyTemplate {
  Id<ReplyTemplate> id;
  Id<Tenant> tenant;
  std::string category;
  std::string body;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto schema<ReplyTemplate> = table(
    "reply_templates", "rpl", journal::full, column("id", &ReplyTemplate::id),
    column("tenant", &ReplyTemplate::tenant),
    column("category", &ReplyTemplate::category, max_length(100)),
    column("body", &ReplyTemplate::body, max_length(20'000)),
    column("version", &ReplyTemplate::version), column("created_at", &ReplyTemplate::created_at),
    column("updated_at", &ReplyTemplate::updated_at),
    unique_index("category", "tenant", "category"));

/// Makes it the category's reply, or replaces the one it has. `invalid` for a body that is empty or
/// names another {variable}; a { that begins no name is text.
Result<ReplyTemplate> save_template(const Session& session, std::string_view category,
                                    std::string_view body);
/// The body with {customer}, {number} and {subject} replaced.
[[nodiscard]] std::string render_template(std::string_view body, std::string_view customer,
                                          std::int64_t number, std::string_view subject);

/// A trained classifier. A new training is a new row with the next version; the highest is used.
/// Its bytes are not journalled: they can be trained again.
struct TrainedModel {
  Id<TrainedModel> id;
  Id<Tenant> tenant;
  std::string name;
  std::int64_t model_version = 0;
  std::int64_t examples = 0;
  std::string digest;  ///< of what it was trained from, as the host makes it; may be empty
  Bytes model;
  Timestamp created_at;
};
template <>
inline constexpr auto schema<TrainedModel> = table(
    "trained_models", "mdl", journal::none, column("id", &TrainedModel::id),
    column("tenant", &TrainedModel::tenant), column("name", &TrainedModel::name, max_length(100)),
    column("model_version", &TrainedModel::model_version),
    column("examples", &TrainedModel::examples),
    column("digest", &TrainedModel::digest, max_length(200)), column("model", &TrainedModel::model),
    column("created_at", &TrainedModel::created_at),
    unique_index("version", "tenant", "name", "model_version"));

struct StoredModel {
  std::shared_ptr<const TextClassifier> classifier;
  std::int64_t version = 0;
  std::string digest;
};
/// Stores a classifier as the next version under that name, and gives that version.
Result<std::int64_t> store_model(const Session& session, std::string_view name,
                                 const TextClassifier& classifier, std::int64_t examples,
                                 std::string_view digest = {});
/// The newest; `not_found` when none was ever trained.
Result<StoredModel> load_model(const Session& session, std::string_view name);

struct TicketPayload {
  Id<Ticket> ticket;
};
template <>
inline constexpr auto record<TicketPayload> = fields(column("ticket", &TicketPayload::ticket));

struct TriageResult {
  std::string category;
  double confidence = 0;
  bool unsure = false;
};
template <>
inline constexpr auto record<TriageResult> = fields(column("category", &TriageResult::category),
                                                    column("confidence", &TriageResult::confidence),
                                                    column("unsure", &TriageResult::unsure));
struct RouteResult {
  std::optional<Id<Team>> team;
  std::optional<Id<User>> assignee;
};
template <>
inline constexpr auto record<RouteResult> = fields(column("team", &RouteResult::team),
                                                   column("assignee", &RouteResult::assignee));
struct DraftResult {
  std::optional<Id<Message>> suggestion;  ///< none: the ticket was no longer open
  bool accepted = false;
};
template <>
inline constexpr auto record<DraftResult> = fields(column("suggestion", &DraftResult::suggestion),
                                                   column("accepted", &DraftResult::accepted));

inline constexpr auto triage_ticket = task_kind<TicketPayload, TriageResult>(
    "triage_ticket", Effect::database, retry::exponential(5), "desk");
inline constexpr auto route_ticket = task_kind<TicketPayload, RouteResult>(
    "route_ticket", Effect::database, retry::exponential(5), "desk");
inline constexpr auto draft_reply = task_kind<TicketPayload, DraftResult>(
    "draft_reply", Effect::database, retry::exponential(5), "desk");

/// Classifies the first message, sets category and priority (that of the category, or the one the
/// ticket has), and enqueues routing in the same commit. An unsure answer keeps the category empty.
/// A ticket that is no longer open is left as it is, by all three agents.
class TriageAgent final : public AgentOf<triage_ticket> {
 public:
  TriageAgent(std::shared_ptr<const TextClassifier> classifier,
              std::map<std::string, Priority> priorities)
      : classifier_(std::move(classifier)), priorities_(std::move(priorities)) {}
  using AgentOf::execute;
  Result<TriageResult> execute(Run& run, const TicketPayload& payload) override;

 private:
  std::shared_ptr<const TextClassifier> classifier_;
  std::map<std::string, Priority> priorities_;
};

/// Gives a triaged ticket to a team and a person, and enqueues the draft in the same commit.
class RoutingAgent final : public AgentOf<route_ticket> {
 public:
  using AgentOf::execute;
  Result<RouteResult> execute(Run& run, const TicketPayload& payload) override;
};

/// Drafts a reply from the category's template, or the general one, as a suggestion, with the
/// confidence of the category; of the general one it is 0. The reviewer's
/// rule, a predicate over the suggestion, says which are accepted at once; the rest is left for a
/// person. Nothing is sent.
class ResponderAgent final : public AgentOf<draft_reply> {
 public:
  /// `accept` is over messages, without variables, now() and sub-selects: on_initialize() says so.
  explicit ResponderAgent(Predicate accept) : accept_(std::move(accept)) {}
  Result<void> on_initialize() override;
  using AgentOf::execute;
  Result<DraftResult> execute(Run& run, const TicketPayload& payload) override;

 private:
  Predicate accept_;
};

BUREAU_END_NAMESPACE

extern template class bureau::AgentOf<bureau::triage_ticket>;
extern template class bureau::AgentOf<bureau::route_ticket>;
extern template class bureau::AgentOf<bureau::draft_reply>;

BUREAU_DECLARE_ENTITY(bureau::ReplyTemplate);
BUREAU_DECLARE_ENTITY(bureau::TrainedModel);
