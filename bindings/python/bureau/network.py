"""What is between the agents of an office."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .agents import span
from .domains import _Domain
from .payloads import encode

if TYPE_CHECKING:
    from ._rows import AgentConnection, AgentInteraction, NetworkNode


class AgentNetwork(_Domain):
    """What the agents of an office say to one another, whom they are connected with, and a picture
    of that: `office.network`. The agents are rows of ConfiguredAgent, which `office.roster` keeps."""

    def record(self, from_agent: Any, to_agent: Any, *, type: str = "notification", subject: str = "",
               body: Any = None, in_reply_to: Any = None) -> AgentInteraction:
        """Keeps what one said to another: a request, response, notification or alert. A response, and
        only one, says to which request."""
        return self._scope.network_record({
            "from_agent": from_agent, "to_agent": to_agent, "type": type, "subject": subject, "body": encode(body),
            "in_reply_to": in_reply_to})

    def responses(self, request: Any) -> list[AgentInteraction]:
        """The responses to a request, the oldest first."""
        return self._scope.network_responses(request)

    def connect(self, a: Any, b: Any, *, type: str = "data", strength: float = 1.0, latency: Any = None,
                bandwidth_kbps: int | None = None) -> AgentConnection:
        """Connects two, in whichever order: neural, data, command or sync. Exists when they are.
        `strength` is from 0 to 1."""
        return self._scope.network_connect({
            "a": a, "b": b, "type": type, "strength": strength, "bandwidth_kbps": bandwidth_kbps,
            "latency": None if latency is None else span(latency, "latency")})

    def set_status(self, connection: Any, status: str) -> AgentConnection:
        """Makes a connection active, degraded, inactive or failed. Conflict where that cannot follow
        from what it is."""
        return self._scope.network_set_status(connection, {"status": status})

    def place(self, name: str, *, node_type: str = "agent", agent: Any = None, **fields: Any) -> NetworkNode:
        """Puts a node into the picture, in place of the one of that name: an agent, hub, gateway or
        store. Also: x, y, z, size, color ("#rrggbb"), status."""
        return self._scope.network_place({"name": name, "node_type": node_type, "agent": agent, **fields})

    def degree(self, node: Any) -> int:
        """How many connections its agent has."""
        return self._scope.network_degree(node)


__all__ = ["AgentNetwork"]
