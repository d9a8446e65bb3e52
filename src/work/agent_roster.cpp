#include "bureau/work/agent_roster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "bureau/core/csv.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::size_t max_name = 100;

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find(' '), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

/// Takes entries one by one, each with its place in the file.
class Taker {
 public:
  Result<void> take(RosterEntry entry, const std::string& place) {
    const auto refuse = [&](const char* field, const std::string& rule) {
      return fail(Code::invalid, fmt::format("{}: {}: {}", place, field, rule), field);
    };
    for (const auto& [field, text] :
         {std::pair("name", &entry.name), std::pair("squad", &entry.squad),
          std::pair("role", &entry.role)}) {
      if (!is_valid_text(*text)) return refuse(field, "it is not valid UTF-8 without NUL");
      if (count_code_points(*text) > max_name) {
        return refuse(field, fmt::format("{} characters, the limit is {}", count_code_points(*text),
                                         max_name));
      }
    }
    if (entry.name.empty()) return refuse("name", "it is empty; an agent needs a name");
    if (!names_.insert(entry.name).second) {
      return refuse("name", fmt::format("\"{}\" is there twice", entry.name));
    }
    entries.push_back(std::move(entry));
    return {};
  }
  std::vector<RosterEntry> entries;

 private:
  std::set<std::string> names_;
};

Result<std::string*> text_field(RosterEntry& entry, std::string_view name,
                                const std::string& place) {
  if (name == "name") return &entry.name;
  if (name == "squad") return &entry.squad;
  if (name == "role") return &entry.role;
  return fail(Code::invalid,
              fmt::format("{}: \"{}\": expected name, squad, role or kinds", place, name),
              "roster");
}

Result<RosterEntry> entry_of(const Json& json, const std::string& place) {
  const Json::Object* members = json.as_object();
  if (members == nullptr) {
    return fail(Code::invalid, place + ": expected an object with \"name\"", "roster");
  }
  RosterEntry entry;
  for (const auto& [key, value] : *members) {
    const auto refuse = [&, name = key](std::string_view rule) {
      return fail(Code::invalid, fmt::format("{}: {}: {}", place, name, rule), name);
    };
    if (key == "kinds") {
      const Json::Array* kinds = value.as_array();
      if (kinds == nullptr) return refuse("expected a list of texts");
      for (const Json& kind : *kinds) {
        if (kind.as_string() == nullptr) return refuse("expected a list of texts");
        entry.kinds.push_back(*kind.as_string());
      }
      continue;
    }
    BUREAU_TRY(std::string * field, text_field(entry, key, place));
    if (value.as_string() == nullptr) return refuse("expected a text");
    *field = *value.as_string();
  }
  return entry;
}

Result<void> take_json(Taker& taker, std::string_view text) {
  auto json = Json::parse(text);
  if (!json) return fail(Code::invalid, "roster: " + json.error().message, "roster");
  const Json::Array* items = json->as_array();
  if (items == nullptr) return fail(Code::invalid, "roster: expected a list of agents", "roster");
  for (std::size_t i = 0; i < items->size(); ++i) {
    const std::string place = fmt::format("roster: agent {}", i + 1);
    BUREAU_TRY(RosterEntry entry, entry_of((*items)[i], place));
    BUREAU_TRY_VOID(taker.take(std::move(entry), place));
  }
  return {};
}

Result<void> take_csv(Taker& taker, std::string_view text) {
  CsvReader reader(text);
  CsvReader::Record record;
  BUREAU_TRY(const bool any, reader.next(record));
  if (!any) return fail(Code::invalid, "roster: the file is empty", "roster");
  const std::vector<std::string> header = record.fields;
  for (const std::string& name : header) {
    RosterEntry probe;
    if (name != "kinds") BUREAU_TRY_VOID(text_field(probe, name, "roster: line 1"));
  }
  while (true) {
    BUREAU_TRY(const bool more, reader.next(record));
    if (!more) return {};
    const std::string place = fmt::format("roster: line {}", record.line);
    if (record.fields.size() != header.size()) {
      return fail(Code::invalid,
                  fmt::format("{}: {} fields, the header has {}", place, record.fields.size(),
                              header.size()),
                  "roster");
    }
    RosterEntry entry;
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (header[i] == "kinds") {
        entry.kinds = words(record.fields[i]);
        continue;
      }
      BUREAU_TRY(std::string * field, text_field(entry, header[i], place));
      *field = record.fields[i];
    }
    BUREAU_TRY_VOID(taker.take(std::move(entry), place));
  }
}

}  // namespace

Result<std::vector<RosterEntry>> parse_roster(std::string_view text) {
  Taker taker;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && (text[first] == '[' || text[first] == '{');
  BUREAU_TRY_VOID(json ? take_json(taker, text) : take_csv(taker, text));
  return std::move(taker.entries);
}

Result<RosterReport> import_roster(const Session& session,
                                   const std::vector<RosterEntry>& entries) {
  return session.write([&](Unit& unit) -> Result<RosterReport> {
    const Repository<ConfiguredAgent> agents{Scope(unit)};
    RosterReport report;
    std::vector<ConfiguredAgent> made;
    for (const RosterEntry& entry : entries) {
      BUREAU_TRY(auto row, agents.first(col(&ConfiguredAgent::name) == entry.name));
      const bool known = row.has_value();
      if (!known) row.emplace();
      if (known && row->squad == entry.squad && row->role == entry.role &&
          row->kinds == entry.kinds) {
        ++report.unchanged;
        continue;
      }
      row->name = entry.name;
      row->squad = entry.squad;
      row->role = entry.role;
      row->kinds = entry.kinds;
      if (!known) {
        row->config = Json::object();
        made.push_back(*std::move(row));
        continue;
      }
      ++report.changed;
      BUREAU_TRY_VOID(agents.update(*std::move(row)));
    }
    report.added = made.size();
    BUREAU_TRY_VOID(agents.insert_all(std::move(made)));
    return report;
  });
}

BUREAU_END_NAMESPACE
