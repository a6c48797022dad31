"""Prices: versions that stay for whoever bought on them, and which of several holds."""

from functools import partial
from typing import Any

import pytest

from farebox.billing.pricing import service_prices as prices
from farebox.billing.pricing.model_money import CurrencyUnknown
from farebox.billing.pricing.model_prices import (
    Price,
    PriceArchived,
    Priced,
    PricedUnknown,
    PriceRefused,
    PriceUnknown,
    Recurring,
    Reference,
    ReferenceTaken,
    VersionPassed,
)
from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.refusals import Refusal, ValueRefused
from farebox.platform import service_audit as audit
from tests.support.prices import flat, per_unit, sell, tell, terms
from tests.support.services import ADA, at_once, now, run

STRIPE = Reference(provider="stripe", reference="price_1")
PAYPAL = Reference(provider="paypal", reference="P-1")


def change(database, price, charge, *, expected=None, **more):
    made = terms(charge, **more)
    return run(database, prices.change_price, ADA, price.id, made, expected_version=expected)


def versions(database, price):
    return [one.version for one in run(database, prices.list_price_versions, price.id).items]


def test_a_price_is_read_as_it_was_made(billing):
    made = sell(
        billing, "item", "metropolis", flat("349"), currency="RUB", offer="online",
        period_hours=48, providers=(STRIPE, PAYPAL), metadata={"season": 1, "sale": True},
        tax_behaviour="inclusive", tax_category="film",
    )  # fmt: skip
    assert run(billing, prices.find_price, made.id) == made
    assert (made.version, made.state, made.used) == (1, "active", False)
    assert run(billing, prices.price_of_provider, "paypal", "P-1") == made


# -- versions ------------------------------------------------------------------------------------


def test_a_change_of_a_price_in_use_makes_a_version_and_the_one_before_stays(billing):
    first = sell(billing, "plan", "pro", flat("9.99"), every=("month", 1))
    bought = run(billing, prices.use_price, first.id, 1)
    second = change(billing, first, flat("12.50"), every=("month", 1))
    assert (second.id, second.version, second.used) == (first.id, 2, False)
    assert run(billing, prices.find_price, first.id) == second
    assert run(billing, prices.find_price, first.id, 1) == bought
    assert versions(billing, first) == [2, 1]


def test_a_version_that_nobody_used_is_replaced(billing):
    first = sell(billing, "plan", "pro", flat("9.99"), every=("month", 1))
    second = change(billing, first, flat("12.50"), every=("month", 1))
    assert versions(billing, second) == [2]
    with pytest.raises(PriceUnknown):
        run(billing, prices.use_price, first.id, 1)
    with pytest.raises(PriceUnknown):
        run(billing, prices.find_price, first.id, 1)


def test_the_same_terms_again_change_nothing(billing):
    first = sell(billing, "plan", "pro", flat("9.99"), every=("month", 1))
    run(billing, prices.use_price, first.id, 1)
    assert change(billing, first, flat("9.99"), every=("month", 1)).version == 1
    assert versions(billing, first) == [1]


def test_an_archived_price_is_not_sold_and_holds_for_whoever_has_it(billing):
    first = sell(billing, "plan", "pro", flat("9.99"), every=("month", 1))
    run(billing, prices.archive_price, ADA, first.id)
    gone = run(billing, prices.archive_price, ADA, first.id)
    assert gone.state == "archived"
    assert run(billing, prices.use_price, first.id, 1).terms == first.terms
    with pytest.raises(PriceArchived):
        change(billing, first, flat("1"))
    with pytest.raises(PriceUnknown):
        run(billing, prices.price_for, of="plan", code="pro", currency="USD", unit="month", count=1)
    assert [one.id for one in run(billing, prices.prices_of, "plan", "pro")] == [first.id]


def test_of_two_changes_from_one_version_the_second_is_refused(billing):
    first = sell(billing, "product", "calls", per_unit("0.001"))
    run(billing, prices.use_price, first.id, 1)
    answers = at_once(
        partial(change, billing, first, per_unit(unit), expected=1) for unit in ("0.002", "0.003")
    )
    kinds = {type(answer) for answer in answers}
    assert kinds == {Price, VersionPassed}, answers
    assert versions(billing, first) == [2, 1]


