"""Kinds of tasks that the tests of agents and of runs have."""

import dataclasses

import bureau


@bureau.task(effect="database")
class Greet:
    ticket: str
    text: str = "We have your message."


@bureau.task()
class Add:
    a: int
    b: int


@dataclasses.dataclass
class Total:
    value: int


def last(office, task):
    return office.tasks.get(task)
