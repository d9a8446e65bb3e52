"""A graph of nodes, as LangGraph has them, run inside one step: its nodes are quick and pure, so the
step's record is the checkpoint. What waits or costs stands between steps.
"""

import sys
from dataclasses import dataclass, field

import bureau

END = "end"


@dataclass
class State:
    question: str
    notes: list[str] = field(default_factory=list)
    answer: str = ""


class Graph:
    def __init__(self):
        self.nodes, self.edges = {}, {}

    def node(self, to):
        """`to` is the next node, or a function of the state that names it."""
        def add(work):
            self.nodes[work.__name__] = work
            self.edges[work.__name__] = to
            return work
        return add

    def run(self, start, state):
        while start != END:
            state = self.nodes[start](state)
            to = self.edges[start]
            start = to(state) if callable(to) else to
        return state


graph = Graph()


@graph.node(to=lambda state: "write" if len(state.notes) >= 2 else "search")
def search(state):
    return State(state.question, [*state.notes, f"note {len(state.notes) + 1} on {state.question}"])


@graph.node(to=END)
def write(state):
    return State(state.question, state.notes, "; ".join(state.notes))


RESEARCH = bureau.TaskKind("research", effect="external_idempotent")


def main(path):
    with bureau.open(path, tenant="Larkfield") as office:
        @office.agent(RESEARCH)
        def research(run, payload):
            state = run.step("graph", lambda: graph.run("search", State(payload["question"])), result=State)
            reader = run.wait_for("reader")  # a person, days later, perhaps another process
            return {"answer": state.answer, "reader": reader}

        task = office.enqueue({"question": "grinders"}, kind=RESEARCH)
        office.work()
        print([step.name for step in office.tasks.steps(task)])
        office.tasks.signal(task, "reader", "Ada")
        office.work()
        print(office.tasks.result(task))


if __name__ == "__main__":
    main(*sys.argv[1:])
