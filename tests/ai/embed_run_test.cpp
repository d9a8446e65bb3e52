// Texts that a run has embedded: paid for once, within budgets, and never mixed up.

#include "bureau/ai/embed_run.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <limits>

#include "bureau/testing/scripted_embedder.hpp"
#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;
using bureau::testing::ScriptedEmbedder;

namespace {

const Currency usd = *Currency::parse("USD");

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) texts.push_back("bean number " + std::to_string(i));
  return texts;
}

/// A run that has texts embedded.
struct Desk {
  std::shared_ptr<ScriptedEmbedder> embedder = std::make_shared<ScriptedEmbedder>(4);
  std::vector<std::string> texts = numbered(5);
  EmbedOptions options;
  std::optional<Embedded> came;
  std::optional<Error> error;
  int failures = 0;                                        // of the run, after it has the vectors
  std::function<void(std::int64_t)> before = [](auto) {};  // each attempt
  RunDesk desk{[this](Run& run, const Sum&) -> Result<Total> {
    before(run.task().attempt);
    auto embedded = embed(run, *embedder, texts, options);
    if (!embedded) {
      error = embedded.error();
      return fail(std::move(embedded).error());
    }
    came = *embedded;
    if (run.task().attempt <= failures) return fail(Code::unavailable, "afterwards");
    return Total{1};
  }};
  Id<Task> run(std::optional<Id<Budget>> budget = {}) {
    EnqueueOptions of;
    of.budget = budget;
    const auto id = must(desk.office.tasks().enqueue(plan, {1, 2}, of)).id;
    for (int i = 0; i < 4; ++i) desk.after(10s);
    return id;
  }
  Budget budget(const BudgetLimits& limits) {
    return must(Budgets(desk.office.system()).create({.name = "project", .limits = limits}));
  }
  BudgetState state(const Budget& budget) {
    return must(Budgets(desk.office.system()).state(budget.id));
  }
};

}  // namespace

TEST_CASE("Texts are embedded in batches, each a step that is asked for once") {
  Desk it;
  it.options.batch = 2;
  it.failures = 2;
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::completed);
  const std::vector<std::vector<std::string>> asked = {
      {it.texts[0], it.texts[1]}, {it.texts[2], it.texts[3]}, {it.texts[4]}};
  CHECK(it.embedder->calls() == asked);
  REQUIRE(it.came->vectors.size() == 5);
  ScriptedEmbedder fresh(4);
  CHECK(it.came->vectors == must(fresh.embed(it.texts, {})).vectors);  // the last bit of each
  CHECK(it.came->input_tokens == 15);
  const auto steps = must(it.desk.runs().steps(id));
  REQUIRE(steps.size() == 3);
  CHECK(steps[0].name == "embed");
  CHECK(it.embedder->keys()[0] != it.embedder->keys()[1]);
}

TEST_CASE("What is recorded is as compact as numbers of four bytes, and any of them comes back") {
  rc::check("a run gives the vectors that its first attempt had", [] {
    const auto dimensions = *rc::gen::inRange<std::size_t>(1, 9);
    const auto bits = *rc::gen::container<std::vector<std::uint32_t>>(
        dimensions * 2, rc::gen::arbitrary<std::uint32_t>());
    EmbedReply reply{{std::vector<float>(), std::vector<float>()}, {}};
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const auto number = std::bit_cast<float>(bits[i]);
      reply.vectors[i / dimensions].push_back(std::isfinite(number) ? number : -0.0F);
    }
    Desk it;
    it.embedder = std::make_shared<ScriptedEmbedder>(dimensions);
    it.embedder->gives(reply);
    it.texts = numbered(2);
    it.failures = 1;
    it.run();
    RC_ASSERT(it.came.has_value());
    RC_ASSERT(it.came->vectors == reply.vectors);
    RC_ASSERT(std::signbit(it.came->vectors[0][0]) == std::signbit(reply.vectors[0][0]));
    RC_ASSERT(it.embedder->calls().size() == 1U);
  });
  Desk it;
  it.embedder = std::make_shared<ScriptedEmbedder>(1536);
  it.texts = numbered(100);
  it.options.batch = 100;
  const auto id = it.run();
  const auto steps = must(it.desk.runs().steps(id));
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].result->dump().size() < 100 * 1536 * 4 * 4 / 3 + 200);
}

