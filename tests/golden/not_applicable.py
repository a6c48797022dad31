"""What other systems answer and Farebox, by design, does not: by feature, and what ours is instead.

A rule names no case. Where a case shows a rule's feature, its family asserts **our** answer in
place of the expected one and cites the rule (`Family.ours`), or asserts that ours refuses and
leaves the rest of the case (`Family.leave`). The end of the test run lists which cases did either.
"""

from typing import Final

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """One difference by design. `kinds` are the kinds of case that may show it; None is any."""

    feature: str
    theirs: str
    ours: str
    kinds: frozenset[str] | None = None


RULES: Final = {
    rule.feature: rule
    for rule in (
        Rule(
            "amount_above_2_53",
            "amounts of 128 bits or of any length",
            "an amount is at most 2^53 - 1, so that every JSON client reads it exactly; a larger "
            "one is refused (value_invalid) and nothing moves",
        ),
        Rule(
            "time_of_the_caller",
            "events imported with their own timestamps, which the ledger checks",
            "no command carries a time: recorded time is the clock's, and never goes back",
            frozenset({"clock_back"}),
        ),
        Rule(
            "asked_not_recorded",
            "a repeat is the same when it would have recorded the same amount",
            "a repeat is the same when it asks the same: another asked amount under a known key "
            "is idempotency_key_reused, and nothing is applied",
        ),
        Rule(
            "denied_key_is_spent",
            "an id that asked for too much of a hold may be used again",
            "every denial is remembered under its key; a new attempt uses a new key",
        ),
        Rule(
            "refusal_not_remembered",
            "an id whose account was not found can never succeed later",
            "a refusal is not remembered: the key still knows nothing (key_unknown)",
        ),
        Rule(
            "nothing_to_move",
            "an empty transfer, amount 0, is created",
            "amounts start at 1: 0 is refused (value_invalid), nothing is written",
        ),
        Rule(
            "no_positive_floor",
            "an overdraft 'up to -N' is taken as 0",
            "a credit limit below 0 does not exist (value_invalid); keep a reserve with a hold. "
            "The balance is spent to 0",
            frozenset({"reserve_floor", "credit_limit"}),
        ),
        Rule(
            "prepaid_below_zero",
            "the default balance goes below 0 when the shared one is empty",
            "denied, and nothing moves: a prepaid bucket never goes below its floor",
            frozenset({"oversell_warning"}),
        ),
        Rule(
            "units_charged_twice",
            "the whole call is charged in money although units paid for a part of it",
            "money pays only for what units did not",
            frozenset({"units_then_money"}),
        ),
        Rule(
            "applied_in_part",
            "an error is reported after a part was taken",
            "denied, and nothing moves; whoever wants what is there asks for at most so much and "
            "is told how much that was",
            frozenset({"partial_then_deny"}),
        ),
        Rule(
            "end_of_period",
            "a balance asked for at the instant of an expiry still has what expires",
            "expiry is exact: the last instant of a period still has it, the instant of expiry not",
        ),
        Rule(
            "part_converted_alone",
            "each part of a period is converted and rounded alone: 1400 and 1300 in thousands, "
            "rounded up, bill 2 + 2",
            "the sum so far is converted, and a part bills the difference: 2, then 1 of 3",
            frozenset({"unit_conversion_split_line"}),
        ),
        Rule(
            "share_rounded_alone",
            "each line's share of a coupon is rounded by itself, to 5 decimal places of a cent: "
            "the shares may add up to 0.00002 less than the coupon",
            "shares add up to the coupon exactly: what is missing goes to the largest remainders",
            frozenset({"coupon_allocation", "coupons_order_and_allocation"}),
        ),
        Rule(
            "old_rate_limit_fields",
            "three integer fields, RateLimit-Limit, -Remaining and -Reset",
            "RateLimit and RateLimit-Policy as structured fields, and no field of the old names",
            frozenset({"structured_field_list"}),
        ),
        Rule(
            "plain_digest",
            "keys stored as SHA-256",
            "keys stored as HMAC-SHA-256 under a pepper, which protects weak imported ones as well",
            frozenset({"api_key_hash"}),
        ),
        Rule(
            "asymmetric_webhooks",
            "webhooks signed by ed25519 (v1a)",
            "webhooks signed by HMAC-SHA-256 (v1), which every receiver of the standard knows",
            frozenset({"standard_webhooks_sign_ed25519"}),
        ),
        Rule(
            "no_grpc",
            "Envoy asks over gRPC",
            "Envoy asks over HTTP; there is no gRPC address",
            frozenset({"edge_status_map"}),
        ),
        Rule(
            "gateway_alone",
            "what a gateway makes of no answer, or of one that ours never gives",
            "the gateway's own doing: ours answers 200, 401, 402, 403, 429, or 503 for not knowing",
            frozenset({"edge_status_map"}),
        ),
        Rule(
            "whole_numbers_only",
            "flags with fractions, which must be sent as 100.0",
            "a feature's number is whole; nothing here is a float",
            frozenset({"ofrep_client"}),
        ),
        Rule(
            "no_x402",
            "a payment challenge in headers of 402 (x402)",
            "402 is a problem that says what it costs and what is left; topping up is billing's",
            frozenset({"x402_header"}),
        ),
        Rule(
            "no_search",
            "lists of who may do what (AuthZEN search)",
            "no such addresses (404), and the configuration names none: a question names both "
            "sides",
            frozenset({"authzen"}),
        ),
        Rule(
            "properties_decide_nothing",
            "what a caller says of a subject, action or resource in properties decides",
            "decisions are made from what Farebox itself knows: subscriptions, rights, balances",
            frozenset({"authzen", "authzen_fixture"}),
        ),
        Rule(
            "errors_are_problems",
            "401 of introspection with a body of OAuth and a challenge for Basic",
            "401 with a problem and a challenge for Bearer, as on every address",
            frozenset({"introspection"}),
        ),
        Rule(
            "a_repeat_waits",
            "409 for a key whose first request still runs",
            "the repeat waits for the first and gets its answer: nothing has to be sent again",
            frozenset({"idempotency_status"}),
        ),
        Rule(
            "other_products_codes",
            "codes of other products, and 200 for a caller without the permission",
            "decide answers denials with 200 and codes of its own; a caller without the permission "
            "is refused (403 role_missing)",
            frozenset({"product_semantics"}),
        ),
    )
}
