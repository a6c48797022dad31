"""Promotions: what one takes off, which of several does, when it holds, and which are refused."""

from decimal import Decimal

import pytest

from farebox.billing.pricing.model_money import CurrencyUnknown
from farebox.billing.pricing.model_prices import Priced, PriceRefused
from farebox.billing.pricing.model_promotions import Promotion, PromotionRefused
from farebox.billing.pricing.rules_promotions import best, check_promotion, off
from farebox.kernel.refusals import ValueRefused

DAY = 86_400_000_000
MAUSER = Priced(of="item", code="mauser", offer="online", period_hours=24)


def promotion(**terms):
    wanted = {
        "id": "prm_1", "name": "Autumn", "of": "item", "code": "mauser", "valid_from": DAY,
        "created_at": 0, **terms,
    }  # fmt: skip
    if isinstance(wanted.get("percent"), str):
        wanted["percent"] = Decimal(wanted["percent"])
    return Promotion(**wanted)


def rub(amount, **terms):
    return promotion(amount=amount, currency="RUB", **terms)


def taken(promotions, list_fee=45_000, *, priced=MAUSER, currency="RUB", now=DAY):
    found = best(promotions, list_fee, priced=priced, currency=currency, now=now)
    return None if found is None else (found.id, found.off)


@pytest.mark.parametrize(
    ("list_fee", "terms", "wanted"),
    [
        (33_333, {"percent": "15"}, 5_000),  # 49.9995 is 50.00: to pay 283.33
        (45_000, {"percent": "20"}, 9_000),
        (101, {"percent": "0.5"}, 1),  # half a kopeck goes up
        (99, {"percent": "0.5"}, 0),
        (45_000, {"percent": "100"}, 45_000),
        (45_000, {"percent": "33.333333333333"}, 15_000),
        (0, {"percent": "50"}, 0),
    ],
)
def test_a_percentage_is_rounded_half_up_on_the_line(list_fee, terms, wanted):
    assert off(promotion(**terms), list_fee) == wanted


def test_an_amount_takes_off_no_more_than_there_is():
    assert off(rub(5_000), 45_000) == 5_000
    assert off(rub(5_000), 3_000) == 3_000


@pytest.mark.parametrize(
    ("terms", "holds"),
    [
        ({}, True),
        ({"offer": "online"}, True),
        ({"offer": "online", "period_hours": 24}, True),
        ({"offer": "hall"}, False),
        ({"offer": "online", "period_hours": 48}, False),
        ({"code": "seagull"}, False),
        ({"of": "product"}, False),
        ({"valid_from": DAY + 1}, False),
        ({"valid_until": DAY}, False),
        ({"valid_until": DAY + 1}, True),
    ],
)
def test_a_promotion_holds_for_what_it_is_of_from_its_start_to_before_its_end(terms, holds):
    assert (taken([promotion(percent="20", **terms)]) is not None) is holds


def test_an_amount_holds_in_its_own_currency():
    assert taken([rub(100)]) == ("prm_1", 100)
    assert taken([rub(100)], currency="USD") is None


def test_of_several_the_one_that_takes_most_counts_and_they_are_never_added_up():
    a, b, c = (
        promotion(id="a", percent="20"), rub(9_500, id="b"), promotion(id="c", percent="10"),
    )  # fmt: skip
    assert taken([a, b, c]) == ("b", 9_500)
    assert taken([a, b, c], 60_000) == ("a", 12_000)
    newer = promotion(id="d", percent="20", created_at=5)
    assert taken([newer, a]) == taken([a, newer]) == ("d", 9_000)


def test_what_takes_nothing_off_is_no_promotion():
    assert taken([promotion(percent="1")], 1) is None
    assert taken([]) is None


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        ({}, PromotionRefused),
        ({"percent": "10", "amount": 5, "currency": "RUB"}, PromotionRefused),
        ({"percent": "0"}, PromotionRefused),
        ({"percent": "100.5"}, PromotionRefused),
        ({"percent": "NaN"}, PromotionRefused),
        ({"percent": "1.0000000000001"}, PromotionRefused),
        ({"percent": "10", "currency": "RUB"}, PromotionRefused),
        ({"amount": 5}, PromotionRefused),
        ({"amount": 0, "currency": "RUB"}, PromotionRefused),
        ({"amount": 5, "currency": "XXX"}, CurrencyUnknown),
        ({"percent": "10", "valid_until": DAY}, PromotionRefused),
        ({"percent": "10", "period_hours": 24}, PriceRefused),
        ({"percent": "10", "of": "plan", "offer": "online"}, PriceRefused),
        ({"percent": "10", "code": "no code"}, ValueRefused),
        ({"percent": "10", "name": ""}, ValueRefused),
    ],
)
def test_what_could_never_be_applied_as_it_says_is_refused(terms, refusal):
    with pytest.raises(refusal):
        check_promotion(promotion(**terms))
