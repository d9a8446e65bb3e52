#include "access/cursor.hpp"

#include <sodium.h>

#include "store/journal_codec.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

constexpr std::size_t mac_bytes = 16;
constexpr int text_form = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
/// The longest text that can be a cursor: six columns of large text.
constexpr std::size_t cursor_bytes_max = 64 * 1024;

bool ends_in_id(const Select& select) {
  return !select.order.empty() && select.order.back().column->index == 0;
}

std::string mac(std::string_view key, std::string_view scope, std::string_view content) {
  std::string out(mac_bytes, '\0');
  crypto_generichash_state state;
  const auto bytes = [](std::string_view s) {
    return reinterpret_cast<const unsigned char*>(s.data());
  };
  std::string length;
  put_varint(length, scope.size());  // so that scope and content cannot be shifted
  crypto_generichash_init(&state, bytes(key), key.size(), mac_bytes);
  for (const std::string_view part : {std::string_view(length), scope, content}) {
    crypto_generichash_update(&state, bytes(part), part.size());
  }
  crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(out.data()), mac_bytes);
  return out;
}

tl::unexpected<Error> refused() {
  return fail(Code::invalid, "cursor: it is not of this query, or of this principal's rights",
              "cursor");
}

}  // namespace

std::string make_cursor(std::string_view key, std::string_view scope, const Select& select,
                        std::span<const Value> row) {
  std::string content;
  for (const Order& order : select.order) put_value(content, row[order.column->index]);
  if (!ends_in_id(select)) put_value(content, row[0]);
  const std::string bytes = mac(key, scope, content) + content;
  std::string text(sodium_base64_encoded_len(bytes.size(), text_form), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), text_form);
  text.pop_back();  // the terminating zero
  return text;
}

Result<void> apply_cursor(std::string_view key, std::string_view scope, std::string_view cursor,
                          Select& select) {
  if (cursor.size() > cursor_bytes_max) return refused();
  std::string bytes(cursor.size(), '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), cursor.data(),
                        cursor.size(), nullptr, &size, &end, text_form) != 0 ||
      end != cursor.data() + cursor.size() || size < mac_bytes) {
    return refused();
  }
  bytes.resize(size);
  const std::string_view content = std::string_view(bytes).substr(mac_bytes);
  const std::string expected = mac(key, scope, content);
  if (sodium_memcmp(expected.data(), bytes.data(), mac_bytes) != 0) return refused();
  JournalCursor values(content);
  while (!values.at_end()) {
    JournalTag tag{};
    Value value;
    if (!values.tag(tag) || !values.content(tag, value)) return refused();
    select.after.emplace_back(value);
  }
  if (select.after.size() != select.order.size() + (ends_in_id(select) ? 0 : 1)) return refused();
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
