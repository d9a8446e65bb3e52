#include "desk.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>

#ifdef HELPDESK_POSTGRES
#include "bureau/store/postgres_storage.hpp"
#endif

namespace helpdesk {

using namespace bureau;

namespace {

/// Tells when a routing has been committed; the rest is the library's own agent.
class WatchedRouting final : public AgentOf<route_ticket> {
 public:
  explicit WatchedRouting(std::function<void(Id<Ticket>)> on_routed)
      : on_routed_(std::move(on_routed)) {}
  using AgentOf::execute;
  Result<RouteResult> execute(Run& run, const TicketPayload& payload) override {
    auto outcome = inner_.execute(run, payload);
    if (outcome) on_routed_(payload.ticket);
    return outcome;
  }

 private:
  RoutingAgent inner_;
  std::function<void(Id<Ticket>)> on_routed_;
};

std::string digest_of(const std::vector<Example>& examples) {
  std::string all;
  for (const Example& e : examples) all += e.label + '\0' + e.text + '\0';
  return fmt::format("{}-{}", examples.size(), helpdesk::digest_of(all));
}

/// Whom a message comes from: an address of its own, or one that stands for all who gave none.
std::string address_of(const InboxMessage& message) {
  return fold_case(message.email.empty() ? "customer@example.com" : message.email);
}

Result<std::shared_ptr<Storage>> open_server([[maybe_unused]] const DeskOptions& options) {
#ifdef HELPDESK_POSTGRES
  PostgresOptions postgres;
  postgres.connection = options.path;
  postgres.schema = options.schema;
  postgres.connections = 16;
  postgres.log = options.log;
  return open_postgres(std::move(postgres));
#else
  return fail(Code::invalid, "--office: this program was built without PostgreSQL", "office");
#endif
}

}  // namespace

bool is_url(std::string_view office) {
  return office.starts_with("postgresql://") || office.starts_with("postgres://");
}

Result<std::unique_ptr<Desk>> Desk::open(const DeskOptions& options) {
  std::unique_ptr<Desk> desk(new Desk);
  EngineOptions engine;
  if (is_url(options.path)) {
    BUREAU_TRY(engine.storage, open_server(options));
  } else {
    desk->path_ = engine.path = options.path;
  }
  engine.threads = options.threads;
  engine.log = options.log;
  BUREAU_TRY(desk->engine_, Engine::open(std::move(engine)));
  BUREAU_TRY(desk->tenant_, prepare_office(*desk->engine_, office_name, {}));
  return desk;
}

Result<Learnt> Desk::learn(const std::vector<Example>& examples, unsigned threads) {
  const std::string digest = digest_of(examples);
  const Session office = session();
  auto stored = load_model(office, model_name);
  if (stored && stored->digest == digest) return Learnt{stored->classifier, 0};
  if (!stored && stored.error().code != Code::not_found) return fail(stored.error());
  std::vector<LabelledText> texts;
  texts.reserve(examples.size());
  for (const Example& e : examples) texts.push_back({e.text, e.label});
  const Clock& clock = Clock::system();
  const Monotonic begin = clock.monotonic();
  TrainingOptions training;
  training.threads = threads;
  BUREAU_TRY(auto classifier, TextClassifier::train(texts, training));
  const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
  BUREAU_TRY_VOID(store_model(office, model_name, classifier,
                              static_cast<std::int64_t>(examples.size()), digest));
  return Learnt{std::make_shared<const TextClassifier>(std::move(classifier)), seconds};
}

Result<void> Desk::set_up(const Setup& setup, std::shared_ptr<const TextClassifier> classifier,
                          std::function<void(Id<Ticket>)> on_routed) {
  BUREAU_TRY(tenant_, prepare_office(*engine_, office_name, setup));
  BUREAU_TRY_VOID(know_customers());
  // The reviewer's rule: what the classifier was sure of.
  const Predicate sure = col(&Message::confidence) >= classifier->threshold();
  BUREAU_TRY_VOID(
      engine_->add(std::make_shared<TriageAgent>(std::move(classifier), setup.priorities)));
  std::shared_ptr<Agent> routing = std::make_shared<RoutingAgent>();
  if (on_routed) routing = std::make_shared<WatchedRouting>(std::move(on_routed));
  BUREAU_TRY_VOID(engine_->add(std::move(routing)));
  return engine_->add(std::make_shared<ResponderAgent>(sure));
}

// Import ---------------------------------------------------------------------------------------

Result<void> Desk::know_customers() {
  Query all;
  all.where = col(&User::role) == "customer";
  all.limit = 10'000'000;
  BUREAU_TRY(const auto users, Repository<User>{session()}.list(all));
  for (const User& user : users) customers_[fold_case(user.email)] = user.id;
  return {};
}

Result<std::vector<Ticket>> Desk::open_in(Unit& unit, std::span<const InboxMessage* const> messages,
                                          std::map<std::string, Id<User>>& newcomers) {
  std::vector<User> users;
  std::set<std::string> seen;
  for (const InboxMessage* message : messages) {
    const std::string address = address_of(*message);
    if (customers_.contains(address) || !seen.insert(address).second) continue;
    User user;
    user.email = message->email.empty() ? "customer@example.com" : message->email;
    user.name = message->customer.empty() ? "customer" : message->customer;
    user.role = "customer";
    user.status = UserStatus::active;
    users.push_back(std::move(user));
  }
  BUREAU_TRY(users, Repository<User>{unit}.insert_all(std::move(users)));
  for (const User& user : users) newcomers[fold_case(user.email)] = user.id;

  std::vector<NewTicket> tickets;
  for (const InboxMessage* message : messages) {
    NewTicket ticket;
    ticket.subject = message->subject;
    ticket.body = message->text;
    const std::string address = address_of(*message);
    const auto known = customers_.find(address);
    ticket.customer = known != customers_.end() ? known->second : newcomers.at(address);
    ticket.source = TicketSource::email;
    ticket.external_id = message->external_id;
    if (message->received_at) {
      ticket.custom = Json::object({{"received_at", message->received_at->to_string()}});
    }
    tickets.push_back(std::move(ticket));
  }
  BUREAU_TRY(auto opened, Tickets{unit}.open_all(tickets));
  std::vector<TicketPayload> payloads;
  for (const Ticket& ticket : opened) payloads.push_back({ticket.id});
  BUREAU_TRY_VOID(Tasks{unit}.enqueue_all(triage_ticket, payloads));
  return opened;
}

Result<std::vector<Ticket>> Desk::open_tickets(std::span<const InboxMessage* const> messages) {
  std::map<std::string, Id<User>> newcomers;
  BUREAU_TRY(auto opened, session().write([&](Unit& unit) {
    newcomers.clear();
    return open_in(unit, messages, newcomers);
  }));
  customers_.merge(newcomers);
  return opened;
}

Result<Desk::Imported> Desk::import(
    const std::vector<InboxMessage>& messages, std::size_t batch,
    const std::function<void(std::span<const InboxMessage* const>)>& imported) {
  Imported count;
  for (std::size_t at = 0; at < messages.size(); at += batch) {
    const std::size_t end = std::min(messages.size(), at + batch);
    std::vector<std::string> ids;
    for (std::size_t i = at; i < end; ++i) ids.push_back(messages[i].external_id);
    std::map<std::string, Id<User>> newcomers;
    std::vector<const InboxMessage*> fresh;
    BUREAU_TRY_VOID(session().write([&](Unit& unit) -> Result<void> {
      newcomers.clear();
      fresh.clear();
      Query known;
      known.where = col(&Message::external_id).in(ids);
      known.limit = ids.size();
      BUREAU_TRY(const auto present, Repository<Message>{unit}.list(known));
      std::set<std::string> there;
      for (const Message& message : present) there.insert(*message.external_id);
      for (std::size_t i = at; i < end; ++i) {
        if (!there.contains(messages[i].external_id)) fresh.push_back(&messages[i]);
      }
      if (fresh.empty()) return {};
      BUREAU_TRY_VOID(open_in(unit, fresh, newcomers));
      return {};
    }));
    customers_.merge(newcomers);
    count.made += fresh.size();
    count.known += (end - at) - fresh.size();
    imported(fresh);
  }
  return count;
}

// Work -----------------------------------------------------------------------------------------

Result<void> Desk::start() { return engine_->start(); }
Result<void> Desk::stop() { return engine_->stop(std::chrono::seconds(10)); }

Progress Desk::progress() const {
  Progress progress;
  for (const AgentState& agent : engine_->agents()) {
    if (agent.name == triage_ticket.name) progress.triaged = agent.completed;
    if (agent.name == route_ticket.name) progress.routed = agent.completed;
    if (agent.name == draft_reply.name) progress.drafted = agent.completed;
  }
  return progress;
}

Result<void> Desk::listen() {
  const Session office = session();
  BUREAU_TRY(const auto teams, Repository<Team>{office}.list({.limit = 1000}));
  for (const Team& team : teams) team_names_[team.id.value] = team.name;
  auto heard = [this](const RowEvent<Ticket>& event) {
    if (event.kind != FeedKind::update || !event.before || !event.after) return;
    const Ticket &before = *event.before, &after = *event.after;
    const std::lock_guard lock(seen_mutex_);
    seen_.counts.triaged += !before.triaged_at && after.triaged_at ? 1 : 0;
    seen_.counts.drafted += after.message_count > before.message_count ? 1 : 0;
    if (before.routed_at || !after.routed_at) return;
    ++seen_.counts.routed;
    seen_.newest = fmt::format("#{} to {}", after.number,
                               after.team ? team_names_[after.team->value] : "whoever is free");
  };
  BUREAU_TRY(subscription_, engine_->feed().subscribe<Ticket>(office, {}, heard));
  return {};
}

std::optional<std::uint64_t> Desk::file_bytes() const {
  if (path_.empty()) return std::nullopt;
  std::uint64_t bytes = 0;
  for (const char* part : {"", "-wal"}) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path_ + part, error);
    if (!error) bytes += size;
  }
  return bytes;
}

Seen Desk::seen() const {
  const std::lock_guard lock(seen_mutex_);
  return seen_;
}

Result<void> Desk::work_off(const std::function<void(const Progress&)>& watch) {
  constexpr Duration look = std::chrono::milliseconds(20);
  Clock& clock = Clock::system();
  std::mutex mutex;
  std::condition_variable nobody;
  Progress before;
  const Session office = session();
  for (;;) {
    const Progress now = progress();
    watch(now);
    // Counting tasks costs; it is done only when the agents have paused.
    if (now.drafted == before.drafted && now.triaged == before.triaged &&
        now.routed == before.routed) {
      BUREAU_TRY(const auto left, Tasks{office}.count(col(&Task::status) < TaskStatus::completed));
      if (left == 0) return {};
    }
    before = now;
    std::unique_lock lock(mutex);
    const Monotonic until = clock.monotonic() + look;
    while (clock.wait_until(lock, nobody, until)) {
    }
  }
}

}  // namespace helpdesk
