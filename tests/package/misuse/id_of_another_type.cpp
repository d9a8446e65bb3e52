// expect: no match for .operator==|invalid operands to binary expression
#include <bureau/core/id.hpp>

struct Ticket {};
struct User {};

bool same(bureau::Id<Ticket> a, bureau::Id<User> b) { return a == b; }
