// Purchase orders by a workflow that is data: a row's change starts it; a condition on its amount,
// two approvals at once, a delay and a task follow. In virtual time, over two lives of the program.

#include <bureau/bureau.hpp>
#include <cstdio>

using namespace bureau;
using namespace std::chrono_literals;

enum class OrderStatus { draft, submitted, ordered };
template <>
inline constexpr auto bureau::names<OrderStatus> = enum_names("draft", "submitted", "ordered");

/// A row of the host's own.
struct PurchaseOrder {
  Id<PurchaseOrder> id;
  Id<Tenant> tenant;
  std::string supplier;
  std::int64_t cents = 0;
  OrderStatus status = OrderStatus::draft;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto bureau::schema<PurchaseOrder> = table(
    "purchase_orders", "pur", journal::full, column("id", &PurchaseOrder::id),
    column("tenant", &PurchaseOrder::tenant),
    column("supplier", &PurchaseOrder::supplier, max_length(200)),
    column("cents", &PurchaseOrder::cents), column("status", &PurchaseOrder::status),
    column("version", &PurchaseOrder::version), column("created_at", &PurchaseOrder::created_at),
    column("updated_at", &PurchaseOrder::updated_at));

/// The task that a workflow may enqueue: it orders the goods.
struct Place {
  std::string order;
  std::string reason;
};
template <>
inline constexpr auto bureau::record<Place> =
    fields(column("order", &Place::order), column("reason", &Place::reason, max_length(500)));
struct Placed {
  std::string supplier;
};
template <>
inline constexpr auto bureau::record<Placed> = fields(column("supplier", &Placed::supplier));

inline constexpr auto place_order =
    task_kind<Place, Placed>("place_order", Effect::database, retry::fixed(3, 1min));

class Buyer final : public AgentOf<place_order> {
 public:
  using AgentOf::execute;
  [[nodiscard]] std::string_view role() const override { return "manager"; }
  Result<Placed> execute(Run& run, const Place& place) override {
    return run.complete([&](Unit& unit) -> Result<Placed> {
      BUREAU_TRY(const auto id, id::from_text("pur", place.order));
      const Repository<PurchaseOrder> orders(unit);
      BUREAU_TRY(PurchaseOrder order, orders.find(Id<PurchaseOrder>(id)));
      order.status = OrderStatus::ordered;
      BUREAU_TRY_VOID(orders.update(order));
      std::printf("  ordered from %s: %s\n", order.supplier.c_str(), place.reason.c_str());
      return Placed{order.supplier};
    });
  }
};

constexpr const char* purchase = R"({
  "name": "purchase",
  "trigger": {"on": "change", "table": "purchase_orders", "changes": ["insert", "update"],
              "where": "status = \"submitted\""},
  "nodes": [
    {"id": "size", "kind": "condition", "if": "input.row.cents > 100000",
     "then": "agree", "else": "small"},
    {"id": "small", "kind": "set", "values": {"reason": "it is a small order"}, "next": "cool_off"},
    {"id": "agree", "kind": "parallel", "branches": ["buyer", "finance"], "next": "both"},
    {"id": "buyer", "kind": "approval", "title": {"$text": "Buy from {input.row.supplier}?"},
     "subject": {"$": "input.row"}, "assignee": "mara@example.com", "rejected": null},
    {"id": "finance", "kind": "approval", "title": {"$text": "Pay {input.row.cents} cents?"},
     "subject": {"$": "input.row"}, "within": "5d", "rejected": null, "expired": null},
    {"id": "both", "kind": "condition", "if": "buyer.approved = true and finance.approved = true",
     "then": "agreed", "else": "refused"},
    {"id": "agreed", "kind": "set", "next": "cool_off",
     "values": {"reason": {"$text": "{buyer.comment}; {finance.comment}"}}},
    {"id": "cool_off", "kind": "delay", "for": "1d", "next": "order"},
    {"id": "order", "kind": "task", "task": "place_order", "next": "done",
     "payload": {"order": {"$": "input.id"}, "reason": {"$": "vars.reason"}}},
    {"id": "done", "kind": "end", "output": {"from": {"$": "order.supplier"}}},
    {"id": "refused", "kind": "end", "status": "failed",
     "message": {"$text": "buyer: {buyer.status}, finance: {finance.status}"}}
  ]})";

