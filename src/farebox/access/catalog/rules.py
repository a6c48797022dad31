"""What products, features and plans may look like."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from farebox.access.catalog.model import (
    LONGEST_COUNT,
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    LONGEST_QUERY,
    LONGEST_WORD,
    MOST_DAYS,
    MOST_LINES,
    MOST_SECONDS,
    PRODUCT_TYPES,
    AddOnRefused,
    EntitlementKeyUnknown,
    Feature,
    FeatureArchived,
    FeatureUnknown,
    FeatureValueRefused,
    PlanTerms,
    Product,
    ProductArchived,
    ProductEntitlement,
    ProductUnknown,
    Quota,
    QuotaRefused,
    RateLimit,
    TermsRefused,
)
from farebox.kernel.amounts import MAX_AMOUNT, checked_amount, is_amount
from farebox.kernel.periods import check_terms
from farebox.kernel.refusals import ValueRefused
from farebox.platform.rules import checked_text

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def checked_code(code: str) -> str:
    """Return a code if it can stand in a path as it is, else refuse it."""
    if _CODE.fullmatch(code) is None:
        raise ValueRefused("a code is 1 to 128 letters, digits and . _ : - in ASCII")
    return code


def folded(text: str) -> str:
    """Return a text as searches compare it: one form of each letter, no case, ё as е."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", plain).replace("ё", "е")


def words_of(query: str) -> tuple[str, ...]:
    """Return the folded words of a query, all of which a hit contains; refuses an empty one."""
    words = tuple(folded(checked_text(query, "a query", longest=LONGEST_QUERY)).split())
    if not words:
        raise ValueRefused("a query has at least one word")
    return words


# -- products ------------------------------------------------------------------------------------


def checked_product(product: Product) -> Product:
    """Return a product that agrees with itself, else refuse (`value_invalid`, `terms_refused`)."""
    checked_code(product.code)
    checked_text(product.name, "a name", longest=LONGEST_NAME)
    checked_text(product.unit, "a unit", longest=LONGEST_WORD)
    checked_text(product.description, "a description", longest=LONGEST_DESCRIPTION, least=0)
    if product.type not in PRODUCT_TYPES:
        raise ValueRefused(f"a product's type is one of {', '.join(PRODUCT_TYPES)}")
    _few(product.entitlements, "entitlements")
    _once((one.key for one in product.entitlements), "an entitlement")
    for one in product.entitlements:
        _check_entitlement(one)
    _few(product.add_ons, "add-ons")
    _once(product.add_ons, "an add-on")
    return product


def _check_entitlement(one: ProductEntitlement) -> None:
    checked_code(one.key)
    if one.limit is not None:
        checked_amount(one.limit)
    if one.period is not None:
        check_terms(one.period, 1, "UTC")
        if one.limit is None:
            raise TermsRefused("a period has a limit: without one, uses are not counted")
    if one.days is not None and not 1 <= one.days <= MOST_DAYS:
        raise ValueRefused(f"an entitlement is valid for 1 to {MOST_DAYS} days")
    _few(one.roles, "roles")
    _once(one.roles, "a role")
    for role in one.roles:
        checked_text(role, "a role", longest=LONGEST_WORD)


def check_keys(product: Product, known: Collection[str]) -> None:
    """Refuse (`entitlement_key_unknown`) what a product brings that is neither known nor itself."""
    for one in product.entitlements:
        if one.key != product.code and one.key not in known:
            raise EntitlementKeyUnknown(f"there is no feature or product {one.key!r}")


