"""Deals in a data frame, and a picture of the pipeline and the forecast: pipeline.py OFFICE OUT.png"""

import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import bureau  # noqa: E402
from bureau import Deal, Stage  # noqa: E402


def sample(office):
    """A few deals, so that there is something to see; an office of yours has its own."""
    office.deals.create_pipeline()
    for i in range(12):
        deal = office.deals.open(title=f"Roastery {i}", value=Decimal(1000 + 250 * i), currency="EUR",
                                 expected_close=datetime(2026, 12, 1, tzinfo=timezone.utc) + timedelta(days=20 * i))
        if i % 2:
            office.deals.move(deal, "Engaging")
        if i % 5 == 4:
            office.deals.win(deal)


def draw(office, out):
    deals = office[Deal].frame()
    stages = office[Stage].frame(order=Stage.position)
    names = dict(zip(stages["id"], stages["name"]))
    deals["value"] = deals["value_minor"] / 100
    by_stage = deals.groupby(deals["stage"].map(names))["value"].sum().reindex(stages["name"]).fillna(0)
    months = [line for line in office.deals.forecast("month") if line["month"]]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.bar(by_stage.index, by_stage.values)
    left.set_title("Pipeline, EUR by stage")
    labels = [str(line["month"]) for line in months]
    right.bar(labels, [float(line["best_case"]) for line in months], label="best case")
    right.bar(labels, [float(line["weighted"]) for line in months], label="weighted")
    right.set_title("Forecast, EUR by month")
    right.tick_params(axis="x", rotation=60)
    right.legend()
    figure.savefig(out)
    print(by_stage.to_string())


def main(path, out):
    with bureau.open(path, tenant="Larkfield", durability="relaxed") as office:
        if not office[Deal].count():
            sample(office)
        draw(office, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