def test_changes_at_once_are_versions_one_after_the_other(billing):
    first = sell(billing, "product", "calls", per_unit("0.001"))
    run(billing, prices.use_price, first.id, 1)

    def work(unit):
        made = change(billing, first, per_unit(unit))
        return run(billing, prices.use_price, first.id, made.version)

    at_once(partial(work, unit) for unit in ("0.002", "0.003", "0.004"))
    newest = run(billing, prices.find_price, first.id)
    assert newest.version == 4
    assert versions(billing, first)[-1] == 1


def test_a_version_that_is_bought_while_it_is_changed_is_kept_or_refused_never_lost(billing):
    for _ in range(5):
        first = sell(billing, "product", "calls", per_unit("0.001"))
        bought, changed = at_once([
            partial(run, billing, prices.use_price, first.id, 1),
            partial(change, billing, first, per_unit("0.002")),
        ])  # fmt: skip
        assert isinstance(changed, Price), changed
        if isinstance(bought, Price):
            assert run(billing, prices.find_price, first.id, 1) == bought
        else:
            assert isinstance(bought, PriceUnknown), bought
            assert versions(billing, first) == [2]


# -- which price holds ---------------------------------------------------------------------------


def test_the_narrowest_price_of_an_item_holds_and_among_equals_the_newest(billing, clock):
    whole = sell(billing, "item", "solaris", flat("5"))
    offer = sell(billing, "item", "solaris", flat("4"), offer="online")
    sell(billing, "item", "solaris", flat("3"), offer="online", period_hours=48)
    clock.set(now(billing) + 1)
    newest = sell(billing, "item", "solaris", flat("2"), offer="online", period_hours=48)

    def found(offer=None, hours=None):
        wanted = {"of": "item", "code": "solaris", "currency": "USD"}
        return run(billing, prices.price_for, **wanted, offer=offer, period_hours=hours).id

    assert found() == whole.id
    assert found("hall") == whole.id
    assert found("online") == offer.id
    assert found("online", 24) == offer.id
    assert found("online", 48) == newest.id


def test_a_price_is_found_by_currency_and_by_how_often_it_is_due(billing):
    month = sell(billing, "plan", "pro", flat("10"), every=("month", 1))
    quarter = sell(billing, "plan", "pro", flat("27"), every=("month", 3))
    year = sell(billing, "plan", "pro", flat("100"), every=("year", 1))
    once = sell(billing, "plan", "pro", flat("500"))
    euros = sell(billing, "plan", "pro", flat("9"), every=("month", 1), currency="EUR")

    def found(**more):
        return run(billing, prices.price_for, of="plan", code="pro", **{"currency": "USD", **more})

    assert found(unit="month").id == month.id
    assert found(unit="month", count=3).id == quarter.id
    assert found(unit="year", count=1).id == year.id
    assert found().id == once.id
    assert found(unit="month", currency="EUR").id == euros.id
    with pytest.raises(PriceUnknown):
        found(unit="week")


def test_prices_are_listed_in_pages_oldest_first(billing):
    made = [sell(billing, "product", "calls", per_unit(f"0.{n}")).id for n in range(1, 4)]
    other = sell(billing, "plan", "calls", flat("1")).id
    first = run(billing, prices.list_prices, limit=2)
    rest = run(billing, prices.list_prices, limit=2, after=first.next)
    assert [one.id for one in first.items + rest.items] == sorted([*made, other])
    assert rest.next is None
    run(billing, prices.archive_price, ADA, made[0])
    assert [one.id for one in run(billing, prices.list_prices, state="archived").items] == made[:1]
    of_it = run(billing, prices.list_prices, of="product", code="calls", currency="USD").items
    assert [one.id for one in of_it] == sorted(made)


# -- names of providers --------------------------------------------------------------------------


def test_a_providers_name_is_one_price(billing):
    first = sell(billing, "plan", "pro", flat("1"), providers=(STRIPE, PAYPAL))
    with pytest.raises(ReferenceTaken):
        sell(billing, "plan", "pro", flat("2"), providers=(STRIPE,))
    second = sell(billing, "plan", "pro", flat("2"))
    with pytest.raises(ReferenceTaken):
        change(billing, second, flat("2"), providers=(PAYPAL,))
    assert run(billing, prices.price_of_provider, "stripe", "price_1").id == first.id


def test_a_name_that_no_version_has_any_more_is_free(billing):
    first = sell(billing, "plan", "pro", flat("1"), providers=(STRIPE,))
    change(billing, first, flat("1"), providers=(PAYPAL,))
    with pytest.raises(PriceUnknown):
        run(billing, prices.price_of_provider, "stripe", "price_1")
    other = sell(billing, "plan", "lite", flat("1"), providers=(STRIPE,))
    assert run(billing, prices.price_of_provider, "stripe", "price_1") == other


