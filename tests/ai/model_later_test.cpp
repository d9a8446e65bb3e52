// Models whose answers come later, and what calls of models cost.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "bureau/ai/model_run.hpp"
#include "bureau/testing/scripted_model.hpp"
#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;
using bureau::testing::ScriptedModel;

namespace {

const Currency usd = *Currency::parse("USD");

ModelRequest question(std::string text) {
  ModelRequest request;
  request.messages = {{ModelRole::user, std::move(text), {}, {}}};
  request.max_output_tokens = 100;
  return request;
}

/// A run that asks a model whose answers come a minute later.
struct Later {
  explicit Later(Duration after = 1min, bool can_be_asked = false) {
    model->answers_later(desk.office.clock, after, can_be_asked);
  }
  Id<Task> enqueue(std::optional<Id<Budget>> budget = {}) {
    EnqueueOptions of;
    of.budget = budget;
    const auto id = must(desk.office.tasks().enqueue(plan, {1, 2}, of)).id;
    desk.run_all();
    return id;
  }
  void after(Duration duration) {
    desk.office.clock.advance(duration);
    model->deliver();
    desk.run_all();
  }
  std::shared_ptr<ScriptedModel> model = std::make_shared<ScriptedModel>();
  ModelOptions options;
  std::optional<Conversed> came;
  std::optional<Error> error;
  Body body = [this](Run& run, const Sum&) -> Result<Total> {
    auto conversed = converse(run, *model, question("How many beans?"), {}, options);
    if (!conversed) {
      error = conversed.error();
      return fail(std::move(conversed).error());
    }
    came = *conversed;
    return Total{1};
  };
  RunDesk desk{[this](Run& run, const Sum& sum) { return body(run, sum); }};
};

}  // namespace

TEST_CASE("While an answer is awaited the run rests, and no thread waits") {
  Later it;
  it.model->says("Seven.", {12, 3});
  const auto id = it.enqueue();
  CHECK(it.desk.status(id) == TaskStatus::waiting);
  CHECK(it.model->requests().size() == 1);
  it.after(30s);
  CHECK(it.desk.status(id) == TaskStatus::waiting);
  it.after(30s);
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(it.came->reply.message.text == "Seven.");
  CHECK(it.came->usage.output_tokens == 3);
  CHECK(it.model->requests().size() == 1);
  const auto steps = must(it.desk.runs().steps(id));
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].kind == StepKind::request);
  CHECK(steps[0].status == StepStatus::finished);
}

TEST_CASE("An answer that is there before the run rests is not lost") {
  Later it(0s);
  it.model->says("Seven.");
  it.body = [&](Run& run, const Sum&) -> Result<Total> {
    struct Hasty final : LanguageModel {
      explicit Hasty(ScriptedModel& of) : model(of) {}
      [[nodiscard]] std::string_view identity() const override { return "hasty"; }
      [[nodiscard]] ModelAbilities abilities() const override { return {true, false}; }
      Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) override {
        return model.complete(request, call);
      }
      void begin(const ModelRequest& request, ModelCall call, Done done) override {
        model.begin(request, std::move(call), std::move(done));
        CHECK(model.deliver() == 1);  // inside the call
      }
      ScriptedModel& model;
    } hasty(*it.model);
    return converse(run, hasty, question("?")).map([](const Conversed&) { return Total{2}; });
  };
  const auto id = it.enqueue();
  CHECK(it.desk.value(id) == 2);
}

TEST_CASE("A conversation of several turns rests at each; tools run between") {
  Later it;
  int looked = 0;
  Toolbox tools;
  tools.add({"stock", "How many", *Json::parse(R"({"type":"object"})"), Effect::pure},
            [&](const Json&) -> Result<Json> {
              ++looked;
              return Json(41);
            });
  it.body = [&](Run& run, const Sum&) -> Result<Total> {
    return converse(run, *it.model, question("How many beans?"), tools)
        .map([](const Conversed& of) { return Total{of.turns}; });
  };
  it.model->calls("stock", Json::object()).says("41");
  const auto id = it.enqueue();
  it.after(1min);
  CHECK(it.desk.status(id) == TaskStatus::waiting);
  it.after(1min);
  CHECK(it.desk.value(id) == 2);
  CHECK(looked == 1);
}

