#pragma once

// What the benchmarks of the queue share: the kind of task, and a hand-written SQLite C loop that
// writes the same rows, indexes and journal records.

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "office.hpp"

namespace queue_bench {
struct Work {
  std::string text;
};
}  // namespace queue_bench
template <>
inline constexpr auto bureau::record<queue_bench::Work> =
    bureau::fields(bureau::column("text", &queue_bench::Work::text));

namespace queue_bench {

using namespace bureau;
using bench::must;

/// Of claims and completions: what an engine leases at a time.
const std::uint64_t batch = OrchestratorOptions().batch;
inline constexpr int enqueue_batch = 1000;

inline constexpr auto work = task_kind<Work, Nothing>("work", Effect::pure, retry::never);

/// 200 bytes of JSON, as in the peers' workload.
inline Work payload() {
  return {std::string(200 - std::string_view("{\"text\":\"\"}").size(), 'x')};
}

/// A task's columns, by name, as parameters of the loop's statements.
inline std::string task_columns(bench::Loop& loop) {
  std::string names;
  bench::LoopStatement columns(loop.db(), "SELECT name FROM pragma_table_info('tasks')");
  while (columns.step()) {
    if (!names.empty()) names += ",";
    names += reinterpret_cast<const char*>(sqlite3_column_text(columns.raw(), 0));
  }
  return names;
}

/// The loop: the same tables, statements that a careful programmer would write by hand.
class QueueLoop {
 public:
  QueueLoop(const std::string& path, const bench::Office& office, bool power_safe, bool journal,
            std::string enqueue_body, std::string complete_body)
      : loop_(path, office.path, power_safe),
        insert_(loop_.db(), bench::insert_sql(loop_, "tasks")),
        journal_(loop_.db(), bench::insert_sql(loop_, "bureau_journal")),
        claim_(loop_.db(),
               "UPDATE tasks SET status=2,node=1,generation=1,attempt=attempt+1,started_at=?1,"
               "agent='loop' WHERE id IN (SELECT id FROM tasks WHERE status=1 AND gate<>1 AND "
               "queue='default' AND tenant=?2 AND kind='work' ORDER BY rank LIMIT " +
                   std::to_string(batch) + ") RETURNING " + task_columns(loop_)),
        complete_(loop_.db(),
                  "UPDATE tasks SET status=5,result='{}',finished_at=?2,updated_at=?2,"
                  "version=version+1,error=NULL,error_code=NULL,progress=1.0 WHERE id=?1 AND "
                  "status=2 AND attempt=1 AND node=1 AND generation=1 AND cancel_requested=0"),
        begin_(loop_.db(), "BEGIN IMMEDIATE"),
        commit_(loop_.db(), "COMMIT"),
        tenant_(office.tenant.id.value),
        with_journal_(journal),
        enqueue_body_(std::move(enqueue_body)),
        complete_body_(std::move(complete_body)) {}

  void enqueue(const Task& like, int count) {
    std::vector<Value> values(table_of<Task>().width());
    for (int done = 0; done < count; done += enqueue_batch) {
      begin_.run();
      for (int i = 0; i < enqueue_batch && done + i < count; ++i) {
        Task task = like;
        task.id = Id<Task>((std::int64_t{1} << 40) + ++next_id_);
        detail::Scratch scratch;
        to_values(task, values, scratch);
        bench::bind_row(insert_, values);
        insert_.run();
      }
      record(enqueue_body_, 4);  // bureau splits its records at 256 KiB
      commit_.run();
    }
  }

  /// A commit of its own.
  void enqueue_one(const Task& like) {
    std::vector<Value> values(table_of<Task>().width());
    Task task = like;
    task.id = Id<Task>((std::int64_t{1} << 40) + ++next_id_);
    detail::Scratch scratch;
    to_values(task, values, scratch);
    begin_.run();
    bench::bind_row(insert_, values);
    insert_.run();
    record(enqueue_body_, 1);
    commit_.run();
  }

  /// Leases one, if there is one. Its completion is left to complete().
  std::optional<std::int64_t> claim_one() {
    std::optional<std::int64_t> id;
    claim_.bind(1, std::int64_t{1'760'000'000'000'000}).bind(2, tenant_);
    while (claim_.step()) id = sqlite3_column_int64(claim_.raw(), 0);
    return id;
  }

  void complete(std::int64_t id) {
    begin_.run();
    complete_.bind(1, id).bind(2, std::int64_t{1'760'000'000'000'000});
    complete_.run();
    record(complete_body_, 1);
    commit_.run();
  }

  int drain() {
    int drained = 0;
    std::vector<std::int64_t> ids;
    for (;;) {
      ids.clear();
      claim_.bind(1, std::int64_t{1'760'000'000'000'000}).bind(2, tenant_);
      while (claim_.step()) ids.push_back(sqlite3_column_int64(claim_.raw(), 0));
      if (ids.empty()) return drained;
      begin_.run();
      for (const auto id : ids) {
        complete_.bind(1, id).bind(2, std::int64_t{1'760'000'000'000'000});
        complete_.run();
      }
      record(complete_body_, 1);
      commit_.run();
      drained += static_cast<int>(ids.size());
    }
  }

 private:
  void record(const std::string& body, int parts) {
    if (!with_journal_) return;
    const std::size_t size = body.size() / static_cast<std::size_t>(parts);
    for (int p = 0; p < parts; ++p) {
      for (int i = 1; i <= 8; ++i) journal_.bind(i, i == 1 ? ++next_record_ : std::int64_t{7});
      journal_.bind_bytes(9,
                          std::string_view(body).substr(static_cast<std::size_t>(p) * size, size));
      journal_.run();
    }
  }

  bench::Loop loop_;
  bench::LoopStatement insert_, journal_, claim_, complete_, begin_, commit_;
  std::int64_t tenant_;
  bool with_journal_;
  std::string enqueue_body_, complete_body_;
  std::int64_t next_id_ = 0, next_record_ = 1;
};

/// Bytes of the journal's newest transaction: what the loop must write too.
inline std::string newest_bodies(const bench::Office& office, std::int64_t changes) {
  std::string bodies;
  must(office.system().read([&](View& view) -> Result<int> {
    const TableInfo* table = office.engine->database().catalog().find("bureau_journal");
    Select newest{table};
    newest.order = {{&table->columns[0], true}};
    newest.limit = 64;
    std::int64_t left = changes;
    BUREAU_TRY_VOID(view.reader().scan(newest, [&](std::span<const Value> row) -> Result<bool> {
      bodies += row[8].as_text();
      left -= row[6].as_integer();
      return left > 0;
    }));
    return 0;
  }));
  return bodies;
}

inline void enqueue(const bench::Office& office, int count) {
  const Tasks tasks(office.system());
  const std::vector<Work> payloads(enqueue_batch, payload());
  for (int done = 0; done < count; done += enqueue_batch) {
    must(tasks.enqueue_all(work, payloads));
  }
}

inline int drain(TaskQueue& queue) {
  int drained = 0;
  std::vector<TaskQueue::Completion> done;
  for (;;) {
    auto claimed = must(queue.claim({"default", {"work"}, batch, "bench"}));
    if (claimed.empty()) return drained;
    done.clear();
    for (const Task& task : claimed) done.push_back({task.id, task.attempt, Json::object()});
    if (!must(queue.complete(done)).empty()) bench::give_up("drain", "a lease was lost");
    drained += static_cast<int>(done.size());
  }
}

}  // namespace queue_bench
