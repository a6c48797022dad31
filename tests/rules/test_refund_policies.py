"""What goes back, by policies and by charges: tables."""

import pytest

from farebox.billing.orders.model import HOUR_US, Charge
from farebox.billing.orders.model_refunds import (
    RefundExceeds,
    RefundFacts,
    RefundPolicyRefused,
    RefundRule,
)
from farebox.billing.orders.rules_refunds import (
    DEFAULTS,
    MOST_RULES,
    check_rules,
    parts_of,
    percent_of,
    refund_of,
)
from farebox.kernel.refusals import ValueRefused

DAY = 24 * HOUR_US
START = 100 * DAY


def facts(left, *, played=False, reason="own_wish", ordered_at=0):
    """Return the facts so long before the start (after it, if negative)."""
    now = START - left
    return RefundFacts(
        now=now, ordered_at=ordered_at, starts_at=START, played_at=now if played else None,
        reason=reason,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of", "asked", "percent"),
    [
        ("online_rental", facts(1), "100"),
        ("online_rental", facts(0), "50"),
        ("online_rental", facts(-HOUR_US), "50"),
        ("online_rental", facts(-HOUR_US, played=True), "0"),
        ("online_rental", facts(-HOUR_US, played=True, reason="our_fault"), "100"),
        ("online_rental", facts(-HOUR_US, reason="illness"), "50"),
        ("theatre_ticket", facts(10 * DAY), "100"),
        ("theatre_ticket", facts(10 * DAY - 1), "50"),
        ("theatre_ticket", facts(5 * DAY), "50"),
        ("theatre_ticket", facts(5 * DAY - 1), "30"),
        ("theatre_ticket", facts(3 * DAY), "30"),
        ("theatre_ticket", facts(3 * DAY - 1), "0"),
        ("theatre_ticket", facts(-1), "0"),
        ("theatre_ticket", facts(HOUR_US, reason="illness"), "100"),
        ("theatre_ticket", facts(-HOUR_US, reason="illness"), "0"),
        ("theatre_ticket", facts(-HOUR_US, reason="our_fault"), "100"),
        ("purchase", facts(0, ordered_at=START - DAY), "100"),
        ("purchase", facts(0, ordered_at=START - DAY - 1), "0"),
        ("purchase", facts(0, ordered_at=START - DAY, played=True), "0"),
        ("product", facts(0, ordered_at=START - DAY), "100"),
        ("credits", facts(0, ordered_at=START), "0"),
        ("credits", facts(0, reason="our_fault"), "100"),
    ],
)
def test_what_goes_back_by_default(of, asked, percent):
    assert percent_of(DEFAULTS[of], asked) == percent


def test_what_has_no_start_has_not_started_and_is_not_ahead():
    asked = RefundFacts(now=5, ordered_at=0)
    assert percent_of((RefundRule(started=True, percent="1"),), asked) == "0"
    assert percent_of((RefundRule(hours_before_start=0, percent="1"),), asked) == "0"
    assert percent_of((RefundRule(started=False, percent="1"),), asked) == "1"


def test_the_first_rule_that_fits_decides():
    rules = (RefundRule(played=True, percent="3"), RefundRule(percent="7"), RefundRule(percent="9"))
    assert percent_of(rules, facts(0)) == "7"
    assert percent_of(rules, facts(0, played=True)) == "3"


@pytest.mark.parametrize(
    ("percent", "charged", "refunded", "back"),
    [
        ("100", 36000, 0, 36000), ("50", 36000, 0, 18000), ("50", 28333, 0, 14167),
        ("0", 36000, 0, 0), ("100", 36000, 36000, 0), ("50", 36000, 30000, 6000),
        ("33.33", 10000, 0, 3333),
    ],
)  # fmt: skip
def test_a_percentage_goes_back_rounded_half_up_and_never_more_than_is_left(
    percent, charged, refunded, back
):
    assert refund_of(percent, charged, refunded) == back


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (RefundRule(percent="101"),),
        (RefundRule(percent="-1"),),
        (RefundRule(percent="half"),),
        (RefundRule(percent="10", hours_before_start=-1),),
        (RefundRule(percent="10", hours_since_order=10**9),),
        (RefundRule(percent="1"),) * (MOST_RULES + 1),
    ],
)
def test_rules_that_cannot_be_applied_are_refused(rules):
    with pytest.raises(RefundPolicyRefused):
        check_rules(rules)


@pytest.mark.parametrize("of", sorted(DEFAULTS))
def test_the_default_policies_can_be_applied(of):
    assert check_rules(DEFAULTS[of]) == DEFAULTS[of]


def charge(name, gross, *, refunded=0, at=0, taxes=None, commission=0):
    return Charge(
        id=name, order="ord", line="orl", gross=gross, taxes=taxes or {}, commission=commission,
        owner=None, operation=1, payment=None, refunded=refunded, at=at,
    )  # fmt: skip


def test_an_amount_is_taken_from_the_latest_charge_first():
    charges = [charge("chg_1", 360, at=1), charge("chg_2", 120, at=2)]
    assert [(part.charge, part.gross) for part in parts_of(charges, 200)] == [
        ("chg_2", 120), ("chg_1", 80),
    ]  # fmt: skip


def test_taxes_and_commission_of_parts_add_up_to_those_of_the_charge():
    taxes, back = {"vat": 47, "city": 3}, {"vat": 0, "city": 0, "ours": 0, "gross": 0}
    one = charge("chg_1", 283, taxes=taxes, commission=35)
    for amount in (1, 100, 41, 141):
        [part] = parts_of([one], amount)
        for code, tax in part.taxes.items():
            back[code] += tax
        back["ours"] += part.commission
        back["gross"] += part.gross
        one = charge("chg_1", 283, taxes=taxes, commission=35, refunded=back["gross"])
    assert back == {"vat": 47, "city": 3, "ours": 35, "gross": 283}


@pytest.mark.parametrize("amount", [361, 10**15])
def test_more_than_is_left_is_refused(amount):
    with pytest.raises(RefundExceeds):
        parts_of([charge("chg_1", 400, refunded=40)], amount)


@pytest.mark.parametrize("amount", [0, -1, True, "1"])
def test_an_amount_that_is_none_is_refused(amount):
    with pytest.raises(ValueRefused):
        parts_of([charge("chg_1", 400)], amount)
