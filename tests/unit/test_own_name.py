"""One machine, one name: visitors of `localhost` are led to where their payments come back to, and nobody else is."""

import pytest

from boxoffice.web.pages.own_name import own_name_of

BASE = "http://127.0.0.1:8001"


@pytest.mark.parametrize(
    "host", ["localhost:8001", "LOCALHOST:8001", "127.0.0.2:8001", "[::1]:8001", "box.localhost:8001"]
)
def test_another_name_of_the_loopback_is_led_to_ours(host: str) -> None:
    assert own_name_of(BASE, host, "/shows/1?view=list") == "http://127.0.0.1:8001/shows/1?view=list"


@pytest.mark.parametrize(
    ("base", "host"),
    [
        (BASE, "127.0.0.1:8001"),
        (BASE, "localhost:9000"),  # a port that leads here from elsewhere
        (BASE, "localhost"),
        (BASE, "box-office.example:8001"),
        (BASE, "192.168.1.7:8001"),
        (BASE, ""),
        (BASE, "localhost.evil.example:8001"),
        ("https://tickets.example.com", "localhost:443"),
        ("http://tickets.example.com", "localhost:80"),
        ("http://localhost:8001", "localhost:8001"),
        ("http://localhost", "localhost"),
    ],
)
def test_whoever_is_right_or_comes_another_way_is_left_alone(base: str, host: str) -> None:
    assert own_name_of(base, host, "/") is None
