"""Every settler there is, registered: whoever records outcomes of payments imports this.

Each module puts its own into the registry when it is imported (see `settle_payment`). Without one
that is missing here a payment would be taken and its order would never know.
"""

from typing import Final

from farebox.billing.flows import buy, dunning, fill_wallets, issue_invoices

REGISTERED: Final = (buy, fill_wallets, issue_invoices, dunning)
