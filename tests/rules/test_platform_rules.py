"""Roles and keys: the table of who may what, and the form of keys."""

import pytest

from farebox.kernel.refusals import ValueRefused
from farebox.platform import rules
from farebox.platform.model import ROLES, Permission, Principal, Role

P = Permission


def operator(*roles: str) -> Principal:
    return Principal(kind="operator", id="opr_1", roles=frozenset(roles), revision=0)


def test_the_checksum_is_the_one_of_the_published_example():
    assert rules.checksum("acme_live_7Hq2ZkR9tYx4BvN8mWc1LpD6sFg3Jh5K") == "3b7wOc"


def test_the_digest_is_the_one_of_the_published_example():
    digest = rules.hash_credential(
        bytes(range(32)), "acme_live_7Hq2ZkR9tYx4BvN8mWc1LpD6sFg3Jh5K3b7wOc"
    )
    assert digest.hex() == "0dc81f4c392268c82fe4622ef6dec90bd014431c28ffca1d73f868e7bc9141ed"


def test_a_generated_key_with_one_letter_changed_may_not_exist():
    key = rules.key_of("7Hq2ZkR9tYx4BvN8mWc1LpD6sFg3Jh5K")
    assert key.startswith("fb_live_")
    assert rules.checksum_ok(key)
    for place in range(len("fb_live_"), len(key)):
        other = "a" if key[place] != "a" else "b"
        assert not rules.checksum_ok(key[:place] + other + key[place + 1 :])


@pytest.mark.parametrize("key", ["cinema-7", "x", "Bearer of gifts", "fb_test_1", "ключ", "\0"])
def test_a_key_from_elsewhere_needs_no_checksum(key):
    assert rules.checksum_ok(key)
    assert rules.checked_imported_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "k" * 513, "fb_live_", "fb_live_short", "fb_live_\ud800aaaaaaa"]
)
def test_a_key_that_could_never_be_found_is_refused(key):
    with pytest.raises(ValueRefused):
        rules.checked_imported_key(key)


@pytest.mark.parametrize(
    ("key", "hint"),
    [("fb_live_abcdefgh", "efgh"), ("12345678", "78"), ("abc", ""), ("ab\0\0", "?")],
)
def test_a_hint_shows_a_quarter_of_a_key_at_most(key, hint):
    assert rules.hint_of(key) == hint


ALLOWED = [
    ("vendor", P.PLANS, True),
    ("vendor", P.REDEEM, False),
    ("vendor", P.RESOLVE, False),
    ("vendor", P.OPERATORS, False),
    ("provider", P.REDEEM, True),
    ("provider", P.INTROSPECT, True),
    ("provider", P.ACCOUNTS, True),
    ("provider", P.GRANT, False),
    ("provider", P.READ, False),
    ("edge", P.DECIDE, True),
    ("edge", P.RESOLVE, True),
    ("edge", P.ACCOUNTS, True),
    ("edge", P.REDEEM, False),
    ("support", P.SUSPEND, True),
    ("support", P.GRANT, True),
    ("support", P.READ, True),
    ("support", P.KEYS, False),
    ("support", P.BUCKETS, False),
    ("viewer", P.READ, True),
    ("viewer", P.READ_AUDIT, False),
    ("viewer", P.SUSPEND, False),
    ("owner", P.READ, False),
]


@pytest.mark.parametrize(("role", "permission", "allowed"), ALLOWED)
def test_a_role_allows_what_its_table_says(role, permission, allowed):
    assert rules.may(operator(role), permission) is allowed


def test_an_admin_may_everything_and_nobody_else_manages_operators_and_secrets():
    for permission in Permission:
        assert rules.may(operator("admin"), permission)
    others: list[Role] = [role for role in ROLES if role != "admin"]
    assert not any(rules.may(operator(*others), p) for p in (P.OPERATORS, P.SECRETS))


def test_every_role_has_its_line():
    assert set(rules.PERMISSIONS) == set(ROLES)


def test_roles_that_a_consumers_token_claims_allow_nothing():
    consumer = Principal(kind="consumer", id="con_1", roles=frozenset({"admin"}), revision=0)
    assert not any(rules.may(consumer, permission) for permission in Permission)


def test_an_unknown_role_allows_nothing_and_is_refused_where_roles_are_given():
    assert not any(rules.may(operator("root"), permission) for permission in Permission)
    with pytest.raises(ValueRefused, match="root"):
        rules.checked_roles(["admin", "root"])


def test_roles_are_kept_once_and_in_one_order():
    assert rules.checked_roles(["admin", "vendor", "admin"]) == ("vendor", "admin")


@pytest.mark.parametrize("text", ["", "a" * 9, "a\0", "a\nb", "\x7f", "\x85", "\ud800"])
def test_a_text_that_an_engine_or_a_page_cannot_show_is_refused(text):
    with pytest.raises(ValueRefused):
        rules.checked_text(text, "a name", longest=8)


def test_a_full_page_without_a_successor_has_no_cursor():
    assert rules.page_of([1, 2], 2, str).next is None
    assert rules.page_of([1, 2, 3], 2, str).next == "2"
