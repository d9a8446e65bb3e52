#include "bureau/store/interruption.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {
thread_local Interruption* innermost = nullptr;
}  // namespace

Interruption::Interruption(FunctionRef<bool()> asked) : asked_(asked), outer_(innermost) {
  innermost = this;
}
Interruption::~Interruption() { innermost = outer_; }

bool Interruption::is_there() { return innermost != nullptr; }
bool Interruption::is_wanted() { return innermost != nullptr && innermost->asked_(); }

BUREAU_END_NAMESPACE
