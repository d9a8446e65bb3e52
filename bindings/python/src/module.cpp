// The extension module bureau._bureau: what the Python half of the package stands on.

#include "bridge.hpp"
#include "bureau/core/config.hpp"
#include "hosted.hpp"

namespace bureau_python {

namespace {

void set_hooks(const py::tuple& errors, const py::object& base, const py::object& suspended,
               const py::object& make_enum, const py::object& make_row) {
  Hooks& it = hooks();
  it.errors = errors.inc_ref().ptr();
  it.base_error = base.inc_ref().ptr();
  it.suspended = suspended.inc_ref().ptr();
  it.make_enum = make_enum.inc_ref().ptr();
  it.make_row = make_row.inc_ref().ptr();
}

}  // namespace

}  // namespace bureau_python

PYBIND11_MODULE(_bureau, module) {
  using namespace bureau_python;  // NOLINT(google-build-using-namespace)
  module.attr("__version__") = std::to_string(BUREAU_VERSION_MAJOR) + "." +
                               std::to_string(BUREAU_VERSION_MINOR) + "." +
                               std::to_string(BUREAU_VERSION_PATCH);
  module.def("_set_hooks", set_hooks);
  init_values();
  init_rows(module);
  init_predicates(module);
  init_office(module);
  init_scope(module);
  init_agents(module);
  init_feed(module);
  init_testing(module);
  init_hosted(module);
  init_embeddings(module);
}
