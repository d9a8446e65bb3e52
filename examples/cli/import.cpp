#include "import.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>

#include "sheet.hpp"

namespace cli {

using namespace bureau;

namespace {

struct Row {
  std::string id, subject, customer, email, text;
};

struct Columns {
  std::optional<std::size_t> text, id, subject, customer, email;
};

Result<Columns> columns_of(const Sheet& sheet) {
  Columns c{sheet.column({"text", "message", "body"}), sheet.column({"id"}),
            sheet.column({"subject"}), sheet.column({"customer", "name"}), sheet.column({"email"})};
  if (!c.text) {
    return fail(Code::invalid,
                fmt::format("{}: needs a column named text, message or body; it has {}",
                            sheet.path(), sheet.names()),
                "text");
  }
  return c;
}

// The rules of the tables behind them, asked before anything is written.
constexpr std::size_t max_text = 100'000, max_subject = 500, max_name = 200, max_email = 320;
constexpr std::size_t max_id = 150, max_label = 100;

/// FNV-1a: the same in every run and on every machine; it guards against nobody.
std::string digest_of(std::string_view content) {
  std::uint64_t hash = 1469598103934665603ULL;
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

Result<Row> row_of(const Sheet& sheet, const Columns& c) {
  Row row;
  BUREAU_TRY(row.text, sheet.field(c.text, max_text, true));
  BUREAU_TRY(row.id, sheet.field(c.id, max_id, c.id.has_value()));
  BUREAU_TRY(row.subject, sheet.field(c.subject, max_subject));
  BUREAU_TRY(row.customer, sheet.field(c.customer, max_name));
  BUREAU_TRY(row.email, sheet.field(c.email, max_email));
  if (!row.email.empty() && row.email.find('@') == std::string::npos) {
    return fail(sheet.bad("email", fmt::format("\"{}\" is no address", row.email)));
  }
  // Without an id, place and content tell whether a row came in before. As examples/helpdesk does.
  row.id = c.id ? "id-" + row.id : fmt::format("line-{}-{}", sheet.line(), digest_of(row.text));
  return row;
}

/// Finds or makes the customers of an import, each once.
class Customers {
 public:
  explicit Customers(Unit& unit) : users_(Scope(unit)) {}
  Result<Id<User>> find(const Row& row) {
    const std::string email = row.email.empty() ? "unknown@customer.invalid" : row.email;
    if (const auto known = ids_.find(email); known != ids_.end()) return known->second;
    BUREAU_TRY(auto present, users_.first(col(&User::email).equals_folded(email)));
    if (!present) {
      User user;
      user.email = email;
      user.name = row.customer.empty() ? email : row.customer;
      user.role = "customer";
      BUREAU_TRY(present, users_.insert(std::move(user)));
    }
    return ids_[email] = present->id;
  }

 private:
  Repository<User> users_;
  std::map<std::string, Id<User>> ids_;
};

}  // namespace

Result<ImportReport> import_tickets(const Office& office, const std::string& path, bool skip_bad) {
  BUREAU_TRY(std::string text, read_file(path));
  BUREAU_TRY(Sheet sheet, Sheet::open(path, std::move(text)));
  BUREAU_TRY_VOID(sheet.only({{"text", "message", "body"},
                              {"id"},
                              {"subject"},
                              {"customer", "name"},
                              {"email"},
                              {"received_at"},
                              {"category"}}));
  BUREAU_TRY(Columns columns, columns_of(sheet));
  ImportReport report;
  std::set<std::string> ids;
  std::vector<Row> rows;
  for (;;) {
    auto more = sheet.next();
    if (more && !*more) break;
    if (!more) {
      if (!skip_bad) return fail(more.error());
      report.bad.push_back(more.error().message);
      continue;
    }
    auto row = row_of(sheet, columns);
    if (row && !ids.insert(row->id).second) {
      row = fail(sheet.bad("id", fmt::format("\"{}\" is there twice; it names one message",
                                             sheet.field(columns.id))));
    }
    if (row) {
      rows.push_back(*std::move(row));
    } else if (skip_bad) {
      report.bad.push_back(row.error().message);
    } else {
      return fail(row.error());
    }
  }
  return office.session().write([&](Unit& unit) -> Result<ImportReport> {
    ImportReport now = report;
    Customers customers(unit);
    const Tickets tickets{Scope(unit)};
    const Repository<Message> messages{Scope(unit)};
    for (const Row& row : rows) {
      BUREAU_TRY(auto present, messages.first(col(&Message::external_id) == row.id));
      if (present) {
        ++now.present;
        continue;
      }
      BUREAU_TRY(auto customer, customers.find(row));
      auto ticket = tickets.open(
          {row.subject, row.text, customer, TicketSource::email, Priority::normal, row.id});
      if (!ticket) {
        const Error& e = ticket.error();
        return fail(e.code, fmt::format("{}, row \"{}\": {}", path, row.id, e.message), e.field);
      }
      BUREAU_TRY_VOID(Tasks(unit).enqueue(triage_ticket, {ticket->id}));
      ++now.imported;
    }
    return now;
  });
}

Result<TrainReport> train(const Office& office, const std::string& path) {
  BUREAU_TRY(std::string text, read_file(path));
  BUREAU_TRY(Sheet sheet, Sheet::open(path, std::move(text)));
  BUREAU_TRY_VOID(sheet.only({{"text", "message", "body"}, {"category", "label"}}));
  const auto texts = sheet.column({"text", "message", "body"});
  const auto labels = sheet.column({"category", "label"});
  if (!texts || !labels) {
    return fail(
        Code::invalid,
        fmt::format("{}: needs the columns text and category; it has {}", path, sheet.names()),
        "category");
  }
  std::vector<std::pair<std::string, std::string>> rows;
  for (;;) {
    BUREAU_TRY(bool more, sheet.next());
    if (!more) break;
    BUREAU_TRY(auto example, sheet.field(texts, max_text, true));
    BUREAU_TRY(auto label, sheet.field(labels, max_label, true));
    rows.emplace_back(std::move(example), std::move(label));
  }
  std::vector<LabelledText> examples;
  examples.reserve(rows.size());
  for (const auto& [example, label] : rows) examples.push_back({example, label});
  BUREAU_TRY(auto classifier, TextClassifier::train(examples));
  BUREAU_TRY(auto version, store_model(office.system(), "triage", classifier,
                                       static_cast<std::int64_t>(rows.size())));
  return TrainReport{rows.size(), version, classifier.cross_validation().accuracy};
}

}  // namespace cli