def check_add_ons(
    product: Product, candidates: Mapping[str, Product], *, before: Collection[str] = ()
) -> None:
    """Refuse add-ons that cannot be (`add_on_refused`, `product_archived`).

    `candidates` are all products of type add_on; `before` are the add-ons that the product had,
    which may be archived by now: what is sold with them goes on.
    """
    for code in product.add_ons:
        if code == product.code:
            raise AddOnRefused
        found = candidates.get(code)
        if found is None:
            raise AddOnRefused(f"{code!r} is not a product of type add_on")
        if found.state == "archived" and code not in before:
            raise ProductArchived(f"the add-on {code!r} is archived")
    graph = {code: one.add_ons for code, one in candidates.items()}
    if product.code in reached({**graph, product.code: product.add_ons}, product.code):
        raise AddOnRefused(f"{product.code!r} would be an add-on of itself")


def reached(graph: Mapping[str, Sequence[str]], start: str) -> frozenset[str]:
    """Return every code that add-ons lead to from one, near or far."""
    found: set[str] = set()
    todo = list(graph.get(start, ()))
    while todo:
        code = todo.pop()
        if code not in found:
            found.add(code)
            todo.extend(graph.get(code, ()))
    return frozenset(found)


# -- features ------------------------------------------------------------------------------------


def checked_feature(feature: Feature) -> Feature:
    """Return a feature that agrees with itself, else refuse (`value_invalid`, `terms_refused`)."""
    checked_code(feature.code)
    checked_text(feature.name, "a name", longest=LONGEST_NAME)
    checked_text(feature.description, "a description", longest=LONGEST_DESCRIPTION, least=0)
    if feature.kind not in {"switch", "number", "choice"}:
        raise ValueRefused("a feature's kind is one of switch, number, choice")
    if (feature.kind == "choice") is not bool(feature.choices):
        raise TermsRefused("a feature of kind choice has choices, and no other has")
    _few(feature.choices, "choices")
    _once(feature.choices, "a choice")
    for choice in feature.choices:
        checked_text(choice, "a choice", longest=LONGEST_WORD)
    return feature


def check_value(feature: Feature, value: object) -> None:
    """Refuse (`feature_value_invalid`) a value that is not of the feature's kind."""
    fits = {
        "switch": type(value) is bool,
        "number": is_amount(value, least=0),
        "choice": type(value) is str and value in feature.choices,
    }
    if not fits[feature.kind]:
        wanted = {
            "switch": "true or false",
            "number": f"a whole number from 0 to {MAX_AMOUNT}",
            "choice": f"one of {', '.join(feature.choices)}",
        }
        raise FeatureValueRefused(f"{feature.code!r} is {wanted[feature.kind]}")


# -- plans ---------------------------------------------------------------------------------------


def checked_terms(plan: PlanTerms) -> PlanTerms:
    """Return terms that agree with themselves, else refuse them.

    With `value_invalid` for a single value, `quota_refused` for quotas and rate limits that
    contradict themselves or each other, `terms_refused` for other contradictions.
    """
    checked_text(plan.name, "a name", longest=LONGEST_NAME)
    checked_text(plan.description, "a description", longest=LONGEST_DESCRIPTION, least=0)
    _check_days(plan)
    for lines, what in (
        (plan.quotas, "quotas"),
        (plan.rate_limits, "rate limits"),
        (plan.features, "features"),
    ):
        _few(lines, what)
    for quota in plan.quotas:
        _check_quota(quota)
    _check_quotas_together(plan.quotas)
    for limit in plan.rate_limits:
        _check_rate_limit(limit)
    if len({(one.product, one.seconds) for one in plan.rate_limits}) < len(plan.rate_limits):
        raise QuotaRefused("a product has one rate limit for each number of seconds")
    _once((one.feature for one in plan.features), "a feature")
    return plan


def terms_of(plan: PlanTerms) -> PlanTerms:
    """Return what a plan's version promises, without what names it."""
    names = PlanTerms.__struct_fields__
    return PlanTerms(**{name: getattr(plan, name) for name in names})


