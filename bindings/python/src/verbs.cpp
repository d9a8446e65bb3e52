// What the domains say of their rows: tickets and deals.

#include "bureau/sales/deals.hpp"
#include "bureau/support/tickets.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

/// Makes one of each dict; an error says which of them is wrong.
template <class Made>
std::vector<Made> all_of(const char* name, const py::iterable& given,
                         Made (*make)(const py::dict&)) {
  std::vector<Made> out;
  for (const py::handle one : given) {
    try {
      if (!PyDict_Check(one.ptr())) {
        raise(Code::invalid, fmt::format("a dict is wanted, not {}", Py_TYPE(one.ptr())->tp_name),
              name);
      }
      out.push_back(make(py::reinterpret_borrow<py::dict>(one)));
    } catch (py::error_already_set& raised) {
      if (!raised.matches(hooks().base_error)) throw;
      Error error = take_error(raised);
      error.message = fmt::format("{}[{}]: {}", name, out.size(), error.message);
      raise(error);
    }
  }
  return out;
}

// Tickets --------------------------------------------------------------------------------------

NewTicket ticket_of(const py::dict& fields) {
  Given given("tickets.open", fields);
  NewTicket ticket;
  ticket.subject = given.text("subject");
  ticket.body = given.text("body");
  ticket.customer = given.maybe_id<User>("customer").value_or(Id<User>());
  ticket.source = given.choice("source", ticket.source);
  ticket.priority = given.choice("priority", ticket.priority);
  ticket.external_id = given.maybe_text("external_id");
  ticket.custom = given.json("custom");
  given.done();
  if (!ticket.customer) raise(Code::invalid, "customer: it is required", "customer");
  return ticket;
}

py::object ticket_message(const ScopePtr& scope, const py::object& ticket, const py::dict& fields) {
  Given given("tickets.add_message", fields);
  NewMessage message;
  message.sender = given.choice("sender", message.sender);
  message.kind = given.choice("kind", message.kind);
  message.body = given.text("body");
  message.author = given.maybe_id<User>("author");
  message.confidence = given.maybe_real("confidence");
  message.external_id = given.maybe_text("external_id");
  given.done();
  const auto id = id_of<Ticket>(ticket, "ticket");
  return row_of(
      in_domain<Tickets>(scope, [&](const Tickets& t) { return t.add_message(id, message); }));
}

/// A message of who acts, whoever that is.
py::object ticket_say(const ScopePtr& scope, const std::string& verb, const py::object& ticket,
                      const py::dict& fields) {
  const auto id = id_of<Ticket>(ticket, "ticket");
  Given given("tickets", fields);
  const std::string body = given.text("body");
  const auto confidence = given.maybe_real("confidence");
  const py::object accept = given.object("accept");
  given.done();
  if (verb == "suggest" && !confidence) {
    raise(Code::invalid, "confidence: it is required", "confidence");
  }
  std::optional<Predicate> rule;
  if (!accept.is_none()) {
    rule = predicate_from_python(table_of<Message>(), catalog_of(scope), accept.ptr(), nullptr);
  }
  return row_of(in_domain<Tickets>(scope, [&](const Tickets& t) {
    if (verb == "reply") return t.reply(id, body);
    if (verb == "note") return t.note(id, body);
    return rule ? t.suggest(id, body, *confidence, *rule) : t.suggest(id, body, *confidence);
  }));
}

/// What changes one ticket, by its name.
py::object ticket_change(const ScopePtr& scope, const std::string& verb, const py::object& ticket,
                         const py::dict& fields) {
  const auto id = id_of<Ticket>(ticket, "ticket");
  Given given("tickets", fields);
  std::function<Result<Ticket>(const Tickets&)> call;
  if (verb == "move") {
    call = [id, status = given.text("status")](const Tickets& t) { return t.move(id, status); };
  } else if (verb == "assign") {
    call = [id, team = given.maybe_id<Team>("team"), who = given.maybe_id<User>("assignee")](
               const Tickets& t) { return t.assign(id, team, who); };
  } else if (verb == "prioritize") {
    call = [id, priority = given.choice("priority", Priority::normal)](const Tickets& t) {
      return t.prioritize(id, priority);
    };
  } else if (verb == "classify") {
    call = [id, category = given.text("category"),
            confidence = given.maybe_real("confidence").value_or(0),
            priority = given.choice("priority", Priority::normal)](const Tickets& t) {
      return t.classify(id, category, confidence, priority);
    };
  } else if (verb == "route") {
    call = [id](const Tickets& t) { return t.route(id); };
  } else {
    std::vector<std::string> tags;
    if (PyObject* list = given.at("tags")) {
      for (const py::handle one : py::iterable(py::reinterpret_borrow<py::object>(list))) {
        tags.push_back(text_from_python(one.ptr(), "tags"));
      }
    }
    call = [id, tags](const Tickets& t) { return t.tag(id, tags); };
  }
  given.done();
  return row_of(in_domain<Tickets>(scope, call));
}

