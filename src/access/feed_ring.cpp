#include "access/feed_ring.hpp"

#include <algorithm>

#include "store/journal_leap.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {
constexpr std::size_t remembered_changes_max = 100'000;
}  // namespace

Result<std::int64_t> FeedRing::advance(Reader& reader, std::int64_t head) {
  const std::lock_guard lock(mutex_);
  if (through_ >= head) return head;
  if (head - through_ >= journal_leap_seen) forget();
  auto read = database_.read_journal(reader, through_, records_a_look,
                                     [&](JournalRecord&& record) -> Result<bool> {
                                       add(std::move(record));
                                       return true;
                                     });
  if (read) {
    through_ = *read;
  } else if (read.error().code == Code::gone || read.error().code == Code::corrupt) {
    log(database_.log(), LogLevel::error, "feed", "changes cannot be read; subscribers resync",
        {{"error", std::string_view(read.error().message)}});
    restart(head);
  } else {
    return fail(std::move(read).error());
  }
  return std::min(through_, head);
}

Result<bool> FeedRing::give(std::int64_t position, std::int64_t limit,
                            FunctionRef<Result<bool>(const RecordPtr&)> sink) {
  std::vector<RecordPtr> found;
  {
    const std::lock_guard lock(mutex_);
    if (position < after_) return false;
    auto at = std::partition_point(records_.begin(), records_.end(), [&](const RecordPtr& r) {
      return r->last_sequence() <= position;
    });
    for (; at != records_.end() && (*at)->last_sequence() <= limit && found.size() < records_a_look;
         ++at) {
      found.push_back(*at);
    }
  }
  for (const RecordPtr& record : found) {
    BUREAU_TRY(const bool more, sink(record));
    if (!more) break;
  }
  return true;
}

bool FeedRing::changed(std::span<const TableInfo* const> tables, std::int64_t tenant,
                       std::int64_t after) {
  if (tables.empty()) return false;
  const std::lock_guard lock(mutex_);
  if (after < unknown_until_) return true;
  return std::any_of(tables.begin(), tables.end(), [&](const TableInfo* table) {
    const auto found = changes_.find(key(*table, tenant));
    return found != changes_.end() && found->second > after;
  });
}

/// Of what is kept some may have been lost: who is behind reads what is there.
void FeedRing::forget() {
  records_.clear();
  bytes_ = 0;
  after_ = through_;
}

void FeedRing::restart(std::int64_t head) {
  forget();
  changes_.clear();
  after_ = through_ = unknown_until_ = head;
}

void FeedRing::add(JournalRecord&& record) {
  if (changes_.size() >= remembered_changes_max) {
    changes_.clear();
    unknown_until_ = record.first_sequence() - 1;
  }
  changes_[key(record.table(), record.tenant())] = record.last_sequence();
  bytes_ += record.bytes();
  records_.push_back(std::make_shared<JournalRecord>(std::move(record)));
  while (bytes_ > bytes_max_ && records_.size() > 1) {
    bytes_ -= records_.front()->bytes();
    after_ = records_.front()->last_sequence();
    records_.pop_front();
  }
}

}  // namespace detail
BUREAU_END_NAMESPACE
