"""The one error table: which HTTP status each code becomes, and how a problem looks (RFC 9457).

Codes come from refusals (exceptions with a code) and from the ledger's outcomes (values with a
code). A denial appears here for the routes on which nothing is left to answer but "no", such as
`PATCH /mod`; `decide` answers the same denial with 200. Every code that the source names has its
line in the table, which a test holds.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from farebox.kernel.refusals import Refusal

STATUS: Final[Mapping[str, int]] = {
    # The request itself.
    "request_malformed": 400,
    "body_malformed": 400,
    "idempotency_key_missing": 400,
    "credential_missing": 401,
    "credential_ambiguous": 401,
    "credential_invalid": 401,
    "token_expired": 401,
    "token_invalid": 401,
    "token_key_unknown": 401,
    "access_key_invalid": 403,
    "role_missing": 403,
    "gateway_unknown": 401,
    "route_unknown": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "content_type_refused": 415,
    "fields_invalid": 422,
    "position_invalid": 422,
    "payment_terms_invalid": 422,
    "event_invalid": 422,
    "snapshot_kind_unknown": 422,
    "value_invalid": 422,
    "order_event_refused": 422,
    "webhook_address_refused": 422,
    "idempotency_key_reused": 422,
    # What is named is not there, or not the caller's to see.
    "rental_unknown": 404,
    "cart_unknown": 404,
    "cart_line_unknown": 404,
    "order_unknown": 404,
    "order_line_unknown": 404,
    "order_refund_unknown": 404,
    "refund_policy_unknown": 404,
    "automatic_purchase_unknown": 404,
    "invoice_unknown": 404,
    "credit_note_unknown": 404,
    "series_unknown": 404,
    "purchase_unknown": 404,
    "place_unknown": 404,
    "offer_unknown": 404,
    "item_unknown": 404,
    "account_unknown": 404,
    "entitlement_unknown": 404,
    "subscription_unknown": 404,
    "aggregation_unknown": 404,
    "asset_unknown": 404,
    "bucket_unknown": 404,
    "cap_unknown": 404,
    "consumer_unknown": 404,
    "credential_unknown": 404,
    "cursor_unknown": 404,
    "dead_letter_unknown": 404,
    "edge_route_unknown": 404,
    "grant_unknown": 404,
    "group_unknown": 404,
    "hold_unknown": 404,
    "key_unknown": 404,
    "low_mark_unknown": 404,
    "member_unknown": 404,
    "operation_unknown": 404,
    "operator_unknown": 404,
    "feature_unknown": 404,
    "plan_unknown": 404,
    "price_unknown": 404,
    "coupon_unknown": 404,
    "tax_rate_unknown": 404,
    "product_unknown": 404,
    "service_plan_unknown": 404,
    "usage_unknown": 404,
    "customer_unknown": 404,
    "top_up_unknown": 404,
    "automatic_top_up_unknown": 404,
    "low_level_unknown": 404,
    "wallet_payment_unknown": 404,
    "webhook_delivery_unknown": 404,
    "webhook_unknown": 404,
    # It is there, and its state stands in the way.
    "period_refused": 409,
    "schedule_change_refused": 409,
    "nothing_to_pay": 409,
    "invoice_key_reused": 409,
    "invoice_issued": 409,
    "invoice_not_issued": 409,
    "invoice_empty": 409,
    "invoice_below_zero": 409,
    "invoice_paid_already": 409,
    "invoice_priced": 409,
    "invoice_transition_refused": 409,
    "period_closed": 409,
    "seller_missing": 409,
    "series_taken": 409,
    "einvoice_unfit": 409,
    "pdf_missing": 409,
    "einvoice_missing": 409,
    "bucket_differs": 409,
    "cart_empty": 409,
    "cart_full": 409,
    "cart_converted": 409,
    "not_for_sale": 409,
    "wish_refused": 422,
    "price_changed": 409,
    "order_state_refused": 409,
    "order_taken": 409,
    "guarantee_used_up": 409,
    "refund_policy_invalid": 422,
    "refund_exceeds_charge": 409,
    "nothing_to_refund": 409,
    "period_not_priced": 409,
    "shortening_refused": 409,
    "offer_refused": 409,
    "rental_changed": 409,
    "rental_window": 409,
    "finish_clock_unconfirmed": 409,
    "rental_not_started": 409,
    "rental_started": 409,
    "rental_over": 409,
    "purchase_pending": 409,
    "purchase_taken": 409,
    "already_entitled": 409,
    "renewals_exceeded": 409,
    "place_pinned": 409,
    "place_ended": 409,
    "sold_out": 409,
    "capacity_in_use": 409,
    "item_owner_refused": 409,
    "item_not_on_sale": 409,
    "item_changed": 409,
    "item_incomplete": 409,
    "item_archived": 409,
    "item_taken": 409,
    "already_redeemed": 409,
    "ask_refused": 409,
    "already_subscribed": 409,
    "entitlement_of_plan": 409,
    "edge_route_taken": 409,
    "edge_route_refused": 409,
    "too_many_edge_routes": 409,
    "event_id_reused": 409,
    "event_refused": 409,
    "holder_ambiguous": 409,
    "limit_missing": 409,
    "entitlement_over": 409,
    "event_stale": 409,
    "subscription_change_refused": 409,
    "subscription_over": 409,
    "add_on_refused": 409,
    "aggregation_refused": 409,
    "aggregation_taken": 409,
    "asset_differs": 409,
    "clock_goes_forward": 409,
    "clock_move_unclear": 409,
    "clock_too_far": 409,
    "test_clock_absent": 409,
    "cap_refused": 409,
    "correction_refused": 409,
    "consumer_taken": 409,
    "counter_overflow": 409,
    "credential_revoked": 409,
    "credential_taken": 409,
    "device_draws_as_owner": 409,
    "group_has_buckets": 409,
    "group_has_subscriptions": 409,
    "hold_captured": 409,
    "hold_expired": 409,
    "hold_released": 409,
    "last_admin": 409,
    "linked_failed": 409,
    "not_a_member": 409,
    "nothing_to_reverse": 409,
    "operation_differs": 409,
    "owner_refused": 409,
    "product_archived": 409,
    "product_taken": 409,
    "entitlement_key_unknown": 409,
    "feature_archived": 409,
    "feature_taken": 409,
    "plan_archived": 409,
    "plan_taken": 409,
    "product_is_add_on": 409,
    "feature_value_invalid": 409,
    "quota_refused": 409,
    "terms_refused": 409,
    "version_passed": 409,
    "report_incomplete": 409,
    "reversal_exceeds": 409,
    "span_refused": 409,
    "time_out_of_range": 409,
    "too_many_aggregations": 409,
    "too_many_groups": 409,
    "too_many_webhooks": 409,
    "webhook_disabled": 409,
    "usage_differs": 409,
    "give_back_exceeds": 409,
    "tax_number_missing": 409,
    "top_up_amount_refused": 409,
    "wallet_currency_missing": 409,
    "wallet_lines_refused": 409,
    "adjustment_refused": 409,
    "bonus_alone_ends": 409,
    "top_up_terms_refused": 409,
    "usage_in_future": 409,
    "usage_not_priced": 409,
    "amount_too_large": 409,
    "price_archived": 409,
    "price_refused": 409,
    "price_reference_taken": 409,
    "priced_unknown": 409,
    "coupon_archived": 409,
    "coupon_taken": 409,
    "tax_rate_overlaps": 409,
    "taxes_mixed": 409,
    "coupon_invalid": 409,
    "coupon_not_for_this": 409,
    "coupon_not_valid_now": 409,
    "coupon_used_up": 409,
    "credit_exceeds_invoice": 409,
    "currencies_mixed": 409,
    "currency_unknown": 422,
    "part_invalid": 422,
    "rate_unknown": 409,
    "refund_exceeds_payment": 409,
    "tax_invalid": 422,
    "vat_number_invalid": 422,
    "access_key_expired": 410,
    "position_gone": 410,
    # Denials.
    "bucket_empty": 402,
    "insufficient_balance": 402,
    "member_cap_reached": 402,
    "no_bucket": 402,
    "over_capture": 402,
    "wallet_short": 402,
    "bucket_frozen": 403,
    "consumer_suspended": 403,
    "feature_not_in_plan": 403,
    "not_entitled": 403,
    "scope_missing": 403,
    "quota_exceeded": 429,
    "rate_limited": 429,
    # Not now: the same request may be sent again.
    "bucket_fault": 503,
    "decision_unavailable": 503,
    "wallet_stopped": 503,
    "clock_jump": 503,
    "stale": 503,
    "lease_lost": 503,
    "try_again": 503,
    # Ours, or the operator's at the start of the process.
    "internal_fault": 500,
    "refused": 500,
    "schema_newer": 500,
    "settings_invalid": 500,
}

# What people read beside a code that is no refusal's: those carry their own sentence.
_SENTENCES: Final[Mapping[str, str]] = {
    "bucket_empty": "The bucket has not enough for this.",
    "bucket_frozen": "The bucket is frozen.",
    "counter_overflow": "The bucket cannot count that far.",
    "grant_unknown": "There is no such grant.",
    "hold_captured": "The hold was captured already.",
    "hold_expired": "The hold has expired.",
    "hold_released": "The hold was released already.",
    "hold_unknown": "There is no such hold.",
    "idempotency_key_reused": "This Idempotency-Key was used with another request.",
    "key_unknown": "Nothing is remembered under this key.",
    "linked_failed": "A command that is linked with this one failed.",
    "member_cap_reached": "The member's cap on this bucket is reached.",
    "no_bucket": "There is no bucket to draw on.",
    "nothing_to_reverse": "The operation took nothing that could be given back.",
    "operation_unknown": "There is no such operation.",
    "over_capture": "More than was held cannot be captured.",
    "reversal_exceeds": "More than was taken cannot be given back.",
    "credential_ambiguous": "The request shows two credentials; one is enough.",
    "credential_invalid": "The credential is unknown, expired or revoked.",
    "credential_missing": "This address needs a key: Authorization: Bearer, or X-API-Key.",
    "decision_unavailable": "This cannot be decided now; the same request may be sent again.",
    "feature_not_in_plan": "The plan does not bring this feature.",
    "not_entitled": "There is no right to this.",
    "quota_exceeded": "The quota of this period is used up.",
    "rate_limited": "There were too many calls in this time.",
    "scope_missing": "The key is not good for this.",
    "stale": "What was known of the caller has just changed; send the same request again.",
}

# At a gateway the caller's own address is what is asked about, and most codes are denials.
_AT_GATEWAYS: Final[Mapping[str, int]] = {
    "route_unknown": 403,
    "no_bucket": 403,
    "subscription_pending_payment": 402,
}
_DENIALS: Final = frozenset({401, 402, 403, 429, 503})

_HEADERS: Final[Mapping[int, tuple[tuple[str, str], ...]]] = {
    401: (("WWW-Authenticate", 'Bearer realm="farebox"'),),
    503: (("Retry-After", "1"),),
}


def status_of(code: str) -> int:
    """Return the status of a code; 500 for one that the table does not know."""
    return STATUS.get(code, 500)


def status_at_gateway(code: str) -> int:
    """Return the status of a denial at a gateway: 401, 402, 403, 429, or 503 for no decision."""
    status = _AT_GATEWAYS.get(code) or STATUS.get(code, 403)
    return status if status in _DENIALS else 403


def sentence_of(code: str) -> str:
    """Return a code as a sentence."""
    return _SENTENCES.get(code) or code.replace("_", " ").capitalize() + "."


def headers_of(status: int) -> tuple[tuple[str, str], ...]:
    """Return the headers that a problem of this status carries beside its content type."""
    return _HEADERS.get(status, ())


def problem_of(
    code: str, detail: str | None = None, facts: Mapping[str, str | int | None] | None = None
) -> tuple[int, bytes]:
    """Return status and body of the problem that a code is; `facts` become members of it."""
    status = status_of(code)
    body: dict[str, str | int | None] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail or _SENTENCES.get(code) or code.replace("_", " "),
    }
    for name, value in (facts or {}).items():
        body.setdefault(name, value)
    return status, msgspec.json.encode(body)


def problem(refusal: Refusal) -> tuple[int, bytes]:
    """Return status and body of the problem that a refusal is."""
    return problem_of(refusal.code, refusal.detail, refusal.facts)
