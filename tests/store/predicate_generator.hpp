#pragma once

// Any predicate over, and any row of, the sample table: small values, so that they often meet.

#include "bureau/core/random.hpp"
#include "bureau/store/predicate.hpp"
#include "store/sample.hpp"

namespace sample {

inline std::string any_text(bureau::Random& random) {
  static constexpr std::string_view texts[] = {"",  "a",   "A",  "ab", "ä",    "Ä\"", "%",
                                               "_", "a\n", "\\", "😀",  "null", "b'"};
  return std::string(texts[random.below(std::size(texts))]);
}

template <class M, class Make>
bureau::Predicate any_order(bureau::Random& random, bureau::Column<Item, M> column, Make make) {
  switch (random.below(8)) {
    case 0:
      return column == make();
    case 1:
      return column != make();
    case 2:
      return column < make();
    case 3:
      return column <= make();
    case 4:
      return column > make();
    case 5:
      return column.in({make(), make()});
    case 6:
      return random.below(2) == 0 ? column.not_in({make()}) : column.in({});
    default:
      return random.below(2) == 0 ? column.is_null() : column.is_not_null();
  }
}

inline bureau::Predicate any_path(bureau::Random& random) {
  using bureau::OwnedValue;
  using bureau::Predicate;
  using bureau::Value;
  auto node = std::make_shared<Predicate::Node>();
  node->column = bureau::table_of<Item>().find("custom");
  node->path.emplace_back(random.below(2) == 0 ? "a" : "b c");
  if (random.below(3) == 0) node->path.emplace_back("x");
  const auto add = [&](OwnedValue value) {
    node->operands.push_back({Predicate::Operand::Kind::literal, std::move(value), {}});
  };
  node->op = static_cast<Predicate::Op>(static_cast<int>(Predicate::Op::equal) +
                                        static_cast<int>(random.below(6)));
  switch (random.below(6)) {
    case 0:
      node->path_type = bureau::Type::integer;
      add(OwnedValue(Value::integer(static_cast<std::int64_t>(random.below(3)))));
      break;
    case 1:
      node->path_type = bureau::Type::real;
      add(OwnedValue(Value::real(static_cast<double>(random.below(3)) / 2)));
      break;
    case 2:
      node->path_type = bureau::Type::boolean;
      add(OwnedValue(Value::integer(random.below(2) == 0 ? 0 : 1)));
      break;
    case 3:
      node->op = Predicate::Op::is_null;
      break;
    case 4:
      node->op = random.below(2) == 0 ? Predicate::Op::contains : Predicate::Op::prefix;
      add(OwnedValue::text(any_text(random)));
      break;
    default:
      add(OwnedValue::text(any_text(random)));
      break;
  }
  return Predicate(Predicate::NodePtr(std::move(node)));
}

inline bureau::Predicate any_leaf(bureau::Random& random, bool open) {
  using bureau::col;
  using bureau::Predicate;
  const auto small = [&] { return static_cast<std::int64_t>(random.below(5)) - 2; };
  const auto level = [&] { return static_cast<Level>(random.below(4)); };
  switch (random.below(open ? 16 : 14)) {
    case 0:
      return any_order(random, col(&Item::subject), [&] { return any_text(random); });
    case 1:
      return any_order(random, col(&Item::note), [&] { return any_text(random); });
    case 2:
      return any_order(random, col(&Item::level), level);
    case 3:
      return any_order(random, col(&Item::wish), level);
    case 4:
      return any_order(random, col(&Item::count), small);
    case 5:
      return any_order(random, col(&Item::score), [&] { return static_cast<double>(small()) / 4; });
    case 6:
      return any_order(random, col(&Item::closed_at),
                       [&] { return bureau::Timestamp::from_micros(small()); });
    case 7:
      return any_order(random, col(&Item::effort), [&] { return bureau::Duration(small()); });
    case 8:
      return any_order(random, col(&Item::crew), [&] { return bureau::Id<Crew>(small() + 3); });
    case 9:
      return col(&Item::tags).contains(any_text(random));
    case 10:
      return col(&Item::subject).starts_with(any_text(random));
    case 11:
      return col(&Item::note).contains(any_text(random));
    case 12:
      return random.below(2) == 0 ? col(&Item::note).contains_folded(any_text(random))
                                  : col(&Item::subject).equals_folded(any_text(random));
    case 13:
      return any_path(random);
    case 14: {
      auto node = std::make_shared<Predicate::Node>();
      node->op = Predicate::Op::greater;
      node->column = bureau::table_of<Item>().find("closed_at");
      node->operands.push_back({random.below(2) == 0 ? Predicate::Operand::Kind::now
                                                     : Predicate::Operand::Kind::variable,
                                {},
                                {}});
      if (node->operands[0].kind == Predicate::Operand::Kind::variable)
        node->operands[0].name = "when";
      return Predicate(Predicate::NodePtr(std::move(node)));
    }
    default: {
      auto select = std::make_shared<Predicate::SubSelect>();
      select->table = &bureau::table_of<Crew>();
      select->column = &select->table->columns[0];
      if (random.below(2) == 0) select->where = (col(&Crew::name) == any_text(random)).node();
      auto node = std::make_shared<Predicate::Node>();
      node->op = random.below(2) == 0 ? Predicate::Op::in_select : Predicate::Op::not_in_select;
      node->column = bureau::table_of<Item>().find("crew");
      node->select = std::move(select);
      return Predicate(Predicate::NodePtr(std::move(node)));
    }
  }
}

/// `open`: also what a row alone cannot answer: variables, now(), sub-selects.
inline bureau::Predicate any_predicate(bureau::Random& random, int depth, bool open = true) {
  if (depth == 0 || random.below(3) == 0) {
    if (random.below(20) == 0)
      return random.below(2) == 0 ? bureau::Predicate() : bureau::Predicate::never();
    return any_leaf(random, open);
  }
  const bureau::Predicate a = any_predicate(random, depth - 1, open);
  switch (random.below(3)) {
    case 0:
      return a && any_predicate(random, depth - 1, open);
    case 1:
      return a || any_predicate(random, depth - 1, open);
    default:
      return !a;
  }
}

inline Item any_item(bureau::Random& random) {
  const auto small = [&] { return static_cast<std::int64_t>(random.below(5)) - 2; };
  const auto there = [&] { return random.below(3) != 0; };
  Item item;
  item.id = bureau::Id<Item>(static_cast<std::int64_t>(random.below(1000)) + 1);
  item.subject = any_text(random);
  if (there()) item.note = any_text(random);
  item.level = static_cast<Level>(random.below(4));
  if (there()) item.wish = static_cast<Level>(random.below(4));
  item.open = there();
  if (there()) item.count = small();
  if (there()) item.score = static_cast<double>(small()) / 4;
  if (there()) item.closed_at = bureau::Timestamp::from_micros(small());
  if (there()) item.effort = bureau::Duration(small());
  if (there()) item.crew = bureau::Id<Crew>(small() + 3);
  while (there()) item.tags.push_back(any_text(random));
  if (!there()) return item;
  bureau::Json custom = bureau::Json::object();
  for (const char* name : {"a", "b c"}) {
    switch (random.below(8)) {
      case 0:
        custom.set(name, small());
        break;
      case 1:
        custom.set(name, static_cast<double>(small()) / 2);
        break;
      case 2:
        custom.set(name, any_text(random));
        break;
      case 3:
        custom.set(name, there());
        break;
      case 4:
        custom.set(name, nullptr);
        break;
      case 5:
        custom.set(name, bureau::Json::object({{"x", small()}}));
        break;
      case 6:
        custom.set(name, bureau::Json::array({any_text(random), small()}));
        break;
      default:
        break;
    }
  }
  item.custom = std::move(custom);
  return item;
}

}  // namespace sample
