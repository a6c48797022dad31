"""What products, features and plans may look like, as tables: input, and the code that refuses."""

import msgspec
import pytest

from farebox.access.catalog.model import (
    Feature,
    PlanFeature,
    PlanTerms,
    Product,
    ProductEntitlement,
    Quota,
    RateLimit,
)
from farebox.access.catalog.rules import (
    check_add_ons,
    check_keys,
    check_parts,
    check_value,
    checked_code,
    checked_feature,
    checked_product,
    checked_terms,
    folded,
    reached,
    words_of,
)
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import Refusal


def product(code="films", **named) -> Product:
    terms = {"name": "Films", "type": "service", "unit": "film", "scale": 0, "state": "active"}
    return Product(**{"code": code, "created_at": 1, **terms, **named})


def feature(code="analytics", **named) -> Feature:
    terms = {"name": "Analytics", "kind": "switch", "state": "active", "created_at": 1}
    return Feature(**{"code": code, **terms, **named})


def quota(**named) -> Quota:
    return Quota(**{"product": "films", "limit": 10, "unit": "month", **named})


def rate(**named) -> RateLimit:
    return RateLimit(**{"limit": 10, "seconds": 60, "burst": 10, **named})


def brings(key="films", **named) -> ProductEntitlement:
    return ProductEntitlement(key=key, **named)


def code_of(call, *arguments, **named) -> str | None:
    """Return the code of the refusal, or None where there is none."""
    try:
        call(*arguments, **named)
    except Refusal as refused:
        return refused.code
    return None


# -- codes and queries ---------------------------------------------------------------------------

CODES = [
    ("films", True),
    ("wayang-core-api", True),
    ("a", True),
    ("0.9:x_y", True),
    ("x" * 128, True),
    ("", False),
    ("x" * 129, False),
    ("-films", False),
    ("a/b", False),
    ("ж", False),
    ("a b", False),
    ("a\n", False),
]


@pytest.mark.parametrize(("code", "good"), CODES)
def test_a_code_can_stand_in_a_path_as_it_is(code, good):
    assert code_of(checked_code, code) == (None if good else "value_invalid")


FOLDED = [
    ("Ёлка", "елка"),
    ("е\u0308лка", "елка"),
    ("ФИЛЬМЫ", "фильмы"),
    ("Straße", "strasse"),
    ("ﬁlm", "film"),
    ("İ", "i̇"),
    ("Café", "café"),
]


@pytest.mark.parametrize(("text", "form"), FOLDED)
def test_a_search_sees_no_case_no_yo_and_one_form_of_each_letter(text, form):
    assert folded(text) == form
    assert folded(form) == form


QUERIES = [
    ("Ёлка", ("елка",)),
    ("  two\u00a0words ", ("two", "words")),
    (" ", None),
    ("", None),
    ("x" * 129, None),
    ("a\0b", None),
]


@pytest.mark.parametrize(("query", "words"), QUERIES)
def test_a_query_is_its_words(query, words):
    if words is None:
        assert code_of(words_of, query) == "value_invalid"
    else:
        assert words_of(query) == words


# -- products ------------------------------------------------------------------------------------

