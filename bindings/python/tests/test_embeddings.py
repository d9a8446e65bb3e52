"""Embedders that are Python's, and what runs have them make of texts."""

import array
import asyncio
import math
import subprocess
import sys

import pytest

import bureau
from bureau import Embedded, Embedder, Retry
from bureau.testing import ScriptedEmbedder, crash_everywhere

numpy = pytest.importorskip("numpy")


@bureau.task(retry=Retry.fixed(3, 10))
class Look:
    texts: list[str]


@pytest.fixture
def office(simulation):
    return simulation.office


def embeds(office, embedder, failures=0, **options):
    """Handlers that embed their texts; what they were given."""
    given = []

    @office.agent(Look)
    def look(run, payload):
        given.append(run.embed(embedder, payload.texts, **options))
        if run.attempt <= failures:
            raise bureau.Unavailable("afterwards")
        return given[-1].vectors.tolist()

    return given


TEXTS = ["my grinder howls", "the grinder howls", "two invoices"]


def test_texts_are_asked_for_once(simulation, office):
    embedder = ScriptedEmbedder(8)
    given = embeds(office, embedder, failures=2, batch=2)
    task = office.enqueue(Look(TEXTS))
    simulation.run("5m")
    assert embedder.calls == [TEXTS[:2], TEXTS[2:]] and len(given) == 3
    assert [step.name for step in office.tasks.steps(task)] == ["embed", "embed"]
    last = given[-1]
    assert isinstance(last, Embedded) and last.vectors.shape == (3, 8) and last.vectors.dtype == numpy.float32
    assert last.input_tokens == 8 and (last.vectors == given[0].vectors).all()
    assert numpy.allclose(last.vectors, ScriptedEmbedder(8).embed(TEXTS)["vectors"])
    near = last.vectors @ last.vectors.T
    assert numpy.allclose(near.diagonal(), 1) and near[0, 1] > near[0, 2]
    assert office.tasks.result(task) == last.vectors.tolist()


WHOLE = [[1.0, -0.5], [0.25, 2.0], [3.0, 0.0]]


@pytest.mark.parametrize("answer", [
    WHOLE, tuple(map(tuple, WHOLE)), iter(WHOLE), [[1, -0.5], [0.25, 2], [3, 0]], numpy.array(WHOLE), numpy.array(WHOLE, "f4"),
    numpy.array(WHOLE, "f2"), numpy.array(WHOLE, ">f8"), numpy.array(WHOLE).T.copy().T, [numpy.array(one, "f4") for one in WHOLE],
    numpy.array([one * 2 for one in WHOLE])[:, ::2], [array.array("f", one) for one in WHOLE], [array.array("d", one) for one in WHOLE],
    memoryview(numpy.array(WHOLE)), {"vectors": WHOLE}, {"vectors": numpy.array(WHOLE), "input_tokens": 4},
], ids=lambda one: type(one).__name__)
def test_vectors_come_as_what_has_numbers(simulation, office, answer):
    wanted = numpy.array([one * 2 for one in WHOLE])[:, ::2] if getattr(answer, "strides", None) == (32, 16) else numpy.array(WHOLE)
    given = embeds(office, ScriptedEmbedder(2).gives(answer))
    task = office.enqueue(Look(TEXTS))
    simulation.run("1m")
    assert office.tasks.get(task).status == "completed", office.tasks.get(task).error
    assert (given[0].vectors == wanted).all()
    assert given[0].input_tokens == (4 if isinstance(answer, dict) and "input_tokens" in answer else None)