py::list conversation(const ScopePtr& scope, const py::object& ticket, std::int64_t after,
                      std::uint64_t limit) {
  const auto id = id_of<Ticket>(ticket, "ticket");
  return rows_of(from_domain<Tickets>(
      scope, [&](const Tickets& t) { return t.conversation(id, after, limit); }));
}

// Deals ----------------------------------------------------------------------------------------

std::vector<PastStage> past_of(PyObject* list) {
  std::vector<PastStage> out;
  if (list == nullptr) return out;
  for (const py::handle one : py::iterable(py::reinterpret_borrow<py::object>(list))) {
    if (!PySequence_Check(one.ptr()) || PyUnicode_Check(one.ptr()) || py::len(one) != 2) {
      raise(Code::invalid, "past: each is a pair of a stage and the moment it was entered", "past");
    }
    const auto pair = py::reinterpret_borrow<py::sequence>(one);
    const py::object stage = pair[0], moment = pair[1];
    out.push_back(
        {text_from_python(stage.ptr(), "past"), timestamp_from_python(moment.ptr(), "past")});
  }
  return out;
}

NewDeal deal_of(const py::dict& fields) {
  Given given("deals.open", fields);
  NewDeal deal;
  deal.title = given.text("title");
  if (const auto value = given.maybe_money("value")) deal.value = *value;
  deal.pipeline = given.text("pipeline");
  deal.stage = given.text("stage");
  deal.account = given.maybe_id<Account>("account");
  deal.contact = given.maybe_id<Contact>("contact");
  deal.product = given.maybe_id<Product>("product");
  deal.owner = given.maybe_id<User>("owner");
  deal.team = given.maybe_id<Team>("team");
  deal.expected_close = given.maybe_time("expected_close");
  deal.probability_bp = given.maybe_integer("probability_bp");
  deal.external_id = given.maybe_text("external_id");
  deal.custom = given.json("custom");
  deal.past = past_of(given.at("past"));
  deal.lost_reason = given.text("lost_reason");
  given.done();
  return deal;
}

py::object deal_change(const ScopePtr& scope, const std::string& verb, const py::object& deal,
                       const py::dict& fields) {
  const auto id = id_of<Deal>(deal, "deal");
  Given given("deals", fields);
  std::function<Result<Deal>(const Deals&)> call;
  if (verb == "move") {
    call = [id, stage = given.text("stage")](const Deals& d) { return d.move(id, stage); };
  } else if (verb == "win") {
    call = [id, value = given.maybe_money("value")](const Deals& d) { return d.win(id, value); };
  } else if (verb == "lose") {
    call = [id, reason = given.text("reason"), stage = given.text("stage")](const Deals& d) {
      return d.lose(id, reason, stage);
    };
  } else if (verb == "reopen") {
    call = [id, stage = given.text("stage")](const Deals& d) { return d.reopen(id, stage); };
  } else if (verb == "assign") {
    call = [id, team = given.maybe_id<Team>("team"), owner = given.maybe_id<User>("owner")](
               const Deals& d) { return d.assign(id, team, owner); };
  } else if (verb == "set_value") {
    const auto value = given.maybe_money("value");
    if (!value) raise(Code::invalid, "value: it is required", "value");
    call = [id, value = *value](const Deals& d) { return d.set_value(id, value); };
  } else if (verb == "expect") {
    call = [id, close = given.maybe_time("close")](const Deals& d) { return d.expect(id, close); };
  } else {
    call = [id, bp = given.maybe_integer("probability_bp")](const Deals& d) {
      return d.set_probability(id, bp);
    };
  }
  given.done();
  return row_of(in_domain<Deals>(scope, call));
}

py::tuple sum_of(const DealSum& sum) { return py::make_tuple(sum.count, sum.value.minor); }

