#include "store/postgres/statement_cache.hpp"

#include <fmt/format.h>

#include <algorithm>

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

StatementCache::Use StatementCache::use(std::string_view text) {
  if (const auto known = by_text_.find(text); known != by_text_.end()) {
    entries_.splice(entries_.begin(), entries_, known->second);
    return {known->second->name, false, {}};
  }
  Use use{fmt::format("bureau_{}", next_++), true, {}};
  if (entries_.size() >= size_max) {
    use.evicted = std::move(entries_.back().name);
    by_text_.erase(entries_.back().text);
    entries_.pop_back();
  }
  entries_.push_front({std::string(text), use.name});
  by_text_.emplace(entries_.front().text, entries_.begin());
  return use;
}

void StatementCache::forget(std::string_view name) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  if (found == entries_.end()) return;
  by_text_.erase(found->text);
  entries_.erase(found);
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
