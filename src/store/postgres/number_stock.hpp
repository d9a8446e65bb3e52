#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// The journal numbers that one transaction has drawn. The server does not take numbers back, so
/// those of a statement that was undone are kept here, and given out again.
class NumberStock {
 public:
  /// So many consecutive numbers out of the stock: the last; nothing when it has not so many.
  [[nodiscard]] std::optional<std::int64_t> take(std::int64_t count) {
    while (at_ < ranges_.size()) {
      if (ranges_[at_].last - next_ + 1 >= count) {
        next_ += count;
        return next_ - 1;
      }
      if (++at_ < ranges_.size()) next_ = ranges_[at_].first;
    }
    return std::nullopt;
  }
  /// Numbers that were drawn and given out at once.
  void add_taken(std::int64_t first, std::int64_t last) {
    ranges_.push_back({first, last});
    at_ = ranges_.size();
  }

  /// A moment to go back to.
  struct Mark {
    std::size_t ranges = 0, at = 0;
    std::int64_t next = 0;
  };
  [[nodiscard]] Mark mark() const { return {ranges_.size(), at_, next_}; }
  /// What was taken since can be taken again. With nothing drawn before the mark, all is let go of:
  /// the lock under which it was drawn was undone too.
  void go_back(const Mark& mark) {
    if (mark.ranges == 0) {
      ranges_.clear();
      at_ = 0;
      return;
    }
    at_ = mark.at;
    next_ = mark.at < mark.ranges ? mark.next : at_ < ranges_.size() ? ranges_[at_].first : 0;
  }
  /// Whether the transaction holds the lock of one that drew.
  [[nodiscard]] bool holds_lock() const { return locked_ || !ranges_.empty(); }
  /// The transaction draws numbers that nobody here will know, and holds the lock from then on.
  void note_lock() { locked_ = drew_ = true; }
  /// Whether it ever drew.
  [[nodiscard]] bool drew() const { return drew_; }
  void note_draw() { drew_ = true; }

 private:
  struct Range {
    std::int64_t first, last;
  };
  std::vector<Range> ranges_;
  std::size_t at_ = 0;     ///< the range that is given out of; all before are used up
  std::int64_t next_ = 0;  ///< in it
  bool drew_ = false;
  bool locked_ = false;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
