// What is between the agents of a tenant: what they say, whom they are connected with, a picture.

#include "bureau/work/agent_network.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

template <class T>
Id<T> required_id(Given& given, const char* name) {
  const auto id = given.maybe_id<T>(name);
  if (!id) raise(Code::invalid, fmt::format("{}: it is required", name), name);
  return *id;
}

py::object record(const ScopePtr& scope, const py::dict& fields) {
  Given given("network.record", fields);
  NewInteraction made;
  made.from = required_id<ConfiguredAgent>(given, "from_agent");
  made.to = required_id<ConfiguredAgent>(given, "to_agent");
  made.type = given.choice("type", made.type);
  made.in_reply_to = given.maybe_id<AgentInteraction>("in_reply_to");
  made.subject = given.text("subject");
  made.body = given.json("body");
  given.done();
  return row_of(
      in_domain<AgentNetwork>(scope, [&](const AgentNetwork& n) { return n.record(made); }));
}

py::object connect(const ScopePtr& scope, const py::dict& fields) {
  Given given("network.connect", fields);
  NewConnection made;
  made.a = required_id<ConfiguredAgent>(given, "a");
  made.b = required_id<ConfiguredAgent>(given, "b");
  made.type = given.choice("type", made.type);
  made.strength = given.maybe_real("strength").value_or(made.strength);
  made.latency = given.maybe_span("latency");
  made.bandwidth_kbps = given.maybe_integer("bandwidth_kbps");
  given.done();
  return row_of(
      in_domain<AgentNetwork>(scope, [&](const AgentNetwork& n) { return n.connect(made); }));
}

py::object set_status(const ScopePtr& scope, const py::object& connection, const py::dict& fields) {
  const auto id = id_of<AgentConnection>(connection, "connection");
  Given given("network.set_status", fields);
  const auto status = given.choice("status", ConnectionStatus::active);
  given.done();
  return row_of(in_domain<AgentNetwork>(
      scope, [&](const AgentNetwork& n) { return n.set_status(id, status); }));
}

py::object place(const ScopePtr& scope, const py::dict& fields) {
  Given given("network.place", fields);
  NetworkNode node;
  node.name = given.text("name");
  node.node_type = given.choice("node_type", node.node_type);
  node.agent = given.maybe_id<ConfiguredAgent>("agent");
  node.x = given.maybe_real("x").value_or(node.x);
  node.y = given.maybe_real("y").value_or(node.y);
  node.z = given.maybe_real("z").value_or(node.z);
  node.size = given.maybe_real("size").value_or(node.size);
  node.color = given.text("color");
  node.status = given.choice("status", node.status);
  given.done();
  return row_of(
      in_domain<AgentNetwork>(scope, [&](const AgentNetwork& n) { return n.place(node); }));
}

}  // namespace

void init_network(ScopeClass& scope) {
  scope.def("network_record", record)
      .def("network_responses",
           [](const ScopePtr& self, const py::object& request) {
             const auto id = id_of<AgentInteraction>(request, "request");
             return rows_of(from_domain<AgentNetwork>(
                 self, [&](const AgentNetwork& n) { return n.responses(id); }));
           })
      .def("network_connect", connect)
      .def("network_set_status", set_status)
      .def("network_place", place)
      .def("network_degree", [](const ScopePtr& self, const py::object& node) {
        const auto id = id_of<NetworkNode>(node, "node");
        return from_domain<AgentNetwork>(self, [&](const AgentNetwork& n) { return n.degree(id); });
      });
}

}  // namespace bureau_python
