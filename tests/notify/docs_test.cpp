// The pictures of docs/notifications.md are those of the tables in the header.

#include <fstream>
#include <sstream>

#include "notify/office.hpp"
#include "tree.hpp"

using namespace notify_office;

namespace {

template <class Edges>
std::string picture(const std::string& first, const Edges& edges) {
  std::string text = "```mermaid\nstateDiagram-v2\n    [*] --> " + first + "\n";
  const auto name = [](auto status) {
    return std::string(names<decltype(status)>[static_cast<std::size_t>(status)]);
  };
  for (const auto& edge : edges) {
    text += "    " + name(edge.from) + " --> " + name(edge.to) + "\n";
  }
  return text + "```\n";
}

}  // namespace

TEST_CASE("The pictures in the documentation are the tables in the header") {
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/docs/notifications.md");
  std::stringstream page;
  page << file.rdbuf();
  CHECK(page.str().find(picture("unseen", inbox_transitions)) != std::string::npos);
  CHECK(page.str().find(picture("queued", notification_transitions)) != std::string::npos);
}

TEST_CASE("Names and numbers that reach the disk stay as they are") {
  CHECK(static_cast<int>(NotificationStatus::failed) == 4);
  CHECK(static_cast<int>(DeliveryStatus::sent) == 4);
  CHECK(static_cast<int>(DeliveryStatus::read) == 8);
  CHECK(static_cast<int>(SkipReason::webhook_disabled) == 2);
  CHECK(static_cast<int>(InboxState::archived) == 3);
  CHECK(names<DeliveryStatus>[1] == "in_doubt");
  CHECK(names<DeliveryStatus>[6] == "bounced");
  CHECK(names<NotificationStatus>[3] == "skipped");
  CHECK(deliver_once.name == "deliver_once");
  CHECK(deliver_once.effect == Effect::external_unsafe);
  CHECK(deliver_keyed.name == "deliver_keyed");
  CHECK(deliver_keyed.effect == Effect::external_idempotent);
}