TEST_CASE("A batch is smaller where its vectors would not fit a step") {
  Desk it;
  it.embedder = std::make_shared<ScriptedEmbedder>(max_embedding_dimensions);
  it.texts = numbered(5);
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(it.embedder->calls().size() == 3);  // of 256 KiB each, two fit
  CHECK(it.came->vectors.size() == 5);
}

TEST_CASE("No text is no call, and no step") {
  Desk it;
  it.texts.clear();
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(it.came->vectors.empty());
  CHECK(it.came->input_tokens == 0);
  CHECK(it.embedder->calls().empty());
  CHECK(must(it.desk.runs().steps(id)).empty());
}

TEST_CASE("A bad answer is an error that names it; it is paid for, and not asked for again") {
  Desk it;
  it.texts = numbered(2);
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::string words, field = "vectors";
  EmbedReply reply{{{1, 2, 3, 4}, {1, 2, 3, 4}}, 7};
  SUBCASE("too few") {
    reply.vectors.pop_back();
    words = "there are 1 for 2 texts";
  }
  SUBCASE("too many") {
    reply.vectors.push_back(reply.vectors[0]);
    words = "there are 3 for 2 texts";
  }
  SUBCASE("none") {
    reply.vectors.clear();
    words = "there are 0 for 2 texts";
  }
  SUBCASE("of another dimension") {
    reply.vectors = {{1, 2, 3}, {1, 2, 3}};
    words = "number 0 has 3 numbers; the embedder has 4 dimensions";
  }
  SUBCASE("unequal") {
    reply.vectors[1].push_back(5);
    words = "number 1 has 5 numbers";
  }
  SUBCASE("empty") {
    reply.vectors[1].clear();
    words = "number 1 has 0 numbers";
  }
  SUBCASE("not a number") {
    reply.vectors[1][2] = nan;
    words = "number 1 has nan at place 2";
  }
  SUBCASE("not finite") {
    reply.vectors[0][3] = -infinity;
    words = "number 0 has -inf at place 3";
  }
  it.embedder->gives(reply);
  const Budget budget = it.budget({.tokens = 1000});
  const auto id = it.run(budget.id);
  CHECK(it.desk.status(id) == TaskStatus::dead);
  REQUIRE(it.error);
  CHECK(it.error->code == Code::invalid);
  CHECK(it.error->field == field);
  CHECK(it.error->message.find(words) != std::string::npos);
  CHECK(it.embedder->calls().size() == 1);
  CHECK(it.state(budget).spent.tokens == 7);
  CHECK(it.state(budget).reserved.tokens == 0);
}

TEST_CASE("A count of tokens below zero is refused, and what was reserved is spent") {
  Desk it;
  it.texts = numbered(1);
  it.embedder->gives({{{1, 2, 3, 4}}, -1});
  const Budget budget = it.budget({.tokens = 1000});
  it.run(budget.id);
  REQUIRE(it.error);
  CHECK(it.error->field == "input_tokens");
  CHECK(it.state(budget).spent.tokens == estimate_input_tokens(it.texts));
}

TEST_CASE("What cannot be asked is refused before anything is") {
  Desk it;
  std::string field = "texts";
  SUBCASE("an empty text") { it.texts[3].clear(); }
  SUBCASE("a text that is none") { it.texts[0] = "\xff"; }
  SUBCASE("a NUL") { it.texts[0] = std::string("a\0b", 3); }
  SUBCASE("too many") {
    it.embedder = std::make_shared<ScriptedEmbedder>(max_embedding_dimensions);
    it.texts = numbered(max_embedding_bytes / (4 * max_embedding_dimensions) + 1);
  }
  SUBCASE("no batch") {
    it.options.batch = 0;
    field = "batch";
  }
  SUBCASE("no dimension") {
    it.embedder = std::make_shared<ScriptedEmbedder>(0);
    field = "dimensions";
  }
  SUBCASE("too many dimensions") {
    it.embedder = std::make_shared<ScriptedEmbedder>(max_embedding_dimensions + 1);
    field = "dimensions";
  }
  SUBCASE("a price below zero") {
    it.options.price = ModelPrice{Money{-1, usd}, {}};
    field = "input";
  }
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::dead);
  REQUIRE(it.error);
  CHECK(it.error->code == Code::invalid);
  CHECK(it.error->field == field);
  CHECK(it.embedder->calls().empty());
}

