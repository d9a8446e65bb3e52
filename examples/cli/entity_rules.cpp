#include "entity_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace cli {

using namespace bureau;

namespace {

// What was given -------------------------------------------------------------------------------

const OwnedValue* given(const Fields& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.column->name == name) return &field.value;
  }
  return nullptr;
}
std::string text(const Fields& fields, std::string_view name) {
  const OwnedValue* value = given(fields, name);
  return value == nullptr || value->view().is_null() ? std::string()
                                                     : std::string(value->view().as_text());
}
std::optional<std::int64_t> integer(const Fields& fields, std::string_view name) {
  const OwnedValue* value = given(fields, name);
  if (value == nullptr || value->view().is_null()) return std::nullopt;
  return value->view().as_integer();
}
template <class T>
std::optional<Id<T>> reference(const Fields& fields, std::string_view name) {
  const auto value = integer(fields, name);
  if (!value) return std::nullopt;
  return Id<T>(*value);
}
Result<Json> json(const Fields& fields, std::string_view name) {
  const std::string found = text(fields, name);
  if (found.empty()) return Json();
  return Json::parse(found);
}
/// Fields that have another name than those: what a repository of plain rows may write.
Fields without(const Fields& fields, std::initializer_list<std::string_view> names) {
  Fields rest;
  for (const Field& field : fields) {
    if (std::find(names.begin(), names.end(), field.column->name) == names.end()) {
      rest.push_back(field);
    }
  }
  return rest;
}

std::vector<const ColumnInfo*> columns_named(const TableInfo& table,
                                             std::initializer_list<std::string_view> names) {
  std::vector<const ColumnInfo*> out;
  for (const auto name : names) out.push_back(table.find(name));
  return out;
}

// Rows as rows ---------------------------------------------------------------------------------

bool is_kept(const TableInfo& table, const ColumnInfo& column) {
  const int at = column.index;
  return at == 0 || at == table.tenant || at == table.version || at == table.created_at ||
         at == table.updated_at || column.hidden;
}

void put(std::vector<OwnedValue>& row, const Fields& fields) {
  for (const Field& field : fields) {
    row[field.column->index] = field.value;
    if (!field.column->folded) continue;
    const Value value = field.value.view();
    row[field.column->folded_index] =
        value.is_null() ? OwnedValue() : OwnedValue::text(fold_case(value.as_text()));
  }
}

std::vector<Value> views(const std::vector<OwnedValue>& row) {
  std::vector<Value> out;
  out.reserve(row.size());
  for (const OwnedValue& value : row) out.push_back(value.view());
  return out;
}

Result<std::int64_t> create_plain(Unit& unit, const TableInfo& table, const Fields& fields,
                                  std::int64_t id) {
  std::vector<OwnedValue> row = table.defaults;
  put(row, fields);
  std::vector<Value> values = views(row);
  values[0] = Value::integer(id);
  BUREAU_TRY_VOID(Rows(Scope(unit), table).insert(values));
  return values[0].as_integer();
}

Result<void> change_plain(Unit& unit, const TableInfo& table, std::int64_t id,
                          const Fields& fields) {
  if (fields.empty()) return {};
  const Rows rows(Scope(unit), table);
  std::vector<OwnedValue> row;
  BUREAU_TRY_VOID(rows.find(id, [&](std::span<const Value> values) {
    for (const Value& value : values) row.emplace_back(value);
  }));
  put(row, fields);
  std::vector<Value> values = views(row);
  return rows.update(values);
}

// Tickets --------------------------------------------------------------------------------------

Result<std::int64_t> create_ticket(Unit& unit, const Fields& fields) {
  NewTicket ticket;
  ticket.subject = text(fields, "subject");
  ticket.body = text(fields, "body");
  const auto customer = reference<User>(fields, "customer");
  if (!customer) return fail(Code::invalid, "customer: it is required", "customer");
  ticket.customer = *customer;
  if (const auto v = integer(fields, "source")) ticket.source = static_cast<TicketSource>(*v);
  if (const auto v = integer(fields, "priority")) ticket.priority = static_cast<Priority>(*v);
  if (given(fields, "external_id") != nullptr) ticket.external_id = text(fields, "external_id");
  BUREAU_TRY(ticket.custom, json(fields, "custom"));
  BUREAU_TRY(const Ticket made, Tickets(Scope(unit)).open(ticket));
  return made.id.value;
}

