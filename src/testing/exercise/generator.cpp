#include "testing/exercise/generator.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

std::string any_text(Random& random) {
  static constexpr std::string_view texts[] = {"",  "a",   "A",  "ab", "ä",    "Ä\"", "%",
                                               "_", "a\n", "\\", "😀",  "null", "b'"};
  return std::string(texts[random.below(std::size(texts))]);
}

namespace {

template <class M, class Make>
Predicate any_order(Random& random, Column<Item, M> column, Make make) {
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

Predicate any_path(Random& random) {
  auto node = std::make_shared<Predicate::Node>();
  node->column = table_of<Item>().find("custom");
  node->path.emplace_back(random.below(2) == 0 ? "a" : "b c");
  if (random.below(3) == 0) node->path.emplace_back("x");
  const auto add = [&](OwnedValue value) {
    node->operands.push_back({Predicate::Operand::Kind::literal, std::move(value), {}});
  };
  node->op = static_cast<Predicate::Op>(static_cast<int>(Predicate::Op::equal) +
                                        static_cast<int>(random.below(6)));
  switch (random.below(6)) {
    case 0:
      node->path_type = Type::integer;
      add(OwnedValue(Value::integer(static_cast<std::int64_t>(random.below(3)))));
      break;
    case 1:
      node->path_type = Type::real;
      add(OwnedValue(Value::real(static_cast<double>(random.below(3)) / 2)));
      break;
    case 2:
      node->path_type = Type::boolean;
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

Predicate any_leaf(Random& random, bool open) {
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
                       [&] { return Timestamp::from_micros(small()); });
    case 7:
      return any_order(random, col(&Item::effort), [&] { return Duration(small()); });
    case 8:
      return any_order(random, col(&Item::crew), [&] { return Id<Crew>(small() + 3); });
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
      node->column = table_of<Item>().find("closed_at");
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
      select->table = &table_of<Crew>();
      select->column = &select->table->columns[0];
      if (random.below(2) == 0) select->where = (col(&Crew::name) == any_text(random)).node();
      auto node = std::make_shared<Predicate::Node>();
      node->op = random.below(2) == 0 ? Predicate::Op::in_select : Predicate::Op::not_in_select;
      node->column = table_of<Item>().find("crew");
      node->select = std::move(select);
      return Predicate(Predicate::NodePtr(std::move(node)));
    }
  }
}

}  // namespace

Predicate any_predicate(Random& random, int depth, bool open) {
  if (depth == 0 || random.below(3) == 0) {
    if (random.below(20) == 0) return random.below(2) == 0 ? Predicate() : Predicate::never();
    return any_leaf(random, open);
  }
  const Predicate a = any_predicate(random, depth - 1, open);
  switch (random.below(3)) {
    case 0:
      return a && any_predicate(random, depth - 1, open);
    case 1:
      return a || any_predicate(random, depth - 1, open);
    default:
      return !a;
  }
}

Item any_item(Random& random) {
  const auto small = [&] { return static_cast<std::int64_t>(random.below(5)) - 2; };
  const auto there = [&] { return random.below(3) != 0; };
  Item item;
  item.id = Id<Item>(static_cast<std::int64_t>(random.below(1000)) + 1);
  item.subject = any_text(random);
  if (there()) item.note = any_text(random);
  item.level = static_cast<Level>(random.below(4));
  if (there()) item.wish = static_cast<Level>(random.below(4));
  item.open = there();
  if (there()) item.count = small();
  if (there()) item.score = static_cast<double>(small()) / 4;
  if (there()) item.closed_at = Timestamp::from_micros(small());
  if (there()) item.effort = Duration(small());
  if (there()) item.crew = Id<Crew>(small() + 3);
  while (there()) item.tags.push_back(any_text(random));
  if (!there()) return item;
  Json custom = Json::object();
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
        custom.set(name, Json::object({{"x", small()}}));
        break;
      case 6:
        custom.set(name, Json::array({any_text(random), small()}));
        break;
      default:
        break;
    }
  }
  item.custom = std::move(custom);
  return item;
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
