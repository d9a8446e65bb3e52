// What a power cut leaves of leases, whose commits wait for no sync.

#include <doctest/doctest.h>

#include "bureau/work/task_queue.hpp"
#include "work/file_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using testing::PowerLoss;

namespace {

TaskQueue::ClaimOptions one(std::string_view kind) {
  return {"default", {std::string(kind)}, 1, "tester"};
}

/// The task of one that a machine has leased before its power was cut, as others find it then;
/// `ends`: another was completed in between.
template <class Kind>
Task after_power_cut(const Kind& kind, bool ends) {
  File file;
  Id<Tenant> office;
  Id<Task> leased;
  {
    const auto process = file.open();
    office = must(process->access->create_tenant("Larkfield")).id;
    const Tasks tasks(process->access->system(office));
    TaskQueue queue(*process->database);
    must(tasks.enqueue(add_up, {9, 9}));
    const Task other = must(queue.claim(one("add_up"))).at(0);
    leased = must(tasks.enqueue(kind, {1, 2})).id;
    REQUIRE(must(queue.claim(one(kind.name))).size() == 1);
    std::vector<TaskQueue::Completion> done{
        {other.id, other.attempt, Json::object({{"value", 18}})}};
    if (ends) must(queue.complete(done));
    file.disk.cut_power_after(0);
    CHECK_FALSE(tasks.enqueue(add_up, {3, 4}));
  }
  file.disk.restore_power(PowerLoss::drop, 1);
  const auto process = file.open();
  TaskQueue queue(*process->database);
  must(process->database->node());
  must(queue.rescue());
  return must(Tasks(process->access->system(office)).find(leased));
}

}  // namespace

TEST_CASE("G5: a power cut takes a lease, and leaves the task ready with its attempts") {
  const Task task = after_power_cut(add_up, false);
  CHECK(task.status == TaskStatus::ready);
  CHECK(task.attempt == 0);
}

TEST_CASE("G5: a lease is kept by whatever is kept after it") {
  const Task task = after_power_cut(add_up, true);
  CHECK(task.status == TaskStatus::ready);  // rescued: its worker is dead
  CHECK(task.attempt == 1);
}

TEST_CASE("G4: a power cut does not take the lease of an effect that must not be made twice") {
  const Task task = after_power_cut(send_out, false);
  CHECK(task.status == TaskStatus::in_doubt);
  CHECK(task.attempt == 1);
}