@pytest.mark.parametrize("answer, words", [
    (WHOLE[:2], "there are 2 for 3 texts"), ([], "there are 0 for 3 texts"), (WHOLE * 2, "there are 6"),
    ([[1.0]] * 3, "number 0 has 1 numbers; the embedder has 2 dimensions"), ([*WHOLE[:2], []], "number 2 has 0 numbers"),
    (numpy.zeros((3, 3)), "number 0 has 3 numbers"), (numpy.zeros((0, 2)), "there are 0"), (numpy.zeros(6), "not float64|not .*float"),
    ([[1.0, math.nan]] * 3, "nan at place 1"), (numpy.full((3, 2), numpy.inf), "inf at place 0"), ([[1e300, 0.0]] * 3, "inf at place 0"),
    (None, "a list of vectors is wanted, not NoneType"), (3, "not int"), ("abc", "number 0 has a str"), ([1, 2, 3], "number 0 is to be a list"),
    ([["a", "b"]] * 3, "number 0 has a str at place 0"), ([[None, 1.0]] * 3, "NoneType"), ({"vectors": WHOLE, "tokens": 3}, "tokens"),
    ({"input_tokens": 3}, "not NoneType"), ({"vectors": WHOLE, "input_tokens": -1}, "input_tokens"),
    ({"vectors": WHOLE, "input_tokens": "x"}, "input_tokens"), (numpy.zeros((3, 2, 2)), "number 0"), (b"abc", "number 0"),
    (numpy.array([["a", "b"]] * 3), "number 0 has a numpy.str_"),
])
def test_what_is_no_answer_is_told_and_not_asked_for_again(simulation, office, answer, words):
    import re

    embedder = ScriptedEmbedder(2).gives(answer)
    embeds(office, embedder)
    task = office.enqueue(Look(TEXTS))
    simulation.run("5m")
    row = office.tasks.get(task)
    assert (row.status, row.error_code) == ("dead", "invalid") and re.search(words, row.error), row.error
    assert len(embedder.calls) == 1


def test_what_cannot_be_asked(simulation, office):
    good = ScriptedEmbedder(2)
    told = []

    @office.agent(Look)
    def look(run, payload):
        for embedder, texts, options in [
                (good, "one text", {}), (good, [""], {}), (good, [3], {}), (good, ["\ud800"], {}), (good, None, {}), (Embedder(), ["a"], {}),
                (ScriptedEmbedder(-1), ["a"], {}), (ScriptedEmbedder(100_000), ["a"], {}), (good, ["a"], {"batch": 0}),
                (good, ["a"], {"batch": -1}), (good, ["a"], {"exhausted": "sulk"}), (good, ["a"], {"bach": 3}), (good, ["a"], {"price": 3.0}),
                (good, ["a"], {"price": "-1 USD"}), (good, ["a"], {"effect": "unsafe"}), (good, ["a"], {"time": "soon"})]:
            with pytest.raises(bureau.Invalid) as caught:
                run.embed(embedder, texts, **options)
            told.append(caught.value.field)
        with pytest.raises(AttributeError):
            run.embed(object(), ["a"])
        return run.embed(good, []).vectors.shape[0]

    task = office.enqueue(Look([]))
    simulation.run("1m")
    assert office.tasks.result(task) == 0, told
    assert told == ["texts"] * 5 + ["dimensions"] * 3 + ["batch", "batch", "exhausted", "bach", "price", "input", "effect", "time"]
    assert good.calls == []


def test_an_embedder_that_fails_is_asked_again_for_the_rest(simulation, office):
    embedder = ScriptedEmbedder(2).gives(WHOLE[:2]).fails(bureau.Unavailable("no line")).fails(ConnectionError("cut off"))
    given = embeds(office, embedder, batch=2)
    task = office.enqueue(Look(TEXTS))
    simulation.run("5m")
    assert office.tasks.get(task).status == "completed"
    assert embedder.calls == [TEXTS[:2]] + [TEXTS[2:]] * 3 and (given[0].vectors[:2] == WHOLE[:2]).all()


def test_a_call_has_a_key_that_stays(simulation, office):
    keys = []

    class Keyed(Embedder):
        dimensions = 2

        def embed(self, texts, *, key):
            keys.append(key)
            if len(keys) == 1:
                raise bureau.UnknownOutcome("cut off")
            return [[1.0, 2.0]] * len(texts)

    embeds(office, Keyed(), batch=2)
    task = office.enqueue(Look(TEXTS))
    simulation.run("5m")
    assert office.tasks.get(task).status == "completed"
    assert len(keys) == 3 and keys[0] == keys[1] != keys[2] and all(keys)


