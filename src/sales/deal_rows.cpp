// The rows that are kept beside deals: pipelines, stages, history.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "access/active_user.hpp"
#include "access/library_rows.hpp"
#include "sales/deal_rules.hpp"
#include "store/row_values.hpp"

BUREAU_BEGIN_NAMESPACE
namespace sales::inside {

namespace {

template <Entity T>
Result<std::vector<T>> rows_of(Reader& reader, const Select& which) {
  std::vector<T> rows;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> values) -> Result<bool> {
    from_values(values, rows.emplace_back());
    return true;
  }));
  return rows;
}

Result<Course> course_from(Reader& reader, Pipeline pipeline) {
  Course course{std::move(pipeline), {}};
  BUREAU_TRY(course.stages,
             rows_of<Stage>(reader, select<Stage>()
                                        .where(col(&Stage::tenant) == course.pipeline.tenant &&
                                               col(&Stage::pipeline) == course.pipeline.id)
                                        .order_by(col(&Stage::position))));
  return course;
}

Result<Course> course_where(Reader& reader, const Predicate& where, const std::string& missing) {
  BUREAU_TRY(auto found, rows_of<Pipeline>(reader, select<Pipeline>().where(where).limit(1)));
  if (found.empty()) return fail(Code::not_found, missing, "pipeline");
  return course_from(reader, std::move(found.front()));
}

}  // namespace

const Stage* Course::find(Id<Stage> id) const {
  const auto found =
      std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.id == id; });
  return found == stages.end() ? nullptr : &*found;
}

Result<const Stage*> Course::named(std::string_view name) const {
  std::string known;
  for (const Stage& stage : stages) {
    if (stage.name == name) return &stage;
    known += (known.empty() ? "" : ", ") + stage.name;
  }
  return fail(Code::not_found,
              fmt::format("stage: the pipeline \"{}\" has no \"{}\"; it has {}", pipeline.name,
                          shortened(name), known),
              "stage");
}

Result<const Stage*> Course::first(StageCategory category) const {
  for (const Stage& stage : stages) {
    if (stage.category == category) return &stage;
  }
  return fail(Code::not_found,
              fmt::format("stage: the pipeline \"{}\" has no {} stage; it needs one", pipeline.name,
                          name_of(category)),
              "stage");
}

Result<Course> course_of(Reader& reader, Id<Tenant> tenant, Id<Pipeline> pipeline) {
  return course_where(reader, col(&Pipeline::tenant) == tenant && col(&Pipeline::id) == pipeline,
                      "pipeline: the one of this deal is gone");
}

Result<Course> course_named(Reader& reader, Id<Tenant> tenant, std::string_view pipeline) {
  if (pipeline.empty()) {
    return course_where(reader, col(&Pipeline::tenant) == tenant,
                        "pipeline: there is none; sales::create_default_pipeline() makes one");
  }
  return course_where(
      reader, col(&Pipeline::tenant) == tenant && col(&Pipeline::name) == std::string(pipeline),
      fmt::format("pipeline: there is no \"{}\"", shortened(pipeline)));
}

Result<void> check_owner(Reader& reader, Id<Tenant> tenant, Id<User> user) {
  BUREAU_TRY(const bool active, bureau::detail::is_active_user(reader, tenant, user));
  if (active) return {};
  return fail(
      Code::invalid,
      fmt::format("owner: {} is no active user", id::to_text(schema<User>.prefix, user.value)),
      "owner");
}

Result<void> insert_history(Unit& unit, std::vector<DealStageHistory> rows) {
  const TableInfo& table = table_of<DealStageHistory>();
  std::vector<Value> values(rows.size() * table.width());
  bureau::detail::Scratch scratch;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    BUREAU_TRY(rows[i].id.value, unit.transaction().next_id());
    rows[i].tenant = unit.session().principal().tenant;
    to_values(rows[i], std::span(values).subspan(i * table.width(), table.width()), scratch);
  }
  return unit.transaction().insert(table, values);
}

namespace {

/// The stay that ends and the one that begins.
Result<void> follow_history(Unit& unit, const Deal& before, const Deal& after) {
  if (before.stage_count == after.stage_count) return {};
  static const ColumnInfo* const left_at = table_of<DealStageHistory>().find("left_at");
  BUREAU_TRY(
      const auto left,
      unit.transaction().update(
          {select<DealStageHistory>().where(col(&DealStageHistory::deal) == after.id &&
                                            col(&DealStageHistory::sequence) == before.stage_count),
           {{left_at, Value::integer(after.stage_entered_at.micros()), false}}}));
  if (left != 1) {
    return fail(Code::corrupt,
                fmt::format("history: deal {} has no row {}",
                            id::to_text(schema<Deal>.prefix, after.id.value), before.stage_count));
  }
  BUREAU_TRY(const auto earlier,
             rows_of<DealStageHistory>(unit.transaction().reader(),
                                       select<DealStageHistory>()
                                           .where(col(&DealStageHistory::deal) == after.id &&
                                                  col(&DealStageHistory::stage) == after.stage)
                                           .limit(1)));
  DealStageHistory stay;
  stay.deal = after.id;
  stay.sequence = after.stage_count;
  stay.stage = after.stage;
  stay.entered_at = after.stage_entered_at;
  stay.value_minor = after.value_minor;
  stay.currency = after.currency;
  stay.first = earlier.empty();
  return insert_history(unit, {std::move(stay)});
}

}  // namespace

