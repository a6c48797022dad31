"""From what was asked to a decision: what is prepared once for each consumer."""

import pytest

from farebox.access.decisions.model import Allowance, ProductSource, SubjectState
from farebox.access.flows.asks import decision_of, drawn_by, settled_by_state, subject_of
from farebox.contracts.decisions import DecideRequest
from farebox.kernel import ids
from farebox.ledger.model import Applied, Denied, Source

QUOTA = ProductSource(bucket=1, cap=None, group=None, quota=True)
OWN = ProductSource(bucket=2, cap=None, group=None)
SHARED = ProductSource(bucket=3, cap=4, group="grp_1")
EXTRA = ProductSource(bucket=5, cap=None, group=None, overage=True)


def state(*sources, **terms):
    return SubjectState(
        consumer="con_1",
        state="active",
        guards=(("con_1", 1),),
        products={"films": sources},
        allowances=(Allowance(bucket=1, limit=10, resets_at=0),),
        **terms,
    )


def asked(**more):
    return DecideRequest(mode="consume", product="films", quantity=1, **more)


@pytest.mark.parametrize("value", [True, 1, "1"])
def test_consumers_with_alike_features_keep_the_value_that_is_theirs(value):
    for other in (True, 1, "1"):
        subject_of(state(features={"seats": other}))
    found = subject_of(state(features={"seats": value})).features["seats"]
    assert (found, type(found)) == (value, type(value))


def test_consumers_with_the_same_features_share_them():
    first, second = (subject_of(state(features={"hd": True})) for _ in range(2))
    assert first.features is second.features


@pytest.mark.parametrize(
    ("sources", "named", "drawn", "limit"),
    [
        ((QUOTA, OWN), {}, (Source(1), Source(2)), 10),
        ((OWN, QUOTA), {}, (Source(2), Source(1)), None),
        ((OWN, SHARED), {"group": "grp_1"}, (Source(3, 4),), None),
        ((QUOTA, OWN), {"bucket": ids.show("bkt", 2)}, (Source(2),), None),
        ((OWN, QUOTA), {"bucket": ids.show("bkt", 1)}, (Source(1),), 10),
        ((QUOTA, EXTRA), {}, (Source(1), Source(5, None, True)), 10),
        ((OWN,), {"group": "grp_2"}, (), None),
        ((OWN,), {"bucket": "bkt_none"}, (), None),
    ],
)
def test_the_limit_told_is_that_of_the_quota_drawn_first(sources, named, drawn, limit):
    found = drawn_by(subject_of(state(*sources)), asked(**named))
    assert (found.sources, found.limit) == (drawn, limit)


def test_a_product_that_the_consumer_has_not_gives_nothing_to_draw_on():
    subject = subject_of(state(OWN))
    ask = DecideRequest(mode="consume", product="songs", quantity=1)
    settled = settled_by_state(subject, None, ask, drawn_by(subject, ask))
    assert settled is not None
    assert (settled.allowed, settled.code) == (False, "no_bucket")


@pytest.mark.parametrize(
    ("sources", "named", "code"),
    [
        ((QUOTA,), {}, "quota_exceeded"),
        ((QUOTA, OWN), {}, "bucket_empty"),
        ((QUOTA, OWN), {"bucket": ids.show("bkt", 1)}, "quota_exceeded"),
        ((QUOTA, OWN), {"bucket": ids.show("bkt", 2)}, "bucket_empty"),
    ],
)
def test_what_helps_says_how_an_empty_source_is_called(sources, named, code):
    subject, ask = subject_of(state(*sources)), asked(**named)
    denied = Denied(code="bucket_empty", available=0, bucket=1)
    assert decision_of(subject, ask, drawn_by(subject, ask), denied).code == code


@pytest.mark.parametrize(("sources", "remaining"), [((QUOTA, EXTRA), 7), ((EXTRA,), None)])
def test_what_only_counts_overage_has_no_end_to_tell(sources, remaining):
    subject, ask = subject_of(state(*sources)), asked()
    done = Applied(operation=9, at=1, bucket=1, amount=1, available=7)
    assert decision_of(subject, ask, drawn_by(subject, ask), done).remaining == remaining
