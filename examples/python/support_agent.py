"""A support agent that is a model with tools: it looks an order up, asks a person before it pays
money back, and spends from a budget. The model is scripted: another LanguageModel takes its place.
"""

import sys

import bureau
from bureau import Tool, User
from bureau.testing import ScriptedModel

ORDERS = {"K-7": {"item": "grinder", "price": "129.00 EUR", "state": "damaged"}}
SUPPORT = bureau.TaskKind("support", effect="external_idempotent", run_as="enqueuer")

MODEL = (ScriptedModel()
         .calls("look_up", {"order": "K-7"}, input_tokens=80, output_tokens=12)
         .says("Your grinder arrived damaged. I am asking for your refund.", input_tokens=120, output_tokens=20))


def add_agent(office, model):
    @office.agent(SUPPORT)
    def support(run, payload):
        ticket = payload["ticket"]
        question = run.read(lambda view: view.tickets.conversation(ticket)[0].body)
        look_up = Tool("look_up", "What is known of an order.", lambda given: ORDERS.get(given["order"]),
                       {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]})
        answer = run.converse(model, question, tools=[look_up], max_turns=4)
        refund = {"order": "K-7", "amount": ORDERS["K-7"]["price"]}
        verdict = run.approval("Pay it back?", refund, within="7d")  # rests for days, without a thread

        def effects(unit):
            if verdict.approved:
                unit.approvals.use(verdict.approval, refund)
            unit.tickets.reply(ticket, answer.text)
            unit.tickets.note(ticket, "Refund approved." if verdict.approved else "No refund.")
            return verdict.approved

        return run.complete(effects)


def main(path):
    with bureau.open(path, tenant="Larkfield") as office:
        add_agent(office, MODEL)
        ada = office[User].insert(User(email="ada@example.com", role="customer"))
        ticket = office.tickets.open(customer=ada, body="Order K-7 came in pieces.")
        budget = office.budgets.create("support", tokens=50_000)
        task = office.enqueue({"ticket": ticket.id}, kind=SUPPORT, budget=budget)
        office.work()
        for approval in office.approvals.list():
            print(approval.title, approval.subject)
            office.approvals.decide(approval, True, "Sorry about that.")
        office.work()
        print("refund:", office.tasks.result(task))
        for message in office.tickets.conversation(ticket):
            print(f"{message.sender}: {message.body}")
        print(office["spendings"].aggregate(tokens=("sum", "spent_tokens"))[0]["tokens"], "tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
