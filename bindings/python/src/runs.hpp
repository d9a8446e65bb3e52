#pragma once

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

  /// Raises `invalid` once the handler has returned. REQUIRES: the GIL.
  Run& use() const;
  /// It is over. The error with which the attempt ends whatever the handler returned: of
  /// complete_later(). REQUIRES: the GIL.
  std::optional<Error> end();
  /// Of a handler that holds no thread: what it came to. REQUIRES: the GIL.
  void finish(const Result<Json>& outcome);
  void end_with(Error error) { ending_ = std::move(error); }
  [[nodiscard]] const std::shared_ptr<Office>& office() const { return office_; }

 private:
  std::shared_ptr<Office> office_;
  Run* run_;
  std::shared_ptr<Run> kept_;
  Agent::Done done_;
  std::optional<Error> ending_;
};

void init_runs(py::module_& module);
EnqueueOptions enqueue_options(const py::dict& fields);

}  // namespace bureau_python
