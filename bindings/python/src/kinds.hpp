#pragma once

#include <string>

#include "bureau/work/task_kind.hpp"

namespace bureau_python {

/// A kind of task whose names it owns: agents and tasks point to them.
struct Kind {
  std::string name, queue;
  bureau::KindInfo info;
};

}  // namespace bureau_python
