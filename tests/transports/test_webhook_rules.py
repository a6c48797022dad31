"""The rules of outgoing webhooks, as tables."""

from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from farebox.events.webhooks import rules
from farebox.events.webhooks.rules import AddressRefused
from farebox.kernel.refusals import ValueRefused

SECOND = 1_000_000
DAY = 86_400 * SECOND


@pytest.mark.parametrize(
    ("types", "event", "wanted"),
    [
        ((), "order.completed", True),
        (("order.completed",), "order.completed", True),
        (("order.completed",), "order.completed2", False),
        (("order.*",), "order.completed", True),
        (("order.*",), "orders.completed", False),
        (("order.*",), "order", False),
        (("plan.created", "order.*"), "order.expired", True),
        (("plan.created",), "plan.updated", False),
    ],
)
def test_an_endpoint_gets_the_events_it_names(types, event, wanted):
    assert rules.wants(types, event) is wanted


@pytest.mark.parametrize("wrong", ["", "*", "Order.completed", "order..x", ".x", "a b", "x" * 129])
def test_what_is_no_event_type_is_refused(wrong):
    with pytest.raises(ValueRefused):
        rules.checked_types([wrong], 10)


def test_types_are_kept_once_in_order_and_are_not_too_many():
    assert rules.checked_types(["b.x", "a.x", "b.x"], 3) == ("a.x", "b.x")
    with pytest.raises(ValueRefused):
        rules.checked_types(["a", "b"], 1)


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("https://hooks.example.org/a?b=c", None),
        ("https://hooks.example.org:8443/", None),
        ("https://8.8.8.8/", None),
        ("http://hooks.example.org/", AddressRefused),
        ("https://127.0.0.1/", AddressRefused),
        ("https://[::1]/", AddressRefused),
        ("https://169.254.169.254/latest/meta-data", AddressRefused),
        ("https://10.0.0.7/", AddressRefused),
        ("ftp://hooks.example.org/", ValueRefused),
        ("https://user:pass@hooks.example.org/", ValueRefused),
        ("https://hooks.example.org/#part", ValueRefused),
        ("https:///path", ValueRefused),
        ("https://hooks.example.org:99999/", ValueRefused),
        ("https://hooks.example.org:0/", ValueRefused),
        ("https://[::1/", ValueRefused),
        ("https://hooks.example.org/ü", ValueRefused),
        ("https://hooks.example.org/a b", ValueRefused),
        ("https://hooks.example.org/\r\nHost: x", ValueRefused),
        ("https://hooks.example.org/" + "x" * 2_048, ValueRefused),
    ],
)
def test_a_url_is_public_https(url, refusal):
    if refusal is None:
        assert rules.checked_url(url, private=False, longest=2_048) == url
        return
    with pytest.raises(refusal):
        rules.checked_url(url, private=False, longest=2_048)


def test_a_setting_lets_plain_http_and_private_addresses_through():
    for url in ("http://127.0.0.1:8080/x", "https://10.0.0.7/", "http://localhost/"):
        assert rules.checked_url(url, private=True, longest=2_048) == url
    with pytest.raises(ValueRefused):
        rules.checked_url("ftp://localhost/", private=True, longest=2_048)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("0.0.0.0", False),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("2002:a9fe:a9fe::1", False),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),  # Teredo that carries 127.0.0.1
        ("no address", False),
    ],
)
def test_only_the_open_internet_is_public(address, public):
    assert rules.is_public(address) is public


def test_signatures_are_what_the_standards_library_computes():
    secret, body = bytes(range(32)), '{"a": "ü"}'.encode()
    signed = rules.signatures([secret], "evt_1", 1_700_000_000, body)
    theirs = Webhook(rules.show_secret(secret))
    moment = datetime.fromtimestamp(1_700_000_000, UTC)
    assert signed == theirs.sign("evt_1", moment, body.decode())


def test_there_is_one_signature_for_each_secret_in_force():
    one, two = (rules.signatures([bytes([n]) * 32], "e", 1, b"{}") for n in (1, 2))
    assert rules.signatures([b"\1" * 32, b"\2" * 32], "e", 1, b"{}") == f"{one} {two}"


def test_a_shown_secret_is_read_back():
    assert rules.read_secret(rules.show_secret(b"\7" * 32)) == b"\7" * 32
    with pytest.raises(ValueRefused):
        rules.read_secret("whsec_???")


def test_pauses_grow_as_the_standard_proposes_and_end():
    pauses = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    for tries, pause in enumerate(pauses, 1):
        due = rules.next_due(tries, 7, delivery="whd_1")
        assert due is not None
        assert pause * SECOND <= due - 7 <= pause * SECOND * 11 // 10
    assert rules.next_due(len(pauses) + 1, 7, delivery="whd_1") is None


def test_what_failed_together_does_not_come_back_together():
    dues = {rules.next_due(3, 0, delivery=f"whd_{number}") for number in range(50)}
    assert len(dues) > 25


@pytest.mark.parametrize(("wish", "pause_s"), [(None, 5), (0, 5), (3_600, 3_600), (10**9, 86_400)])
def test_a_receiver_may_ask_for_a_longer_pause_up_to_a_day(wish, pause_s):
    due = rules.next_due(1, 0, delivery="", retry_after_s=wish)
    assert due == pause_s * SECOND


@pytest.mark.parametrize(
    ("since", "now", "long"),
    [(None, 9 * DAY, False), (0, 5 * DAY - 1, False), (0, 5 * DAY, True)],
)
def test_five_days_of_failure_are_long(since, now, long):
    assert rules.has_failed_for_long(since, now) is long


@pytest.mark.parametrize(
    ("status", "success"), [(200, True), (204, True), (299, True), (301, False), (500, False)]
)
def test_only_a_2xx_has_taken_the_message(status, success):
    assert rules.is_success(status) is success
    assert rules.is_success(None) is False