TEST_CASE("Another process may bring the answer; only the first counts") {
  Later it(24h);
  it.model->says("too late");
  const auto id = it.enqueue();
  const RunStep open = must(it.desk.runs().steps(id)).at(0);
  const std::string key = *open.result->find("key")->as_string();
  Process other(it.desk.office.storage, it.desk.office.clock, it.desk.office.random);
  const Runs runs(other.access->system(it.desk.office.tenant.id));
  ModelReply reply;
  reply.message = {ModelRole::assistant, "Seven.", {}, {}};
  CHECK(must(deliver(runs, key, reply)));
  CHECK_FALSE(must(deliver(runs, key, reply)));
  it.desk.run_all();
  CHECK(it.came->reply.message.text == "Seven.");
  it.after(24h);  // the provider's own comes to nothing
  CHECK(it.model->cancelled() == 1);
  CHECK(it.desk.value(id) == 1);
  CHECK(code_of(deliver(runs, "nonsense", reply)) == Code::invalid);
  CHECK(code_of(deliver(runs, "tsk_nonsense-1-1", reply)) == Code::invalid);
  CHECK(code_of(deliver(runs, key, reply)) == Code::conflict);
}

TEST_CASE("Cancellation reaches a call that was begun") {
  Later it;
  it.model->says("Seven.");
  const auto id = it.enqueue();
  must(it.desk.office.tasks().cancel(id, "not wanted"));
  CHECK(it.desk.status(id) == TaskStatus::cancelled);
  it.after(1min);
  CHECK(it.model->cancelled() == 1);
  CHECK(it.desk.status(id) == TaskStatus::cancelled);
}

TEST_CASE("An error that comes later is the call's: the next attempt asks again") {
  Later it;
  it.model->fails(Error(Code::busy, "slower, please")).says("Seven.");
  const auto id = it.enqueue();
  it.after(1min);
  CHECK(it.desk.status(id) == TaskStatus::scheduled);
  it.after(10s);
  it.after(1min);
  CHECK(it.desk.value(id) == 1);
  CHECK(it.model->requests().size() == 2);
}

TEST_CASE("No answer within the time is an error, and the call is told that nobody waits") {
  Later it(1h);
  it.options.within = 5min;
  it.model->says("Seven.").says("Eight.");
  const auto id = it.enqueue();
  for (int i = 0; i < 4; ++i) it.after(1min);
  CHECK(it.desk.status(id) == TaskStatus::waiting);
  it.after(1min);
  REQUIRE(it.error);
  CHECK(it.error->code == Code::deadline);
  CHECK(it.desk.status(id) == TaskStatus::scheduled);
}

namespace {

/// The office's process dies while its run rests; another one takes over.
struct Successor {
  Successor(Later& of, Body body)
      : process(of.desk.office.storage, of.desk.office.clock, of.desk.office.random),
        worker(process, std::move(body)) {}
  Process process;
  Worker worker;
};

}  // namespace

TEST_CASE("G7_a_call_whose_process_died_is_asked_for_or_begun_again_or_in_doubt") {
  for (const bool can_be_asked : {false, true}) {
    for (const Effect effect : {Effect::external_idempotent, Effect::external_unsafe}) {
      CAPTURE(can_be_asked);
      CAPTURE(static_cast<int>(effect));
      Office office;
      auto model = std::make_shared<ScriptedModel>();
      model->says("Seven.").answers_later(office.clock, 10min, can_be_asked);
      ModelOptions options;
      options.effect = effect;
      const Body body = [&](Run& run, const Sum&) -> Result<Total> {
        return converse(run, *model, question("?"), {}, options).map([](const Conversed&) {
          return Total{7};
        });
      };
      const auto id = must(office.tasks().enqueue(plan, {1, 2})).id;
      {
        Process process(office.storage, office.clock, office.random);
        Worker worker(process, body);
        worker.run_all();
        CHECK(office.find(id).status == TaskStatus::waiting);
      }
      model->forget_callers();
      Process process(office.storage, office.clock, office.random);
      Worker worker(process, body);
      const auto after = [&](Duration duration) {
        office.clock.advance(duration);
        model->deliver();
        worker.run_all();
      };
      after(1min);
      if (effect == Effect::external_unsafe && !can_be_asked) {
        CHECK(office.find(id).status == TaskStatus::in_doubt);
        ModelReply reply;
        reply.message = {ModelRole::assistant, "Eight.", {}, {}};
        must(Runs(office.system()).resolve_step(id, to_json(reply), "it was in the bill"));
        worker.run_all();
      } else {
        CHECK(office.find(id).status == TaskStatus::waiting);
        for (int i = 0; i < 10; ++i) after(1min);
      }
      CHECK(office.find(id).status == TaskStatus::completed);
      CHECK(model->requests().size() == 1);  // it was one call, also when it was begun again
    }
  }
}

