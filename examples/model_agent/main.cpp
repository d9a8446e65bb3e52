// An agent that asks a model and lets it use tools: each answer and each call is a recorded step,
// so a crash, here a failure after the conversation, costs nothing twice. What the calls may cost
// is reserved from a budget before each, and a question that there is nothing left for is not
// asked. The model is a scripted one.

#include <bureau/ai/model_run.hpp>
#include <bureau/bureau.hpp>
#include <bureau/testing/scripted_model.hpp>
#include <cstdio>

using namespace bureau;
using namespace std::chrono_literals;

struct Question {
  std::string text;
};
template <>
inline constexpr auto bureau::record<Question> = fields(column("text", &Question::text,
                                                               max_length(2000)));

struct Answer {
  std::string text;
};
template <>
inline constexpr auto bureau::record<Answer> = fields(column("text", &Answer::text));

inline constexpr auto answer =
    task_kind<Question, Answer>("answer", Effect::database, retry::fixed(3, 1min));

Json parsed(const char* text) { return Json::parse(text).value_or(Json()); }

class Clerk final : public AgentOf<answer> {
 public:
  explicit Clerk(std::shared_ptr<LanguageModel> model) : model_(std::move(model)) {}
  using AgentOf::execute;
  [[nodiscard]] std::string_view role() const override { return "manager"; }  // it founds teams

  Result<Answer> execute(Run& run, const Question& question) override {
    Toolbox tools;
    tools.add({"stock", "How many of an article are there", article_, Effect::pure},
              [](const Json& arguments) -> Result<Json> {
                std::printf("  stock of %s is looked up\n", arguments.dump().c_str());
                return Json(41);
              });
    tools.add({"found_team", "Founds a team", article_},
              [](Unit& unit, const Json& arguments) -> Result<Json> {
                Team team;
                team.name = *arguments.find("article")->as_string() + " desk";
                BUREAU_TRY_VOID(Repository<Team>(unit).insert(team));
                return Json(true);
              });
    ModelRequest request;
    request.messages = {{ModelRole::user, question.text, {}, {}}};
    request.output = answer_;
    request.max_output_tokens = 200;
    ModelOptions options;
    options.price = ModelPrice{Money{300, usd_}, Money{1500, usd_}};  // for a million tokens
    BUREAU_TRY(const Conversed conversed, converse(run, *model_, request, tools, options));
    if (run.task().attempt == 1) return fail(Code::unavailable, "the printer is out of paper");
    return Answer{*conversed.output.find("text")->as_string()};
  }

 private:
  std::shared_ptr<LanguageModel> model_;
  Currency usd_ = *Currency::parse("USD");
  Json article_ = parsed(R"({"type":"object","required":["article"],
                             "properties":{"article":{"type":"string"}}})");
  Json answer_ = parsed(R"({"type":"object","required":["text"],
                            "properties":{"text":{"type":"string"}}})");
};

Result<void> ask(const char* path) {
  auto model = std::make_shared<testing::ScriptedModel>();
  model->calls("stok", Json::object({{"article", "beans"}}), {120, 12})
      .calls("stock", Json::object({{"article", "beans"}}), {150, 12})
      .calls("found_team", Json::object({{"article", "beans"}}), {170, 14})
      .says("There are 41.", {190, 6})
      .says(R"({"text": "There are 41 beans, and a desk for them."})", {220, 16});
  ManualClock clock;
  BUREAU_TRY(auto office, Engine::open({.path = path, .clock = &clock}));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("Larkfield"));
  BUREAU_TRY_VOID(office->add(std::make_shared<Clerk>(model)));
  BUREAU_TRY_VOID(office->start_polled());
  const Session desk = office->system(tenant.id);
  const auto work = [&](int attempts) {
    for (int attempt = 0; attempt < attempts; ++attempt) {
      while (office->poll({.tasks = 10}).ran > 0) {
      }
      clock.advance(1min);
    }
  };
  const Budgets budgets(desk);
  BUREAU_TRY(const Money limit, Money::parse("0.50 USD"));
  BUREAU_TRY(const Budget clerk,
             budgets.create({.name = "clerk", .limits = {.calls = 5, .money = limit}}));
  EnqueueOptions from_budget;
  from_budget.budget = clerk.id;
  BUREAU_TRY(const Task task, Tasks(desk).enqueue(answer, {"How many beans?"}, from_budget));
  work(2);
  BUREAU_TRY(const Answer said, Tasks(desk).wait(answer, task.id, Duration(0)));
  std::printf("%s\n", said.text.c_str());
  BUREAU_TRY(const auto steps, Runs(desk).steps(task.id));
  for (const RunStep& step : steps) std::printf("step: %s\n", step.name.c_str());
  std::printf("the model was asked %zu times\n", model->requests().size());
  BUREAU_TRY(const BudgetState state, budgets.state(clerk.id));
  std::printf("the clerk has spent %s\n", state.spent.to_string().c_str());
  BUREAU_TRY(const Task next, Tasks(desk).enqueue(answer, {"And how many peas?"}, from_budget));
  work(3);
  BUREAU_TRY(const Task refused, Tasks(desk).find(next.id));
  std::printf("the next question: %s\n", refused.error.value_or("answered").c_str());
  std::printf("the model was asked %zu times\n", model->requests().size());
  return office->stop();
}

int main(int argc, char** argv) {
  const auto done = ask(argc > 1 ? argv[1] : "office.db");
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
