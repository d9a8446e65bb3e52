#pragma once

#include <memory>

#include "bureau/store/storage.hpp"

namespace shelf {

/// A host's own storage: rows in maps, gone with the object. One writer at a time changes a copy of
/// the tables that it touches, and puts it in the place of what was there when it commits; so a
/// read has its snapshot at once, keeps it for as long as it likes, and holds up nobody. For small
/// offices that are read much: a write costs a copy of each table that it changes.
[[nodiscard]] std::shared_ptr<bureau::Storage> make_shelf(
    bureau::Clock& clock = bureau::Clock::system());

}  // namespace shelf