TEST_CASE("While the process that began it lives, a call is not begun again") {
  Later it(1h);
  it.model->says("Seven.");
  const auto id = it.enqueue();
  int begun = 0;
  const auto inner = it.body;
  Successor other(it, [&](Run& run, const Sum& sum) {
    ++begun;
    return inner(run, sum);
  });
  for (int i = 0; i < 5; ++i) {
    it.desk.office.clock.advance(1min);
    other.worker.run_all();  // it looks, and rests again
  }
  CHECK(begun == 5);
  CHECK(it.desk.status(id) == TaskStatus::waiting);
  it.after(1h);
  CHECK(it.desk.value(id) == 1);
}

TEST_CASE("That another process has looked after a call does not make it that process's") {
  Office office;
  auto model = std::make_shared<ScriptedModel>();
  model->says("Seven.").answers_later(office.clock, 5min);
  const Body body = [&](Run& run, const Sum&) -> Result<Total> {
    return converse(run, *model, question("?")).map([](const Conversed&) { return Total{7}; });
  };
  auto first = std::make_unique<Process>(office.storage, office.clock, office.random);
  auto of_first = std::make_unique<Worker>(*first, body);
  const auto id = must(office.tasks().enqueue(plan, {1, 2})).id;
  of_first->run_all();
  Process second(office.storage, office.clock, office.random);
  Worker of_second(second, body);
  office.clock.advance(1min);
  of_second.run_all();
  CHECK(office.find(id).status == TaskStatus::waiting);
  of_first.reset();
  first.reset();
  model->forget_callers();
  for (int i = 0; i < 6; ++i) {
    office.clock.advance(1min);
    of_second.run_all();
    model->deliver();
  }
  of_second.run_all();
  CHECK(office.find(id).status == TaskStatus::completed);
}

TEST_CASE("An answer that comes after its office was closed does nothing") {
  auto model = std::make_shared<ScriptedModel>();
  ManualClock clock;
  {
    Office office;
    model->says("Seven.").answers_later(clock, 1min);
    must(office.tasks().enqueue(plan, {1, 2}));
    Worker worker(office.process, [&](Run& run, const Sum&) -> Result<Total> {
      return converse(run, *model, question("?")).map([](const Conversed&) { return Total{}; });
    });
    worker.run_all();
  }
  clock.advance(1min);
  CHECK(model->deliver() == 1);
}

// What it costs --------------------------------------------------------------------------------

