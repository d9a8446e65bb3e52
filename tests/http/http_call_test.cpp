// Requests to other programs, as tasks.

#include "bureau/http/http_call.hpp"

#include <atomic>

#include "http/server.hpp"
#include "notify/office.hpp"

using namespace notify_office;
using namespace http_test;
using http::HttpAnswer;
using http::HttpCall;
using http::HttpCaller;
using http::HttpCallerOptions;

namespace {

struct Outbox {
  ManualClock clock;
  SeededRandom random{7};
  std::unique_ptr<Engine> engine;
  Id<Tenant> tenant;

  explicit Outbox(HttpCallerOptions caller) {
    EngineOptions options;
    options.storage = make_memory_storage(clock);
    options.clock = &clock;
    options.random = &random;
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield")).id;
    caller.allow_http = caller.allow_private_addresses = true;
    must(engine->add(must(HttpCaller::make(std::move(caller)))));
    must(engine->start_polled());
  }
  explicit Outbox(const Server& server) : Outbox(HttpCallerOptions{.origins = {server.url()}}) {}

  [[nodiscard]] Tasks tasks() { return Tasks(engine->system(tenant)); }
  Id<Task> send(const HttpCall& call) { return must(tasks().enqueue(http::http_call, call)).id; }
  Task find(Id<Task> id) { return must(tasks().find(id)); }
  void work(int hours = 1) {
    for (int i = 0; i < 2 * hours; ++i) {
      while (engine->poll({.tasks = 100}).ran > 0) {
      }
      clock.advance(30min);
    }
  }
  /// What became of one call.
  Task after(const HttpCall& call, int hours = 1) {
    const Id<Task> id = send(call);
    work(hours);
    return find(id);
  }
};

HttpCall post_to(const Server& server, std::string body = "{}") {
  HttpCall call;
  call.url = server.url();
  call.body = std::move(body);
  return call;
}

}  // namespace

TEST_CASE("A call is one request with its key, and its answer is the task's result") {
  Server server([](const Connection& c, const std::string&) {
    c.answer_with(201, "application/json", R"({"id": 17})");
  });
  Outbox outbox({.origins = {server.url()},
                 .credentials = [](std::string_view name, const Task&) -> Result<http::Headers> {
                   if (name != "billing") return fail(Code::not_found, "no such credentials");
                   return http::Headers{{"Authorization", "Bearer 42"}};
                 }});
  HttpCall call = post_to(server, R"({"cents": 1250})");
  call.method = "PUT";
  call.headers = Json::object({{"X-Order", "7"}});
  call.credentials = "billing";
  const auto id = outbox.send(call);
  outbox.work();
  const auto answer = must(outbox.tasks().wait(http::http_call, id, 0s));
  CHECK(answer.status == 201);
  CHECK(answer.content_type == "application/json");
  CHECK(answer.body == R"({"id": 17})");
  REQUIRE(server.requests().size() == 1);
  const std::string request = server.requests().front();
  CHECK(request.starts_with("PUT /in HTTP/1.1\r\n"));
  CHECK(body_of(request) == R"({"cents": 1250})");
  CHECK(header_of(request, "X-Order") == "7");
  CHECK(header_of(request, "Authorization") == "Bearer 42");
  CHECK(header_of(request, "Content-Type") == "application/json");
  CHECK(header_of(request, "Idempotency-Key") == id::to_text(schema<Task>.prefix, id.value));
}

TEST_CASE("Each method is sent as it is called") {
  Server server([](const Connection& c, const std::string& request) {
    c.answer_with(200, "text/plain", request.starts_with("HEAD") ? "" : "said");
  });
  Outbox outbox(server);
  for (const std::string method : {"GET", "HEAD", "POST", "PATCH", "DELETE"}) {
    HttpCall call = post_to(server, method == "POST" || method == "PATCH" ? "{}" : "");
    call.method = method;
    CHECK(outbox.after(call).status == TaskStatus::completed);
    CHECK(server.requests().back().starts_with(method + " /in HTTP/1.1\r\n"));
  }
}

TEST_CASE("It is sent when its commit is there, and not at all when there was none") {
  Server server(200);
  Outbox outbox(server);
  const auto undone = outbox.engine->system(outbox.tenant).write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(Tasks(unit).enqueue(http::http_call, post_to(server)));
    return fail(Code::conflict, "the order was taken back");
  });
  REQUIRE_FALSE(undone.has_value());
  outbox.work();
  CHECK(server.requests().empty());
}

