#pragma once

// How rows are written into a journal record's body. The format is frozen: it is in every file.
//   insert:  image of the row as it became
//   update:  image as it became, count of changed columns, then for each its position and, where
//   the
//            table's journal is full, its value before
//   remove:  image of the row as it was
// An image is one value per column of the record's shape. A value is a tag byte and its content.

#include <string>
#include <string_view>

#include "bureau/store/value.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

enum class JournalTag : unsigned char {
  null = 0,
  integer = 1,  ///< zigzag varint
  real = 2,     ///< 8 bytes, little endian
  text = 3,     ///< varint length, bytes
  bytes = 4,
  secret = 5,  ///< nothing: the value is not told
  sealed = 6,  ///< varint key id, varint length, nonce and box around one encoded value
};

void put_varint(std::string& out, std::uint64_t value);
void put_value(std::string& out, const Value& value);
void put_tag(std::string& out, JournalTag tag);

/// Reads what the functions above wrote; every read says whether it was possible.
class JournalCursor {
 public:
  explicit JournalCursor(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool varint(std::uint64_t& out);
  [[nodiscard]] bool tag(JournalTag& out);
  [[nodiscard]] bool block(std::string_view& out);
  /// The content of a plain value whose tag was read. Text points into the bytes.
  [[nodiscard]] bool content(JournalTag tag, Value& out);
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
