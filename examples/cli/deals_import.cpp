// Reads the opportunities of another sales system. The rules for what is missing or spelled in two
// ways are stated in docs/deals.md.

#include "deals_import.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "sheet.hpp"

namespace cli {

using namespace bureau;

namespace {

using Record = std::map<std::string, std::string, std::less<>>;

/// One row, by the names of its columns, with its place for errors.
struct Line {
  Record fields;
  std::string place;  ///< "folder/accounts.csv, line 7"

  [[nodiscard]] const std::string& operator[](std::string_view name) const {
    return fields.find(name)->second;
  }
  [[nodiscard]] Error bad(std::string_view column, std::string_view rule) const {
    return {Code::invalid, fmt::format("{}, {}: {}", place, column, rule), std::string(column)};
  }
  [[nodiscard]] Error at(const Error& error) const {
    return {error.code, fmt::format("{}: {}", place, error.message), error.field};
  }
};

Result<std::vector<Line>> read_lines(const std::string& path,
                                     std::initializer_list<std::string_view> columns) {
  BUREAU_TRY(std::string text, read_file(path));
  BUREAU_TRY(Sheet sheet, Sheet::open(path, std::move(text)));
  std::vector<std::pair<std::string, std::size_t>> places;
  for (const auto name : columns) {
    const auto place = sheet.column({name});
    if (!place) {
      return fail(Code::invalid,
                  fmt::format("{}: needs a column {}; it has {}", path, name, sheet.names()),
                  std::string(name));
    }
    places.emplace_back(name, *place);
  }
  std::vector<Line> lines;
  for (;;) {
    BUREAU_TRY(const bool more, sheet.next());
    if (!more) return lines;
    Line& line = lines.emplace_back();
    line.place = fmt::format("{}, line {}", path, sheet.line());
    for (const auto& [name, place] : places) line.fields[name] = sheet.field(place);
  }
}

/// What files spell wrong, and how we spell it.
std::string corrected(std::string_view text) {
  static const std::map<std::string, std::string, std::less<>> known = {
      {"technolgy", "technology"}, {"Philipines", "Philippines"}};
  const auto found = known.find(text);
  return found == known.end() ? std::string(text) : found->second;
}

std::optional<std::string> text_or_none(const std::string& text) {
  if (text.empty()) return {};
  return corrected(text);
}

Result<std::optional<std::int64_t>> number_or_none(const Line& line, std::string_view column) {
  const std::string& text = line[column];
  if (text.empty()) return std::optional<std::int64_t>();
  const auto number = Json::parse(text);
  if (!number || number->as_int() == nullptr) {
    return fail(line.bad(column, fmt::format("\"{}\" is no whole number", text)));
  }
  return std::optional<std::int64_t>(*number->as_int());
}

Result<Money> amount(const Line& line, std::string_view column, const Currency& currency) {
  auto money = Money::parse(line[column] + " " + std::string(currency.code()));
  if (!money) return fail(line.bad(column, money.error().message));
  return money;
}

Result<Timestamp> date(const Line& line, std::string_view column) {
  auto moment = Timestamp::parse(line[column]);
  if (!moment) return fail(line.bad(column, moment.error().message));
  return moment;
}

/// The same for "GTX Pro" and "GTXPro": letters in one case, no spaces.
std::string spelling_of(std::string_view name) {
  std::string key;
  for (const char c : fold_case(name)) {
    if (c != ' ') key += c;
  }
  return key;
}

struct Files {
  std::vector<Line> accounts, products, teams, deals;
};

Result<Files> read_files(const std::string& folder) {
  Files files;
  const auto path = [&](const char* name) { return folder + "/" + name; };
  BUREAU_TRY(files.accounts,
             read_lines(path("accounts.csv"), {"account", "sector", "year_established", "employees",
                                               "office_location", "subsidiary_of"}));
  BUREAU_TRY(files.products,
             read_lines(path("products.csv"), {"product", "series", "sales_price"}));
  BUREAU_TRY(files.teams,
             read_lines(path("sales_teams.csv"), {"sales_agent", "manager", "regional_office"}));
  BUREAU_TRY(files.deals, read_lines(path("sales_pipeline.csv"),
                                     {"opportunity_id", "sales_agent", "product", "account",
                                      "deal_stage", "engage_date", "close_date", "close_value"}));
  return files;
}

struct Seller {
  Id<User> user;
  Id<Team> team;
};

/// One import in its transaction.
class DealsImport {
 public:
  DealsImport(Unit& unit, Currency currency) : unit_(unit), currency_(currency) {}

