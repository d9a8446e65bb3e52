#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "bureau/access/access.hpp"
#include "bureau/store/retention.hpp"
#include "bureau/work/agent.hpp"
#include "bureau/work/workflow.hpp"

BUREAU_BEGIN_NAMESPACE

/// The kinds of task that a host lets workflows enqueue: what is not here, no workflow can name.
/// They are known with their records, so that payloads and what results are used for are checked
/// before a workflow is saved. A plain value.
class WorkflowKinds {
 public:
  struct Entry {
    KindInfo kind;
    const TableInfo* payload = nullptr;  ///< the fields of its record; null: they are not checked
    const TableInfo* result = nullptr;   ///< null: what it gives may be anything
  };
  template <class Payload, class Output>
  WorkflowKinds& add(const TaskKind<Payload, Output>& kind) {
    return add(Entry{kind, &detail::record_info<Payload>(), &detail::record_info<Output>()});
  }
  /// One that is described while the program runs. What it points to outlives this.
  WorkflowKinds& add(const Entry& entry) {
    entries_.push_back(entry);
    return *this;
  }
  /// Null when there is none of that name.
  [[nodiscard]] const Entry* find(std::string_view name) const;
  [[nodiscard]] const std::vector<Entry>& all() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

/// Runs workflows: it interprets their definitions as durable runs, and starts those whose trigger
/// is a change, from the journal, each change once. Registered with an engine it makes its kinds
/// known to the Workflows of that office too.
class WorkflowAgent final : public Agent {
 public:
  /// `access` outlives it.
  explicit WorkflowAgent(Access& access, WorkflowKinds kinds = {});
  ~WorkflowAgent() override;
  [[nodiscard]] std::string_view name() const override { return "workflows"; }
  [[nodiscard]] std::vector<KindInfo> capabilities() const override;
  [[nodiscard]] Result<void> validate(const Task& task) const override;
  Result<Json> execute(Run& run, const Task& task) override;
  Result<void> on_initialize() override;
  Result<void> on_commits() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Of which changes workflows have still to be started. `database` outlives it.
[[nodiscard]] JournalReader workflow_journal_reader(Database& database);

BUREAU_END_NAMESPACE