TEST_CASE("As many vectors as there is room for are taken") {
  Desk it;
  it.embedder = std::make_shared<ScriptedEmbedder>(max_embedding_dimensions);
  it.texts = numbered(max_embedding_bytes / (4 * max_embedding_dimensions));
  CHECK(it.desk.status(it.run()) == TaskStatus::completed);
}

TEST_CASE("An embedder that fails is asked again as the kind says, and only for the rest") {
  Desk it;
  it.options.batch = 3;
  it.embedder->gives({{{1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}}, 9})
      .fails(Error(Code::unavailable, "no line"));
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::completed);
  const auto calls = it.embedder->calls();
  REQUIRE(calls.size() == 3);
  CHECK(calls[1] == calls[2]);
  CHECK(calls[2] == std::vector<std::string>{it.texts[3], it.texts[4]});
  CHECK(it.embedder->keys()[1] == it.embedder->keys()[2]);  // the same call
  CHECK(it.came->vectors[2] == std::vector<float>{3, 3, 3, 3});
}

TEST_CASE(
    "Other texts or dimensions than were recorded are told, not mixed up; other batches are "
    "fine") {
  Desk it;
  it.options.batch = 2;
  it.failures = 1;
  std::string field;
  SUBCASE("another text") {
    field = "texts";
    it.before = [&](std::int64_t attempt) {
      if (attempt == 2) it.texts[1] = "another";
    };
  }
  SUBCASE("fewer texts") {
    field = "texts";
    it.before = [&](std::int64_t attempt) {
      if (attempt == 2) it.texts.resize(1);
    };
  }
  SUBCASE("texts that are one after the other the same") {
    field = "texts";
    it.texts = {"ab", "c"};
    it.before = [&](std::int64_t attempt) {
      if (attempt == 2) it.texts = {"a", "bc"};
    };
  }
  SUBCASE("another embedder") {
    field = "dimensions";
    it.before = [&](std::int64_t attempt) {
      if (attempt == 2) it.embedder = std::make_shared<ScriptedEmbedder>(5);
    };
  }
  SUBCASE("other batches") {
    it.before = [&](std::int64_t attempt) { it.options.batch = attempt == 1 ? 2 : 4; };
    CHECK(it.desk.status(it.run()) == TaskStatus::completed);
    CHECK(it.came->vectors.size() == 5);
    CHECK(it.embedder->calls().size() == 3);
    return;
  }
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::dead);
  REQUIRE(it.error);
  CHECK(it.error->field == field);
  CHECK(it.error->message.find("the run was another") != std::string::npos);
}

// Budgets --------------------------------------------------------------------------------------

TEST_CASE("Tokens, calls and money are reserved before a call and settled after it") {
  Desk it;
  it.options.batch = 3;
  it.options.price = ModelPrice{Money{200, usd}, {}};
  const Budget budget = it.budget({.tokens = 1000, .calls = 5, .money = Money{100, usd}});
  std::vector<std::int64_t> reserved;
  it.options.input_tokens = [&](std::span<const std::string> texts) {
    reserved.push_back(static_cast<std::int64_t>(texts.size()) * 10);
    return reserved.back();
  };
  CHECK(it.desk.status(it.run(budget.id)) == TaskStatus::completed);
  const BudgetState state = it.state(budget);
  CHECK(state.spent.tokens == 15);
  CHECK(state.spent.calls == 2);
  CHECK(state.spent.money_micros == 3000);  // 15 * 2 USD / 1,000,000
  CHECK(state.reserved == Amounts{.money = Money{0, usd}});
  CHECK(reserved == std::vector<std::int64_t>{30, 20});
}

