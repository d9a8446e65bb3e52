#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bureau/bureau.hpp"

namespace cli {

/// Exit codes: 0 good, 1 the office said no, 2 the command line is wrong, 3 (of `health`) somebody
/// should look.
inline constexpr int failed = 1;
inline constexpr int misused = 2;
inline constexpr int degraded = 3;

/// What a host adds to the command line: its own entities are then listed, shown, made, changed,
/// removed, imported, exported and watched as the library's are.
struct Program {
  std::string name = "bureau";
  std::vector<const bureau::TableInfo*> tables = {};
  bureau::Policies policies = {};
  /// How its tables became what they are. Commands do not open an office in which one is not
  /// applied, but for `migrate`.
  std::vector<bureau::Migration> migrations = {};
  /// The kinds of task that workflows may enqueue.
  bureau::WorkflowKinds workflow_kinds = {};
};
/// Runs a command line; returns the exit code. A host's main() is one call of it.
int run_program(int argc, char** argv, const Program& program = {});

struct Settings {
  std::string office = "office.db";  ///< a file, or the URL of a PostgreSQL database
  std::string direct;                ///< the server itself, where `office` leads to a pooler
  std::string tenant;                ///< empty: the only one
  std::string as;  ///< whose rights: an id or an e-mail address; empty: the system's
  const Program* program = nullptr;
  int journal_days = static_cast<int>(bureau::journal_retention / std::chrono::hours(24));
  bool colour = false;

  [[nodiscard]] bool on_server() const;
  /// Where the office is, for people: without a password.
  [[nodiscard]] std::string place() const;
};

struct Office {
  std::unique_ptr<bureau::Engine> engine;
  bureau::Tenant tenant;
  std::optional<bureau::Session> as;  ///< of --as
  /// For what is done for the whole office; what a command does for its user goes through
  /// session().
  [[nodiscard]] bureau::Session system() const { return engine->system(tenant.id); }
  /// Of --as, else the system's.
  [[nodiscard]] bureau::Session session() const { return as ? *as : system(); }
};

/// What holds an office's rows, without what is above: for whole copies. `make`: a file that is not
/// there is made; otherwise that is `not_found`.
[[nodiscard]] bureau::Result<std::shared_ptr<bureau::Storage>> open_storage(
    const Settings& settings, bool make);
/// The program's migrations and the office that is there.
[[nodiscard]] bureau::Result<bureau::Migrator> open_migrator(const Settings& settings);
/// Opens an office that is there.
[[nodiscard]] bureau::Result<Office> open_office(const Settings& settings, std::size_t threads = 4);
/// Makes a new one: the file or schema, a tenant, its roles and ticket statuses.
[[nodiscard]] bureau::Result<Office> create_office(const Settings& settings,
                                                   const std::string& name);

/// "tsk_01h..." or, for tickets, a number.
[[nodiscard]] bureau::Result<bureau::Id<bureau::Task>> parse_task(const std::string& text);

}  // namespace cli