  Result<DealsReport> run(const Files& files) {
    BUREAU_TRY_VOID(add_products(files.products));
    BUREAU_TRY_VOID(add_accounts(files.accounts));
    BUREAU_TRY_VOID(add_teams(files.teams));
    BUREAU_TRY_VOID(add_deals(files.deals));
    return report_;
  }

 private:
  Result<void> add_products(const std::vector<Line>& lines);
  Result<void> add_accounts(const std::vector<Line>& lines);
  Result<bool> add_account(const Line& line, const std::set<std::string>& awaited);
  Result<void> add_teams(const std::vector<Line>& lines);
  Result<Id<User>> person(const Line& line, const std::string& name, const char* role);
  Result<void> add_member(Id<Team> team, Id<User> user);
  Result<void> add_deals(const std::vector<Line>& lines);
  Result<NewDeal> deal_of(const Line& line);
  Result<void> value_of_line(const Line& line, const Product& product, NewDeal& deal);
  Result<void> past_of(const Line& line, NewDeal& deal);

  Unit& unit_;
  Currency currency_;
  DealsReport report_;
  std::map<std::string, Product> products_;  // by spelling_of()
  std::map<std::string, Id<Account>> accounts_;
  std::map<std::string, Id<User>> people_;
  std::map<std::string, Seller> sellers_;
};

Result<void> DealsImport::add_products(const std::vector<Line>& lines) {
  const Repository<Product> products{Scope(unit_)};
  for (const Line& line : lines) {
    const std::string& name = line["product"];
    BUREAU_TRY(auto row, products.first(col(&Product::name) == name));
    if (!row) {
      BUREAU_TRY(const Money price, amount(line, "sales_price", currency_));
      Product given;
      given.name = name;
      given.series = text_or_none(line["series"]);
      given.price_minor = price.minor;
      given.currency = currency_.code();
      auto made = products.insert(std::move(given));
      if (!made) return fail(line.at(made.error()));
      row = *made;
      ++report_.products;
    }
    const auto [known, fresh] = products_.emplace(spelling_of(name), *row);
    if (fresh) continue;
    return fail(line.bad("product", fmt::format("\"{}\" and \"{}\" differ in case or spaces alone",
                                                name, known->second.name)));
  }
  return {};
}

/// False when the company that owns it is still to come.
Result<bool> DealsImport::add_account(const Line& line, const std::set<std::string>& awaited) {
  const Repository<Account> accounts{Scope(unit_)};
  const std::string& name = line["account"];
  BUREAU_TRY(auto row, accounts.first(col(&Account::external_id) == name));
  if (!row) {
    Account given;
    given.name = name;
    given.external_id = name;
    given.sector = text_or_none(line["sector"]);
    given.country = text_or_none(line["office_location"]);
    BUREAU_TRY(given.founded_year, number_or_none(line, "year_established"));
    BUREAU_TRY(given.employees, number_or_none(line, "employees"));
    given.custom = Json::object();
    if (const std::string& parent = line["subsidiary_of"]; !parent.empty()) {
      const auto known = accounts_.find(parent);
      if (known == accounts_.end()) {
        if (awaited.contains(parent)) return false;
        return fail(line.bad("subsidiary_of", fmt::format("there is no account \"{}\"", parent)));
      }
      given.parent = known->second;
    }
    auto made = accounts.insert(std::move(given));
    if (!made) return fail(line.at(made.error()));
    row = *made;
    ++report_.accounts;
  }
  accounts_[name] = row->id;
  return true;
}

Result<void> DealsImport::add_accounts(const std::vector<Line>& lines) {
  std::set<std::string> awaited;
  std::vector<const Line*> left;
  for (const Line& line : lines) {
    if (!awaited.insert(line["account"]).second) {
      return fail(line.bad("account", fmt::format("\"{}\" is there twice", line["account"])));
    }
    left.push_back(&line);
  }
  while (!left.empty()) {  // owners come before what they own
    std::vector<const Line*> later;
    for (const Line* line : left) {
      BUREAU_TRY(const bool added, add_account(*line, awaited));
      if (!added) later.push_back(line);
    }
    if (later.size() == left.size()) {
      return fail(
          later.front()->bad("subsidiary_of", "these accounts own one another in a circle"));
    }
    left = std::move(later);
  }
  return {};
}

/// An address that nobody has, made of a name: "Mei-Mei Johns" is mei-mei.johns@sales.invalid.
std::string address_of(std::string_view name) {
  std::string address;
  for (const char c : fold_case(name)) address += c == ' ' ? '.' : c;
  return address + "@sales.invalid";
}

Result<Id<User>> DealsImport::person(const Line& line, const std::string& name, const char* role) {
  if (const auto known = people_.find(name); known != people_.end()) return known->second;
  const Repository<User> users{Scope(unit_)};
  const std::string email = address_of(name);
  BUREAU_TRY(auto row, users.first(col(&User::email).equals_folded(email)));
  if (!row) {
    User given;
    given.name = name;
    given.email = email;
    given.role = role;
    auto made = users.insert(std::move(given));
    if (!made) return fail(line.at(made.error()));
    row = *made;
    ++report_.people;
  }
  return people_[name] = row->id;
}

Result<void> DealsImport::add_member(Id<Team> team, Id<User> user) {
  const Repository<Membership> members{Scope(unit_)};
  BUREAU_TRY(auto present,
             members.first(col(&Membership::team) == team && col(&Membership::user) == user));
  if (present) return {};
  Membership given;
  given.team = team;
  given.user = user;
  BUREAU_TRY_VOID(members.insert(std::move(given)));
  return {};
}

Result<void> DealsImport::add_teams(const std::vector<Line>& lines) {
  const Repository<Team> teams{Scope(unit_)};
  for (const Line& line : lines) {
    const std::string name = fmt::format("{} ({})", line["manager"], line["regional_office"]);
    BUREAU_TRY(auto team, teams.first(col(&Team::name) == name));
    if (!team) {
      Team given;
      given.name = name;
      auto made = teams.insert(std::move(given));
      if (!made) return fail(line.at(made.error()));
      team = *made;
      ++report_.teams;
    }
    BUREAU_TRY(const auto manager, person(line, line["manager"], "manager"));
    BUREAU_TRY(const auto seller, person(line, line["sales_agent"], "agent"));
    BUREAU_TRY_VOID(add_member(team->id, manager));
    BUREAU_TRY_VOID(add_member(team->id, seller));
    sellers_[line["sales_agent"]] = {seller, team->id};
  }
  return {};
}

// Deals ----------------------------------------------------------------------------------------

Result<void> DealsImport::value_of_line(const Line& line, const Product& product, NewDeal& deal) {
  const std::string& stage = line["deal_stage"];
  if (!line["close_value"].empty()) {
    BUREAU_TRY(deal.value, amount(line, "close_value", currency_));
    return {};
  }
  if (stage == "Won") return fail(line.bad("close_value", "is empty; a won deal has a value"));
  deal.value = {stage == "Lost" ? 0 : product.price_minor, currency_};
  return {};
}

Result<void> DealsImport::past_of(const Line& line, NewDeal& deal) {
  const std::string& stage = line["deal_stage"];
  const bool closed = stage == "Won" || stage == "Lost";
  if (!closed && stage != "Engaging" && stage != "Prospecting") {
    return fail(line.bad("deal_stage", fmt::format("\"{}\" is none of Prospecting, Engaging, Won "
                                                   "and Lost",
                                                   stage)));
  }
  if (!line["close_date"].empty()) {
    BUREAU_TRY(const Timestamp close, date(line, "close_date"));
    if (closed) {
      deal.past.push_back({stage, close});
    } else {
      deal.expected_close = close;
    }
  } else if (closed) {
    return fail(line.bad("close_date", fmt::format("is empty; a deal that is {} has one", stage)));
  }
  if (stage == "Lost") deal.lost_reason = "not recorded";
  if (line["engage_date"].empty()) {
    if (stage == "Prospecting") {
      deal.stage = stage;
      return {};
    }
    return fail(line.bad("engage_date", fmt::format("is empty; a deal in {} has one", stage)));
  }
  BUREAU_TRY(const Timestamp engaged, date(line, "engage_date"));
  if (closed && engaged > deal.past.front().entered_at) {
    return fail(line.bad("close_date", fmt::format("{} is before the engage_date, {}",
                                                   line["close_date"], line["engage_date"])));
  }
  deal.past.insert(deal.past.begin(), {closed ? "Engaging" : stage, engaged});
  return {};
}

Result<NewDeal> DealsImport::deal_of(const Line& line) {
  NewDeal deal;
  if (line["opportunity_id"].empty()) return fail(line.bad("opportunity_id", "is empty"));
  deal.external_id = line["opportunity_id"];
  const auto product = products_.find(spelling_of(line["product"]));
  if (product == products_.end()) {
    return fail(line.bad("product", fmt::format("\"{}\" is not in products.csv", line["product"])));
  }
  deal.product = product->second.id;
  deal.title = product->second.name;
  const auto seller = sellers_.find(line["sales_agent"]);
  if (seller == sellers_.end()) {
    return fail(line.bad("sales_agent",
                         fmt::format("\"{}\" is not in sales_teams.csv", line["sales_agent"])));
  }
  deal.owner = seller->second.user;
  deal.team = seller->second.team;
  if (const std::string& name = line["account"]; !name.empty()) {
    const auto account = accounts_.find(name);
    if (account == accounts_.end()) {
      return fail(line.bad("account", fmt::format("\"{}\" is not in accounts.csv", name)));
    }
    deal.account = account->second;
    deal.title += " for " + name;
  }
  BUREAU_TRY_VOID(value_of_line(line, product->second, deal));
  BUREAU_TRY_VOID(past_of(line, deal));
  if (product->second.name != line["product"]) ++report_.respelled;
  if (!deal.account) ++report_.without_account;
  if (line["close_date"].empty()) ++report_.without_close;
  return deal;
}

Result<void> DealsImport::add_deals(const std::vector<Line>& lines) {
  const Deals deals{Scope(unit_)};
  std::set<std::string> seen;
  std::vector<NewDeal> fresh;
  for (const Line& line : lines) {
    const std::string& id = line["opportunity_id"];
    if (!seen.insert(id).second) {
      return fail(line.bad("opportunity_id", fmt::format("\"{}\" is there twice", id)));
    }
    BUREAU_TRY(const auto present, deals.by_external_id(id));
    if (present) {
      ++report_.present;
      continue;
    }
    BUREAU_TRY(NewDeal deal, deal_of(line));
    fresh.push_back(std::move(deal));
  }
  report_.imported = fresh.size();
  BUREAU_TRY_VOID(deals.open_all(fresh));
  return {};
}

}  // namespace

Result<DealsReport> import_deals(const Office& office, const std::string& folder,
                                 const std::string& currency_code) {
  BUREAU_TRY(const Currency currency, Currency::parse(currency_code));
  BUREAU_TRY(const Files files, read_files(folder));
  BUREAU_TRY_VOID(sales::create_default_pipeline(office.session()));
  return office.session().write([&](Unit& unit) { return DealsImport(unit, currency).run(files); });
}

}  // namespace cli