TEST_CASE("A call reserves what it may cost, and settles what the provider says") {
  for (const bool later : {false, true}) {
    CAPTURE(later);
    Later it;
    if (!later) {
      it.model = std::make_shared<ScriptedModel>();
    }
    it.options.price = ModelPrice{Money{300, usd}, Money{1500, usd}};
    it.model->says("Seven.", {1000, 20});
    const Budgets budgets(it.desk.office.system());
    const Budget project = must(budgets.create(
        {.name = "project", .limits = {.tokens = 10'000, .calls = 5, .money = Money{100, usd}}}));
    const auto id = it.enqueue(project.id);
    if (later) {
      const auto reserved = must(budgets.state(project.id)).reserved;
      CHECK(reserved.tokens == 100 + estimate_input_tokens(question("How many beans?")));
      CHECK(reserved.calls == 1);
      it.after(1min);
    }
    CHECK(it.desk.value(id) == 1);
    const BudgetState state = must(budgets.state(project.id));
    CHECK(state.spent.tokens == 1020);
    CHECK(state.spent.calls == 1);
    CHECK(state.spent.time == (later ? Duration(1min) : Duration(0)));
    CHECK(state.spent.money.minor == 0);
    CHECK(state.spent.money_micros == 330'000);  // 0.3 + 0.03 cents
    CHECK(state.reserved == Amounts{.money = Money{0, usd}});
  }
}

TEST_CASE("A provider that does not say what it used has used what was reserved") {
  Later it;
  it.model->says("Seven.");
  const Budgets budgets(it.desk.office.system());
  const Budget project = must(budgets.create({.name = "project", .limits = {.tokens = 10'000}}));
  it.enqueue(project.id);
  it.after(1min);
  CHECK(must(budgets.state(project.id)).spent.tokens ==
        100 + estimate_input_tokens(question("How many beans?")));
}

TEST_CASE("A call that was surely not made costs a call and no token") {
  Later it;
  it.model->fails(Error(Code::unavailable, "no line")).says("Seven.", {10, 5});
  const Budgets budgets(it.desk.office.system());
  const Budget project = must(budgets.create({.name = "project", .limits = {.tokens = 10'000}}));
  const auto id = it.enqueue(project.id);
  it.after(1min);
  CHECK(must(budgets.state(project.id)).spent.tokens == 0);
  CHECK(must(budgets.state(project.id)).spent.calls == 1);
  CHECK(must(budgets.state(project.id)).reserved.tokens == 0);
  it.after(10s);
  it.after(1min);
  CHECK(it.desk.value(id) == 1);
  CHECK(must(budgets.state(project.id)).spent.tokens == 15);
}

TEST_CASE("A call without room is refused before anything is asked, or the run waits for room") {
  Later it;
  it.model->says("Seven.", {10, 5});
  const Budgets budgets(it.desk.office.system());
  const Budget project = must(budgets.create({.name = "project", .limits = {.tokens = 50}}));
  SUBCASE("refused") {
    const auto id = it.enqueue(project.id);
    REQUIRE(it.error);
    CHECK(it.error->code == Code::exhausted);
    CHECK(it.error->field == "budget");
    CHECK(it.desk.status(id) == TaskStatus::scheduled);
    CHECK(it.model->requests().empty());
  }
  SUBCASE("waits") {
    it.options.exhausted = Spend::Exhausted::wait;
    const auto id = it.enqueue(project.id);
    CHECK(it.desk.status(id) == TaskStatus::waiting);
    CHECK(it.model->requests().empty());
    must(budgets.set_limits(project.id, {.tokens = 1000}));
    it.desk.run_all();
    CHECK(it.model->requests().size() == 1);
    it.after(1min);
    CHECK(it.desk.value(id) == 1);
  }
}

TEST_CASE("A model without a price is refused where money is limited") {
  Later it;
  it.model->says("Seven.");
  const Budgets budgets(it.desk.office.system());
  const Budget project =
      must(budgets.create({.name = "project", .limits = {.money = Money{100, usd}}}));
  const auto id = it.enqueue(project.id);
  CHECK(it.desk.status(id) == TaskStatus::dead);
  REQUIRE(it.error);
  CHECK(it.error->field == "price");
  CHECK(it.model->requests().empty());
  must(budgets.set_unpriced(project.id, Unpriced::allow));
  const auto allowed = it.enqueue(project.id);
  it.after(1min);
  CHECK(it.desk.status(allowed) == TaskStatus::completed);
}

TEST_CASE("The price of tokens is exact, and rounded up by less than a millionth of a cent") {
  const ModelPrice price{Money{7500, usd}, Money{30000, usd}, 1'000'000'000};
  const Amounts cost = *cost_of(price, 1, 0);
  CHECK(cost.money == Money{0, usd});
  CHECK(cost.money_micros == 8);  // 7.5 millionths
  rc::check("the cost of parts is never less than that of the whole", [] {
    const auto minor = *rc::gen::inRange<std::int64_t>(0, 100'000);
    const auto per = *rc::gen::elementOf(std::vector<std::int64_t>{1, 1000, 1'000'000, 999'983});
    const ModelPrice some{Money{minor, usd}, Money{2 * minor, usd}, per};
    const auto a = *rc::gen::inRange<std::int64_t>(0, 1'000'000);
    const auto b = *rc::gen::inRange<std::int64_t>(0, 1'000'000);
    const auto micros = [&](std::int64_t input, std::int64_t output) {
      const Amounts of = *cost_of(some, input, output);
      RC_ASSERT(of.money_micros >= 0);
      RC_ASSERT(of.money_micros < 1'000'000);
      return of.money.minor * 1'000'000 + of.money_micros;
    };
    const std::int64_t parts = micros(a, 0) + micros(b, 0);
    RC_ASSERT(parts >= micros(a + b, 0));
    RC_ASSERT(parts <= micros(a + b, 0) + 1);
    RC_ASSERT(micros(a, b) == micros(a, 0) + micros(0, b));
  });
}

TEST_CASE("G14_a_price_that_cannot_be_is_refused") {
  const auto refused = [](const ModelPrice& price) {
    const auto good = check_price(price);
    REQUIRE_FALSE(good.has_value());
    CHECK(good.error().code == Code::invalid);
    return good.error().field;
  };
  CHECK(refused({Money{-1, usd}, Money{1, usd}}) == "input");
  CHECK(refused({Money{1, usd}, Money{-1, usd}}) == "output");
  CHECK(refused({Money{1, usd}, Money{1, *Currency::parse("EUR")}}) == "output");
  CHECK(refused({Money{1, {}}, Money{1, {}}}) == "input");
  CHECK(refused({Money{1, usd}, Money{1, usd}, 0}) == "per");
  CHECK(code_of(cost_of({Money{1, usd}, Money{1, usd}}, -1, 0)) == Code::invalid);
  CHECK(code_of(cost_of({Money{1, usd}, Money{1, usd}}, INT64_MAX, 0)) == Code::exhausted);
}
