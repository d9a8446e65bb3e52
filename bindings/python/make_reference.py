#!/usr/bin/env python3
"""Writes the reference of the Python package from its docstrings: make_reference.py FILE"""

import dataclasses
import inspect
import pathlib
import re
import sys

import bureau
from bureau import classifier, desk, desk_agents, domains, feed, flow, housekeeping, inbox, network, rewards, tasks, testing, workflows
from bureau import errors as errors_module

HEAD = """# Reference of the Python package

Made of the docstrings by `./dev docs`. [python.md](python.md) explains; here is what there is. The classes of rows and of their
enumerations are made from the engine's descriptions: `dir(bureau)` lists them, and an editor knows their columns.
"""
SECTIONS = [
    ("Offices", ["open", "Office", "Session", "Unit", "Scope", "Repository", "Page"]),
    ("Conditions and rows", ["Row", "Column", "Predicate", "Choice", "entity", "column"]),
    ("Agents and runs", ["task", "TaskKind", "Retry", "Agent", "Run", "Child", "Verdict"]),
    ("Models", ["LanguageModel", "Tool", "Conversed", "Embedder", "Embedded"]),
    ("The desk's agents", ["TextClassifier", "Prediction", "CrossValidation", "StoredClassifier", "TriageAgent", "TriageTicket",
                           "TriageResult", "RoutingAgent", "RouteTicket", "RouteResult", "ResponderAgent", "DraftReply", "DraftResult"]),
    ("Operating", ["describe_backup", "restore", "verify", "move", "Backup", "Restored", "OfficeDigest", "TableDigest", "Moved",
                   "Health", "HealthComponent", "Migration", "migrator", "Migrator", "MigrationStatus", "MigrationStep"]),
    ("What a program brings", ["Notifier", "Clock", "Scheduler", "Runner", "Policy", "HiddenColumns"]),
]
DOMAINS = [domains.Tickets, desk.BulkReport, desk.CannedReplies, desk.SavedViews, desk.Macros, desk.Triggers, desk.Presences,
           desk_agents.ReplyTemplates, classifier.Classifiers, network.AgentNetwork,
           domains.Deals, domains.Funnel, domains.FunnelStep, tasks.Tasks, flow.Flow, flow.Budgets, flow.BudgetState, flow.Amounts, tasks.Approvals, domains.Schedules, domains.Notifications, domains.Notified,
           inbox.Inbox, inbox.InboxCount, inbox.Preferences, domains.Webhooks, workflows.Workflows, workflows.WorkflowWait,
           workflows.WorkflowStep, rewards.Achievements, rewards.Points,
           rewards.Streaks, rewards.Streak, housekeeping.Roster, housekeeping.RosterReport,
           housekeeping.AgentInfo, housekeeping.Housekeeping, rewards.Leaderboards, rewards.Leaderboard, rewards.LeaderboardLine, feed.Feed,
           feed.Event, feed.Subscription]


class Bare:
    """An annotation as it was written."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text.replace("_bureau.", "").removesuffix(" | Any")


def signature(made):
    try:
        found = inspect.signature(made)
    except (TypeError, ValueError):  # of the module: its docstring may begin with it
        first = (made.__doc__ or "").partition("\n")[0]
        return re.sub(r"\(self: [^,)]*(, )?", "(", first[len(made.__name__):]) if "(self: " in first else "(...)"
    parameters = [one.replace(annotation=one.annotation if one.annotation is one.empty else Bare(one.annotation),
                              default=Bare("...") if " at 0x" in repr(one.default) else one.default)
                  for one in found.parameters.values() if one.name != "self"]
    result = found.return_annotation
    told = result not in (found.empty, "None", None)
    return str(found.replace(parameters=parameters, return_annotation=Bare(result) if told else found.empty))


def text_of(made):
    text = inspect.cleandoc(made.__doc__ or "").strip()
    return text.partition("\n\n")[2] if text.startswith(f"{getattr(made, '__name__', ' ')}(self: ") else text


def member_lines(cls, name, made):
    if isinstance(made, property):
        yield f"- `{name}`: {' '.join(text_of(made).split())}"
        return
    function = made.__func__ if isinstance(made, (staticmethod, classmethod)) else made
    words = text_of(function)
    if not words:
        raise SystemExit(f"{cls.__name__}.{name}: it has no docstring")
    mark = "await " if inspect.iscoroutinefunction(function) else ""
    yield f"- `{mark}{name}{signature(function)}`  "
    first, _, rest = words.partition("\n\n")
    yield "  " + " ".join(first.split())
    if rest:
        yield ""
        yield from ("  " + line if line else "" for line in rest.splitlines())


def class_lines(cls):
    yield f"### {cls.__name__}"
    yield ""
    if dataclasses.is_dataclass(cls):
        yield f"`{cls.__name__}{signature(cls)}`"
        yield ""
    yield from text_of(cls).splitlines()
    members = [(name, made) for name, made in vars(cls).items()
               if not name.startswith("_") and (callable(made) or isinstance(made, (property, staticmethod, classmethod)))]
    if members:
        yield ""
    for name, made in members:
        yield from member_lines(cls, name, made)
    yield ""


def function_lines(made):
    yield f"### {made.__name__}"
    yield ""
    yield f"`{made.__name__}{signature(made)}`"
    yield ""
    yield from text_of(made).splitlines()
    yield ""


def lines_of(made):
    if not text_of(made):
        raise SystemExit(f"{made.__name__}: it has no docstring")
    return class_lines(made) if isinstance(made, type) else function_lines(made)


def reference():
    lines = HEAD.splitlines() + [""]
    told = set()
    for title, names in SECTIONS:
        lines += [f"## {title}", ""]
        for name in names:
            lines += lines_of(getattr(bureau, name))
            told.add(name)
    lines += ["## Domains", ""]
    for made in DOMAINS:
        lines += lines_of(made)
    lines += ["## Errors", ""]
    for name in errors_module.__all__:
        made = getattr(errors_module, name)
        lines.append(f"- `{name}`: {' '.join(text_of(made).split())}")
        told.add(name)
    lines += ["", "## bureau.testing", "", *text_of(testing).splitlines(), ""]
    for name in testing.__all__:
        lines += lines_of(getattr(testing, name))
    left = set(bureau.__all__) - told
    if left:
        raise SystemExit(f"public, and in no section: {', '.join(sorted(left))}")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(reference())