Result<void> change_ticket(Unit& unit, std::int64_t id_value, const Fields& fields) {
  const Tickets tickets{Scope(unit)};
  const Id<Ticket> id(id_value);
  if (given(fields, "status") != nullptr) {
    BUREAU_TRY_VOID(tickets.move(id, text(fields, "status")));
  }
  if (const auto priority = integer(fields, "priority")) {
    BUREAU_TRY_VOID(tickets.prioritize(id, static_cast<Priority>(*priority)));
  }
  if (given(fields, "team") != nullptr || given(fields, "assignee") != nullptr) {
    BUREAU_TRY(const Ticket now, tickets.find(id));
    BUREAU_TRY_VOID(tickets.assign(
        id, given(fields, "team") != nullptr ? reference<Team>(fields, "team") : now.team,
        given(fields, "assignee") != nullptr ? reference<User>(fields, "assignee") : now.assignee));
  }
  if (given(fields, "tags") != nullptr) {
    BUREAU_TRY(const Json tags, json(fields, "tags"));
    std::vector<std::string> names;
    if (tags.as_array() == nullptr) return fail(Code::invalid, "tags: no array of texts", "tags");
    for (const Json& tag : *tags.as_array()) {
      if (tag.as_string() == nullptr) return fail(Code::invalid, "tags: one is no text", "tags");
      names.push_back(*tag.as_string());
    }
    BUREAU_TRY_VOID(tickets.tag(id, std::move(names)));
  }
  return change_plain(unit, table_of<Ticket>(), id_value,
                      without(fields, {"status", "priority", "team", "assignee", "tags"}));
}

EntityRules ticket_rules() {
  const TableInfo& table = table_of<Ticket>();
  EntityRules rules;
  rules.create_columns =
      columns_named(table, {"subject", "customer", "source", "priority", "custom"});
  // Of its first message.
  rules.create_columns.push_back(table_of<Message>().find("body"));
  rules.create_columns.push_back(table_of<Message>().find("external_id"));
  rules.change_columns = columns_named(
      table, {"subject", "status", "priority", "team", "assignee", "tags", "category", "custom"});
  rules.create = create_ticket;
  rules.change = change_ticket;
  rules.refuse_remove =
      "tickets are not removed: their numbers have no gaps; `bureau change ID status=closed`";
  return rules;
}

EntityRules message_rules() {
  const TableInfo& table = table_of<Message>();
  EntityRules rules;
  rules.create_columns = columns_named(
      table, {"ticket", "sender", "kind", "body", "author", "confidence", "external_id"});
  rules.create = [](Unit& unit, const Fields& fields) -> Result<std::int64_t> {
    const auto ticket = reference<Ticket>(fields, "ticket");
    if (!ticket) return fail(Code::invalid, "ticket: it is required", "ticket");
    NewMessage message;
    if (const auto v = integer(fields, "sender")) message.sender = static_cast<Sender>(*v);
    if (const auto v = integer(fields, "kind")) message.kind = static_cast<MessageKind>(*v);
    message.body = text(fields, "body");
    message.author = reference<User>(fields, "author");
    if (const auto* v = given(fields, "confidence"); v != nullptr && !v->view().is_null()) {
      message.confidence = v->view().as_real();
    }
    if (given(fields, "external_id") != nullptr) message.external_id = text(fields, "external_id");
    BUREAU_TRY(const Message made, Tickets(Scope(unit)).add_message(*ticket, message));
    return made.id.value;
  };
  rules.change_columns = columns_named(table, {"review"});
  rules.change = [](Unit& unit, std::int64_t id, const Fields& fields) -> Result<void> {
    const auto review = integer(fields, "review");
    if (!review) return {};
    BUREAU_TRY_VOID(Tickets(Scope(unit)).review(Id<Message>(id), static_cast<Review>(*review)));
    return {};
  };
  rules.refuse_remove = "a conversation is not rewritten; messages stay";
  return rules;
}

// Deals ----------------------------------------------------------------------------------------

Result<Money> money(const Fields& fields) {
  BUREAU_TRY(const Currency currency, Currency::parse(text(fields, "currency")));
  return Money{integer(fields, "value_minor").value_or(0), currency};
}

std::optional<Timestamp> moment(const Fields& fields, std::string_view name) {
  const auto micros = integer(fields, name);
  if (!micros) return std::nullopt;
  return Timestamp::from_micros(*micros);
}