PRODUCTS = [
    ({}, None),
    ({"type": "add_on"}, None),
    ({"type": "rental"}, "value_invalid"),
    ({"type": "API"}, "value_invalid"),
    ({"name": ""}, "value_invalid"),
    ({"name": "a\nb"}, "value_invalid"),
    ({"unit": ""}, "value_invalid"),
    ({"description": ""}, None),
    ({"description": "x" * 2_000}, None),
    ({"description": "x" * 2_001}, "value_invalid"),
    ({"entitlements": (brings(),)}, None),
    ({"entitlements": (brings(limit=1, period="lifetime", days=1, roles=("pupil",)),)}, None),
    ({"entitlements": (brings(limit=0),)}, "value_invalid"),
    ({"entitlements": (brings(limit=-1),)}, "value_invalid"),
    ({"entitlements": (brings(limit=MAX_AMOUNT),)}, None),
    ({"entitlements": (brings(limit=MAX_AMOUNT + 1),)}, "value_invalid"),
    ({"entitlements": (brings(limit=True),)}, "value_invalid"),
    ({"entitlements": (brings(limit=1, period="fortnight"),)}, "value_invalid"),
    ({"entitlements": (brings(period="month"),)}, "terms_refused"),
    ({"entitlements": (brings(days=0),)}, "value_invalid"),
    ({"entitlements": (brings(days=36_501),)}, "value_invalid"),
    ({"entitlements": (brings(roles=("pupil", "pupil")),)}, "terms_refused"),
    ({"entitlements": (brings(roles=("",)),)}, "value_invalid"),
    ({"entitlements": (brings(), brings(limit=1))}, "terms_refused"),
    ({"entitlements": (brings("a b"),)}, "value_invalid"),
    ({"entitlements": tuple(brings(f"f{n}") for n in range(100))}, None),
    ({"entitlements": tuple(brings(f"f{n}") for n in range(101))}, "value_invalid"),
    ({"add_ons": ("a", "a")}, "terms_refused"),
]


@pytest.mark.parametrize(("named", "code"), PRODUCTS)
def test_a_product_agrees_with_itself(named, code):
    assert code_of(checked_product, product(**named)) == code


def test_what_a_product_brings_is_known_or_itself():
    assert code_of(check_keys, product(entitlements=(brings("films"),)), ()) is None
    assert code_of(check_keys, product(entitlements=(brings("quiz"),)), {"quiz"}) is None
    unknown = product(entitlements=(brings("films"), brings("quiz")))
    assert code_of(check_keys, unknown, {"quizz"}) == "entitlement_key_unknown"


def on(code: str, *add_ons: str, **named) -> Product:
    return product(code, type="add_on", add_ons=add_ons, **named)


