"""From settings to the gateways of payments that are set up here.

Transfers by hand need nothing. The others are on when their keys are set, and only then is their
package imported.
"""

import importlib
from contextlib import ExitStack
from typing import Any, Final

from farebox.billing.flows import settlers
from farebox.billing.flows.run_payments import Payments
from farebox.billing.payments.gateways.manual import Manual
from farebox.billing.payments.gateways.protocol import Gateway
from farebox.billing.payments.gateways.sandbox import Sandbox
from farebox.billing.payments.gateways.yookassa import URL, Yookassa
from farebox.kernel.refusals import SettingsRefused
from farebox.storage import Database
from farebox.wiring.settings import Settings

_STRIPE: Final = "farebox.billing.payments.gateways.stripe"


def gateways_of(settings: Settings) -> dict[str, Gateway]:
    """Return the gateways by name; refuses (`settings_invalid`) one whose package is missing."""
    found: list[Gateway] = [Manual()]
    if settings.sandbox_secret is not None:
        found.append(Sandbox(settings.sandbox_secret))
    if settings.stripe_key is not None:
        found.append(_stripe(settings, settings.stripe_key))
    if settings.yookassa_shop is not None and settings.yookassa_key is not None:
        shop, key = settings.yookassa_shop, settings.yookassa_key
        url, back = settings.yookassa_url or URL, settings.payment_return_url
        found.append(Yookassa(shop, key, return_url=back, url=url))
    return {one.name: one for one in found}


def _stripe(settings: Settings, key: str) -> Gateway:
    try:
        module: Any = importlib.import_module(_STRIPE)
    except ModuleNotFoundError as error:
        detail = f"settings: stripe_key needs the Python package {error.name}: farebox[stripe]"
        raise SettingsRefused(detail) from error
    made: Gateway = module.Stripe(
        key,
        secret=settings.stripe_webhook_secret,
        return_url=settings.payment_return_url,
        url=settings.stripe_url,
    )
    return made


def payments(settings: Settings, database: Database, closing: ExitStack) -> Payments:
    """Return the worker of payments over the gateways that are set up; `closing` ends them."""
    assert settlers.REGISTERED
    gateways = gateways_of(settings)
    for one in gateways.values():
        closing.callback(one.close)
    worker = Payments(database, gateways)
    closing.callback(worker.close)
    return worker
