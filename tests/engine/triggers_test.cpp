// A trigger that one process saves acts in another, though each keeps them in memory.

#include <doctest/doctest.h>

#include <filesystem>

#include "bureau/engine.hpp"
#include "bureau/support/support.hpp"

using namespace bureau;

namespace {

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(to_string(result.error()));
  return *std::move(result);
}
inline void must(Result<void> result) {
  if (!result) FAIL(to_string(result.error()));
}

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "bureau-triggers-XXXXXX").string();
  Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

TEST_CASE(
    "a trigger that one engine saves acts in another on the same file, and no longer once gone") {
  Folder folder;
  const auto open = [&] {
    EngineOptions options;
    options.path = folder.path + "/office.db";
    return must(Engine::open(std::move(options)));
  };
  auto first = open(), second = open();
  const Id<Tenant> tenant = must(first->access().create_tenant("Larkfield")).id;
  const Session here = first->system(tenant), there = second->system(tenant);
  must(support::create_default_statuses(here));
  User cora;
  cora.name = cora.email = "cora";
  cora.role = "customer";
  cora = must(Repository<User>{here}.insert(cora));
  const auto tags = [&](const Session& session) {
    NewTicket given;
    given.body = "Hello";
    given.customer = cora.id;
    return must(Tickets{session}.open(given)).tags;
  };
  CHECK(tags(here).empty());  // both have looked, and keep that there is none
  CHECK(tags(there).empty());
  NewTrigger mark;
  mark.name = "mark";
  mark.events = {TicketEvent::created};
  mark.actions = {{ActionKind::add_tags, Json::array({"marked"}), {}, {}}};
  const Trigger saved = must(Triggers{here}.save(mark));
  CHECK(tags(there) == std::vector<std::string>{"marked"});
  CHECK(tags(here) == std::vector<std::string>{"marked"});
  must(Triggers{there}.remove(saved.id));
  CHECK(tags(here).empty());
  CHECK(tags(there).empty());
}