/// The stage that the fields name, which must be one of the pipeline where that is given: two
/// pipelines may have stages of one name.
Result<std::optional<Stage>> stage_of(Unit& unit, const Fields& fields,
                                      const std::optional<Id<Pipeline>>& pipeline) {
  const auto stage = reference<Stage>(fields, "stage");
  if (!stage) return std::optional<Stage>();
  BUREAU_TRY(const Stage found, Repository<Stage>(Scope(unit)).find(*stage));
  if (!pipeline || found.pipeline == *pipeline) return std::optional(found);
  const Repository<Pipeline> pipelines{Scope(unit)};
  BUREAU_TRY(const Pipeline its, pipelines.find(found.pipeline));
  BUREAU_TRY(const Pipeline wanted, pipelines.find(*pipeline));
  return fail(Code::invalid,
              fmt::format("stage: \"{}\" is of the pipeline \"{}\", the deal of \"{}\"", found.name,
                          its.name, wanted.name),
              "stage");
}

Result<std::int64_t> create_deal(Unit& unit, const Fields& fields) {
  NewDeal deal;
  deal.title = text(fields, "title");
  if (given(fields, "value_minor") != nullptr || given(fields, "currency") != nullptr) {
    BUREAU_TRY(deal.value, money(fields));
  }
  auto pipeline = reference<Pipeline>(fields, "pipeline");
  BUREAU_TRY(const auto stage, stage_of(unit, fields, pipeline));
  if (stage) {
    deal.stage = stage->name;
    pipeline = stage->pipeline;
  }
  if (pipeline) {
    BUREAU_TRY(const Pipeline found, Repository<Pipeline>(Scope(unit)).find(*pipeline));
    deal.pipeline = found.name;
  }
  deal.account = reference<Account>(fields, "account");
  deal.contact = reference<Contact>(fields, "contact");
  deal.product = reference<Product>(fields, "product");
  deal.owner = reference<User>(fields, "owner");
  deal.team = reference<Team>(fields, "team");
  deal.expected_close = moment(fields, "expected_close");
  deal.probability_bp = integer(fields, "probability_bp");
  if (given(fields, "external_id") != nullptr) deal.external_id = text(fields, "external_id");
  BUREAU_TRY(deal.custom, json(fields, "custom"));
  BUREAU_TRY(const Deal made, Deals(Scope(unit)).open(deal));
  return made.id.value;
}

Result<void> change_deal(Unit& unit, std::int64_t id_value, const Fields& fields) {
  const Deals deals{Scope(unit)};
  const Id<Deal> id(id_value);
  BUREAU_TRY(const Deal now, deals.find(id));
  if (given(fields, "stage") != nullptr) {
    BUREAU_TRY(const auto stage, stage_of(unit, fields, now.pipeline));
    BUREAU_TRY_VOID(deals.move(id, stage ? stage->name : std::string()));
  }
  if (given(fields, "value_minor") != nullptr || given(fields, "currency") != nullptr) {
    BUREAU_TRY(Money value, sales::value_of(now));
    if (const auto minor = integer(fields, "value_minor")) value.minor = *minor;
    if (given(fields, "currency") != nullptr) {
      BUREAU_TRY(value.currency, Currency::parse(text(fields, "currency")));
    }
    BUREAU_TRY_VOID(deals.set_value(id, value));
  }
  if (given(fields, "team") != nullptr || given(fields, "owner") != nullptr) {
    BUREAU_TRY_VOID(deals.assign(
        id, given(fields, "team") != nullptr ? reference<Team>(fields, "team") : now.team,
        given(fields, "owner") != nullptr ? reference<User>(fields, "owner") : now.owner));
  }
  if (given(fields, "expected_close") != nullptr) {
    BUREAU_TRY_VOID(deals.expect(id, moment(fields, "expected_close")));
  }
  if (given(fields, "probability_bp") != nullptr) {
    BUREAU_TRY_VOID(deals.set_probability(id, integer(fields, "probability_bp")));
  }
  return change_plain(unit, table_of<Deal>(), id_value,
                      without(fields, {"stage", "value_minor", "currency", "team", "owner",
                                       "expected_close", "probability_bp"}));
}

