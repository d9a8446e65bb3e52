#include "summary.hpp"

#include <fmt/format.h>

#include <unordered_map>

namespace helpdesk {

using namespace bureau;

namespace {

/// One message's way through the office.
struct Case {
  const InboxMessage* message = nullptr;
  bool triaged = false, drafted = false, accepted = false;
  TriageResult verdict;
};
using Cases = std::unordered_map<std::int64_t, Case>;  // by ticket

constexpr std::uint64_t all_rows = 100'000'000;

Result<Cases> find_cases(View& view, const std::vector<InboxMessage>& messages) {
  std::unordered_map<std::string_view, const InboxMessage*> by_id;
  for (const InboxMessage& message : messages) by_id.emplace(message.external_id, &message);
  Cases cases;
  BUREAU_TRY(const auto rows, Repository<Message>{view}.list({.limit = all_rows}));
  for (const Message& row : rows) {
    if (!row.external_id) continue;
    const auto found = by_id.find(*row.external_id);
    if (found != by_id.end()) cases[row.ticket.value].message = found->second;
  }
  for (const Message& row : rows) {
    const auto found = cases.find(row.ticket.value);
    if (row.kind != MessageKind::suggestion || found == cases.end()) continue;
    found->second.drafted = true;
    found->second.accepted = row.review == Review::accepted;
  }
  Query triages;
  triages.where = col(&Task::kind) == std::string(triage_ticket.name) &&
                  col(&Task::status) == TaskStatus::completed;
  triages.limit = all_rows;
  BUREAU_TRY(const auto tasks, Repository<Task>{view}.list(triages));
  for (const Task& task : tasks) {
    BUREAU_TRY(const auto payload, record_from_json<TicketPayload>(task.payload));
    const auto found = cases.find(payload.ticket.value);
    if (found == cases.end() || !task.result) continue;
    found->second.triaged = true;
    BUREAU_TRY(found->second.verdict, record_from_json<TriageResult>(*task.result));
  }
  return cases;
}

void count(const Cases& cases, Summary& out) {
  std::uint64_t sure = 0, labelled = 0, right = 0, sure_labelled = 0, sure_right = 0;
  for (const auto& [ticket, c] : cases) {
    out.triaged += c.triaged ? 1 : 0;
    out.drafted += c.drafted ? 1 : 0;
    out.accepted += c.accepted ? 1 : 0;
    const bool is_sure = c.triaged && !c.verdict.unsure;
    sure += is_sure ? 1 : 0;
    if (c.message->label.empty()) continue;
    const bool is_right = c.triaged && c.verdict.category == c.message->label;
    ++labelled;
    right += is_right ? 1 : 0;
    sure_labelled += is_sure ? 1 : 0;
    sure_right += is_sure && is_right ? 1 : 0;
  }
  const auto share = [](std::uint64_t part, std::uint64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
  };
  out.tickets = cases.size();
  out.left_for_people = out.tickets - out.accepted;
  if (out.tickets > 0) out.coverage = share(sure, out.tickets);
  if (labelled > 0) out.accuracy = share(right, labelled);
  if (sure_labelled > 0) out.accuracy_at_threshold = share(sure_right, sure_labelled);
}

Result<void> count_lines(View& view, const Cases& cases, Summary& out) {
  std::map<std::int64_t, std::string> teams;
  BUREAU_TRY(const auto rows, Repository<Team>{view}.list({.limit = all_rows}));
  for (const Team& team : rows) teams[team.id.value] = team.name;
  BUREAU_TRY(const auto tickets, Tickets{view}.list({.limit = all_rows}));
  for (const Ticket& ticket : tickets) {
    const auto found = cases.find(ticket.id.value);
    if (found == cases.end()) continue;
    const auto add = [&](Summary::Line& line) {
      ++line.tickets;
      line.accepted += found->second.accepted ? 1 : 0;
    };
    add(out.categories[ticket.category.value_or("(unsure)")]);
    add(out.teams[ticket.team ? teams[ticket.team->value] : "(no team)"]);
  }
  return {};
}

std::string number_or_null(const std::optional<double>& value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : "null";
}

}  // namespace

Result<Summary> summarize(Desk& desk, const std::vector<InboxMessage>& messages) {
  Summary summary;
  const Session office = desk.session().with_timeouts(std::chrono::minutes(2), Duration::max());
  BUREAU_TRY_VOID(office.read([&](View& view) -> Result<void> {
    summary = {};
    BUREAU_TRY(const Cases cases, find_cases(view, messages));
    count(cases, summary);
    BUREAU_TRY_VOID(count_lines(view, cases, summary));
    BUREAU_TRY(summary.changes, desk.engine().database().journal_head(view.reader()));
    return {};
  }));
  summary.file_bytes = desk.file_bytes();
  return summary;
}

std::string to_table(const Summary& s) {
  std::string out;
  const auto lines = [&](const char* title, const std::map<std::string, Summary::Line>& rows) {
    std::size_t width = 10;
    for (const auto& [name, line] : rows) width = std::max(width, count_code_points(name));
    const auto padded = [&](const std::string& name) {
      return name + std::string(width - std::min(width, count_code_points(name)), ' ');
    };
    out += fmt::format("\n{}  {:>8}  {:>8}\n", padded(title), "tickets", "accepted");
    for (const auto& [name, line] : rows) {
      out += fmt::format("{}  {:>8}  {:>8}\n", padded(name), line.tickets, line.accepted);
    }
  };
  lines("team", s.teams);
  lines("category", s.categories);
  out += fmt::format(
      "\n{} tickets, {} triaged, {} drafted; {} drafts accepted (nothing was sent), {} left for "
      "people\n",
      s.tickets, s.triaged, s.drafted, s.accepted, s.left_for_people);
  if (s.accuracy) {
    out += fmt::format("the best label was right for {:.1f} % of the messages with a label",
                       *s.accuracy * 100);
    if (s.accuracy_at_threshold) {
      out += fmt::format("; sure of {:.1f} %, and right for {:.1f} % of those", s.coverage * 100,
                         *s.accuracy_at_threshold * 100);
    }
    out += '\n';
  }
  out += fmt::format(
      "{:.0f} tickets a second; {} changes in the journal{}\n", s.tickets_per_second, s.changes,
      s.file_bytes ? fmt::format("; {:.1f} MB", static_cast<double>(*s.file_bytes) / 1e6) : "");
  return out;
}

std::string to_json_line(const Summary& s) {
  return fmt::format(
      "{{\"tickets\": {}, \"triaged\": {}, \"drafted\": {}, \"accepted\": {}, "
      "\"left_for_people\": {}, \"accuracy\": {}, \"coverage\": {:.4f}, "
      "\"accuracy_at_threshold\": {}, \"tickets_per_second\": {:.1f}, \"routed_ms_p50\": {}, "
      "\"routed_ms_p99\": {}, \"changes\": {}, \"file_bytes\": {}, \"training_seconds\": {:.3f}}}",
      s.tickets, s.triaged, s.drafted, s.accepted, s.left_for_people, number_or_null(s.accuracy, 4),
      s.coverage, number_or_null(s.accuracy_at_threshold, 4), s.tickets_per_second,
      number_or_null(s.routed_ms_p50, 3), number_or_null(s.routed_ms_p99, 3), s.changes,
      s.file_bytes ? std::to_string(*s.file_bytes) : "null", s.training_seconds);
}

}  // namespace helpdesk
