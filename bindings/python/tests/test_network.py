"""What is between agents: what they say, whom they are connected with, a picture of it."""

from datetime import timedelta

import pytest

import bureau
from bureau import ConfiguredAgent


@pytest.fixture
def agents(desk):
    return desk[ConfiguredAgent].insert_all([
        ConfiguredAgent(name=name, squad="desk", role="agent", kinds=[], config={}) for name in ("triage", "routing", "draft")])


def test_what_agents_say_to_one_another(desk, agents):
    triage, routing, _ = agents
    asked = desk.network.record(triage, routing, type="request", subject="Whose is it?", body={"ticket": 1})
    assert (asked.from_agent, asked.to_agent, asked.type, asked.body) == (triage.id, routing.id, "request", {"ticket": 1})
    answer = desk.network.record(routing, triage, type="response", in_reply_to=asked, body={"team": "cards"})
    assert desk.network.responses(asked) == [answer] and desk.network.responses(answer) == []
    said = desk.write(lambda unit: unit.network.record(triage.id, routing.id))
    assert (said.type, said.subject) == ("notification", "")
    for options, words in [({"type": "response"}, "in_reply_to"), ({"type": "requst"}, "type.*request"),
                           ({"in_reply_to": asked}, "in_reply_to"), ({"body": {1}, "subject": 3}, "subject")]:
        with pytest.raises(bureau.Invalid, match=words):
            desk.network.record(triage, routing, **options)
    for one, other, words in [(triage, triage, "itself"), (None, triage, "from_agent"), (triage, asked, "to_agent")]:
        with pytest.raises(bureau.Invalid, match=words):
            desk.network.record(one, other)


def test_who_is_connected_with_whom(desk, agents):
    triage, routing, draft = agents
    made = desk.network.connect(routing, triage, type="command", strength=0.5, latency="20ms", bandwidth_kbps=100)
    assert {made.a, made.b} == {triage.id, routing.id}
    assert (made.type, made.strength, made.latency, made.bandwidth_kbps) == ("command", 0.5, timedelta(milliseconds=20), 100)
    with pytest.raises(bureau.Exists):
        desk.network.connect(triage, routing)
    assert desk.network.set_status(made, "failed").status == "failed"
    with pytest.raises(bureau.Conflict):
        desk.network.set_status(made, "degraded")
    for options, words in [({"strength": 2.0}, "strength"), ({"latency": -1}, "latency"), ({"bandwidth_kbps": -1}, "bandwidth_kbps"),
                           ({"type": "psychic"}, "type"), ({"strength": "x"}, "strength")]:
        with pytest.raises(bureau.Invalid, match=words):
            desk.network.connect(triage, draft, **options)
    with pytest.raises(bureau.Invalid, match="itself"):
        desk.network.connect(draft, draft)
    with pytest.raises(bureau.Invalid, match="status"):
        desk.network.set_status(made, "broken")


def test_a_picture_of_it(desk, agents):
    triage, routing, draft = agents
    node = desk.network.place("left", agent=triage, x=-1.5, color="#00ff00")
    assert (node.node_type, node.x, node.size, node.status) == ("agent", -1.5, 1.0, "active")
    hub = desk.network.place("hub", node_type="hub")
    assert desk.network.degree(node) == desk.network.degree(hub) == 0
    desk.network.connect(triage, routing)
    desk.network.connect(draft, triage)
    assert desk.network.degree(node) == 2
    moved = desk.network.place("left", agent=triage, y=2)
    assert (moved.id, moved.x, moved.y, moved.color) == (node.id, 0.0, 2.0, "")
    for name, options, words in [("a", {}, "agent"), ("", {"node_type": "hub"}, "name"), ("a", {"agent": triage, "size": 0.0}, "size"),
                                 ("a", {"agent": triage, "color": "green"}, "color"), ("a", {"agent": triage, "hight": 1}, "hight"),
                                 ("a", {"agent": triage, "x": float("nan")}, "x"), ("a", {"node_type": "star"}, "node_type")]:
        with pytest.raises(bureau.Invalid, match=words):
            desk.network.place(name, **options)
    with pytest.raises(bureau.NotFound):
        desk.network.degree("nnd_000000000000a")


def test_people_see_it_and_managers_keep_it(desk, agents):
    ann = desk[bureau.User].insert(bureau.User(email="ann@example.com", role="agent"))
    with pytest.raises(bureau.Forbidden):
        desk.user(ann).network.connect(agents[0], agents[1])
    eve = desk[bureau.User].insert(bureau.User(email="eve@example.com", role="manager"))
    assert desk.user(eve).network.connect(agents[0], agents[1]).status == "active"