EntityRules deal_rules() {
  const TableInfo& table = table_of<Deal>();
  EntityRules rules;
  rules.create_columns =
      columns_named(table, {"title", "value_minor", "currency", "pipeline", "stage", "account",
                            "contact", "product", "owner", "team", "expected_close",
                            "probability_bp", "external_id", "custom"});
  rules.change_columns = columns_named(
      table, {"title", "value_minor", "currency", "stage", "account", "contact", "product", "owner",
              "team", "expected_close", "probability_bp", "custom"});
  rules.derived_when_null = columns_named(table, {"probability_bp"});  // the stage's
  rules.create = create_deal;
  rules.change = change_deal;
  rules.refuse_remove = "deals are closed, not removed: `bureau deals lose DEAL --reason TEXT`";
  return rules;
}

EntityRules activity_rules() {
  const TableInfo& table = table_of<DealActivity>();
  EntityRules rules;
  rules.create_columns = columns_named(table, {"deal", "kind", "body", "contact", "due_at"});
  rules.create = [](Unit& unit, const Fields& fields) -> Result<std::int64_t> {
    const auto deal = reference<Deal>(fields, "deal");
    if (!deal) return fail(Code::invalid, "deal: it is required", "deal");
    NewActivity activity;
    if (const auto v = integer(fields, "kind")) activity.kind = static_cast<ActivityKind>(*v);
    activity.body = text(fields, "body");
    activity.contact = reference<Contact>(fields, "contact");
    activity.due_at = moment(fields, "due_at");
    BUREAU_TRY(const DealActivity made, Deals(Scope(unit)).add_activity(*deal, activity));
    return made.id.value;
  };
  rules.change_columns = columns_named(table, {"status"});
  rules.change = [](Unit& unit, std::int64_t id, const Fields& fields) -> Result<void> {
    const auto status = integer(fields, "status");
    if (!status) return {};
    BUREAU_TRY_VOID(Deals(Scope(unit))
                        .end_activity(Id<DealActivity>(id), static_cast<ActivityStatus>(*status)));
    return {};
  };
  rules.refuse_remove = "what was done on a deal stays";
  return rules;
}

EntityRules canned_reply_rules() {
  const TableInfo& table = table_of<CannedReply>();
  EntityRules rules;
  rules.create_columns = columns_named(table, {"name", "body", "scope", "team"});
  rules.create = [](Unit& unit, const Fields& fields) -> Result<std::int64_t> {
    NewCannedReply reply;
    reply.name = text(fields, "name");
    reply.body = text(fields, "body");
    if (const auto v = integer(fields, "scope")) reply.scope = static_cast<Sharing>(*v);
    reply.team = reference<Team>(fields, "team");
    BUREAU_TRY(const CannedReply saved, CannedReplies(Scope(unit)).save(reply));
    return saved.id.value;
  };
  rules.refuse_change =
      "`bureau create canned_responses name=... body=...` replaces the one of that "
      "name";
  rules.remove = [](Unit& unit, std::int64_t id) {
    return CannedReplies(Scope(unit)).remove(Id<CannedReply>(id));
  };
  return rules;
}

/// Tables whose rows follow from others, or are made by commands or calls of their own, which check
/// more than a row's columns.
struct OwnWay {
  std::string_view table;
  std::string_view instead;
  bool may_remove = false;
};
constexpr std::string_view follows = "its rows follow from what happens";
constexpr OwnWay own_ways[] = {
    {"tasks", "tasks live by their own rules: `bureau tasks retry|cancel`"},
    {"tenants", "tenants come from `bureau init --name`"},
    {"trained_models", "models come from `bureau train`"},
    {"agents", follows},
    {"flow_buckets", follows},
    {"budgets", "`bureau budgets create|change|remove`"},
    {"budget_uses", follows},
    {"spendings", follows},
    {"configured_agents", "they come from `bureau agents import`", true},
    {"agent_interactions", "a program's AgentNetwork records them"},
    {"agent_connections", "a program's AgentNetwork connects agents", true},
    {"network_nodes", "a program's AgentNetwork places them", true},
    {"workloads", follows},
    {"ticket_counters", follows},
    {"ticket_links", "`bureau tickets link`"},
    {"presences", follows},
    {"views", "`bureau views save`", true},
    {"macros", "`bureau macros save`", true},
    {"triggers", "`bureau triggers save`", true},
    {"deal_stage_history", follows},
    {"pipelines", "`bureau deals pipeline` makes one with its stages"},
    {"stages", "`bureau deals pipeline` makes a pipeline with its stages"},
    {"notifications", "`bureau notifications send`"},
    {"notification_deliveries", follows},
    {"notification_preferences", "`bureau preferences set|clear`"},
    {"inbox_items", "`bureau inbox`"},
    {"webhooks", "`bureau webhooks add`, which shows the secret once", true},
    {"achievements", "criteria are checked: `bureau achievements import`"},
    {"point_rules", "criteria are checked: `bureau achievements import`"},
    {"user_achievements", follows},
    {"point_entries", follows},
    {"user_stats", follows},
    {"streak_days", follows},
    {"leaderboard_scores", follows},
    {"leaderboard_snapshots", follows},
    {"reward_credits", follows},
    {"point_usage", follows},
    {"reward_cursors", follows},
};

