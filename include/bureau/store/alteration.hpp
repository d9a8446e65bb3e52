#pragma once

#include <cstdint>
#include <string>

#include "bureau/core/json.hpp"
#include "bureau/store/value.hpp"

BUREAU_BEGIN_NAMESPACE

/// One change of a table's form that no catalog asks for by itself: what Writer::alter() makes.
/// Names are those of the table as it is stored; hidden companions are columns like others here.
struct Alteration {
  enum class Kind : std::uint8_t {
    /// A column as `described` says (StoredTable::definition has the form). Rows that are there,
    /// and rows that are inserted by programs that do not know it, hold `value`.
    add_column,
    /// `column` goes, with its values and the indexes that use it.
    drop_column,
    /// A new column `other` of the type of `column`, which may be null. Until end_mirror, whoever
    /// inserts or changes one of the two has given both the same value; rows that are there have
    /// null in the new one.
    mirror,
    end_mirror,
    /// Until end_stand_in, rows that are inserted with null in `column`, or by programs that do not
    /// know it, hold `value` in it (null: null); instead of what it was added with, or of what
    /// stood in before.
    stand_in,
    end_stand_in,
    /// `column` may no longer be null. `conflict` with its name when a row has none.
    require,
    /// The table goes, with its rows.
    drop_table,
  };
  Kind kind = Kind::add_column;
  std::string table;
  std::string column = {};
  std::string other = {};  ///< mirror and end_mirror
  Json described = {};     ///< add_column
  OwnedValue value = {};   ///< add_column and stand_in
};

BUREAU_END_NAMESPACE
