#include "support/ticket_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {
constexpr std::size_t max_subject = 500, max_text = 100'000, max_external_id = 200;
constexpr std::size_t max_tags = 50, max_tag = 64;
constexpr std::size_t derived_subject_bytes = 120;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

Result<void> check_text(std::string_view field, std::string_view text,
                        std::size_t max_code_points) {
  if (!is_valid_text(text)) {
    return fail(
        Code::invalid,
        fmt::format("{}: {} bytes that are not valid UTF-8 without NUL", field, text.size()),
        std::string(field));
  }
  if (const std::size_t size = count_code_points(text); size > max_code_points) {
    return fail(Code::invalid,
                fmt::format("{}: {} characters, the limit is {}", field, size, max_code_points),
                std::string(field));
  }
  return {};
}
}  // namespace

std::string subject_of(std::string_view body) {
  const std::size_t begin = body.find_first_not_of(" \t\r\n\v\f");
  if (begin == std::string_view::npos) return {};
  std::string_view line = body.substr(begin);
  line = line.substr(0, line.find_first_of("\r\n"));
  return shortened(line, derived_subject_bytes);
}

Result<void> check_body(std::string_view field, std::string_view text,
                        std::size_t max_code_points) {
  BUREAU_TRY_VOID(check_text(field, text, max_code_points));
  if (!is_blank(text)) return {};
  return fail(Code::invalid, fmt::format("{}: it is empty; it must say something", field),
              std::string(field));
}

Result<void> check_subject(std::string_view subject) {
  return check_text("subject", subject, max_subject);
}

Result<void> check_confidence(double confidence) {
  if (confidence >= 0 && confidence <= 1) return {};
  return fail(Code::invalid, fmt::format("confidence: {} is not between 0 and 1", confidence),
              "confidence");
}

Result<void> check_external_id(const std::optional<std::string>& external_id) {
  if (!external_id) return {};
  if (external_id->empty()) {
    return fail(Code::invalid, "external_id: it is empty; leave it out instead", "external_id");
  }
  return check_text("external_id", *external_id, max_external_id);
}

Result<void> check_ticket_row(std::span<const Value> before, std::span<const Value> after) {
  const std::uint16_t at = col(&Ticket::custom).info().index;
  if (!before.empty() && before[at] == after[at]) return {};
  BUREAU_TRY(const Json custom, Json::parse(after[at].as_text()));
  return check_object("custom", custom);
}

Result<void> check_new_ticket(const NewTicket& ticket) {
  BUREAU_TRY_VOID(check_subject(ticket.subject));
  BUREAU_TRY_VOID(check_body("body", ticket.body, max_text));
  BUREAU_TRY_VOID(check_external_id(ticket.external_id));
  if (!ticket.customer) {
    return fail(Code::invalid, "customer: none is given; a ticket is somebody's", "customer");
  }
  return check_object("custom", ticket.custom);
}

Result<void> check_new_message(const NewMessage& message) {
  BUREAU_TRY_VOID(check_body("body", message.body, max_text));
  BUREAU_TRY_VOID(check_external_id(message.external_id));
  const bool suggestion = message.kind == MessageKind::suggestion;
  if (message.confidence) BUREAU_TRY_VOID(check_confidence(*message.confidence));
  if (message.confidence && !suggestion) {
    return fail(Code::invalid,
                fmt::format("confidence: {} was given for a message of kind \"{}\"; only a "
                            "suggestion has one",
                            *message.confidence, name_of(message.kind)),
                "confidence");
  }
  if (message.sender == Sender::customer && message.kind != MessageKind::visible) {
    return fail(Code::invalid,
                fmt::format("kind: \"{}\" cannot come from a customer; his messages are public",
                            name_of(message.kind)),
                "kind");
  }
  return {};
}

Result<std::vector<std::string>> check_tags(std::vector<std::string> tags) {
  std::vector<std::string> kept;
  for (std::string& tag : tags) {
    BUREAU_TRY_VOID(check_body("tags", tag, max_tag));
    if (std::find(kept.begin(), kept.end(), tag) == kept.end()) kept.push_back(std::move(tag));
  }
  if (kept.size() <= max_tags) return kept;
  return fail(Code::invalid, fmt::format("tags: {} tags, the limit is {}", kept.size(), max_tags),
              "tags");
}

// States ---------------------------------------------------------------------------------------

Result<void> refuse_ended(const Ticket& ticket, std::string_view what) {
  if (ticket.state != TicketState::closed && ticket.state != TicketState::merged) return {};
  return fail(
      Code::conflict,
      fmt::format("status: ticket {} is {}; {}", ticket.number, name_of(ticket.state), what),
      "status");
}

Result<void> enter(Ticket& ticket, const TicketStatus& status, Timestamp now) {
  const TicketState from = ticket.state;
  if (from != status.state && !may_become(from, status.state)) {
    return fail(
        Code::conflict,
        fmt::format("status: ticket {} is {} (\"{}\") and cannot become {} (\"{}\")", ticket.number,
                    name_of(from), ticket.status, name_of(status.state), status.name),
        "status");
  }
  ticket.status = status.name;
  ticket.state = status.state;
  if (from == status.state) return {};
  if (!is_open(from) && is_open(status.state)) {
    ++ticket.reopen_count;
    ticket.resolved_at.reset();
    ticket.closed_at.reset();
  }
  if (status.state == TicketState::resolved) ticket.resolved_at = now;
  if (status.state == TicketState::closed) ticket.closed_at = now;
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
