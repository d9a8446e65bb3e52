// Which open tickets say nearly the same: their texts are embedded within a run, in batches that
// are asked for once each, and compared. The embedder is the test kit's, which knows words alone.

#include <bureau/ai/embed_run.hpp>
#include <bureau/bureau.hpp>
#include <bureau/testing/scripted_embedder.hpp>
#include <cstdio>

using namespace bureau;
using namespace std::chrono_literals;

struct Pairs {
  std::vector<std::string> subjects;  ///< of both, "a / b"
};
template <>
inline constexpr auto bureau::record<Pairs> = fields(column("subjects", &Pairs::subjects));

inline constexpr auto find_duplicates =
    task_kind<Nothing, Pairs>("find_duplicates", Effect::database, retry::fixed(3, 1min));

float product(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

class Finder final : public AgentOf<find_duplicates> {
 public:
  explicit Finder(std::shared_ptr<Embedder> embedder) : embedder_(std::move(embedder)) {}
  using AgentOf::execute;

  Result<Pairs> execute(Run& run, const Nothing&) override {
    // A step, because the next attempt may see other tickets.
    BUREAU_TRY(const auto texts, run.step("read", [&]() -> Result<std::vector<std::string>> {
      std::vector<std::string> subjects;
      BUREAU_TRY(const auto tickets,
                 run.read([](View& view) { return Tickets{view}.list({.limit = 1000}); }));
      for (const Ticket& ticket : tickets) subjects.push_back(ticket.subject);
      return subjects;
    }));
    BUREAU_TRY(const Embedded embedded, embed(run, *embedder_, texts));
    if (run.task().attempt == 1) return fail(Code::unavailable, "the printer is out of paper");
    Pairs pairs;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      for (std::size_t k = i + 1; k < texts.size(); ++k) {
        if (product(embedded.vectors[i], embedded.vectors[k]) < 0.7F) continue;
        pairs.subjects.push_back(texts[i] + " / " + texts[k]);
      }
    }
    return pairs;
  }

 private:
  std::shared_ptr<Embedder> embedder_;
};

Result<void> look(const char* path) {
  auto embedder = std::make_shared<testing::ScriptedEmbedder>(512);
  ManualClock clock;
  BUREAU_TRY(auto office, Engine::open({.path = path, .clock = &clock}));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("Larkfield"));
  const Session desk = office->system(tenant.id);
  BUREAU_TRY_VOID(support::create_default_statuses(desk));
  User ada;
  ada.email = "ada@example.com";
  ada.role = "customer";
  BUREAU_TRY(ada, Repository<User>(desk).insert(ada));
  for (const char* body :
       {"My grinder howls", "Where is my invoice?", "The grinder howls, my grinder!"}) {
    BUREAU_TRY_VOID(Tickets(desk).open({.body = body, .customer = ada.id}));
  }
  BUREAU_TRY_VOID(office->add(std::make_shared<Finder>(embedder)));
  BUREAU_TRY_VOID(office->start_polled());
  BUREAU_TRY(const Task task, Tasks(desk).enqueue(find_duplicates, {}));
  for (int attempt = 0; attempt < 2; ++attempt) {
    while (office->poll({.tasks = 10}).ran > 0) {
    }
    clock.advance(1min);
  }
  BUREAU_TRY(const Pairs found, Tasks(desk).wait(find_duplicates, task.id, Duration(0)));
  for (const std::string& pair : found.subjects) std::printf("%s\n", pair.c_str());
  std::printf("the embedder was asked %zu times\n", embedder->calls().size());
  return office->stop();
}

int main(int argc, char** argv) {
  const auto done = look(argc > 1 ? argv[1] : "office.db");
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
