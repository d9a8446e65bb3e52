#pragma once

#include <condition_variable>

#include "bridge.hpp"
#include "bureau/work/agent.hpp"

namespace bureau_python {

/// A run as a handler of Python's sees it, for as long as the handler runs.
class PyRun {
 public:
  PyRun(std::shared_ptr<Office> office, Run& run) : office_(std::move(office)), run_(&run) {}
  PyRun(std::shared_ptr<Office> office, std::shared_ptr<Run> run, Agent::Done done)
      : office_(std::move(office)),
        run_(run.get()),
        kept_(std::move(run)),
        done_(std::move(done)) {}

  /// The run for the time of one call: until then the attempt does not end, also when the handler
  /// returns meanwhile on another thread. Made and let go of with the GIL.
  class Use {
   public:
    explicit Use(PyRun& run) : run_(run) { ++run_.uses_; }
    ~Use() { run_.let_go(); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Run& operator*() const { return *run_.run_; }
    Run* operator->() const { return run_.run_; }

   private:
    PyRun& run_;
  };
  /// Raises `invalid` once the handler has returned. REQUIRES: the GIL.
  [[nodiscard]] Use use();
  /// It is over, once the calls that are under way have returned. The error with which the attempt
  /// ends whatever the handler returned: of complete_later(). REQUIRES: the GIL.
  std::optional<Error> end();
  /// Of a handler that holds no thread: what it came to, told when the calls that are under way
  /// have returned. REQUIRES: the GIL.
  void finish(Result<Json> outcome);
  void end_with(Error error) { ending_ = std::move(error); }
  [[nodiscard]] const std::shared_ptr<Office>& office() const { return office_; }

 private:
  void let_go();
  void tell();

  std::shared_ptr<Office> office_;
  Run* run_;
  std::shared_ptr<Run> kept_;
  Agent::Done done_;
  std::optional<Error> ending_;
  // Changed with the GIL; the last to let go wakes who waits without it.
  int uses_ = 0;
  bool over_ = false;
  std::optional<Result<Json>> outcome_;
  std::mutex mutex_;
  std::condition_variable unused_;
  bool idle_ = false;
};

void init_runs(py::module_& module);
EnqueueOptions enqueue_options(const py::dict& fields);

}  // namespace bureau_python
