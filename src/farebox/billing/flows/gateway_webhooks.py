"""Notices of gateways: verified and stored where they come in, followed by the worker.

Nothing is believed because it was sent to us. The worker reads from the gateway what the notice is
about, and applies what it finds as if it had asked by itself.
"""

from collections.abc import Mapping
from typing import Final

import structlog

from farebox.billing.flows.settle_payment import apply_outcome, settle_chargeback
from farebox.billing.payments.gateways.protocol import Gateway
from farebox.billing.payments.model import GatewayUnknown
from farebox.billing.payments.model_outcomes import Claimed, Heard, Lost, Unreached
from farebox.billing.payments.service import read_payment
from farebox.billing.payments.service_chargebacks import note_chargeback
from farebox.billing.payments.service_notices import end_notice, note_notice, put_off_notice
from farebox.storage import Database, Tx

LARGEST_NOTICE: Final = 256 * 1024
Gateways = Mapping[str, Gateway]
_log: Final = structlog.get_logger("farebox.payments")


def take_notice(
    database: Database, gateways: Gateways, name: str, body: bytes, headers: Mapping[str, str]
) -> bool:
    """Verify and store a notice; tells whether it is new and concerns us.

    Names of `headers` are lower case. Refuses a gateway that is not set up
    (`payment_gateway_unknown`) and what is not the gateway's (`notice_unverified`).
    """
    gateway = gateways.get(name)
    if gateway is None:
        raise GatewayUnknown
    notice = gateway.hear(body, headers)
    if notice is None:
        return False
    return database.run(lambda tx: note_notice(tx, name, notice))


def read_gateway(gateways: Gateways, claimed: Claimed) -> Heard:
    """Read from the gateway what a notice is about."""
    gateway = gateways.get(claimed.gateway)
    if gateway is None:
        return Heard(outcome=Lost(reason="gateway_missing"))
    try:
        return gateway.read(claimed)
    except Exception as error:  # noqa: BLE001 - what a gateway raises is our bug; it is read again
        _log.warning("gateway_failed", gateway=claimed.gateway, notice=claimed.id, exc_info=True)
        return Heard(outcome=Lost(reason=type(error).__name__))


def record_heard(tx: Tx, claimed: Claimed, heard: Heard) -> None:
    """Apply what a notice was about, once, or put the notice off where nothing was learnt."""
    outcome, noun = heard.outcome, claimed.notice.noun
    if isinstance(outcome, Lost | Unreached):
        put_off_notice(tx, claimed, outcome.reason)
        return
    applied = False
    if heard.disputed is not None:
        made = note_chargeback(tx, claimed.gateway, heard.disputed)
        applied = made is not None
        if made is not None:
            settle_chargeback(tx, read_payment(tx, made.payment), made)
    elif outcome is not None and noun != "chargeback":
        applied = apply_outcome(tx, noun, claimed.notice.subject, outcome)
    end_notice(tx, claimed, applied=applied)
