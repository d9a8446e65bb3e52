#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bureau/core/json.hpp"
#include "bureau/store/predicate.hpp"
#include "fuzz_check.hpp"

namespace {

enum class Colour { red, green };
struct Thing;

}  // namespace

template <>
inline constexpr auto bureau::names<Colour> = bureau::enum_names("red", "green");

namespace {

/// A column of every kind.
struct Thing {
  bureau::Id<Thing> id;
  std::string title;
  std::optional<Colour> colour;
  bool open = false;
  std::optional<std::int64_t> count;
  std::optional<double> score;
  std::optional<bureau::Timestamp> at;
  std::optional<bureau::Duration> effort;
  std::optional<bureau::Id<Thing>> parent;
  std::vector<std::string> tags;
  std::optional<bureau::Json> custom;
  std::optional<bureau::Bytes> digest;
  std::string password;
};

}  // namespace

template <>
inline constexpr auto bureau::schema<Thing> = bureau::table(
    "things", "thg", bureau::journal::none, bureau::column("id", &Thing::id),
    bureau::column("title", &Thing::title, bureau::folded),
    bureau::column("colour", &Thing::colour), bureau::column("open", &Thing::open),
    bureau::column("count", &Thing::count), bureau::column("score", &Thing::score),
    bureau::column("at", &Thing::at), bureau::column("effort", &Thing::effort),
    bureau::column("parent", &Thing::parent), bureau::column("tags", &Thing::tags),
    bureau::column("custom", &Thing::custom), bureau::column("digest", &Thing::digest),
    bureau::column("password", &Thing::password, bureau::secret));

/// The text form of predicates, and the JSON form when the text is JSON. What is read can be
/// written, in both forms, and reads back as the same; no predicate asks about a secret.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using bureau::Predicate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bureau::TableInfo& table = bureau::table_of<Thing>();
  static const bureau::Catalog catalog = [] {
    bureau::Catalog made;
    FUZZ_CHECK(made.add(bureau::table_of<Thing>()));
    return made;
  }();
  const Predicate::ParseLimits wide{1 << 20, 1000};
  const auto check = [&](const Predicate& predicate) {
    const std::string written = predicate.to_text();
    FUZZ_CHECK(written.find("password") == std::string::npos ||
               text.find("password") != std::string_view::npos);
    const auto again = Predicate::parse(table, written, &catalog, wide);
    FUZZ_CHECK(again && *again == predicate);
    const auto json = Predicate::from_json(table, predicate.to_json(), &catalog);
    FUZZ_CHECK(json && *json == predicate);
    FUZZ_CHECK(!predicate.at(bureau::Timestamp()).uses_now());
    if (predicate.has_variables()) FUZZ_CHECK(!predicate.bind({}));
  };
  if (const auto predicate = Predicate::parse(table, text, &catalog)) {
    check(*predicate);
  } else {
    FUZZ_CHECK(predicate.error().code == bureau::Code::invalid);
  }
  if (const auto json = bureau::Json::parse(text)) {
    if (const auto predicate = Predicate::from_json(table, *json, &catalog)) {
      check(*predicate);
    } else {
      FUZZ_CHECK(predicate.error().code == bureau::Code::invalid);
    }
  }
  return 0;
}
