#pragma once

// The tables of exercise_storage: one that has a column of every kind, one for unique indexes, one
// that is written often.

#include <optional>
#include <string>
#include <vector>

#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

enum class Level { low, medium, high, critical };
struct Crew;
struct Item;
struct Counter;

}  // namespace testing::exercise

BUREAU_END_NAMESPACE

template <>
inline constexpr auto bureau::names<bureau::testing::exercise::Level> =
    bureau::enum_names("low", "medium", "high", "critical");

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

struct Crew {
  Id<Crew> id;
  std::string name;
  std::optional<std::int64_t> code;
  std::string owner;
  bool active = false;
};

struct Item {
  Id<Item> id;
  std::int64_t version = 0;
  std::string subject;
  std::optional<std::string> note;
  Level level = Level::low;
  std::optional<Level> wish;
  bool open = true;
  std::optional<std::int64_t> count;
  std::optional<double> score;
  Timestamp created_at;
  std::optional<Timestamp> closed_at;
  std::optional<Duration> effort;
  std::optional<Id<Crew>> crew;
  std::vector<std::string> tags;
  std::optional<Json> custom;
  std::optional<Bytes> digest;
  std::optional<std::string> password;
  std::optional<std::string> phone;
  friend bool operator==(const Item&, const Item&) = default;
};

struct Counter {
  Id<Counter> id;
  std::int64_t added = 0;
  std::int64_t stored = 0;
};

}  // namespace testing::exercise

BUREAU_END_NAMESPACE

template <>
inline constexpr auto bureau::schema<bureau::testing::exercise::Crew> = [] {
  using bureau::testing::exercise::Crew;
  return table("exercise_crews", "xcr", journal::full, column("id", &Crew::id),
               column("name", &Crew::name), column("code", &Crew::code),
               column("owner", &Crew::owner), column("active", &Crew::active),
               unique_index("by_name", "name"), unique_index("by_code", "code"),
               unique_index("one_active", "owner").where("active = true"));
}();

template <>
inline constexpr auto bureau::schema<bureau::testing::exercise::Item> = [] {
  using bureau::testing::exercise::Item;
  return table(
      "exercise_items", "xit", journal::full, column("id", &Item::id),
      column("version", &Item::version),
      column("subject", &Item::subject, max_length(10), folded, searchable),
      column("note", &Item::note, folded), column("level", &Item::level),
      column("wish", &Item::wish), column("open", &Item::open), column("count", &Item::count),
      column("score", &Item::score), column("created_at", &Item::created_at),
      column("closed_at", &Item::closed_at), column("effort", &Item::effort),
      column("crew", &Item::crew), column("tags", &Item::tags), column("custom", &Item::custom),
      column("digest", &Item::digest), column("password", &Item::password, secret),
      column("phone", &Item::phone, personal), index("by_level", "level", "created_at"),
      index("open_by_subject", "subject_folded").where("closed_at is null and level < \"high\""));
}();

template <>
inline constexpr auto bureau::schema<bureau::testing::exercise::Counter> = [] {
  using bureau::testing::exercise::Counter;
  return table("exercise_counters", "xco", journal::none, by_month, column("id", &Counter::id),
               column("added", &Counter::added), column("stored", &Counter::stored));
}();
