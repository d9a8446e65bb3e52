#include "bureau/ai/language_model.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "bureau/ai/model_run.hpp"
#include "bureau/testing/scripted_model.hpp"
#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;
using bureau::testing::RecordedModel;
using bureau::testing::ScriptedModel;

namespace {

ModelRequest question(std::string text) {
  ModelRequest request;
  request.messages = {{ModelRole::user, std::move(text), {}, {}}};
  return request;
}

Json number_schema() {
  return *Json::parse(R"({"type":"object","required":["value"],"additionalProperties":false,
    "properties":{"value":{"type":"integer","minimum":0}}})");
}

ToolSpec stock_tool() { return {"stock", "How many there are", number_schema(), Effect::pure}; }

/// A run that converses with a scripted model.
struct Desk {
  std::shared_ptr<ScriptedModel> model = std::make_shared<ScriptedModel>();
  ModelRequest request = question("How many beans?");
  Toolbox tools;
  ModelOptions options;
  std::optional<Conversed> came;
  std::optional<Error> error;
  int failures = 0;  // of the run, after it has conversed
  RunDesk desk{[this](Run& run, const Sum&) -> Result<Total> {
    auto conversed = converse(run, *model, request, tools, options);
    if (!conversed) {
      error = conversed.error();
      return fail(std::move(conversed).error());
    }
    came = *conversed;
    if (run.task().attempt <= failures) return fail(Code::unavailable, "afterwards");
    return Total{1};
  }};
  Id<Task> run() {
    const auto id = desk.enqueue();
    for (int i = 0; i < 4; ++i) desk.after(10s);
    return id;
  }
};

}  // namespace

TEST_CASE("An answer is a step: it is paid for once, however often the run is replayed") {
  Desk it;
  it.failures = 2;
  it.model->says("Seven.", {12, 3});
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(it.came->reply.message.text == "Seven.");
  CHECK(it.came->usage.input_tokens == 12);
  CHECK(it.came->usage.output_tokens == 3);
  CHECK(it.model->requests().size() == 1);
}

TEST_CASE("A tool call is a step; the model hears what it gave") {
  Desk it;
  int looked = 0;
  it.tools.add(stock_tool(), [&](const Json& arguments) -> Result<Json> {
    ++looked;
    CHECK(*arguments.find("value")->as_int() == 3);
    return Json(41);
  });
  it.tools.add({"found", "Founds a team", number_schema()},
               [&](Unit& unit, const Json&) -> Result<Json> {
                 BUREAU_TRY_VOID(add_team(unit, "beans"));
                 return Json(true);
               });
  it.model->calls("stock", Json::object({{"value", 3}}))
      .calls("found", Json::object({{"value", 1}}))
      .says("41 beans");
  it.failures = 1;
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(looked == 1);
  CHECK(teams(it.desk.office) == 1);
  CHECK_FALSE(it.came->usage.input_tokens.has_value());  // the model did not say
  const auto requests = it.model->requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].tools.size() == 2);
  CHECK(requests[1].messages.back().role == ModelRole::tool);
  CHECK(requests[1].messages.back().text == "41");
  CHECK(requests[1].messages.back().call_id == "call-stock");
  CHECK(must(it.desk.runs().steps(id)).size() == 5);
}

TEST_CASE("A call that cannot be is told to the model, by field and rule, and nothing is done") {
  Desk it;
  it.tools.add(stock_tool(), [&](const Json&) -> Result<Json> {
    return fail(Code::not_found, "there are no beans");
  });
  it.model->calls("stok", Json::object())
      .calls("stock", Json::object({{"value", -1}}))
      .calls("stock", Json::object({{"value", 1}}))
      .says("none");
  it.run();
  const auto requests = it.model->requests();
  REQUIRE(requests.size() == 4);
  CHECK(requests[1].messages.back().text.find("there is no tool \"stok\"") != std::string::npos);
  CHECK(requests[2].messages.back().text.find("arguments") != std::string::npos);
  CHECK(requests[3].messages.back().text == "error: not_found: there are no beans");
}

TEST_CASE("A tool that cannot be reached fails the attempt, and is tried again") {
  Desk it;
  int calls = 0;
  it.tools.add(stock_tool(), [&](const Json&) -> Result<Json> {
    if (++calls == 1) return fail(Code::unavailable, "the shop is shut");
    return Json(1);
  });
  it.model->calls("stock", Json::object({{"value", 1}})).says("one");
  const auto id = it.run();
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(calls == 2);
  CHECK(it.model->requests().size() == 2);
}

