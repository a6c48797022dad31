"""How addresses are read and which route a call takes."""

import pytest

from farebox.access.gateways.model import Call, Route
from farebox.access.gateways.rules import RouteTable, host_of, segments_of
from farebox.http.fields import Policy, ascii_value, rate_limit_fields, structured_list


@pytest.mark.parametrize(
    ("uri", "segments"),
    [
        ("/", ()),
        ("/v1/films", ("v1", "films")),
        ("/v1/films/", ("v1", "films")),
        ("//v1///films", ("v1", "films")),
        ("/v1/./films/../books", ("v1", "books")),
        ("/v1/%66ilms", ("v1", "films")),
        ("/free/%2e%2E/films", ("films",)),
        ("/%D1%84", ("ф",)),
        ("/a%252Fb", ("a%2Fb",)),
        ("/a?x=/../b", ("a",)),
        ("/a;v=1,2/{x}", ("a;v=1,2", "{x}")),
        # What programs read differently is no address.
        ("", None),
        ("films", None),
        ("http://example.org/films", None),
        ("/a%2Fb", None),
        ("/a%5cb", None),
        ("/a\\b", None),
        ("/a#b", None),
        ("/a b", None),
        ("/a%00", None),
        ("/a%0d%0ab", None),
        ("/%C0%AE%C0%AE/a", None),
        ("/%C2%85", None),
        ("/%ff", None),
        ("/%2", None),
        ("/%zz", None),
        ("/../a", None),
        ("/a/../../b", None),
        ("/ф", None),
        ("/" + "a" * 16_384, None),
    ],
)
def test_an_address_has_one_form_or_none(uri, segments):
    assert segments_of(uri) == segments


def test_hosts_are_compared_without_port_and_case():
    hosts = ("Example.org", "example.org:443", "example.org.", " example.org ")
    assert {host_of(host) for host in hosts} == {"example.org"}
    assert host_of("[::1]:80") == "[::1]"


def route(name, path, host="*", method="*"):
    return Route(
        id=name, host=host, method=method, path=path, mode="consume", product="films",
        feature=None, quantity=1, empty_status=402, created_at=0,
    )  # fmt: skip


TABLE = RouteTable([
    route("all", "/*"),
    route("films", "/films/*"),
    route("film", "/films/{film}"),
    route("new", "/films/new"),
    route("get-new", "/films/new", method="GET"),
    route("part", "/films/{film}/parts/{part}"),
    route("domain", "/*", host="*.example.org"),
    route("host", "/*", host="api.example.org"),
    route("put", "/only", host="put.example.com", method="PUT"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("method", "host", "uri", "found"),
    [
        ("POST", "", "/films/new", "new"),
        ("GET", "", "/films/new", "get-new"),
        ("HEAD", "", "/films/new", "get-new"),
        ("GET", "", "/films/old", "film"),
        ("GET", "", "/films", "films"),
        ("GET", "", "/films/a/b", "films"),
        ("GET", "", "/films/a/parts/1", "part"),
        ("GET", "", "/", "all"),
        ("GET", "www.example.org:80", "/films/new", "domain"),
        ("GET", "example.org", "/films/new", "get-new"),
        ("GET", "API.example.org", "/films/new", "host"),
        ("GET", "evil-example.org", "/a", "all"),
        ("GET", "", "/a/../../b", None),
    ],
)
def test_the_most_special_route_is_taken(method, host, uri, found):
    taken = TABLE.route_of(Call(host=host, method=method, uri=uri))
    assert (None if taken is None else taken.id) == found


def test_without_a_route_there_is_none_but_for_a_preflight_of_any_method():
    table = RouteTable([route("put", "/only", method="PUT")])
    asked = Call(host="", method="OPTIONS", uri="/only")
    assert table.route_of(asked) is None
    before = Call(host="", method="OPTIONS", uri="/only", preflight=True)
    found = table.route_of(before)
    assert found is not None
    assert found.id == "put"


POLICIES = (
    Policy(name="daily", left=7, quota=1_000, window=86_400, resets=3_600),
    Policy(name="bucket", left=10**18),
    Policy(name="burst", left=0, quota=10, window=60, resets=6),
)


def test_limits_are_told_the_tightest_first_with_the_cost():
    assert rate_limit_fields(POLICIES, cost=3, now_s=0) == [
        (
            "RateLimit",
            (
                '"burst";r=0;t=6;farebox-cost=3, "daily";r=7;t=3600;farebox-cost=3, '
                '"bucket";r=999999999999999;farebox-cost=3'
            ),
        ),
        ("RateLimit-Policy", '"burst";q=10;w=60, "daily";q=1000;w=86400'),
    ]
    assert rate_limit_fields((), cost=3, now_s=0) == []


def test_the_older_style_tells_the_tightest_alone_in_unix_time():
    assert rate_limit_fields(POLICIES, cost=3, now_s=100, style="x-ratelimit") == [
        ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Limit", "10"), ("X-RateLimit-Reset", "106"),
    ]  # fmt: skip


def test_fields_escape_what_strings_must():
    assert structured_list([('a"\\', {"pk": b"GET\x1falice"})]) == '"a\\"\\\\";pk=:R0VUH2FsaWNl:'
    assert ascii_value("Ада, 100%\r\n") == "%D0%90%D0%B4%D0%B0%2C%20100%25%0D%0A"