TEST_CASE("A call without room is refused before anything is asked, or waits for room") {
  Desk it;
  it.options.batch = 3;
  const Budget budget = it.budget({.calls = 1});
  SUBCASE("refused") {
    const auto id = it.run(budget.id);
    CHECK(it.desk.status(id) == TaskStatus::dead);
    REQUIRE(it.error);
    CHECK(it.error->code == Code::exhausted);
    CHECK(it.error->field == "budget");
    CHECK(it.embedder->calls().size() == 1);
  }
  SUBCASE("waits") {
    it.options.exhausted = Spend::Exhausted::wait;
    const auto id = it.run(budget.id);
    CHECK(it.desk.status(id) == TaskStatus::waiting);
    CHECK(it.embedder->calls().size() == 1);
    must(Budgets(it.desk.office.system()).set_limits(budget.id, {.calls = 2}));
    it.desk.run_all();
    CHECK(it.desk.status(id) == TaskStatus::completed);
    CHECK(it.embedder->calls().size() == 2);
  }
}

TEST_CASE(
    "What is not said or not known is spent as it was reserved; what was not made costs a call") {
  Desk it;
  const Budget budget = it.budget({.tokens = 1000});
  std::int64_t tokens = estimate_input_tokens(it.texts);
  SUBCASE("no usage") { it.embedder->says_no_usage(); }
  SUBCASE("an outcome that is not known, and a second call") {
    it.embedder->fails(Error(Code::unknown_outcome, "cut off"));
    tokens += 15;
  }
  SUBCASE("no line, and a second call") {
    it.embedder->fails(Error(Code::unavailable, "no line"));
    tokens = 15;
  }
  CHECK(it.desk.status(it.run(budget.id)) == TaskStatus::completed);
  CHECK(it.state(budget).spent.tokens == tokens);
  CHECK(it.came->input_tokens.has_value() == (tokens != estimate_input_tokens(it.texts)));
}

TEST_CASE("An embedder without a price is refused where money is limited") {
  Desk it;
  const Budget budget = it.budget({.money = Money{100, usd}});
  CHECK(it.desk.status(it.run(budget.id)) == TaskStatus::dead);
  REQUIRE(it.error);
  CHECK(it.error->field == "price");
  CHECK(it.embedder->calls().empty());
  must(Budgets(it.desk.office.system()).set_unpriced(budget.id, Unpriced::allow));
  CHECK(it.desk.status(it.run(budget.id)) == TaskStatus::completed);
}

// Effects --------------------------------------------------------------------------------------

TEST_CASE("An unsafe call whose outcome is not known is in doubt, and not made again") {
  Desk it;
  it.options.effect = Effect::external_unsafe;
  it.embedder->fails(Error(Code::unknown_outcome, "cut off"));
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::in_doubt);
  CHECK(it.embedder->calls().size() == 1);
}

// The kit --------------------------------------------------------------------------------------

TEST_CASE("The scripted embedder is near where words are shared, and the same in every process") {
  ScriptedEmbedder embedder(256);
  const std::vector<std::string> texts = {"My grinder howls", "the GRINDER howls!", "two invoices",
                                          "?!"};
  const auto vectors = must(embedder.embed(texts, {})).vectors;
  const auto near = [&](std::size_t a, std::size_t b) {
    float sum = 0;
    for (std::size_t i = 0; i < 256; ++i) sum += vectors[a][i] * vectors[b][i];
    return sum;
  };
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(near(i, i) == doctest::Approx(1));
  CHECK(near(0, 1) > 0.5F);
  CHECK(near(0, 2) < 0.5F);
  ScriptedEmbedder small(3);
  CHECK(must(small.embed(std::vector<std::string>{"a"}, {})).vectors[0] ==
        must(ScriptedEmbedder(3).embed(std::vector<std::string>{"A?"}, {})).vectors[0]);
}
