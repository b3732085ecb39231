"""What a page's policy names of other sites, whatever an address looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.origins import origin_of, with_ascii_host

NAMED = {
    "https://posters.example/sholay.jpg": "https://posters.example",
    "http://posters.example:8080": "http://posters.example:8080",
    "https://Posters.Example?of=sholay": "https://Posters.Example",
    "https://xn--bcher-kva.example#x": "https://xn--bcher-kva.example",
    "http://127.0.0.1:8001/a;b c": "http://127.0.0.1:8001",
}
NAMELESS = [
    "",
    "/posters/sholay.jpg",
    "//posters.example/sholay.jpg",
    "ftp://posters.example/",
    "HTTPS//x",
    "https:posters.example",
    "https:///sholay.jpg",
    "https://x;sandbox/p.jpg",
    "https://x,y/p.jpg",
    "https://x 'unsafe-inline'/p.jpg",
    "https://x\n/p.jpg",
    "https://x\n",
    "https://*/p.jpg",
    "https://*.example/p.jpg",
    "https://[x/p.jpg",
    "https://[::1]/p.jpg",
    "https://user:word@posters.example/p.jpg",
    "https://posters.example\\@elsewhere.example/p.jpg",
    "https://posters.example:/p.jpg",
    "https://posters.example:80;sandbox/p.jpg",
    "https://posters.example:٨٠/p.jpg",
    "https://bücher.example/p.jpg",
    "https://सिनेमा.भारत/p.jpg",
    "https://%65xample/p.jpg",
]


@pytest.mark.parametrize("address", NAMED)
def test_what_a_policy_can_name_is_named(address: str) -> None:
    assert origin_of(address) == NAMED[address]


@pytest.mark.parametrize("address", NAMELESS)
def test_anything_else_is_not(address: str) -> None:
    assert origin_of(address) is None


@given(st.text(st.sampled_from("htps:/.;,' @[]*-a1é\n\\?#")).map("https://".__add__) | st.text())
def test_no_origin_is_more_than_one_word_of_a_policy(address: str) -> None:
    origin = origin_of(address)

    assert origin is None or (origin.isascii() and not set(origin) & set(" \n;,'*@[]\\?#"))


@pytest.mark.parametrize(
    ("address", "asked_for"),
    [
        ("https://bücher.example:8080/p.jpg?q=ü", "https://xn--bcher-kva.example:8080/p.jpg?q=ü"),
        ("http://सिनेमा.भारत", "http://xn--l2bm2a0ac3c.xn--h2brj9c"),
        ("https://faß.example/p", "https://xn--fa-hia.example/p"),
        ("https://BÜCHER.example/p", "https://xn--bcher-kva.example/p"),
        ("https://posters.example/पोस्टर.jpg", "https://posters.example/पोस्टर.jpg"),
        ("/पोस्टर.jpg", "/पोस्टर.jpg"),
    ],
)
def test_a_host_of_any_language_is_asked_for_as_browsers_do(address: str, asked_for: str) -> None:
    assert with_ascii_host(address) == asked_for


@pytest.mark.parametrize("host", ["ü..example", "ü" * 70, "ü;sandbox", "i❤.example", "ü\u2044x.example"])
def test_a_host_that_there_cannot_be_is_none(host: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (each library's own words)
        with_ascii_host(f"https://{host}/p.jpg")
