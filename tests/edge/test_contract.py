"""What the wire types refuse, on whichever side of the wire."""

import msgspec
import pytest

from farebox.contracts.accounts import OpenAccount
from farebox.contracts.decisions import (
    CaptureRequest,
    DecideBatchRequest,
    DecideRequest,
    Decision,
)

DECIDE = '"mode": "consume", "product": "films"'


@pytest.mark.parametrize(
    "quantity",
    [
        *("0", "-1", "9007199254740992", "9223372036854775808"),
        *("1e400", "1.5", "NaN", '"1"', "true", "[]", "{}"),
    ],
)
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f'{{{DECIDE}, "quantity": QUANTITY}}', DecideRequest),
        ('{"hold": "hld_1", "hold_on": QUANTITY}', CaptureRequest),
        ('{"amount": QUANTITY}', OpenAccount),
    ],
)
def test_quantity_that_is_no_amount_is_refused(body, kind, quantity):
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body.replace("QUANTITY", quantity), type=kind)


@pytest.mark.parametrize(
    "more",
    [
        '"mode": "spend"',
        '"product": ""',
        '"product": "%s"' % ("x" * 129),
        '"credential": ""',
        '"ttl_seconds": 0',
        '"ttl_seconds": 99999999999',
        '"on_expiry": "forget"',
        '"over_capture": "refund"',
        '"at_most": 1',
        '"metadata": {"rate": 0.5}',
        '"metadata": {"nested": {}}',
        '"metadata": []',
        '"price": 1',
    ],
)
def test_decide_request_outside_the_contract_is_refused(more):
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(f"{{{DECIDE}, {more}}}", type=DecideRequest)


def test_decide_request_says_what_it_leaves_out():
    request = msgspec.json.decode(f"{{{DECIDE}}}", type=DecideRequest)

    assert (request.quantity, request.at_most, request.ttl_seconds) == (1, False, 60)
    assert (request.on_expiry, request.over_capture) == ("release", "deny")


@pytest.mark.parametrize(("count", "fits"), [(0, False), (1, True), (1_000, True), (1_001, False)])
def test_batch_holds_1_to_1000_decisions(count, fits):
    decisions = ",".join([f"{{{DECIDE}}}"] * count)
    body = f'{{"decisions": [{decisions}]}}'

    if fits:
        assert len(msgspec.json.decode(body, type=DecideBatchRequest).decisions) == count
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=DecideBatchRequest)


def test_denial_carries_only_what_it_knows():
    denial = Decision(allowed=False, code="bucket_empty", remaining=0)

    assert msgspec.json.encode(denial) == b'{"allowed":false,"code":"bucket_empty","remaining":0}'


def test_reader_of_answers_ignores_what_a_newer_server_adds():
    said = b'{"allowed": true, "code": "allowed", "quantity": 1, "weather": "fine"}'

    assert msgspec.json.decode(said, type=Decision).quantity == 1