ADD_ONS = [
    ("no add-ons", product(), [], (), None),
    ("one", product(add_ons=("a",)), [on("a")], (), None),
    ("near and far", product(add_ons=("a",)), [on("a", "b"), on("b")], (), None),
    ("two ways to one", product(add_ons=("a", "b")), [on("a", "c"), on("b", "c"), on("c")], (),
     None),
    ("unknown", product(add_ons=("b",)), [on("a")], (), "add_on_refused"),
    ("itself", on("a", "a"), [on("a")], (), "add_on_refused"),
    ("a circle of two", on("a", "b"), [on("a"), on("b", "a")], (), "add_on_refused"),
    ("a circle of three", on("a", "b"), [on("a"), on("b", "c"), on("c", "a")], (),
     "add_on_refused"),
    ("archived", product(add_ons=("a",)), [on("a", state="archived")], (), "product_archived"),
    ("archived since", product(add_ons=("a",)), [on("a", state="archived")], ("a",), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bearer", "candidates", "before", "code"),
    [case[1:] for case in ADD_ONS],
    ids=[case[0] for case in ADD_ONS],
)
def test_add_ons_are_there_and_close_no_circle(bearer, candidates, before, code):
    known = {one.code: one for one in candidates}
    assert code_of(check_add_ons, bearer, known, before=before) == code


def test_what_is_reached_ends_where_a_circle_closes():
    assert reached({"a": ("b",), "b": ("a", "c")}, "a") == {"a", "b", "c"}
    assert reached({}, "a") == frozenset()


# -- features ------------------------------------------------------------------------------------

FEATURES = [
    ({}, None),
    ({"kind": "number"}, None),
    ({"kind": "choice", "choices": ("a", "b")}, None),
    ({"kind": "choice"}, "terms_refused"),
    ({"kind": "switch", "choices": ("a",)}, "terms_refused"),
    ({"kind": "choice", "choices": ("a", "a")}, "terms_refused"),
    ({"kind": "choice", "choices": ("",)}, "value_invalid"),
    ({"kind": "colour"}, "value_invalid"),
    ({"code": ""}, "value_invalid"),
    ({"name": ""}, "value_invalid"),
]


@pytest.mark.parametrize(("named", "code"), FEATURES)
def test_a_feature_agrees_with_itself(named, code):
    assert code_of(checked_feature, feature(**named)) == code


VALUES = [
    ("switch", True, True),
    ("switch", False, True),
    ("switch", 1, False),
    ("switch", "true", False),
    ("number", 0, True),
    ("number", MAX_AMOUNT, True),
    ("number", MAX_AMOUNT + 1, False),
    ("number", -1, False),
    ("number", True, False),
    ("number", 1.0, False),
    ("number", "1", False),
    ("choice", "gold", True),
    ("choice", "Gold", False),
    ("choice", "", False),
    ("choice", True, False),
    ("choice", 1, False),
]


@pytest.mark.parametrize(("kind", "value", "good"), VALUES)
def test_a_value_is_of_its_features_kind(kind, value, good):
    choices = ("gold", "silver") if kind == "choice" else ()
    refused = code_of(check_value, feature(kind=kind, choices=choices), value)
    assert refused == (None if good else "feature_value_invalid")


# -- plans ---------------------------------------------------------------------------------------

QUOTAS = [
    ("one", [quota()], None),
    ("least", [quota(limit=1)], None),
    ("none", [quota(limit=0)], "value_invalid"),
    ("below nothing", [quota(limit=-1)], "value_invalid"),
    ("as much as can be", [quota(limit=MAX_AMOUNT)], None),
    ("more than can be", [quota(limit=MAX_AMOUNT + 1)], "value_invalid"),
    ("another form of code", [quota(product="a b")], "value_invalid"),
    ("a period of nothing", [quota(count=0)], "quota_refused"),
    ("the longest period", [quota(count=1_000)], None),
    ("a longer period", [quota(count=1_001)], "value_invalid"),
    ("an unknown unit", [quota(unit="quarter")], "quota_refused"),
    ("an unknown anchor", [quota(anchor="full moon")], "value_invalid"),
    ("a zone", [quota(zone="Europe/Moscow")], None),
    ("an unknown zone", [quota(zone="Mars/Base")], "quota_refused"),
    ("a zone that is a path", [quota(zone="../etc/passwd")], "quota_refused"),
    ("overage", [quota(overage=True, hard=False)], None),
    ("soft", [quota(overage=False, hard=False)], None),
    ("overage, and hard", [quota(overage=True, hard=True)], "quota_refused"),
    ("rollover", [quota(rollover=True)], None),
    ("a lifetime", [quota(unit="lifetime")], None),
    ("a lifetime that rolls over", [quota(unit="lifetime", rollover=True)], "quota_refused"),
    ("two lifetimes in one", [quota(unit="lifetime", count=2)], "quota_refused"),
    ("two periods", [quota(), quota(unit="day", limit=1)], None),
    ("one and three months", [quota(), quota(count=3, limit=20)], None),
    ("one period twice", [quota(), quota(limit=20)], "quota_refused"),
    ("one period twice, other zone", [quota(), quota(zone="Asia/Tokyo")], "quota_refused"),
    ("two products", [quota(), quota(product="music")], None),
    ("hard by day, overage by month",
     [quota(unit="day"), quota(overage=True, hard=False)], "quota_refused"),
    ("hard here, overage there", [quota(), quota(product="music", overage=True, hard=False)],
     None),
    ("a hundred", [quota(product=f"p{n}") for n in range(100)], None),
    ("a hundred and one", [quota(product=f"p{n}") for n in range(101)], "value_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("quotas", "code"), [case[1:] for case in QUOTAS], ids=[case[0] for case in QUOTAS]
)
def test_quotas_contradict_neither_themselves_nor_each_other(quotas, code):
    assert code_of(checked_terms, PlanTerms(name="Pro", quotas=tuple(quotas))) == code


RATES = [
    ("one", [rate()], None),
    ("nothing", [rate(limit=0)], "value_invalid"),
    ("no time", [rate(seconds=0)], "value_invalid"),
    ("no burst", [rate(burst=0)], "value_invalid"),
    ("more than can be", [rate(burst=MAX_AMOUNT + 1)], "value_invalid"),
    ("a year and a day", [rate(seconds=366 * 86_400 + 1)], "value_invalid"),
    ("of all and of one", [rate(), rate(product="films")], None),
    ("a second and a minute", [rate(seconds=1), rate()], None),
    ("twice of all", [rate(), rate(limit=20)], "quota_refused"),
    ("twice of one", [rate(product="films"), rate(product="films", limit=20)], "quota_refused"),
]


@pytest.mark.parametrize(
    ("limits", "code"), [case[1:] for case in RATES], ids=[case[0] for case in RATES]
)
def test_rate_limits_contradict_neither_themselves_nor_each_other(limits, code):
    assert code_of(checked_terms, PlanTerms(name="Pro", rate_limits=tuple(limits))) == code


TERMS = [
    ({}, None),
    ({"name": ""}, "value_invalid"),
    ({"description": "a\0"}, "value_invalid"),
    ({"trial_days": 14}, None),
    ({"trial_days": -1}, "value_invalid"),
    ({"trial_days": 36_501}, "value_invalid"),
    ({"on_payment_failed": "grace", "grace_days": 7}, None),
    ({"on_payment_failed": "grace"}, "terms_refused"),
    ({"on_payment_failed": "suspend", "grace_days": 7}, "terms_refused"),
    ({"on_payment_failed": "ignore"}, None),
    ({"on_payment_failed": "cry"}, "value_invalid"),
    ({"on_payment_failed": "grace", "grace_days": -1}, "value_invalid"),
    ({"features": (PlanFeature(feature="a", value=True),) * 2}, "terms_refused"),
]


@pytest.mark.parametrize(("named", "code"), TERMS)
def test_terms_agree_with_themselves(named, code):
    assert code_of(checked_terms, PlanTerms(**{"name": "Pro", **named})) == code


BEFORE = PlanTerms(
    name="Pro",
    quotas=(quota(product="old"),),
    features=(PlanFeature(feature="past", value=True),),
)
PARTS = [
    ("nothing", PlanTerms(name="Pro"), None, None),
    ("a product", PlanTerms(name="Pro", quotas=(quota(),)), None, None),
    ("an unknown product", PlanTerms(name="Pro", quotas=(quota(product="no"),)), None,
     "product_unknown"),
    ("a rate of all", PlanTerms(name="Pro", rate_limits=(rate(),)), None, None),
    ("a rate of an unknown product", PlanTerms(name="Pro", rate_limits=(rate(product="no"),)),
     None, "product_unknown"),
    ("an archived product", PlanTerms(name="Pro", quotas=(quota(product="old"),)), None,
     "product_archived"),
    ("a rate of an archived product", PlanTerms(name="Pro", rate_limits=(rate(product="old"),)),
     None, "product_archived"),
    ("archived since", PlanTerms(name="Pro", quotas=(quota(product="old", limit=20),)), BEFORE,
     None),
    ("an unknown feature", PlanTerms(name="Pro", features=(PlanFeature(feature="no", value=1),)),
     None, "feature_unknown"),
    ("an archived feature",
     PlanTerms(name="Pro", features=(PlanFeature(feature="past", value=True),)), None,
     "feature_archived"),
    ("a feature archived since",
     PlanTerms(name="Pro", features=(PlanFeature(feature="past", value=False),)), BEFORE, None),
    ("a value of another kind",
     PlanTerms(name="Pro", features=(PlanFeature(feature="analytics", value="yes"),)), None,
     "feature_value_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "before", "code"), [case[1:] for case in PARTS], ids=[case[0] for case in PARTS]
)
def test_a_plan_names_only_what_it_can_have(terms, before, code):
    products = {"films": product(), "old": product("old", state="archived")}
    features = {"analytics": feature(), "past": feature("past", state="archived")}
    assert code_of(check_parts, terms, products, features, before=before) == code


def test_a_refusal_names_what_is_wrong():
    with pytest.raises(Refusal, match="'quiz'"):
        check_keys(product(entitlements=(brings("quiz"),)), ())
    known = msgspec.structs.replace(feature(), kind="choice", choices=("gold", "silver"))
    with pytest.raises(Refusal, match="gold, silver"):
        check_value(known, "tin")
