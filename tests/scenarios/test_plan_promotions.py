"""A plan on promotion: cheaper while it holds, and so is what recurs."""

from decimal import Decimal

import pytest

from farebox.billing.pricing.model_promotions import Promotion
from farebox.billing.pricing.service_promotions import create_promotion, end_promotion
from farebox.billing.reports.service_recurring import recurring
from farebox.kernel.ids import record_id
from tests.support.renewals import Renewals
from tests.support.services import ADA, now, run


@pytest.fixture
def stage(billing, clock):
    made = Renewals(billing, clock)
    made.card()
    return made


def promote(stage, plan, percent):
    promotion = Promotion(
        id=record_id("prm"), name="Spring", of="plan", code=plan, percent=Decimal(percent),
        valid_from=now(stage.billing), created_at=0,
    )  # fmt: skip
    return run(stage.billing, create_promotion, ADA, promotion)


def test_a_period_that_is_billed_while_a_promotion_holds_costs_less_and_says_so(stage):
    made = promote(stage, "basic", 20)
    one = stage.subscribe()
    assert stage.bills(one) == [("2027-01-31", "2027-02-28", 800, "paid")]
    [line] = stage.invoices(one)[0].lines
    assert line.sold.description.endswith("(Spring)")
    [row] = run(stage.billing, recurring)
    assert row.mrr == 800
    run(stage.billing, end_promotion, ADA, made.id)
    stage.live("2027-02-28T12:00")
    assert [total for _, _, total, _ in stage.bills(one)] == [800, 1000]
    [row] = run(stage.billing, recurring)
    assert row.mrr == 1000