Result<const ColumnInfo*> column_of(const TableInfo& table,
                                    const std::vector<const ColumnInfo*>& allowed,
                                    std::string_view name) {
  std::vector<const ColumnInfo*> may = allowed;
  if (may.empty()) {
    for (const ColumnInfo& column : table.columns) {
      if (!is_kept(table, column)) may.push_back(&column);
    }
  }
  const auto found =
      std::find_if(may.begin(), may.end(), [&](const auto* c) { return c->name == name; });
  if (found != may.end()) return *found;
  std::vector<std::string_view> names;
  for (const ColumnInfo* column : may) names.push_back(column->name);
  const bool there = table.find(name) != nullptr;
  return fail(Code::invalid,
              fmt::format("{}.{}: {}; what may be given: {}", table.name, name,
                          there ? "it is kept by the library" : "there is no such column",
                          fmt::join(names, ", ")),
              std::string(name));
}

Result<void> refuse(const TableInfo& table, std::string_view instead) {
  return fail(Code::invalid, fmt::format("{}: {}", table.name, instead), std::string(table.name));
}

}  // namespace

EntityRules rules_of(const TableInfo& table) {
  if (&table == &table_of<Ticket>()) return ticket_rules();
  if (&table == &table_of<Message>()) return message_rules();
  if (&table == &table_of<Deal>()) return deal_rules();
  if (&table == &table_of<DealActivity>()) return activity_rules();
  if (&table == &table_of<CannedReply>()) return canned_reply_rules();
  EntityRules rules;
  for (const OwnWay& way : own_ways) {
    if (table.name != way.table) continue;
    rules.refuse_create = rules.refuse_change = way.instead;
    if (!way.may_remove) rules.refuse_remove = way.instead;
  }
  return rules;
}

Result<const ColumnInfo*> column_to_create(const TableInfo& table, const EntityRules& rules,
                                           std::string_view name) {
  return column_of(table, rules.create_columns, name);
}
Result<const ColumnInfo*> column_to_change(const TableInfo& table, const EntityRules& rules,
                                           std::string_view name) {
  return column_of(table, rules.change_columns, name);
}

namespace {
bool may_be_null(const EntityRules& rules, const ColumnInfo& column) {
  const auto& may = rules.derived_when_null;
  return std::find(may.begin(), may.end(), &column) != may.end();
}
}  // namespace

Result<OwnedValue> value_of_text(const EntityRules& rules, const ColumnInfo& column,
                                 std::string_view text) {
  if (text.empty() && may_be_null(rules, column)) return OwnedValue();
  return from_text(column, text);
}
Result<OwnedValue> value_of_json(const EntityRules& rules, const ColumnInfo& column,
                                 const Json& json) {
  if (json.is_null() && may_be_null(rules, column)) return OwnedValue();
  return from_json(column, json);
}

Result<std::int64_t> create_row(Unit& unit, const TableInfo& table, const EntityRules& rules,
                                const Fields& fields, std::int64_t id) {
  if (!rules.refuse_create.empty()) {
    return fail(refuse(table, rules.refuse_create).error());
  }
  if (!rules.create) return create_plain(unit, table, fields, id);
  if (id != 0) {
    return fail(Code::invalid,
                fmt::format("{}.id: such rows get their ids when they are made", table.name), "id");
  }
  return rules.create(unit, fields);
}

Result<void> change_row(Unit& unit, const TableInfo& table, const EntityRules& rules,
                        std::int64_t id, const Fields& fields) {
  if (!rules.refuse_change.empty()) return refuse(table, rules.refuse_change);
  return rules.change ? rules.change(unit, id, fields) : change_plain(unit, table, id, fields);
}

Result<void> remove_row(Unit& unit, const TableInfo& table, const EntityRules& rules,
                        std::int64_t id) {
  if (!rules.refuse_remove.empty()) return refuse(table, rules.refuse_remove);
  return rules.remove ? rules.remove(unit, id) : Rows(Scope(unit), table).remove(id);
}

}  // namespace cli