Result<Deal> save(Unit& unit, const Deal& before, const Deal& after) {
  // What follows from the stage and the figures that he asked for.
  static constexpr std::array<std::string_view, 12> worked_out = {
      "state",       "probability_bp",   "own_probability",  "weighted_minor",
      "month",       "stage_entered_at", "last_activity_at", "closed_at",
      "lost_reason", "reopen_count",     "stage_count",      "furthest"};
  BUREAU_TRY(Deal written, bureau::detail::update_working_out(Scope(unit), after, worked_out));
  BUREAU_TRY_VOID(follow_history(unit, before, written));
  return written;
}

Result<Deal> save_consequence(Unit& unit, const Deal& before, Deal after) {
  return bureau::detail::replace_consequence(unit, before, std::move(after));
}

}  // namespace sales::inside

namespace sales {

namespace {

Result<void> check_stages(std::span<const NewStage> stages) {
  const auto refuse = [](std::string rule) {
    return fail(Code::invalid, "stages: " + rule, "stages");
  };
  std::array<int, names<StageCategory>.size()> of{};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const NewStage& stage = stages[i];
    BUREAU_TRY_VOID(inside::check_text("name", stage.name, 100));
    ++of[static_cast<std::size_t>(stage.category)];
    if (stage.category == StageCategory::open) {
      BUREAU_TRY_VOID(inside::check_probability(stage.probability_bp));
    }
    if (stage.rot_after && stage.rot_after->count() <= 0) {
      return fail(Code::invalid,
                  fmt::format("rot_after: {} microseconds in \"{}\"; it must be above 0",
                              stage.rot_after->count(), stage.name),
                  "rot_after");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (stages[j].name != stage.name) continue;
      return refuse(fmt::format("there are two named \"{}\"", stage.name));
    }
  }
  if (of[0] == 0) return refuse("there is no open stage; a pipeline needs one");
  if (of[1] != 1) {
    return refuse(fmt::format("there are {} won stages; a pipeline has exactly one", of[1]));
  }
  if (of[2] == 0) return refuse("there is no lost stage; a pipeline needs one");
  return {};
}

std::int64_t probability_of(const NewStage& stage) {
  if (stage.category == StageCategory::open) return stage.probability_bp;
  return stage.category == StageCategory::won ? 10'000 : 0;
}

Result<Pipeline> create_in(Unit& unit, std::string_view name, std::span<const NewStage> stages) {
  const Repository<Pipeline> pipelines{Scope(unit)};
  BUREAU_TRY(auto taken, pipelines.first(col(&Pipeline::name) == std::string(name)));
  if (taken) {
    return fail(Code::exists, fmt::format("name: there is a pipeline \"{}\"", name), "name");
  }
  Pipeline given;
  given.name = name;
  BUREAU_TRY(Pipeline pipeline, pipelines.insert(std::move(given)));
  std::vector<Stage> rows;
  for (const NewStage& stage : stages) {
    Stage& row = rows.emplace_back();
    row.pipeline = pipeline.id;
    row.name = stage.name;
    row.position = static_cast<std::int64_t>(rows.size());
    row.category = stage.category;
    row.probability_bp = probability_of(stage);
    row.rot_after = stage.rot_after;
  }
  BUREAU_TRY_VOID(Repository<Stage>{Scope(unit)}.insert_all(std::move(rows)));
  return pipeline;
}

}  // namespace

Result<Pipeline> create_pipeline(const Session& session, std::string_view name,
                                 std::span<const NewStage> stages) {
  BUREAU_TRY_VOID(inside::check_text("name", name, 100));
  BUREAU_TRY_VOID(check_stages(stages));
  return session.write([&](Unit& unit) { return create_in(unit, name, stages); });
}

Result<void> create_default_pipeline(const Session& session) {
  using std::chrono::hours;
  const std::vector<NewStage> stages = {{"Prospecting", StageCategory::open, 1'000, hours(24 * 30)},
                                        {"Engaging", StageCategory::open, 5'000, hours(24 * 60)},
                                        {"Won", StageCategory::won},
                                        {"Lost", StageCategory::lost}};
  return session.write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY(auto present, Repository<Pipeline>{Scope(unit)}.list({.limit = 1}));
    if (!present.empty()) return {};
    BUREAU_TRY_VOID(create_in(unit, "Sales", stages));
    return {};
  });
}

}  // namespace sales
BUREAU_END_NAMESPACE
