#pragma once

// A table that has a column of every kind, for the tests of store/.

#include <optional>
#include <string>
#include <vector>

#include "bureau/store/schema.hpp"

namespace sample {

enum class Level { low, medium, high, critical };
struct Crew;
struct Item;

}  // namespace sample

template <>
inline constexpr auto bureau::names<sample::Level> = bureau::enum_names("low", "medium", "high",
                                                                        "critical");

namespace sample {

struct Crew {
  bureau::Id<Crew> id;
  std::string name;
};

struct Item {
  bureau::Id<Item> id;
  std::int64_t version = 0;
  std::string subject;
  std::optional<std::string> note;
  Level level = Level::low;
  std::optional<Level> wish;
  bool open = true;
  std::optional<std::int64_t> count;
  std::optional<double> score;
  bureau::Timestamp created_at;
  std::optional<bureau::Timestamp> closed_at;
  std::optional<bureau::Duration> effort;
  std::optional<bureau::Id<Crew>> crew;
  std::vector<std::string> tags;
  std::optional<bureau::Json> custom;
  std::optional<bureau::Bytes> digest;
  std::optional<std::string> password;
  std::optional<std::string> phone;
  friend bool operator==(const Item&, const Item&) = default;
};

}  // namespace sample

template <>
inline constexpr auto bureau::schema<sample::Crew> = bureau::table(
    "crews", "crw", bureau::journal::full, bureau::column("id", &sample::Crew::id),
    bureau::column("name", &sample::Crew::name), bureau::unique_index("by_name", "name"));

template <>
inline constexpr auto bureau::schema<sample::Item> = bureau::table(
    "items", "itm", bureau::journal::full, bureau::column("id", &sample::Item::id),
    bureau::column("version", &sample::Item::version),
    bureau::column("subject", &sample::Item::subject, bureau::max_length(10), bureau::folded,
                   bureau::searchable),
    bureau::column("note", &sample::Item::note, bureau::folded),
    bureau::column("level", &sample::Item::level), bureau::column("wish", &sample::Item::wish),
    bureau::column("open", &sample::Item::open), bureau::column("count", &sample::Item::count),
    bureau::column("score", &sample::Item::score),
    bureau::column("created_at", &sample::Item::created_at),
    bureau::column("closed_at", &sample::Item::closed_at),
    bureau::column("effort", &sample::Item::effort), bureau::column("crew", &sample::Item::crew),
    bureau::column("tags", &sample::Item::tags), bureau::column("custom", &sample::Item::custom),
    bureau::column("digest", &sample::Item::digest),
    bureau::column("password", &sample::Item::password, bureau::secret),
    bureau::column("phone", &sample::Item::phone, bureau::personal),
    bureau::index("by_level", "level", "created_at"),
    bureau::unique_index("by_subject", "subject_folded").where("closed_at is null"));