def _check_days(plan: PlanTerms) -> None:
    if not 0 <= plan.trial_days <= MOST_DAYS:
        raise ValueRefused(f"a trial has 0 to {MOST_DAYS} days")
    if plan.on_payment_failed not in {"suspend", "grace", "ignore"}:
        raise ValueRefused("on_payment_failed is one of suspend, grace, ignore")
    graced = plan.on_payment_failed == "grace"
    if not 0 <= plan.grace_days <= MOST_DAYS:
        raise ValueRefused(f"a grace has at most {MOST_DAYS} days")
    if graced is not bool(plan.grace_days):
        raise TermsRefused("grace_days go with on_payment_failed: grace, and it with them")


def _check_quota(quota: Quota) -> None:
    checked_code(quota.product)
    checked_amount(quota.limit)
    try:
        check_terms(quota.unit, quota.count, quota.zone)
    except ValueRefused as refused:
        raise QuotaRefused(refused.detail) from refused
    if quota.count > LONGEST_COUNT:
        raise ValueRefused(f"a period has 1 to {LONGEST_COUNT} units")
    if quota.anchor not in {"calendar", "anniversary"}:
        raise ValueRefused("an anchor is calendar or anniversary")
    if quota.overage and quota.hard:
        raise QuotaRefused("a hard quota denies at its limit, so it has no overage")
    if quota.unit == "lifetime" and quota.rollover:
        raise QuotaRefused("a lifetime has no next period that anything could roll over to")
    if quota.unit == "lifetime" and quota.count != 1:
        raise QuotaRefused("a lifetime is counted once")


def _check_quotas_together(quotas: Sequence[Quota]) -> None:
    """Refuse two quotas of one product and period, and products with overage here, hard there."""
    if len({(one.product, one.unit, one.count) for one in quotas}) < len(quotas):
        raise QuotaRefused("a product has one quota for each period")
    hard = {one.product for one in quotas if one.hard}
    over = {one.product for one in quotas if one.overage}
    if both := hard & over:
        raise QuotaRefused(f"one quota of {min(both)!r} is hard, so none has overage")


def _check_rate_limit(limit: RateLimit) -> None:
    if limit.product is not None:
        checked_code(limit.product)
    checked_amount(limit.limit)
    checked_amount(limit.burst)
    if not 1 <= limit.seconds <= MOST_SECONDS:
        raise ValueRefused(f"a rate is counted over 1 to {MOST_SECONDS} seconds")


def products_of(plan: PlanTerms) -> Iterator[str]:
    """Yield the products that a plan counts or limits."""
    yield from (one.product for one in plan.quotas)
    yield from (one.product for one in plan.rate_limits if one.product is not None)


def check_parts(
    plan: PlanTerms,
    products: Mapping[str, Product],
    features: Mapping[str, Feature],
    *,
    before: PlanTerms | None = None,
) -> None:
    """Refuse what a plan names and cannot have.

    Unknown products and features (`product_unknown`, `feature_unknown`), values that are not of
    the feature's kind (`feature_value_invalid`), and archived ones (`product_archived`,
    `feature_archived`), unless the version `before` had them: what is sold may go on.
    """
    had = set() if before is None else set(products_of(before))
    for code in products_of(plan):
        product = products.get(code)
        if product is None:
            raise ProductUnknown(f"there is no product {code!r}")
        if product.state == "archived" and code not in had:
            raise ProductArchived(f"the product {code!r} is archived")
    had = set() if before is None else {one.feature for one in before.features}
    for line in plan.features:
        feature = features.get(line.feature)
        if feature is None:
            raise FeatureUnknown(f"there is no feature {line.feature!r}")
        if feature.state == "archived" and line.feature not in had:
            raise FeatureArchived(f"the feature {line.feature!r} is archived")
        check_value(feature, line.value)


# -- lists ---------------------------------------------------------------------------------------


def _few(lines: Sequence[object], what: str) -> None:
    if len(lines) > MOST_LINES:
        raise ValueRefused(f"there are at most {MOST_LINES} {what}")


def _once(codes: Iterable[str], what: str) -> None:
    seen = set()
    for code in codes:
        if code in seen:
            raise TermsRefused(f"{what} is named once, not twice: {code!r}")
        seen.add(code)
