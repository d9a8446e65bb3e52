// A trigger that one process saves acts in another, though each keeps them in memory.

#include <doctest/doctest.h>

#include <filesystem>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/support/support.hpp"

using namespace bureau;

namespace {}  // namespace

TEST_CASE(
    "a trigger that one engine saves acts in another on the same file, and no longer once gone") {
  const Folder folder;
  const auto open = [&] {
    EngineOptions options;
    options.path = folder.file();
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
