// An office in a Qt program: its agents work between Qt's own events.

#include <QCoreApplication>
#include <QTimer>
#include <bureau/bureau.hpp>
#include <cstdio>
#include <thread>

#include "qt_scheduler.hpp"

using namespace bureau;

namespace {

constexpr int work_items = 10;

struct Step {
  std::int64_t number = 0;
};

}  // namespace

template <>
inline constexpr auto bureau::record<Step> = fields(column("number", &Step::number));

namespace {

inline constexpr auto step = task_kind<Step, Nothing>("step", Effect::pure, retry::exponential(3));

class Stepper : public AgentOf<step> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Step&) override {
    if (std::this_thread::get_id() != qt_) elsewhere = true;
    if (++done == work_items) QCoreApplication::quit();
    return Nothing{};
  }
  int done = 0;
  bool elsewhere = false;

 private:
  std::thread::id qt_ = std::this_thread::get_id();
};

Result<void> run(QCoreApplication& app, const char* path) {
  EngineOptions options;
  options.path = path;
  options.scheduler = std::make_shared<QtScheduler>();
  BUREAU_TRY(auto office, Engine::open(std::move(options)));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("desktop"));
  const auto stepper = std::make_shared<Stepper>();
  BUREAU_TRY_VOID(office->add(stepper));
  BUREAU_TRY_VOID(office->start());

  // The program's own events go on meanwhile; one of them makes the work.
  Result<void> enqueued;
  QTimer::singleShot(0, [&] {
    const Tasks tasks(office->system(tenant.id));
    for (int i = 0; i < work_items && enqueued; ++i) {
      auto task = tasks.enqueue(step, {i});
      if (!task) enqueued = fail(std::move(task).error());
    }
    if (!enqueued) QCoreApplication::quit();
  });
  app.exec();
  BUREAU_TRY_VOID(enqueued);
  BUREAU_TRY_VOID(office->stop());
  std::printf("%d steps on Qt's event loop%s\n", stepper->done,
              stepper->elsewhere ? ", and some on other threads" : "");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  QCoreApplication app(argc, argv);
  const auto done = run(app, argc > 1 ? argv[1] : "office.db");
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
