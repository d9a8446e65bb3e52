// compiles
// The right use of what the files beside this one misuse: it proves that they fail for their reason
// and not for a wrong include path.
#include <bureau/core/id.hpp>
#include <bureau/core/money.hpp>
#include <bureau/core/timestamp.hpp>

struct Ticket {};

bool same(bureau::Id<Ticket> a, bureau::Id<Ticket> b) { return a == b; }
bureau::Id<Ticket> read() { return bureau::Id<Ticket>{7}; }
bureau::Timestamp later(bureau::Timestamp t) { return t + std::chrono::seconds(3); }
bureau::Result<bureau::Money> sum(bureau::Money a, bureau::Money b) { return bureau::add(a, b); }
