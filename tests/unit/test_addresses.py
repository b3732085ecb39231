"""Where a request comes from: through trusted proxies, and never on the word of a client."""

from typing import Any

import pytest

from boxoffice.web.addresses import LOOPBACK, UNKNOWN, Proxies

NGINX = "127.0.0.1"
BALANCER = "10.0.0.7"
BUYER = "203.0.113.9"


def came(peer: str | None, *forwarded: str, name: str = "x-forwarded-for") -> Any:
    headers = [(name.encode(), one.encode("latin-1")) for one in forwarded]
    return {"type": "http", "client": peer and (peer, 4711), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        (BUYER, BUYER),
        ("127.0.0.1", LOOPBACK),
        ("127.8.9.1", LOOPBACK),
        ("::1", LOOPBACK),
        ("::ffff:127.0.0.1", LOOPBACK),
        (f"::ffff:{BUYER}", BUYER),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_peer_is_counted_by_what_one_customer_of_a_provider_has(peer: str | None, counted: str) -> None:
    assert Proxies().client_of(came(peer)) == counted


@pytest.mark.parametrize("trusted", [(), (BALANCER,), ("10.0.0.0/8", "2001:db8:ffff::/48")])
@pytest.mark.parametrize("forwarded", ["127.0.0.1", "198.51.100.1", "10.0.0.7", "198.51.100.1, 10.0.0.7", "x"])
def test_who_is_no_trusted_proxy_is_not_believed(trusted: tuple[str, ...], forwarded: str) -> None:
    assert Proxies(trusted).client_of(came(BUYER, forwarded)) == BUYER


@pytest.mark.parametrize(
    "forwarded",
    [
        (BUYER,),
        (f" {BUYER}\t",),
        (f"{BUYER}:52011",),
        (f"198.51.100.1, {BUYER}",),
        (f"127.0.0.1, {BUYER}",),
        (f"10.9.9.9, {BUYER}",),
        (f"198.51.100.1,{BUYER}, {BALANCER}",),
        ("198.51.100.1", BUYER),
        (f"198.51.100.1, {BUYER}", BALANCER),
        (f"<script>, '; DROP TABLE, {BUYER}",),
        (f"é, ,,{BUYER}",),
    ],
)
def test_the_rightmost_address_that_is_no_proxys_is_the_clients(forwarded: tuple[str, ...]) -> None:
    assert Proxies((NGINX, "10.0.0.0/8")).client_of(came(NGINX, *forwarded)) == BUYER


@pytest.mark.parametrize(
    ("forwarded", "counted"),
    [
        ((), LOOPBACK),
        (("",), LOOPBACK),
        (("unknown",), LOOPBACK),
        ((f"{BUYER}, unknown",), LOOPBACK),
        ((f"{BUYER}, unknown, 10.0.0.7",), BALANCER),
        (("10.0.0.8, 10.0.0.7",), "10.0.0.8"),
        (("[2001:db8:1:2::9]:443",), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::9",), "2001:db8:1:2::/64"),
    ],
)
def test_where_a_proxy_tells_no_address_the_last_that_is_known_counts(forwarded: tuple[str, ...], counted: str) -> None:
    assert Proxies((NGINX, "10.0.0.0/8")).client_of(came(NGINX, *forwarded)) == counted


def test_another_header_is_not_read() -> None:
    proxies = Proxies((NGINX,))

    assert proxies.client_of(came(NGINX, f"for={BUYER}", name="forwarded")) == LOOPBACK
    assert proxies.client_of(came(NGINX, BUYER, name="x-real-ip")) == LOOPBACK


def test_a_proxy_is_trusted_by_either_form_of_its_address() -> None:
    assert Proxies((NGINX,)).client_of(came("::ffff:127.0.0.1", BUYER)) == BUYER
    assert Proxies(("2001:db8:ffff::/48",)).client_of(came("2001:db8:ffff::1", BUYER)) == BUYER