TEST_CASE("An output that breaks its schema is sent back, a bounded number of times") {
  Desk it;
  it.request.output = number_schema();
  SUBCASE("and put right") {
    it.model->says("seven").says(R"({"value":-7})").says(R"({"value":7})");
    const auto id = it.run();
    CHECK(it.desk.status(id) == TaskStatus::completed);
    CHECK(it.came->output == Json::object({{"value", 7}}));
    const auto requests = it.model->requests();
    REQUIRE(requests.size() == 3);
    CHECK(requests[2].messages.back().text.find("value") != std::string::npos);
  }
  SUBCASE("and never put right") {
    it.options.repairs = 1;
    it.model->says("seven").says("eight").says("never asked");
    it.run();
    CHECK(it.error->code == Code::exhausted);
    CHECK(it.error->field == "output");
    CHECK(it.model->requests().size() == 2);
  }
}

TEST_CASE("A conversation ends: too many turns, a loop, a refusal") {
  Desk it;
  it.tools.add(stock_tool(), [](const Json&) -> Result<Json> { return Json(1); });
  const auto call = [](int i) { return Json::object({{"value", i}}); };
  SUBCASE("turns") {
    it.options.max_turns = 3;
    it.model->calls("stock", call(1)).calls("stock", call(2)).calls("stock", call(3)).says("late");
    it.run();
    CHECK(it.error->code == Code::exhausted);
    CHECK(it.error->field == "max_turns");
  }
  SUBCASE("a loop") {
    it.model->calls("stock", call(1)).calls("stock", call(1)).calls("stock", call(1)).says("late");
    it.run();
    CHECK(it.error->code == Code::exhausted);
    CHECK(it.error->field == "tools");
  }
  SUBCASE("a refusal") {
    it.model->answers([](const ModelRequest&) -> Result<ModelReply> {
      ModelReply reply;
      reply.stop = StopReason::refused;
      reply.message.text = "I would rather not";
      return reply;
    });
    it.run();
    CHECK(it.error->code == Code::forbidden);
  }
}

TEST_CASE("G14_requests_to_models_that_cannot_be_are_refused_by_field") {
  const auto field_of = [](const ModelRequest& request) {
    const auto checked = check_request(request);
    return checked ? std::string() : checked.error().field;
  };
  ModelRequest request = question("hello");
  CHECK(field_of(request).empty());
  request.temperature = 3;
  CHECK(field_of(request) == "temperature");
  request.temperature = 0;
  request.max_output_tokens = 0;
  CHECK(field_of(request) == "max_output_tokens");
  request.max_output_tokens = 1;
  request.tools = {{"a b", ""}};
  CHECK(field_of(request) == "tools");
  request.tools = {{"a", ""}, {"a", ""}};
  CHECK(field_of(request) == "tools");
  CHECK(field_of({}) == "messages");
}

