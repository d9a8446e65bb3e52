// expect: no match for .operator\+|invalid operands to binary expression
#include <bureau/core/money.hpp>

// The currencies may differ: add() says so in its Result.
bureau::Money sum(bureau::Money a, bureau::Money b) { return a + b; }