/// One life of the program.
Result<std::unique_ptr<Engine>> start(const char* path, ManualClock& clock) {
  Policies policies;
  BUREAU_TRY_VOID(policies.add({.name = "managers keep them",
                                .table = "purchase_orders",
                                .using_rule = Rule::always(),
                                .roles = {"admin", "manager"}}));
  BUREAU_TRY(auto office, Engine::open({.path = path,
                                        .tables = {&table_of<PurchaseOrder>()},
                                        .policies = policies,
                                        .clock = &clock}));
  WorkflowKinds kinds;
  kinds.add(place_order);
  BUREAU_TRY_VOID(office->add(std::make_shared<WorkflowAgent>(office->access(), kinds)));
  BUREAU_TRY_VOID(office->add(std::make_shared<Buyer>()));
  BUREAU_TRY_VOID(office->start_polled());
  return office;
}

void work(Engine& office, ManualClock& clock, Duration time) {
  clock.advance(time);
  for (int i = 0; i < 5; ++i) {
    while (office.poll({.tasks = 10}).ran > 0) {
    }
    clock.advance(1s);
  }
}

Result<void> print_runs(const Session& office) {
  const Workflows workflows(office);
  BUREAU_TRY(const auto runs, workflows.runs("purchase"));
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    const Json& row = *run->payload.find("input")->find("row");
    std::printf("%s: %s", row.find("supplier")->as_string()->c_str(),
                std::string(names<TaskStatus>[static_cast<std::size_t>(run->status)]).c_str());
    if (run->status == TaskStatus::waiting) {
      BUREAU_TRY(const auto waits, workflows.waits(run->id));
      for (const WorkflowWait& wait : waits) {
        std::printf(" [%s: %s]", wait.node.c_str(), wait.step.c_str());
      }
    }
    if (run->error) std::printf(" (%s)", run->error->c_str());
    std::printf("\n");
  }
  return {};
}

Result<void> decide(const Session& who, const char* title, bool yes, const char* comment) {
  BUREAU_TRY(const auto open, Approvals(who).list());
  for (const Approval& asked : open) {
    if (asked.title != title) continue;
    BUREAU_TRY_VOID(Approvals(who).decide(asked.id, yes, comment));
    std::printf("%s: %s\n", title, yes ? "yes" : "no");
  }
  return {};
}

Result<void> purchase_orders(const char* path) {
  ManualClock clock;
  BUREAU_TRY(auto office, start(path, clock));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("Larkfield"));
  User mara;
  mara.email = "mara@example.com";
  mara.name = "Mara";
  mara.role = "manager";
  BUREAU_TRY(mara, Repository<User>(office->system(tenant.id)).insert(mara));
  BUREAU_TRY(const Session desk, office->session(tenant.id, mara.id));

  BUREAU_TRY(const Json document, Json::parse(purchase));
  BUREAU_TRY(const NewWorkflow given, workflow_from_json(document));
  BUREAU_TRY(const Workflow draft, Workflows(desk).save(given));
  BUREAU_TRY_VOID(Workflows(desk).activate(draft.id));

  // What a user gets who has two nodes follow each other.
  NewWorkflow round = given;
  round.name = "round";
  round.trigger = Json::object({{"on", "manual"}});
  BUREAU_TRY(round.definition, Json::parse(R"({"nodes": [
    {"id": "a", "kind": "delay", "for": "1d", "next": "b"},
    {"id": "b", "kind": "delay", "for": "1d", "next": "a"}]})"));
  const auto refused = Workflows(desk).save(round);
  std::printf("%s\n", refused ? "?" : to_string(refused.error()).c_str());

  const Repository<PurchaseOrder> orders(desk);
  for (const auto& [supplier, cents] :
       {std::pair{"Ahorn", 4'000}, {"Birke", 250'000}, {"Erle", 990'000}}) {
    PurchaseOrder order;
    order.supplier = supplier;
    order.cents = cents;
    BUREAU_TRY(order, orders.insert(order));
    order.status = OrderStatus::submitted;
    BUREAU_TRY_VOID(orders.update(order));
  }
  work(*office, clock, 1s);
  BUREAU_TRY_VOID(print_runs(desk));
  BUREAU_TRY_VOID(decide(desk, "Pay 250000 cents?", true, "in the budget"));
  work(*office, clock, 1s);
  BUREAU_TRY_VOID(print_runs(desk));

  office.reset();  // the program ends, and is started again
  BUREAU_TRY(office, start(path, clock));
  BUREAU_TRY(const Session later, office->session(tenant.id, mara.id));
  work(*office, clock, 24h);
  BUREAU_TRY_VOID(decide(later, "Buy from Birke?", true, "we need it"));
  BUREAU_TRY_VOID(decide(later, "Buy from Erle?", true, "why not"));
  work(*office, clock, 1s);
  BUREAU_TRY_VOID(print_runs(later));
  work(*office, clock, 24h * 5);
  BUREAU_TRY_VOID(print_runs(later));
  return office->stop();
}

int main(int argc, char** argv) {
  const auto done = purchase_orders(argc > 1 ? argv[1] : "office.db");
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
