"""A ticket's code says what was signed, and nothing else passes: forged, damaged, respelled, of another key."""

import base64
import hashlib
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.tickets.codes import (
    CODE_LENGTH,
    SEAT_POSITION_MAX,
    BadTicketCodeError,
    TicketedSeat,
    TicketKeys,
    verify,
)
from boxoffice.tickets.qr import qr_rows, qr_svg

KEYS = TicketKeys(["the secret of these tests"])
SEAT = TicketedSeat(
    show_id=UUID("9a6e1d7c-2b54-4e0f-8d3b-1c7e5f2a4001"),
    booking_id=UUID("4f2d8e61-7c3b-4b9a-a1d5-8e6f0c9b6001"),
    position=258,
)
CODE = KEYS.sign(SEAT)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@given(st.uuids(), st.uuids(), st.integers(0, SEAT_POSITION_MAX))
def test_what_is_signed_is_verified(show_id: UUID, booking_id: UUID, position: int) -> None:
    seat = TicketedSeat(show_id=show_id, booking_id=booking_id, position=position)
    code = KEYS.sign(seat)

    assert len(code) == CODE_LENGTH
    assert KEYS.verify(code) == seat
    assert KEYS.verify(f" {code.lower()}\n") == seat
    assert KEYS.sign(seat) == code


def test_the_format_is_the_documented_one() -> None:
    # As a maker of scanners would read it, with nothing of ours (docs/decisions/0015).
    (published,) = KEYS.published()
    public_key = base64.urlsafe_b64decode(published.x + "=")
    whole = base64.b32decode(CODE + "===")

    assert (published.kty, published.crv) == ("OKP", "Ed25519")
    assert len(whole) == 103
    assert whole[0] == 1
    assert whole[1:5] == hashlib.sha256(public_key).digest()[:4] == bytes.fromhex(published.kid)
    assert UUID(bytes=whole[5:21]) == SEAT.show_id
    assert UUID(bytes=whole[21:37]) == SEAT.booking_id
    assert int.from_bytes(whole[37:39], "big") == SEAT.position
    Ed25519PublicKey.from_public_bytes(public_key).verify(whole[39:], whole[:39])


def test_a_code_is_the_same_in_every_release() -> None:
    # Printed tickets outlive releases: what was signed once stays good, and the key is derived as it was.
    assert KEYS.published()[0].kid == "31ff20c5"
    assert hashlib.sha256(CODE.encode()).hexdigest()[:16] == "19777839216216c1"


@pytest.mark.parametrize("position", range(CODE_LENGTH))
def test_a_code_with_one_letter_changed_is_refused(position: int) -> None:
    for letter in {ALPHABET[(ALPHABET.index(CODE[position]) + step) % 32] for step in (1, 16, 31)}:
        with pytest.raises(BadTicketCodeError):
            KEYS.verify(CODE[:position] + letter + CODE[position + 1 :])


@given(st.text(max_size=400))
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(BadTicketCodeError):
        KEYS.verify(text)


@given(st.text(alphabet=ALPHABET, min_size=CODE_LENGTH, max_size=CODE_LENGTH))
def test_random_codes_are_refused(text: str) -> None:
    with pytest.raises(BadTicketCodeError):
        KEYS.verify(text)


@pytest.mark.parametrize("text", ["", CODE[:-1], CODE + "A", CODE + "===", "ß" * CODE_LENGTH, "0" * CODE_LENGTH])
def test_codes_of_another_length_or_alphabet_are_refused(text: str) -> None:
    with pytest.raises(BadTicketCodeError):
        KEYS.verify(text)


def test_another_version_is_refused_even_if_signed() -> None:
    whole = bytearray(base64.b32decode(CODE + "==="))
    whole[0] = 2
    with pytest.raises(BadTicketCodeError, match="version 2"):
        KEYS.verify(base64.b32encode(whole).decode().rstrip("="))


def test_a_key_is_changed_without_losing_the_tickets_that_are_out() -> None:
    changed = TicketKeys(["a newer secret", "the secret of these tests"])

    assert changed.verify(CODE) == SEAT
    assert changed.sign(SEAT) != CODE
    assert [one.kid for one in changed.published()][1:] == [KEYS.published()[0].kid]
    with pytest.raises(BadTicketCodeError, match="no key of ours"):
        KEYS.verify(changed.sign(SEAT))
    with pytest.raises(BadTicketCodeError, match="no key of ours"):
        verify({}, CODE)


def test_the_symbol_is_small_and_stands_in_any_page() -> None:
    rows = qr_rows(CODE)
    assert len(rows) == len(rows[0]) == 45
    svg = qr_svg(CODE, 'A<"1')
    assert svg.startswith("<svg ")
    assert len(svg) < 5_000
    for forbidden in ("style=", "<script", "<style", "<?xml", 'A<"1', "width="):
        assert forbidden not in svg
