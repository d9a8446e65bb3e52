// expect: no match for .operator\+|invalid operands to binary expression
#include <bureau/core/timestamp.hpp>

// Three of what? A duration says its unit.
bureau::Timestamp later(bureau::Timestamp t) { return t + 3; }
