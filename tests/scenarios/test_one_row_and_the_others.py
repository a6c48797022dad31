"""What a worker cannot do for one row keeps no other row waiting, and is not tried for ever."""

from typing import Any

import pytest
import sqlalchemy as sa

from farebox.access.buckets import service as buckets
from farebox.access.catalog.service import create_product
from farebox.access.consumers.service import create_consumer
from farebox.billing.copies import service as copies
from farebox.billing.flows import renew_subscription
from farebox.billing.flows.deliver_invoices import Deliveries
from farebox.billing.flows.say_by_hand import say_chargeback
from farebox.billing.invoices import store
from farebox.billing.invoices.model import Series, SeriesTaken
from farebox.billing.invoices.service_files import due_deliveries
from farebox.billing.invoices.service_settings import set_series
from farebox.billing.payments.model_outcomes import Disputed
from farebox.billing.payments.service import payments_of
from farebox.billing.payments.service_methods import remove_method
from farebox.events import store as events
from farebox.events.rests import RowsFailed
from farebox.kernel import ids
from tests.stores.test_orders import cart_of, complete, lines, order, pin
from tests.support.order_desk import OrderDesk
from tests.support.payments import Till
from tests.support.renewals import Renewals, told
from tests.support.sales import ANNA, Sales, online
from tests.support.services import ADA, run


def open_events(database):
    """Return what the inbox could not do."""
    table = events.inbox
    with database.read() as tx:
        here = table.c.state.in_(("waiting", "dead"))
        return [(row.type, row.error) for row in tx.run(sa.select(table).where(here))]


def test_a_name_that_no_font_shows_keeps_nobody_elses_invoice(billing, clock):
    stage = Renewals(billing, clock, at="2027-03-01")
    data: dict[str, Any] = {
        "consumerId": "con_li", "name": "李雷", "state": "active", "owner": None, "metadata": {},
    }  # fmt: skip
    run(billing, copies.keep_consumer, told("consumer.updated", "con_li", data))
    stage.who = "con_li"
    stage.subscribe("basic")
    stage.at("2027-03-02")
    stage.who = "con_1"
    [invoice] = stage.invoices(stage.subscribe("basic"))
    Deliveries(billing).step()
    with billing.read() as tx:
        assert due_deliveries(tx, limit=10) == []
        rows = tx.run(store.delivery.select()).all()
    assert {(row.document == invoice.id, row.error) for row in rows} == {
        (True, None), (False, "pdf_unfit"),
    }  # fmt: skip


def test_a_subscription_that_cannot_be_billed_hides_none_that_is_due_after_it(
    billing, clock, monkeypatch
):
    stage = Renewals(billing, clock, at="2027-03-01")
    stage.card()
    broken, other = stage.subscribe("basic"), stage.subscribe("pro")
    real = renew_subscription.bill

    def bill(tx, one):
        if one.subscription == broken:
            raise RuntimeError("poison")
        return real(tx, one)

    monkeypatch.setitem(renew_subscription.STEPS, "bill", bill)
    monkeypatch.setattr(renew_subscription, "AT_ONCE", 1)
    stage.at("2027-04-01")
    worker = renew_subscription.DueSchedules(billing)
    with pytest.raises(RowsFailed, match="poison"):
        worker.step()
    assert [worker.step() for _ in range(2)] == [1, 0]
    assert [len(stage.bills(one)) for one in (broken, other)] == [1, 2]


@pytest.mark.parametrize("prefix", ["INV-2027", "INV", "INV-1"])
def test_no_series_gives_numbers_that_another_one_will_give(billing, prefix):
    with pytest.raises(SeriesTaken):
        run(billing, set_series, ADA, Series(series="early", kind="invoice", prefix=prefix))
    other = Series(series="early", kind="invoice", prefix=f"{prefix}X")
    assert run(billing, set_series, ADA, other) == other


def test_an_order_whose_card_was_removed_ends_without_a_dead_event(billing, clock):
    sales, till = Sales(billing, clock), Till(billing)
    method = till.method("sandbox_ok", ANNA)
    made = complete(sales, cart_of(sales, online()), pay_by="gateway", method=method)
    run(billing, remove_method, ADA, method)
    pin(sales, made)
    assert open_events(billing) == []
    found = order(sales, made)
    assert (found.state, found.reason) == ("failed", "payment_method_unknown")


def test_what_cannot_be_granted_goes_back_as_far_as_no_bank_has_taken_it(billing, clock):
    sales, till = Sales(billing, clock), Till(billing)
    method = till.method("sandbox_ok", ANNA)
    made = complete(sales, cart_of(sales, online()), pay_by="gateway", method=method)
    pin(sales, made)
    till.work()
    [payment] = run(billing, payments_of, "order", made.id)
    said = Disputed(payment=payment.id, reference="dsp_1", state="opened", amount=100)
    run(billing, say_chargeback, ADA, said)
    [line] = lines(sales, made)
    sales.tell(
        "order.fulfilment_failed", made.id, orderId=made.id, purchaseId=line.purchase,
        reason="sold_out",
    )  # fmt: skip
    till.work()
    assert open_events(billing) == []
    assert order(sales, made).state == "failed"
    assert till.read(payment).refunded == made.total - 100
    assert not {"suspense", "chargebacks"} & set(till.trial(made.currency))


def test_credits_on_a_frozen_bucket_are_taken_back_by_a_refund(database):
    desk = OrderDesk(database)
    run(database, create_product, ADA, code="films", name="films")
    ada = run(database, create_consumer, ADA, name="Ada").id
    bucket = run(
        database, buckets.create_bucket, ADA, product="films", holder_kind="consumer", holder=ada
    ).id
    line = {
        "lineId": "orl_1", "bucketId": ids.show("bkt", bucket), "creditsOf": "films", "credits": 50,
    }  # fmt: skip
    desk.tell("order.completed", "ord_1", consumerId=ada, lines=[line])
    run(database, buckets.freeze_bucket, ADA, bucket)
    desk.tell("refund.issued", "ord_1", consumerId=ada, lines=[line])
    assert open_events(database) == []
    balance = run(database, buckets.read_bucket, bucket).balance
    assert (balance.available, balance.frozen) == (0, True)
