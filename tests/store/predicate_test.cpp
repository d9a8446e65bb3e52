#include "bureau/store/predicate.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "store/predicate_check.hpp"
#include "store/sample.hpp"

using bureau::Bindings;
using bureau::Code;
using bureau::col;
using bureau::OwnedValue;
using bureau::Predicate;
using bureau::TableInfo;
using bureau::Timestamp;
using bureau::Truth;
using bureau::Value;
using sample::Item;
using sample::Level;

namespace {

const TableInfo& items() { return bureau::table_of<Item>(); }

Truth of(const Predicate& predicate, const Item& item) {
  std::vector<Value> row(items().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(item, row, scratch);
  const auto truth = bureau::evaluate(predicate, row);
  REQUIRE(truth);
  return *truth;
}

Item sample_item() {
  Item item;
  item.id = bureau::Id<Item>(7);
  item.subject = "Refund";
  item.level = Level::high;
  item.tags = {"vip", "eu"};
  return item;
}

}  // namespace

TEST_CASE("typed predicates compare with what a column holds") {
  const Item item = sample_item();
  CHECK(of(col(&Item::level) >= Level::high, item) == Truth::yes);
  CHECK(of(col(&Item::level) > Level::high, item) == Truth::no);
  CHECK(of(col(&Item::wish) == Level::low, item) == Truth::unknown);
  CHECK(of(col(&Item::subject) != "Refund", item) == Truth::no);
  CHECK(of(col(&Item::subject).starts_with("Ref"), item) == Truth::yes);
  CHECK(of(col(&Item::subject).starts_with("ref"), item) == Truth::no);
  CHECK(of(col(&Item::subject).contains("fun"), item) == Truth::yes);
  CHECK(of(col(&Item::subject).contains("FUN"), item) == Truth::no);
  CHECK(of(col(&Item::subject).contains_folded("FUN"), item) == Truth::yes);
  CHECK(of(col(&Item::subject).equals_folded("REFUND"), item) == Truth::yes);
  CHECK(of(col(&Item::tags).contains("vip"), item) == Truth::yes);
  CHECK(of(col(&Item::tags).contains("vi"), item) == Truth::no);
  CHECK(of(col(&Item::tags) == std::vector<std::string>{"vip", "eu"}, item) == Truth::yes);
  CHECK(of(col(&Item::level).in({Level::low, Level::high}), item) == Truth::yes);
  CHECK(of(col(&Item::level).in({}), item) == Truth::no);
  CHECK(of(col(&Item::wish).in({}), item) == Truth::no);
  CHECK(of(col(&Item::wish).not_in({}), item) == Truth::yes);
  CHECK(of(col(&Item::wish).not_in({Level::low}), item) == Truth::unknown);
  CHECK(of(col(&Item::closed_at).is_null(), item) == Truth::yes);
  CHECK(of(col(&Item::id).is_not_null(), item) == Truth::yes);
}

TEST_CASE("combinators flatten, drop always and never, and undo a double negation") {
  const Predicate a = col(&Item::open) == true;
  const Predicate b = col(&Item::count) > 3;
  const Predicate c = col(&Item::level) == Level::low;
  CHECK((a && Predicate()) == a);
  CHECK((Predicate() && a) == a);
  CHECK((a && Predicate::never()).is_never());
  CHECK((a || Predicate()).is_always());
  CHECK((Predicate::never() || a) == a);
  CHECK((!Predicate()).is_never());
  CHECK((!Predicate::never()).is_always());
  CHECK(!!a == a);
  CHECK((a && (b && c)) == ((a && b) && c));
  CHECK((a && b && c).root()->children.size() == 3);
  CHECK((a || b || c).root()->op == Predicate::Op::any);
  CHECK_FALSE((a && b) == (b && a));
  CHECK_FALSE(a == b);
  CHECK(Predicate() == Predicate(std::make_shared<Predicate::Node>()));
}

TEST_CASE("Kleene logic") {
  const Item item = sample_item();  // count is null
  const Predicate yes = col(&Item::open) == true;
  const Predicate no = col(&Item::open) == false;
  const Predicate unknown = col(&Item::count) > 3;
  CHECK(of(!unknown, item) == Truth::unknown);
  CHECK(of(yes && unknown, item) == Truth::unknown);
  CHECK(of(unknown && no, item) == Truth::no);
  CHECK(of(no && unknown, item) == Truth::no);
  CHECK(of(yes || unknown, item) == Truth::yes);
  CHECK(of(unknown || yes, item) == Truth::yes);
  CHECK(of(no || unknown, item) == Truth::unknown);
}

TEST_CASE("What is no comparison is judged as what it is, whatever else its node holds") {
  auto node = std::make_shared<Predicate::Node>();
  node->op = Predicate::Op::never;
  node->column = items().find("id");
  node->operands.push_back({Predicate::Operand::Kind::literal, OwnedValue(Value::integer(1)), {}});
  const Predicate never{Predicate::NodePtr(node)};
  const Item item = sample_item();
  CHECK(of(never, item) == Truth::no);
  for (const auto op : {Predicate::Op::all, Predicate::Op::any}) {
    auto several = std::make_shared<Predicate::Node>();
    several->op = op;
    several->children = {node};
    CHECK(of(Predicate(Predicate::NodePtr(several)), item) == Truth::no);
  }
}

TEST_CASE("now() is fixed by at(), and only by that") {
  auto node = std::make_shared<Predicate::Node>();
  node->op = Predicate::Op::less;
  node->column = items().find("created_at");
  node->operands.push_back({Predicate::Operand::Kind::now, {}, {}});
  const Predicate before_now{Predicate::NodePtr(node)};
  const Predicate p = col(&Item::open) == true && before_now;
  CHECK(p.uses_now());
  Item item = sample_item();
  item.created_at = Timestamp::from_micros(10);
  CHECK_FALSE(p.at(Timestamp::from_micros(11)).uses_now());
  CHECK(of(p.at(Timestamp::from_micros(11)), item) == Truth::yes);
  CHECK(of(p.at(Timestamp::from_micros(10)), item) == Truth::no);
  std::vector<Value> row(items().width(), Value::integer(1));
  CHECK(bureau::evaluate(p, row).error().code == Code::invalid);
}

TEST_CASE("variables are bound by name, each with its column's type") {
  auto node = std::make_shared<Predicate::Node>();
  node->op = Predicate::Op::in;
  node->column = items().find("level");
  node->operands.push_back({Predicate::Operand::Kind::variable, {}, "levels"});
  const Predicate p{Predicate::NodePtr(node)};
  CHECK(p.has_variables());
  const auto level = [](Level l) { return OwnedValue(Value::integer(static_cast<int>(l))); };
  const auto bound = p.bind(Bindings{{"levels", {level(Level::low), level(Level::high)}}});
  REQUIRE(bound);
  CHECK_FALSE(bound->has_variables());
  CHECK(of(*bound, sample_item()) == Truth::yes);
  CHECK(of(*p.bind(Bindings{{"levels", {}}}), sample_item()) == Truth::no);
  CHECK(p.bind({}).error().code == Code::invalid);
  CHECK(p.bind({}).error().field == "levels");
  CHECK_FALSE(p.bind(Bindings{{"levels", {OwnedValue::text("high")}}}));
  CHECK_FALSE(p.bind(Bindings{{"levels", {OwnedValue(Value::integer(9))}}}));
  CHECK_FALSE(p.bind(Bindings{{"levels", {OwnedValue()}}}));

  auto single = std::make_shared<Predicate::Node>(*node);
  single->op = Predicate::Op::equal;
  const Predicate one{Predicate::NodePtr(single)};
  CHECK(one.bind(Bindings{{"levels", {level(Level::low)}}}));
  const auto many = one.bind(Bindings{{"levels", {level(Level::low), level(Level::high)}}});
  REQUIRE_FALSE(many);
  CHECK(many.error().message == "$levels is bound to 2 values; '=' takes one");
}

TEST_CASE("a storage's check finds what typed code cannot rule out") {
  using bureau::detail::check_predicate;
  CHECK(check_predicate(items(), col(&Item::level) == Level::low));
  CHECK(check_predicate(items(), Predicate()));
  const auto message = [](const Predicate& p) {
    const auto checked = check_predicate(items(), p);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == Code::invalid);
    return checked.error().message;
  };
  CHECK(message(col(&sample::Crew::name) == "x") ==
        "name is not a column of table 'exercise_items'");
  CHECK(message(col(&Item::score) < std::nan("")) == "score: nan is not finite");
  CHECK(message(!(col(&Item::phone).equals_folded("x") || col(&Item::open) == true)) ==
        "phone is not declared folded, which case-insensitive matching needs");
  CHECK(message(col(&Item::tags) < std::vector<std::string>{}) ==
        "tags is JSON, which has no order; compare a member of it");
  CHECK(message(col(&Item::subject) == "\xFF") == "subject: \"?\" is not valid UTF-8");
}

