"""Opportunities of another sales system become deals, with their history: import_deals.py OFFICE FOLDER
The folder has products.csv, accounts.csv, sales_teams.csv and sales_pipeline.csv. All rows or none; what is there stays.
"""

import csv
import pathlib
import sys
from datetime import datetime, timezone
from decimal import Decimal

import bureau
from bureau import Account, Deal, Membership, Product, Team, User


def rows(folder, name):
    return list(csv.DictReader((pathlib.Path(folder) / name).read_text("utf-8").splitlines(True)))


def kept(unit, table, condition, **fields):
    """The row for which the condition holds, made of the fields if there is none."""
    return unit[table].first(condition) or unit[table].insert(table(**fields))


def spelling(product):
    return product.replace(" ", "").lower()  # "GTXPro" is "GTX Pro"


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def person(unit, name, role):
    email = name.lower().replace(" ", ".") + "@sales.invalid"
    return kept(unit, User, User.email.iequals(email), email=email, name=name, role=role)


def sellers(unit, folder):
    """Who sells, with his team: a manager's."""
    found = {}
    for row in rows(folder, "sales_teams.csv"):
        name = f"{row['manager']} ({row['regional_office']})"
        team = kept(unit, Team, Team.name == name, name=name)
        found[row["sales_agent"]] = seller = person(unit, row["sales_agent"], "agent"), team
        for user in (seller[0], person(unit, row["manager"], "manager")):
            kept(unit, Membership, (Membership.team == team) & (Membership.user == user), team=team, user=user)
    return found


def past(row):
    """Where a deal was, and since when; nothing for one that comes into its stage now."""
    stages = [("Engaging", row["engage_date"])]
    if row["deal_stage"] in ("Won", "Lost"):
        stages.append((row["deal_stage"], row["close_date"]))
    return [(stage, day(moment)) for stage, moment in stages if moment]


def new_deal(row, product, account, seller):
    value = row["close_value"] or (0 if row["deal_stage"] == "Lost" else product.price)
    fields = {"title": f"{product.name} for {account.name}" if account else product.name, "external_id": row["opportunity_id"],
              "value": Decimal(value), "currency": "USD", "product": product, "account": account, "owner": seller[0],
              "team": seller[1], "past": past(row)}
    if not fields["past"]:
        fields["stage"] = row["deal_stage"]
    if row["deal_stage"] == "Lost":
        fields["lost_reason"] = "not recorded"
    return fields


def take_over(unit, folder):
    products = {spelling(row["product"]): kept(unit, Product, Product.name == row["product"], name=row["product"],
                                               currency="USD", price=Decimal(row["sales_price"]))
                for row in rows(folder, "products.csv")}
    accounts = {row["account"]: kept(unit, Account, Account.external_id == row["account"], name=row["account"],
                                     external_id=row["account"], custom={})
                for row in rows(folder, "accounts.csv")}
    people = sellers(unit, folder)
    known = {deal.external_id for deal in unit[Deal].iter()}
    deals = [new_deal(row, products[spelling(row["product"])], accounts.get(row["account"]), people[row["sales_agent"]])
             for row in rows(folder, "sales_pipeline.csv") if row["opportunity_id"] not in known]
    return len(unit.deals.open_all(deals))


def main(path, folder):
    with bureau.open(path, tenant="Larkfield") as office:
        office.deals.create_pipeline()
        print(f"{office.write(lambda unit: take_over(unit, folder))} deals")
        for line in office.deals.forecast():
            print(f"won {line['won']} {line['currency']}, lost {line['lost_count']}, open {line['open']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
