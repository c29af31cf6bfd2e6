"""Which hosts and origins are the app's own, and what its cookie is called."""

from __future__ import annotations

import pytest

from review_app.server.site import Site, site_at
from storage.errors import UserError

LOCAL = Site("http://127.0.0.1:8500", 8500)
PUBLIC = site_at("https://Shop.Example/afrel/", 8500)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8500", "localhost:8500", "localhost", "[::1]:8500", "LOCALHOST:9", "127.0.0.1"]
)
def test_loopback_names_are_own_at_any_port(host: str) -> None:
    assert LOCAL.is_own_host(host) and PUBLIC.is_own_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        None,
        "a@127.0.0.1",
        "127.0.0.1:x",
        "127.0.0.2",
        "0.0.0.0:8500",
        "shop.example",
        "[::1",
        "127.0.0.1:99999999",
    ],
)
def test_any_other_name_is_foreign(host: str | None) -> None:
    assert not LOCAL.is_own_host(host)


def test_the_name_of_the_url_is_own_with_and_without_port() -> None:
    hosts = ["shop.example", "SHOP.example:443", "shop.example.", "evil.example", "ashop.example"]
    assert [PUBLIC.is_own_host(host) for host in hosts] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("site", "origin", "host", "is_own"),
    [
        (LOCAL, "http://127.0.0.1:8500", "127.0.0.1:8500", True),
        (LOCAL, "http://localhost:9999", "localhost:9999", True),  # through a tunnel
        (LOCAL, "http://localhost:3000", "localhost:8500", False),  # another program of the same machine
        (LOCAL, "https://127.0.0.1:8500", "127.0.0.1:8500", False),
        (LOCAL, "null", "127.0.0.1:8500", False),
        (LOCAL, "", "127.0.0.1:8500", False),
        (LOCAL, None, "127.0.0.1:8500", False),
        (LOCAL, "http://evil.example", "127.0.0.1:8500", False),
        (LOCAL, "http://evil.example", "evil.example", False),
        (PUBLIC, "https://shop.example", "shop.example", True),
        (PUBLIC, "https://shop.example", "127.0.0.1:8500", True),  # a proxy that does not pass the host on
        (PUBLIC, "http://shop.example", "shop.example", False),
        (PUBLIC, "http://127.0.0.1:8500", "127.0.0.1:8500", False),
        (PUBLIC, "https://shop.example:8443", "shop.example", False),
        (PUBLIC, "https://shop.example.evil.example", "shop.example", False),
    ],
)
def test_an_origin_is_own_when_it_is_the_page_the_host_serves(
    site: Site, origin: str | None, host: str, is_own: bool
) -> None:
    assert site.is_own_origin(origin, host) is is_own


def test_cookie_names_bind_the_cookie_as_tightly_as_the_address_allows() -> None:
    assert LOCAL.cookie_name == "afrel_login_8500"
    assert (PUBLIC.cookie_name, PUBLIC.cookie_path) == ("__Secure-afrel_login", "/afrel")
    at_the_root = site_at("https://shop.example", 8500)
    assert (at_the_root.cookie_name, at_the_root.cookie_path) == ("__Host-afrel_login", "/")


def test_an_address_is_kept_as_browsers_write_it() -> None:
    assert (PUBLIC.url, PUBLIC.prefix, PUBLIC.path("/login")) == (
        "https://shop.example/afrel",
        "/afrel",
        "/afrel/login",
    )
    assert site_at("http://localhost:9000/a/b", 8500).prefix == "/a/b"


@pytest.mark.parametrize(
    "url",
    [
        "shop.example",
        "ftp://shop.example",
        "https://",
        "https://a:b@shop.example",
        "https://shop.example?x=1",
        "https://shop.example/#a",
        "https://shop.example/a b",
        "https://shop.example/../x",
        "https://shop.example//x",
        'https://shop.example/"><script>',
        "https://shop.example:port",
        "https://shop.example/%2e",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(UserError, match="is not an address of the app"):
        site_at(url, 8500)


def test_a_name_on_the_network_is_not_served_in_the_clear() -> None:
    with pytest.raises(UserError, match=r"passwords would travel in the clear.*https://shop.example/afrel"):
        site_at("http://shop.example/afrel", 8500)
