#include "bureau/work/snapshot.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

Json milliseconds(Duration time) { return time.count() / 1000; }
template <class N>
Json count(N number) {
  return static_cast<std::int64_t>(number);
}

Json to_json(const HeldTask& held) {
  return Json::object({{"task", id::to_text(schema<Task>.prefix, held.task.value)},
                       {"kind", held.kind},
                       {"queue", held.queue},
                       {"agent", held.agent},
                       {"attempt", held.attempt},
                       {"node", held.node},
                       {"here", held.here},
                       {"begun", held.begun},
                       {"age_ms", milliseconds(held.age)},
                       {"limit_ms", milliseconds(held.limit)},
                       {"progress", held.progress},
                       {"note", held.note},
                       {"step", held.step}});
}

Json to_json(const NodeState& node) {
  Json agents = Json::array();
  for (const auto& agent : node.agents) agents.push_back(agent);
  return Json::object({{"node", node.node},
                       {"generation", node.generation},
                       {"here", node.here},
                       {"alive", node.alive},
                       {"agents", std::move(agents)},
                       {"held", count(node.held)},
                       {"beats", node.beats},
                       {"heartbeat_ms", node.heartbeat ? milliseconds(*node.heartbeat) : Json()}});
}

Json to_json(const StorageState& storage) {
  Json writer;
  if (storage.writer) {
    const StorageState::Writer& w = *storage.writer;
    writer = Json::object({{"here", w.here},
                           {"pid", w.pid},
                           {"file", w.file},
                           {"line", std::int64_t{w.line}},
                           {"function", w.function},
                           {"held_ms", milliseconds(w.held)}});
  }
  return Json::object({{"writer", std::move(writer)},
                       {"waiting_writers", count(storage.waiting_writers)},
                       {"readers", count(storage.readers)},
                       {"longest_reader_ms", milliseconds(storage.longest_reader)},
                       {"file_bytes", storage.file_bytes},
                       {"log_bytes", storage.log_bytes},
                       {"log_file_bytes", storage.log_file_bytes}});
}

}  // namespace

Json to_json(const Snapshot& snapshot) {
  Json tasks = Json::array();
  for (const HeldTask& held : snapshot.tasks) tasks.push_back(to_json(held));
  Json nodes = Json::array();
  for (const NodeState& node : snapshot.nodes) nodes.push_back(to_json(node));
  Json queues = Json::array();
  for (const QueueState& queue : snapshot.queues) {
    queues.push_back(Json::object({{"queue", queue.queue},
                                   {"ready", count(queue.ready)},
                                   {"first", id::to_text(schema<Task>.prefix, queue.first.value)},
                                   {"waits_ms", milliseconds(queue.waits)}}));
  }
  Json dead = Json::array();
  for (const DeadLetters& letters : snapshot.dead) {
    dead.push_back(Json::object(
        {{"status", std::string(names<TaskStatus>[static_cast<std::size_t>(letters.status)])},
         {"kind", letters.kind},
         {"error_code", letters.error_code},
         {"count", count(letters.count)}}));
  }
  Json stuck = Json::array();
  for (const auto& handler : snapshot.stuck) stuck.push_back(handler);
  return Json::object({{"at", snapshot.at.to_string()},
                       {"tasks", std::move(tasks)},
                       {"nodes", std::move(nodes)},
                       {"queues", std::move(queues)},
                       {"scheduled", count(snapshot.scheduled)},
                       {"dead", std::move(dead)},
                       {"storage", to_json(snapshot.storage)},
                       {"pending_async_writes", count(snapshot.pending_async_writes)},
                       {"subscriptions", count(snapshot.subscriptions)},
                       {"feed_head", snapshot.feed_head},
                       {"feed_lag", snapshot.feed_lag},
                       {"stuck", std::move(stuck)}});
}

BUREAU_END_NAMESPACE