def test_embedding_keeps_within_a_budget(simulation, office):
    budget = office.budgets.create("project", tokens=1000, money="1.00 USD")
    embedder = ScriptedEmbedder(2)
    embeds(office, embedder, price="20.00 USD", price_per=1000)
    task = office.enqueue(Look(TEXTS), budget=budget)
    simulation.run("1m")
    assert office.tasks.get(task).status == "completed", office.tasks.get(task).error
    spent = office.budgets.state(budget).spent
    assert (spent.tokens, spent.calls, str(spent.money)) == (8, 1, "0.16")
    refused = office.enqueue(Look(TEXTS * 10), budget=budget)
    simulation.run("5m")
    assert (office.tasks.get(refused).status, office.tasks.get(refused).error_code) == ("dead", "exhausted")
    assert len(embedder.calls) == 1


def test_what_has_no_price_is_refused_where_money_is_limited(simulation, office):
    budget = office.budgets.create("project", money="1.00 USD")
    embedder = ScriptedEmbedder(2)
    embeds(office, embedder)
    task = office.enqueue(Look(TEXTS), budget=budget)
    simulation.run("5m")
    assert office.tasks.get(task).status == "dead" and "price" in office.tasks.get(task).error and embedder.calls == []


def test_coroutines_embed_too(desk):
    class Slow(ScriptedEmbedder):
        async def embed(self, texts):
            await asyncio.sleep(0)
            self.loops = [*getattr(self, "loops", []), asyncio.get_running_loop()]
            return super().embed(texts)

    slow, quick, told = Slow(4), ScriptedEmbedder(4), []

    @desk.agent(Look)
    async def look(run, payload):
        return [(await run.embed(one, payload.texts)).vectors.tolist() for one in (slow, quick)]

    @desk.agent("plain")
    def plain(run, payload):
        run.embed(slow, ["a"])

    async def main():
        serving = asyncio.create_task(desk.serve())
        tasks = [desk.enqueue(Look(TEXTS)), desk.enqueue({}, kind="plain")]
        told.extend([await asyncio.to_thread(desk.tasks.wait, task) for task in tasks])
        loop = asyncio.get_running_loop()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return loop

    loop = asyncio.run(main())
    assert told[0].status == "completed" and told[0].result[0] == told[0].result[1] and slow.loops == [loop]
    assert told[1].error_code == "invalid" and "coroutine" in told[1].error and slow.calls == quick.calls == [TEXTS]


def test_what_died_anywhere_is_asked_again_once_at_most():
    calls = []

    class Counted(ScriptedEmbedder):
        def embed(self, texts):
            calls.append(texts)
            return super().embed(texts)

    def agents(office):
        embeds(office, Counted(4), batch=1)

    def begin(office):
        calls.clear()
        office.tenant("T", create=True).enqueue(Look(TEXTS))

    def check(office):
        task = office[bureau.Task].first()
        assert task.status == "completed" and len(task.result) == 3
        assert len(calls) <= 4 and {tuple(one) for one in calls} == {(text,) for text in TEXTS}

    report = crash_everywhere(agents=agents, begin=begin, check=check)
    assert report, report.text
    assert report.crashes > 3


def test_numpy_is_not_needed():
    code = """
import sys
sys.modules["numpy"] = None  # as where there is none
import bureau
from bureau.testing import ScriptedEmbedder, Simulation
with Simulation() as simulation:
    @simulation.office.agent("look")
    def look(run, payload):
        embedded = run.embed(ScriptedEmbedder(2).gives([[1.0, -0.5], [0.25, 2]]), ["a", "b"])
        assert embedded.vectors == [[1.0, -0.5], [0.25, 2.0]] and type(embedded.vectors[0]) is list
        return run.embed(ScriptedEmbedder(2), []).vectors
    task = simulation.office.enqueue({}, kind="look")
    simulation.run("1m")
    assert simulation.office.tasks.result(task) == []
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
