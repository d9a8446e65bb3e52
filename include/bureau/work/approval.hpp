#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// The life of an approval. The order is frozen.
enum class ApprovalStatus {
  open,      ///< nobody has decided
  approved,  ///< and not used yet
  rejected,
  expired,    ///< nobody had decided in time
  stale,      ///< the record that it is about has changed since it was asked for
  withdrawn,  ///< the run that asked for it has ended
  used,       ///< by the effect that it was for, once
};
template <>
inline constexpr auto names<ApprovalStatus> = enum_names("open", "approved", "rejected", "expired",
                                                         "stale", "withdrawn", "used");

struct ApprovalTransition {
  ApprovalStatus from;
  ApprovalStatus to;
};
/// Every legal edge; any other is `conflict`.
inline constexpr std::array approval_transitions{
    ApprovalTransition{ApprovalStatus::open, ApprovalStatus::approved},
    ApprovalTransition{ApprovalStatus::open, ApprovalStatus::rejected},
    ApprovalTransition{ApprovalStatus::open, ApprovalStatus::expired},
    ApprovalTransition{ApprovalStatus::open, ApprovalStatus::stale},
    ApprovalTransition{ApprovalStatus::open, ApprovalStatus::withdrawn},
    ApprovalTransition{ApprovalStatus::approved, ApprovalStatus::used},
};
[[nodiscard]] constexpr bool may_become(ApprovalStatus from, ApprovalStatus to) {
  for (const auto& t : approval_transitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

/// What a run asks a person. It is bound to `subject`: the decision holds for exactly that. Only
/// Approvals changes it; nobody but the system does so by a Repository.
struct Approval {
  Id<Approval> id;
  Id<Tenant> tenant;
  Id<Task> task;  ///< the run that asked
  std::string title;
  Json subject;
  std::string digest;  ///< BLAKE2b of the subject's canonical text, 64 hexadecimal digits
  std::optional<std::string> record_table;  ///< the record that it is about, as it was then
  std::optional<std::int64_t> record, record_version;
  std::optional<Id<User>> assignee;  ///< who is to decide; none: the team, or else the managers
  std::optional<Id<Team>> team;
  ApprovalStatus status = ApprovalStatus::open;
  std::optional<Id<User>> claimed_by;  ///< who is at it; nobody else may decide meanwhile
  std::optional<Timestamp> due_at;
  std::optional<Timestamp> escalate_at;  ///< then it becomes `escalate_to`'s
  std::optional<Id<User>> escalate_to;
  std::optional<Id<User>> decided_by;  ///< none: the system
  std::optional<Timestamp> decided_at;
  std::optional<std::string> comment;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<Approval> = table(
    "approvals", "apr", journal::full, column("id", &Approval::id),
    column("tenant", &Approval::tenant), column("task", &Approval::task, immutable),
    column("title", &Approval::title, max_length(200), immutable),
    column("subject", &Approval::subject, immutable),
    column("digest", &Approval::digest, max_length(64), immutable),
    column("record_table", &Approval::record_table, max_length(64), immutable),
    column("record", &Approval::record, immutable),
    column("record_version", &Approval::record_version, immutable),
    column("assignee", &Approval::assignee, immutable), column("team", &Approval::team, immutable),
    column("status", &Approval::status, immutable),
    column("claimed_by", &Approval::claimed_by, immutable),
    column("due_at", &Approval::due_at, immutable),
    column("escalate_at", &Approval::escalate_at, immutable),
    column("escalate_to", &Approval::escalate_to, immutable),
    column("decided_by", &Approval::decided_by, immutable),
    column("decided_at", &Approval::decided_at, immutable),
    column("comment", &Approval::comment, max_length(4000), immutable),
    column("version", &Approval::version), column("created_at", &Approval::created_at),
    column("updated_at", &Approval::updated_at), index("task", "task"),
    index("open", "tenant", "assignee").where("status = \"open\""));

/// What Run::approval() asks. Without assignee and team the managers decide.
struct ApprovalRequest {
  std::string title;
  Json subject = {};  ///< what is approved: all that the effect depends on
  std::optional<Id<User>> assignee = {};
  std::optional<Id<Team>> team = {};
  std::optional<Duration> within = {};          ///< then it expires; none: never
  std::optional<Duration> escalate_after = {};  ///< goes with escalate_to
  std::optional<Id<User>> escalate_to = {};
  std::optional<std::string> record_table = {};
  std::optional<std::int64_t> record = {}, record_version = {};

  /// The approval is about this row as it is: when it changes, the approval is void.
  template <Entity T>
  ApprovalRequest& about(const T& row) {
    record_table = std::string(schema<T>.name);
    record = row.id.value;
    record_version = row.version;
    return *this;
  }
};

/// What came of it.
struct Verdict {
  Id<Approval> approval;
  ApprovalStatus status = ApprovalStatus::expired;
  std::optional<Id<User>> by;
  std::string comment;

  [[nodiscard]] bool approved() const { return status == ApprovalStatus::approved; }
};

/// The approvals of a tenant, with a session's rights: one sees and decides what is his, his team's
/// or, as a manager, anybody's.
class Approvals {
 public:
  explicit Approvals(Scope scope) : rows_(std::move(scope)) {}

  Result<Approval> find(Id<Approval> id) const { return rows_.find(id); }
  /// By default those that are open, the first first.
  Result<std::vector<Approval>> list() const;
  Result<std::vector<Approval>> list(const Query& query) const { return rows_.list(query); }

  /// Takes it for oneself while one looks at it. `conflict` when somebody else has, or when it is
  /// no longer open.
  Result<Approval> claim(Id<Approval> id) const;
  /// Gives it back; managers and administrators also what another has claimed.
  Result<Approval> release(Id<Approval> id) const;
  /// Decides, and has the run go on. `conflict` when it is decided, or claimed by another. When the
  /// record that it is about has changed, it ends `stale` instead: look at the status that is
  /// returned.
  Result<Approval> decide(Id<Approval> id, bool approve, std::string_view comment = {}) const;

  /// Uses it, in the transaction of the effect that it is for: once, by the run that asked, for
  /// exactly what was approved, while the record is as it was. `conflict` otherwise; the effect
  /// then must not be made.
  static Result<void> use(Unit& unit, Id<Approval> id, const Json& subject);

 private:
  Repository<Approval> rows_;
};

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Approval);
