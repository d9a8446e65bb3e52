// Copies of a whole office, and how one does.

#include <filesystem>

#include "bureau/store/backup.hpp"
#include "bureau/store/move.hpp"
#include "bureau/store/retention.hpp"
#include "bureau/store/verify.hpp"
#include "bureau/work/health.hpp"
#include "domains.hpp"
#include "opening.hpp"
#include "progress.hpp"

namespace bureau_python {

namespace {

// Backups --------------------------------------------------------------------------------------

py::tuple told(const BackupReport& report) {
  return py::make_tuple(report.sequence, moment_of(report.at), report.bytes);
}

py::tuple back_up(const std::shared_ptr<Office>& office, const std::string& path,
                  const py::dict& fields) {
  Given given("back_up", fields);
  BackupOptions options;
  options.replace = given.flag("replace");
  options.share = given.maybe_real("share").value_or(options.share);
  PyProgress progress(given.object("progress"));
  options.progress = progress.sink();
  given.done();
  if (!(options.share > 0 && options.share <= 1)) {
    raise(Code::invalid, "share: it is above 0 and at most 1", "share");
  }
  return told(progress.run([&]() -> Result<BackupReport> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return engine->database().storage().back_up(path, options);
  }));
}

/// A backup as such, or an office.
std::shared_ptr<Storage> open_any(const std::string& place, const std::string& schema) {
  if (!is_on_server(place) && unlocked([&] { return describe_backup(place); })) {
    return unwrap(unlocked([&] { return open_backup(place); }));
  }
  return open_place(place, schema);
}

py::tuple restore(const std::string& backup, const std::string& office, const py::dict& fields) {
  Given given("restore", fields);
  RestoreOptions options;
  options.replace = given.flag("replace");
  options.to_sequence = given.maybe_integer("to_sequence");
  options.to_moment = given.maybe_time("to_moment");
  PyProgress progress(given.object("progress"));
  options.progress = progress.sink();
  const std::string history = given.text("history");
  given.done();
  std::shared_ptr<Storage> journal;
  if (!history.empty()) journal = open_any(history, {});
  options.history = journal.get();
  const RestoreReport made = progress.run([&]() -> Result<RestoreReport> {
    auto restored = restore_backup(backup, office, options);
    journal.reset();
    return restored;
  });
  return py::make_tuple(told(made.backup), made.sequence, made.replayed, made.erased_since,
                        made.put_aside);
}

// Comparing, moving ----------------------------------------------------------------------------

py::tuple told(const OfficeDigest& digest) {
  py::list tables;
  for (const TableDigest& one : digest.tables) {
    tables.append(py::make_tuple(one.table, one.rows, one.checksum));
  }
  return py::make_tuple(digest.sequence, tables);
}

OfficeDigest digest_of(const py::tuple& given) {
  OfficeDigest digest;
  digest.sequence = given[0].cast<std::int64_t>();
  for (const py::handle one : given[1].cast<py::list>()) {
    const auto table = one.cast<py::tuple>();
    digest.tables.push_back({table[0].cast<std::string>(), table[1].cast<std::int64_t>(),
                             table[2].cast<std::string>()});
  }
  return digest;
}

py::list compare(const py::tuple& one, const py::tuple& other) {
  py::list out;
  for (const auto& text : compare_digests(digest_of(one), digest_of(other))) out.append(text);
  return out;
}

Result<OfficeDigest> look_through(Storage& storage, const ProgressSink& progress) {
  BUREAU_TRY_VOID(storage.check_integrity());
  return digest_office(storage, progress);
}

py::tuple verify(const std::string& place, const std::string& schema, const py::object& callback) {
  auto storage = open_any(place, schema);
  PyProgress progress(callback);
  return told(progress.run([&] {
    auto digest = look_through(*storage, progress.sink());
    storage.reset();
    return digest;
  }));
}

py::tuple verify_open(const std::shared_ptr<Office>& office, const py::object& callback) {
  PyProgress progress(callback);
  return told(progress.run([&]() -> Result<OfficeDigest> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return look_through(engine->database().storage(), progress.sink());
  }));
}

py::tuple move(const std::string& from, const std::string& to, const py::dict& fields) {
  Given given("move", fields);
  MoveOptions options;
  options.start_over = given.flag("start_over");
  PyProgress progress(given.object("progress"));
  options.progress = progress.sink();
  const std::string from_schema = given.text("from_schema"), to_schema = given.text("to_schema");
  given.done();
  if (from == to && from_schema == to_schema) {
    raise(Code::invalid, "to: it is the same as from", "to");
  }
  auto source = open_any(from, from_schema);
  auto target = open_place(to, to_schema, true);
  const MoveReport moved = progress.run([&] {
    auto report = move_office(*source, *target, options);
    source.reset();
    target.reset();
    return report;
  });
  return py::make_tuple(told(moved.office), moved.moved, moved.found, moved.left_out);
}

// The journal, health --------------------------------------------------------------------------

std::uint64_t trim_journal(const std::shared_ptr<Office>& office, const py::object& before) {
  const Timestamp moment = timestamp_from_python(before.ptr(), "before");
  return in_office(office,
                   [&](Engine& engine) { return trim_journal_before(engine.database(), moment); });
}

HealthLimits limits_of(const py::dict& fields) {
  Given given("health", fields);
  HealthLimits limits;
  const auto span = [&](const char* name, Duration& limit) {
    limit = given.maybe_span(name).value_or(limit);
  };
  span("slow_write", limits.slow_write);
  span("write_patience", limits.write_patience);
  span("long_wait", limits.long_wait);
  span("lost_wait", limits.lost_wait);
  span("silence", limits.silence);
  span("late_schedule", limits.late_schedule);
  span("dead_within", limits.dead_within);
  limits.wal_bytes = given.maybe_integer("wal_bytes").value_or(limits.wal_bytes);
  limits.little_space_bytes =
      given.maybe_integer("little_space_bytes").value_or(limits.little_space_bytes);
  limits.no_space_bytes = given.maybe_integer("no_space_bytes").value_or(limits.no_space_bytes);
  limits.dead_tasks = given.limit("dead_tasks", limits.dead_tasks);
  limits.feed_lag = given.maybe_integer("feed_lag").value_or(limits.feed_lag);
  given.done();
  return limits;
}

py::tuple health(const std::shared_ptr<Office>& office, const py::dict& fields) {
  const HealthLimits limits = limits_of(fields);
  const Health found = in_office(office, [&](Engine& engine) { return engine.health(limits); });
  py::list components;
  for (const HealthComponent& one : found.components) {
    components.append(py::make_tuple(one.name, name_of(one.status), one.reason));
  }
  return py::make_tuple(moment_of(found.at), name_of(found.status), components);
}

}  // namespace

void init_operating(py::module_& module, py::class_<Office, std::shared_ptr<Office>>& office) {
  module.def("_describe_backup", [](const std::string& path) {
    return told(unwrap(unlocked([&] { return describe_backup(path); })));
  });
  module.def("_restore", restore);
  module.def("_verify", verify);
  module.def("_compare", compare);
  module.def("_move", move);
  office.def("back_up", back_up)
      .def("verify", verify_open)
      .def("trim_journal", trim_journal)
      .def("health", health);
}

}  // namespace bureau_python