TEST_CASE("A server that fails is asked again with the same key; one that refuses is not") {
  for (const int status : {408, 425, 429, 500, 503}) {
    std::atomic<int> asked{0};
    Server server([&](const Connection& c, const std::string&) {
      c.answer(asked.fetch_add(1) < 2 ? status : 200);
    });
    Outbox outbox(server);
    CHECK(outbox.after(post_to(server), 4).status == TaskStatus::completed);
    const auto requests = server.requests();
    REQUIRE(requests.size() == 3);
    CHECK(header_of(requests[0], "Idempotency-Key") == header_of(requests[2], "Idempotency-Key"));
  }
  for (const int status : {301, 400, 403, 404, 409, 410, 422}) {
    Server server([&](const Connection& c, const std::string&) {
      c.answer_with(status, "text/plain", "no such order");
    });
    Outbox outbox(server);
    const Task task = outbox.after(post_to(server), 4);
    CHECK(task.status == TaskStatus::dead);
    CHECK(task.error == "status: it answered " + std::to_string(status) + ": no such order");
    CHECK(server.requests().size() == 1);
  }
}

TEST_CASE(
    "An answer that breaks off is no answer: the idempotent call is repeated, the other in doubt") {
  std::atomic<int> asked{0};
  Server server([&](const Connection& c, const std::string&) {
    if (asked.fetch_add(1) == 1) return c.answer_with(200, "text/plain", "whole");
    c.send("HTTP/1.1 200 Said\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf");
  });
  Outbox outbox(server);
  CHECK(outbox.after(post_to(server), 2).status == TaskStatus::completed);
  CHECK(asked == 2);
  const auto once = must(outbox.tasks().enqueue(http::http_call_once, post_to(server)));
  outbox.work(2);
  CHECK(asked == 3);
  const Task doubtful = outbox.find(once.id);
  CHECK(doubtful.status == TaskStatus::in_doubt);
  CHECK(doubtful.error_code == "unknown_outcome");
}

TEST_CASE("What may not be called is not called") {
  Server server(200), other(200);
  Outbox outbox(server);
  const Task task = outbox.after(post_to(other));
  CHECK(task.status == TaskStatus::dead);
  CHECK(task.error_code == "forbidden");
  CHECK(other.requests().empty());
  // A name in front of the host is no way around.
  HttpCall disguised = post_to(other);
  disguised.url = "http://" + server.url().substr(7, server.url().find("/in") - 7) + "@" +
                  other.url().substr(7);
  CHECK(outbox.after(disguised).error_code == "invalid");
  CHECK(other.requests().empty());
  CHECK(server.requests().empty());
}

TEST_CASE("A call that breaks a rule is dead at once, and says which") {
  Server server(200);
  Outbox outbox(server);
  const auto refused = [&](const std::function<void(HttpCall&)>& change) {
    HttpCall call = post_to(server);
    change(call);
    const Task task = outbox.after(call);
    CHECK(task.status == TaskStatus::dead);
    CHECK(task.error_code == "invalid");
    return task.error.value_or("");
  };
  CHECK(refused([](HttpCall& c) { c.method = "FETCH"; }) ==
        "method: \"FETCH\" is none of GET, HEAD, POST, PUT, PATCH and DELETE");
  CHECK(refused([](HttpCall& c) { c.method = "GET"; }) == "body: a GET has none");
  CHECK(refused([](HttpCall& c) { c.url = "ftp://127.0.0.1/"; }).starts_with("url: "));
  CHECK(refused([](HttpCall& c) { c.url = "nowhere at all"; }).starts_with("url: "));
  CHECK(refused([](HttpCall& c) { c.headers = Json::array(); }).starts_with("headers: "));
  CHECK(refused([](HttpCall& c) {
          c.headers = Json::object({{"X", "a\r\nY: b"}});
        }).starts_with("headers: \"X\": its value"));
  CHECK(refused([](HttpCall& c) {
          c.headers = Json::object({{"idempotency-KEY", "mine"}});
        }).starts_with("headers: "));
  CHECK(refused([](HttpCall& c) { c.credentials = "billing"; }) ==
        "credentials: this program has none");
  CHECK(server.requests().empty());
}

TEST_CASE("An answer that is too large is not kept") {
  Server server([](const Connection& c, const std::string&) {
    c.answer_with(200, "text/plain", std::string(100'000, 'x'));
  });
  Outbox outbox({.origins = {server.url()}, .answer_bytes_max = 10'000});
  const auto id = outbox.send(post_to(server));
  outbox.work();
  CHECK(outbox.find(id).error_code == "exhausted");
}

TEST_CASE("Bad options of a caller") {
  const auto refused = [](HttpCallerOptions options) {
    const auto made = HttpCaller::make(std::move(options));
    REQUIRE_FALSE(made.has_value());
    return made.error().field;
  };
  CHECK(refused({}) == "origins");
  CHECK(refused({.origins = {"api.example.com"}}) == "origins");
  CHECK(refused({.origins = {"https://api.example.com"}, .timeout = Duration(0)}) == "timeout");
}