def test_the_name_of_a_version_in_use_stays_its_own(billing):
    first = sell(billing, "plan", "pro", flat("1"), providers=(STRIPE,))
    run(billing, prices.use_price, first.id, 1)
    change(billing, first, flat("1"), providers=(PAYPAL,))
    assert run(billing, prices.price_of_provider, "stripe", "price_1").id == first.id
    with pytest.raises(ReferenceTaken):
        sell(billing, "plan", "lite", flat("1"), providers=(STRIPE,))


# -- what is refused -----------------------------------------------------------------------------

PRO = Priced(of="plan", code="pro")
SEAT: Any = "seat"
REFUSED: dict[str, tuple[type[Refusal], dict[str, Any]]] = {
    "a code of two words": (ValueRefused, {"priced": Priced(of="plan", code="a b")}),
    "another kind": (ValueRefused, {"priced": Priced(of=SEAT, code="pro")}),
    "no currency": (CurrencyUnknown, {"currency": "usd"}),
    "gold": (CurrencyUnknown, {"currency": "XAU"}),
    "an offer of a plan": (PriceRefused, {"priced": Priced(of="plan", code="pro", offer="a")}),
    "a period of no offer": (
        PriceRefused,
        {"priced": Priced(of="item", code="solaris", period_hours=1)},
    ),
    "an empty period": (
        ValueRefused,
        {"priced": Priced(of="item", code="solaris", offer="online", period_hours=0)},
    ),
    "an offer that is not there": (
        PricedUnknown,
        {"priced": Priced(of="item", code="solaris", offer="cinema")},
    ),
    "a period that is not there": (
        PricedUnknown,
        {"priced": Priced(of="item", code="solaris", offer="online", period_hours=12)},
    ),
    "a plan that nobody told of": (PricedUnknown, {"priced": Priced(of="plan", code="prp")}),
    "a plan that is archived": (PricedUnknown, {"priced": Priced(of="plan", code="old")}),
    "every fortnight": (ValueRefused, {"terms": terms(flat("1"), every=("fortnight", 1))}),
    "every no month": (ValueRefused, {"terms": terms(flat("1"), every=("month", 0))}),
    "every true month": (ValueRefused, {"terms": terms(flat("1"), every=("month", True))}),
    "once in arrears": (PriceRefused, {"terms": terms(flat("1"), timing="arrears")}),
    "a reference twice": (PriceRefused, {"terms": terms(flat("1"), providers=(STRIPE, STRIPE))}),
    "a reference with a space": (
        ValueRefused,
        {"terms": terms(flat("1"), providers=(Reference(provider="a", reference="b c"),))},
    ),
    "21 references": (
        ValueRefused,
        {
            "terms": terms(
                flat("1"),
                providers=tuple(Reference(provider="a", reference=f"b{n}") for n in range(21)),
            )
        },
    ),
    "metadata with a control character": (
        ValueRefused,
        {"terms": terms(flat("1"), metadata={"a": "\0"})},
    ),
    "a number beyond 2^53": (ValueRefused, {"terms": terms(flat("1"), metadata={"a": 2**53})}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_price_is_refused_and_leaves_nothing(billing, name):
    refusal, wrong = REFUSED[name]
    run(billing, tell, "plan", "pro")
    run(billing, tell, "plan", "old", state="archived")
    run(billing, tell, "item", "solaris")
    good = {"priced": PRO, "currency": "USD", "terms": terms(flat("1"))}
    with pytest.raises(refusal):
        run(billing, prices.create_price, ADA, **{**good, **wrong})
    assert run(billing, prices.list_prices).items == ()


def test_a_price_is_told_and_audited(billing):
    first = sell(billing, "plan", "pro", flat("0.0000005"), every=("month", 1))
    change(billing, first, flat("2"), every=("month", 1))
    run(billing, prices.archive_price, ADA, first.id)
    told = run(billing, events_after, Position()).events
    assert [one.type for one in told] == ["price.created", "price.updated", "price.archived"]
    assert told[0].data["terms"]["charge"]["amount"] == "0.0000005"
    assert told[0].data["recurring"] == {"unit": "month", "count": 1}
    log = run(billing, audit.list_audit, subject=f"price:{first.id}").items
    assert [entry.action for entry in reversed(log)] == [one.type for one in told]
    assert Recurring(unit="month") == first.recurring