py::list forecast(const ScopePtr& scope, const std::string& by) {
  ForecastQuery query;
  if (by == "month") query.by = ForecastBy::month;
  if (by == "stage") query.by = ForecastBy::stage;
  if (by == "owner") query.by = ForecastBy::owner;
  if (by != "" && query.by == ForecastBy::nothing) {
    raise(Code::invalid, fmt::format("by: \"{}\" is none of month, stage, owner", by), "by");
  }
  const Forecast made =
      from_domain<Deals>(scope, [&](const Deals& d) { return d.forecast(query); });
  py::list out;
  for (const ForecastLine& line : by.empty() ? made.totals : made.lines) {
    py::dict one;
    one["month"] = line.month ? py::object(py::int_(*line.month)) : py::none();
    one["stage"] = line.stage
                       ? py::object(py::str(id::to_text(schema<Stage>.prefix, line.stage->value)))
                       : py::none();
    one["owner"] = line.owner
                       ? py::object(py::str(id::to_text(schema<User>.prefix, line.owner->value)))
                       : py::none();
    one["currency"] = std::string(line.currency.code());
    one["digits"] = line.currency.digits();
    one["won"] = sum_of(line.won);
    one["lost"] = sum_of(line.lost);
    one["open"] = sum_of(line.open);
    one["weighted"] = sum_of(line.weighted);
    one["commit"] = sum_of(line.commit);
    one["best_case"] = sum_of(line.best_case);
    out.append(one);
  }
  return out;
}

void create_pipeline(const ScopePtr& scope, const std::string& name, const py::list& stages) {
  std::vector<sales::NewStage> made;
  for (const py::handle one : stages) {
    const auto fields = one.cast<py::dict>();
    Given given("stage", fields);
    sales::NewStage& stage = made.emplace_back();
    stage.name = given.text("name");
    stage.category = given.choice("category", StageCategory::open);
    stage.probability_bp = given.maybe_integer("probability_bp").value_or(0);
    stage.rot_after = given.maybe_span("rot_after");
    given.done();
  }
  unwrap(scope->with_write([&](const Scope& in, Engine&) -> Result<void> {
    if (name.empty()) return sales::create_default_pipeline(in.session());
    BUREAU_TRY_VOID(sales::create_pipeline(in.session(), name, made));
    return {};
  }));
}

}  // namespace

void init_verbs(py::class_<PyScope, ScopePtr>& scope) {
  scope
      .def("ticket_open",
           [](const ScopePtr& self, const py::dict& fields) {
             const NewTicket ticket = ticket_of(fields);
             return row_of(
                 in_domain<Tickets>(self, [&](const Tickets& t) { return t.open(ticket); }));
           })
      .def("ticket_open_all",
           [](const ScopePtr& self, const py::iterable& given) {
             const auto tickets = all_of("tickets", given, ticket_of);
             return rows_of(
                 in_domain<Tickets>(self, [&](const Tickets& t) { return t.open_all(tickets); }));
           })
      .def("ticket_message", ticket_message)
      .def("ticket_say", ticket_say)
      .def("ticket_change", ticket_change)
      .def("conversation", conversation)
      .def("ticket_review",
           [](const ScopePtr& self, const py::object& message, const py::dict& fields) {
             const auto id = id_of<Message>(message, "message");
             Given given("tickets.review", fields);
             const Review verdict = given.choice("verdict", Review::left_for_person);
             given.done();
             return row_of(
                 in_domain<Tickets>(self, [&](const Tickets& t) { return t.review(id, verdict); }));
           })
      .def("deal_open",
           [](const ScopePtr& self, const py::dict& fields) {
             const NewDeal deal = deal_of(fields);
             return row_of(in_domain<Deals>(self, [&](const Deals& d) { return d.open(deal); }));
           })
      .def("deal_open_all",
           [](const ScopePtr& self, const py::iterable& given) {
             const auto deals = all_of("deals", given, deal_of);
             return rows_of(
                 in_domain<Deals>(self, [&](const Deals& d) { return d.open_all(deals); }));
           })
      .def("deal_change", deal_change)
      .def("forecast", forecast)
      .def("create_pipeline", create_pipeline);
  init_funnel(scope);
  init_tasks(scope);
  init_flow(scope);
  init_ticket_links(scope);
  init_schedules(scope);
  init_notifications(scope);
  init_inbox(scope);
  init_desk(scope);
  init_network(scope);
  init_rewards(scope);
}

}  // namespace bureau_python