TEST_CASE("G14_schemas_and_values_that_would_harm_are_refused") {
  const Json circle = *Json::parse(R"({"$ref":"#/a","a":{"$ref":"#/b"},"b":{"$ref":"#/a"}})");
  CHECK(check_json(Json(1), circle).error().field == "schema");
  const Json pattern = *Json::parse(R"({"type":"string","pattern":"^[a-z ]*$"})");
  CHECK(check_json(Json(std::string(4096, 'a')), pattern).has_value());
  CHECK(code_of(check_json(Json(std::string(200'000, 'a')), pattern)) == Code::invalid);
  ModelRequest request = question("hello");
  request.output = *Json::parse(R"({"type":"no such type"})");
  CHECK(check_request(request).error().field == "output");
}

TEST_CASE("Replies survive JSON, and requests are canonical") {
  ModelReply reply;
  reply.message = {
      ModelRole::assistant, "caf\u00e9", {{"1", "stock", Json::object({{"a", 1}})}}, {}};
  reply.stop = StopReason::tool_calls;
  reply.usage.output_tokens = 4;
  reply.model = "m-1";
  const ModelReply back = must(model_reply_from_json(to_json(reply)));
  CHECK(to_json(back) == to_json(reply));
  CHECK_FALSE(back.usage.input_tokens.has_value());
  CHECK(code_of(model_reply_from_json(Json::object())) == Code::invalid);
  CHECK(to_json(question("a")).dump() == to_json(question("a")).dump());
  CHECK(to_json(question("a")).dump() != to_json(question("b")).dump());
}

TEST_CASE(
    "A fallback asks the next, leaves out one that fails in a row, and tries it again later") {
  ManualClock clock;
  auto first = std::make_shared<ScriptedModel>();
  auto second = std::make_shared<ScriptedModel>();
  for (int i = 0; i < 10; ++i) second->says("second");
  for (int i = 0; i < 2; ++i) first->fails(Error(Code::unavailable, "down"));
  first->says("first");
  const auto both = make_fallback_model({first, second}, clock, {2, 30s});
  const auto ask = [&] { return must(both->complete(question("?"), {})).message.text; };
  CHECK(ask() == "second");
  CHECK(ask() == "second");
  CHECK(ask() == "second");
  CHECK(first->requests().size() == 2);  // left out
  clock.advance(30s);
  CHECK(ask() == "first");
  // An error of the request is not the model's: nobody else is asked.
  first->fails(Error(Code::invalid, "too long"));
  CHECK(code_of(both->complete(question("?"), {})) == Code::invalid);
  auto broken = std::make_shared<ScriptedModel>();
  broken->fails(Error(Code::busy, "slow down"));
  const auto none = make_fallback_model({broken}, clock)->complete(question("?"), {});
  CHECK(code_of(none) == Code::unavailable);
  CHECK(none.error().message.find("slow down") != std::string::npos);
}

TEST_CASE("A cache answers what was answered before, and forgets the oldest") {
  auto model = std::make_shared<ScriptedModel>();
  model->says("1", {10, 1}).says("2").says("1 again").says("warm").says("warm again");
  const auto cached = make_cached_model(model, 1);
  const auto ask = [&](const ModelRequest& request) { return must(cached->complete(request, {})); };
  CHECK(ask(question("a")).message.text == "1");
  CHECK(ask(question("a")).message.text == "1");
  CHECK(ask(question("a")).usage.input_tokens == 0);
  CHECK(ask(question("b")).message.text == "2");
  CHECK(ask(question("a")).message.text == "1 again");
  ModelRequest warm = question("c");
  warm.temperature = 1;
  CHECK(ask(warm).message.text == "warm");
  CHECK(ask(warm).message.text == "warm again");
}

TEST_CASE("The extractive model answers with sentences that are there, or not at all") {
  const auto model = make_extractive_model(1);
  ModelRequest request;
  request.messages = {{ModelRole::system,
                       "Opening hours are 9 to 5. Refunds take three days.\nWe sell beans.",
                       {},
                       {}},
                      {ModelRole::user, "How long do refunds take?", {}, {}}};
  CHECK(must(model->complete(request, {})).message.text == "Refunds take three days.");
  request.messages.back().text = "Zebra?";
  CHECK(must(model->complete(request, {})).stop == StopReason::refused);
  request.output = number_schema();
  CHECK(code_of(model->complete(request, {})) == Code::invalid);
}

TEST_CASE("A recording replays, and a miss names the nearest request and the first difference") {
  auto scripted = std::make_shared<ScriptedModel>();
  scripted->says("one").says("two");
  RecordedModel recorder(scripted);
  must(recorder.complete(question("first question"), {}));
  must(recorder.complete(question("second question"), {}));
  must(recorder.complete(question("first question"), {}));  // remembered
  const auto replayed = must(RecordedModel::replay(recorder.text()));
  CHECK(must(replayed->complete(question("second question"), {})).message.text == "two");
  const auto miss = replayed->complete(question("second answer"), {});
  CHECK(code_of(miss) == Code::not_found);
  CHECK(miss.error().message.find("question") != std::string::npos);
  CHECK(miss.error().message.find("answer") != std::string::npos);
  CHECK(code_of(RecordedModel::replay("{}\n")) == Code::invalid);
}

TEST_CASE("JSON schemas: the official suite for draft 7, where it is installed") {
  const std::filesystem::path folder = "/usr/share/json-schema-test-suite/tests/draft7";
  if (!std::filesystem::exists(folder)) {
    MESSAGE("skipped: json-schema-test-suite is not installed");
    return;
  }
  // What the library does not do, or what needs the network.
  const std::set<std::string> left_out = {"refRemote.json", "definitions.json"};
  int right = 0, wrong = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    if (left_out.contains(entry.path().filename().string())) continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const auto groups = Json::parse(text.str());
    if (!groups) continue;  // numbers that bureau's JSON does not have
    for (const Json& group : *groups->as_array()) {
      for (const Json& test : *group.find("tests")->as_array()) {
        const bool valid = *test.find("valid")->as_bool();
        const bool found = check_json(*test.find("data"), *group.find("schema")).has_value();
        ++(valid == found ? right : wrong);
      }
    }
  }
  MESSAGE(right << " of " << right + wrong << " as the suite says");
  CHECK(right >= 400);
  CHECK(wrong <= 2);  // references to other documents
}
