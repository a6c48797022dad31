"""Who may call what: one line for each operation of the API.

An operator needs the permission (which roles have it: `farebox.platform.rules`). `consumers` says
that a consumer may call it as well, about what is their own; the handler sees to that. A route
without a line does not start.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from farebox.platform.model import Permission, Principal
from farebox.platform.rules import may

PUBLIC: Final = {"public": True}
MOVES_VALUE: Final = {"moves_value": True}


class Entry(msgspec.Struct, frozen=True):
    """Who may call an operation."""

    permission: Permission
    consumers: bool = False

    def admits(self, principal: Principal) -> bool:
        """Tell whether this caller may call it at all."""
        if principal.kind == "consumer":
            return self.consumers
        return may(principal, self.permission)


_READ: Final = Entry(Permission.READ)
_READ_OWN: Final = Entry(Permission.READ, consumers=True)
_READ_ITEMS: Final = Entry(Permission.READ_ITEMS, consumers=True)

ROLES: Final[Mapping[str, Entry]] = {
    # Consumers and their keys.
    "createConsumer": Entry(Permission.CONSUMERS),
    "listConsumers": _READ,
    "readConsumer": _READ_OWN,
    "updateConsumer": Entry(Permission.CONSUMERS),
    "suspendConsumer": Entry(Permission.SUSPEND),
    "activateConsumer": Entry(Permission.SUSPEND),
    "listGroupsOfConsumer": _READ_OWN,
    "listKeysOfConsumer": _READ_OWN,
    "createKeyOfConsumer": Entry(Permission.KEYS),
    "readKey": Entry(Permission.KEYS),
    "rotateKey": Entry(Permission.KEYS),
    "revokeKey": Entry(Permission.KEYS),
    "readRateLimitsOfConsumer": _READ,
    "setRateLimitsOfConsumer": Entry(Permission.CONSUMERS),
    "readRateLimitsOfKey": Entry(Permission.KEYS),
    "setRateLimitsOfKey": Entry(Permission.KEYS),
    # Gateways. What they ask themselves is not here: it takes every method (http/gateways.py).
    "createEdgeRoute": Entry(Permission.GATEWAYS),
    "listEdgeRoutes": _READ,
    "readEdgeRoute": _READ,
    "replaceEdgeRoute": Entry(Permission.GATEWAYS),
    "removeEdgeRoute": Entry(Permission.GATEWAYS),
    # Other standards' questions; consumers ask about themselves.
    "evaluateAccess": Entry(Permission.DECIDE, consumers=True),
    "evaluateAccessEach": Entry(Permission.DECIDE, consumers=True),
    "evaluateFlag": Entry(Permission.DECIDE, consumers=True),
    "evaluateFlags": Entry(Permission.DECIDE, consumers=True),
    # Groups.
    "createGroup": Entry(Permission.GROUPS),
    "listGroups": _READ,
    "readGroup": _READ,
    "updateGroup": Entry(Permission.GROUPS),
    "deleteGroup": Entry(Permission.GROUPS),
    "listMembers": _READ,
    "addMember": Entry(Permission.GROUPS),
    "removeMember": Entry(Permission.GROUPS),
    # Products.
    "createProduct": Entry(Permission.PRODUCTS),
    "listProducts": _READ_OWN,
    "readProduct": _READ_OWN,
    "updateProduct": Entry(Permission.PRODUCTS),
    "archiveProduct": Entry(Permission.PRODUCTS),
    "replaceProduct": Entry(Permission.PRODUCTS),
    "searchProducts": _READ_OWN,
    # Features and plans.
    "createFeature": Entry(Permission.PRODUCTS),
    "listFeatures": _READ_OWN,
    "readFeature": _READ_OWN,
    "updateFeature": Entry(Permission.PRODUCTS),
    "archiveFeature": Entry(Permission.PRODUCTS),
    "createPlan": Entry(Permission.PLANS),
    "listPlans": _READ_OWN,
    "readPlan": _READ_OWN,
    "listPlanVersions": _READ_OWN,
    "changePlan": Entry(Permission.PLANS),
    "archivePlan": Entry(Permission.PLANS),
    # Marketplace: owners see and edit their own items, consumers what is on sale.
    "createItem": Entry(Permission.ITEMS),
    "listItems": _READ_ITEMS,
    "searchItems": _READ_ITEMS,
    "readItem": _READ_ITEMS,
    "updateItem": Entry(Permission.ITEMS),
    "publishItem": Entry(Permission.ITEMS),
    "withdrawItem": Entry(Permission.ITEMS),
    "archiveItem": Entry(Permission.ITEMS),
    "transferItem": Entry(Permission.ITEM_OWNERSHIP),
    "holdPlace": Entry(Permission.PURCHASES, consumers=True),
    "listPlaces": _READ_OWN,
    "readPlace": _READ_OWN,
    "renewPlace": Entry(Permission.PURCHASES, consumers=True),
    "releasePlace": Entry(Permission.PURCHASES, consumers=True),
    "startPurchase": Entry(Permission.PURCHASES, consumers=True),
    "listPurchases": _READ_OWN,
    "readPurchase": _READ_OWN,
    "listRentals": _READ_OWN,
    "readRental": _READ_OWN,
    "playRental": Entry(Permission.PURCHASES, consumers=True),
    "moveRental": Entry(Permission.PURCHASES, consumers=True),
    "requestExtension": Entry(Permission.PURCHASES, consumers=True),
    "extendRental": Entry(Permission.RENTALS),
    "revokeRental": Entry(Permission.RENTALS),
    # Buckets.
    "createBucket": Entry(Permission.BUCKETS),
    "listBuckets": _READ_OWN,
    "readBucket": _READ_OWN,
    "isBucketEmpty": _READ_OWN,
    "readHistory": _READ_OWN,
    "grantToBucket": Entry(Permission.GRANT),
    "consumeFromBucket": Entry(Permission.DECIDE),
    "freezeBucket": Entry(Permission.SUSPEND),
    "unfreezeBucket": Entry(Permission.SUSPEND),
    "listCaps": _READ,
    "setCap": Entry(Permission.BUCKETS),
    "removeCap": Entry(Permission.BUCKETS),
    # Service plans and usages.
    "createServicePlan": Entry(Permission.PLANS),
    "listServicePlans": _READ,
    "readServicePlan": _READ,
    "authoriseUsage": Entry(Permission.DECIDE, consumers=True),
    "redeemAccessKey": Entry(Permission.REDEEM),
    "introspect": Entry(Permission.INTROSPECT),
    # Decisions.
    "decide": Entry(Permission.DECIDE, consumers=True),
    "decideBatch": Entry(Permission.DECIDE, consumers=True),
    "capture": Entry(Permission.RESOLVE),
    "release": Entry(Permission.RESOLVE),
    # Subscriptions, entitlements, and what other billing systems say.
    "createSubscription": Entry(Permission.SUBSCRIPTIONS, consumers=True),
    "listSubscriptions": _READ_OWN,
    "readSubscription": _READ_OWN,
    "listQuotasOfSubscription": _READ_OWN,
    "cancelSubscription": Entry(Permission.SUBSCRIPTIONS, consumers=True),
    "resumeSubscription": Entry(Permission.SUBSCRIPTIONS, consumers=True),
    "pauseSubscription": Entry(Permission.SUBSCRIPTIONS, consumers=True),
    "changePlanOfSubscription": Entry(Permission.SUBSCRIPTIONS, consumers=True),
    "listEntitlements": _READ_OWN,
    "readEntitlement": _READ_OWN,
    "grantEntitlement": Entry(Permission.ENTITLEMENTS),
    "updateEntitlement": Entry(Permission.ENTITLEMENTS),
    "revokeEntitlement": Entry(Permission.ENTITLEMENTS),
    "postBillingEvent": Entry(Permission.BILLING_EVENTS),
    # Usage.
    "reportUsage": Entry(Permission.DECIDE),
    "reportUsageBatch": Entry(Permission.DECIDE),
    "reportUsageEvents": Entry(Permission.DECIDE),
    "readUsage": _READ_OWN,
    "listUsageRecords": _READ_OWN,
    "readUsageRecord": _READ_OWN,
    "listUsagePeriods": _READ_OWN,
    "snapshotUsage": Entry(Permission.READ_EVENTS),
    "declareAggregation": Entry(Permission.PRODUCTS),
    "listAggregations": _READ,
    "removeAggregation": Entry(Permission.PRODUCTS),
    "setLowMark": Entry(Permission.BUCKETS),
    "readLowMark": _READ,
    "removeLowMark": Entry(Permission.BUCKETS),
    # Customers and their wallets. Money moves by hand for those who may, never for support.
    "listCustomers": _READ,
    "readCustomer": _READ_OWN,
    "updateCustomer": Entry(Permission.CUSTOMERS, consumers=True),
    "setTaxNumber": Entry(Permission.CUSTOMERS, consumers=True),
    "removeTaxNumber": Entry(Permission.CUSTOMERS, consumers=True),
    "noteTaxRegister": Entry(Permission.CUSTOMERS),
    "listTaxEvidence": _READ_OWN,
    "listWallets": _READ_OWN,
    "readWallet": _READ_OWN,
    "readStatement": _READ_OWN,
    "readStatementAsCsv": _READ_OWN,
    "fillWallet": Entry(Permission.WALLETS),
    "adjustWallet": Entry(Permission.WALLETS),
    "askForTopUp": Entry(Permission.WALLETS, consumers=True),
    "listTopUps": _READ_OWN,
    "readTopUp": _READ_OWN,
    "setAutomaticTopUp": Entry(Permission.WALLETS, consumers=True),
    "readAutomaticTopUp": _READ_OWN,
    "removeAutomaticTopUp": Entry(Permission.WALLETS, consumers=True),
    "setLowLevel": Entry(Permission.CUSTOMERS, consumers=True),
    "removeLowLevel": Entry(Permission.CUSTOMERS, consumers=True),
    "setTopUpLimit": Entry(Permission.WALLETS),
    "readTopUpLimit": _READ_OWN,
    "amount": _READ_OWN,
    "fill": Entry(Permission.WALLETS, consumers=True),
    "withdraw": Entry(Permission.WALLETS, consumers=True),
    # Reports of money.
    "reportRevenue": Entry(Permission.REPORTS),
    "reportRevenueAsCsv": Entry(Permission.REPORTS),
    "reportBalances": Entry(Permission.REPORTS),
    "reportBalancesAsCsv": Entry(Permission.REPORTS),
    "reportAccounts": Entry(Permission.REPORTS),
    "reportAccountsAsCsv": Entry(Permission.REPORTS),
    "reconcileGateway": Entry(Permission.REPORTS),
    "exportBooks": Entry(Permission.REPORTS),
    "reportRecurring": Entry(Permission.REPORTS),
    "reportMovements": Entry(Permission.REPORTS),
    "reportCohorts": Entry(Permission.REPORTS),
    "reportReceivables": Entry(Permission.REPORTS),
    # Accounts.
    "openAccount": Entry(Permission.ACCOUNTS),
    "tot": Entry(Permission.ACCOUNTS),
    "mod": Entry(Permission.ACCOUNTS),
    "past": Entry(Permission.ACCOUNTS),
    # Running the platform.
    "createOperator": Entry(Permission.OPERATORS),
    "listOperators": Entry(Permission.OPERATORS),
    "readOperator": Entry(Permission.OPERATORS),
    "updateOperator": Entry(Permission.OPERATORS),
    "suspendOperator": Entry(Permission.OPERATORS),
    "activateOperator": Entry(Permission.OPERATORS),
    "listKeysOfOperator": Entry(Permission.OPERATORS),
    "createKeyOfOperator": Entry(Permission.OPERATORS),
    "rotateSigningKey": Entry(Permission.SECRETS),
    "moveTestClock": Entry(Permission.TEST_CLOCK),
    "readTestClock": Entry(Permission.TEST_CLOCK),
    "listAudit": Entry(Permission.READ_AUDIT),
    "listEvents": Entry(Permission.READ_EVENTS),
    "readEventPosition": Entry(Permission.READ_EVENTS),
    "readSnapshot": Entry(Permission.READ_EVENTS),
    "listDeadLetters": Entry(Permission.DEAD_LETTERS),
    "readDeadLetter": Entry(Permission.DEAD_LETTERS),
    "resendDeadLetter": Entry(Permission.DEAD_LETTERS),
    "discardDeadLetter": Entry(Permission.DEAD_LETTERS),
    # Invoices and credit notes.
    "previewInvoice": _READ,
    "draftInvoice": Entry(Permission.INVOICES),
    "listInvoices": _READ_OWN,
    "readInvoice": _READ_OWN,
    "addInvoiceLines": Entry(Permission.INVOICES),
    "discardInvoice": Entry(Permission.INVOICES),
    "issueInvoice": Entry(Permission.INVOICES),
    "voidInvoice": Entry(Permission.INVOICES),
    "writeOffInvoice": Entry(Permission.INVOICES),
    "sendInvoice": Entry(Permission.INVOICES),
    "payInvoice": Entry(Permission.INVOICES, consumers=True),
    "listPaymentsOfInvoice": _READ_OWN,
    "readInvoiceHistory": _READ,
    "readInvoiceAsPdf": _READ_OWN,
    "readInvoiceAsUbl": _READ_OWN,
    "readInvoiceAsCii": _READ_OWN,
    "readCredit": _READ_OWN,
    "creditInvoice": Entry(Permission.INVOICES),
    "listCreditNotesOfInvoice": _READ_OWN,
    "listCreditNotes": _READ_OWN,
    "readCreditNote": _READ_OWN,
    "readCreditNoteAsPdf": _READ_OWN,
    "readCreditNoteAsUbl": _READ_OWN,
    "readCreditNoteAsCii": _READ_OWN,
    "readSeller": _READ,
    "setSeller": Entry(Permission.INVOICES),
    "listDocumentSeries": _READ,
    "setDocumentSeries": Entry(Permission.INVOICES),
    "readClosedPeriod": _READ,
    "closePeriod": Entry(Permission.INVOICES),
    # Webhooks.
    "createWebhook": Entry(Permission.WEBHOOKS),
    "listWebhooks": Entry(Permission.WEBHOOKS),
    "readWebhook": Entry(Permission.WEBHOOKS),
    "updateWebhook": Entry(Permission.WEBHOOKS),
    "disableWebhook": Entry(Permission.WEBHOOKS),
    "enableWebhook": Entry(Permission.WEBHOOKS),
    "rotateWebhookSecret": Entry(Permission.WEBHOOKS),
    "listDeliveries": Entry(Permission.WEBHOOKS),
    "listAttempts": Entry(Permission.WEBHOOKS),
    "resendDelivery": Entry(Permission.WEBHOOKS),
}
