"""From settings to gateways of payments: those whose keys are set, and no other."""

import sys

import pytest

from farebox.billing.flows.settle_payment import REFUND_SETTLERS, SETTLERS
from farebox.kernel.refusals import SettingsRefused
from farebox.wiring import gateways
from farebox.wiring.settings import load_settings

ALL = {
    "FAREBOX_SANDBOX_SECRET": "s" * 32,
    "FAREBOX_STRIPE_KEY": "sk_test_1",
    "FAREBOX_STRIPE_WEBHOOK_SECRET": "whsec_1",
    "FAREBOX_YOOKASSA_SHOP": "100500",
    "FAREBOX_YOOKASSA_KEY": "test_1",
}


@pytest.mark.parametrize(
    ("variables", "names"),
    [({}, {"manual"}), (ALL, {"manual", "sandbox", "stripe", "yookassa"})],
)
def test_a_gateway_is_there_when_its_keys_are_set(variables, names):
    found = gateways.gateways_of(load_settings(variables))
    assert set(found) == names
    for one in found.values():
        one.close()


def test_stripe_without_its_package_is_refused_with_a_line_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "stripe", None)
    for name in ("stripe", "stripe_answers"):
        monkeypatch.delitem(sys.modules, f"farebox.billing.payments.gateways.{name}", raising=False)
    with pytest.raises(SettingsRefused, match=r"farebox\[stripe\]"):
        gateways.gateways_of(load_settings(ALL))


def test_whoever_runs_payments_knows_how_each_purpose_is_settled():
    assert set(SETTLERS) == {"order", "invoice", "top_up"}
    assert set(REFUND_SETTLERS) == {"order", "invoice", "top_up"}