TEST_CASE("a sub-select follows SQL, null by null") {
  auto select = std::make_shared<Predicate::SubSelect>();
  select->table = &bureau::table_of<sample::Crew>();
  select->column = select->table->find("id");
  auto node = std::make_shared<Predicate::Node>();
  node->op = Predicate::Op::in_select;
  node->column = items().find("crew");
  node->select = select;
  const Predicate in{Predicate::NodePtr(node)};
  auto negative = std::make_shared<Predicate::Node>(*node);
  negative->op = Predicate::Op::not_in_select;
  const Predicate not_in{Predicate::NodePtr(negative)};
  CHECK(in.reads() == std::vector<const TableInfo*>{select->table});
  CHECK(bureau::detail::check_predicate(items(), in));

  struct Case {
    bool null;
    bool found, has_null;
    Truth in, not_in;
  };
  for (const Case& c : {Case{false, true, false, Truth::yes, Truth::no},
                        Case{false, true, true, Truth::yes, Truth::no},
                        Case{false, false, true, Truth::unknown, Truth::unknown},
                        Case{false, false, false, Truth::no, Truth::yes},
                        Case{true, false, false, Truth::no, Truth::yes},
                        Case{true, true, false, Truth::unknown, Truth::unknown}}) {
    Item item = sample_item();
    if (!c.null) item.crew = bureau::Id<sample::Crew>(1);
    std::vector<Value> row(items().width());
    bureau::detail::Scratch scratch;
    bureau::to_values(item, row, scratch);
    const auto oracle = [&](const Predicate::SubSelect&,
                            const Value&) -> bureau::Result<bureau::SelectAnswer> {
      return bureau::SelectAnswer{c.found, c.has_null};
    };
    CHECK(*bureau::evaluate(in, row, oracle) == c.in);
    CHECK(*bureau::evaluate(not_in, row, oracle) == c.not_in);
    CHECK(bureau::evaluate(in, row).error().code == Code::invalid);
  }
}
