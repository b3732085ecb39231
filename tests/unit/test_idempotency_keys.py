"""A key stands for one caller, one operation and one payload: whatever differs is told apart, order is not."""

from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from boxoffice.errors import MalformedError
from boxoffice.idempotency import claim
from boxoffice.seating.claims import SeatsWanted
from boxoffice.web.once import one_key

ME = UUID(int=1)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.none() | st.text(min_size=1, max_size=20)
# JSON as clients send it. No floats: 1 and 1.0 are one number to JSON and two to Python.
PAYLOADS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=10,
)


def fingerprint(payload: object, operation: str = "book", key: str = "k", caller: UUID = ME) -> bytes:
    made = claim(caller, key, operation, payload)
    assert made is not None
    assert (made.caller_id, made.key) == (caller, key)
    return made.fingerprint


def _turned(payload: Any) -> Any:
    """The same JSON with the members of its objects in the opposite order."""
    if isinstance(payload, dict):
        return {name: _turned(value) for name, value in reversed(cast("dict[str, Any]", payload).items())}
    if isinstance(payload, list):
        return [_turned(item) for item in cast("list[Any]", payload)]
    return payload


@given(PAYLOADS)
def test_the_order_of_members_makes_no_difference(payload: Any) -> None:
    assert fingerprint(_turned(payload)) == fingerprint(payload)


@given(PAYLOADS, PAYLOADS)
def test_another_payload_is_told_apart(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


@given(PAYLOADS, WORDS, WORDS)
def test_another_operation_is_told_apart(payload: Any, one: str, other: str) -> None:
    assume(one != other)

    assert fingerprint(payload, one) != fingerprint(payload, other)


@given(PAYLOADS, WORDS)
def test_an_operation_and_its_payload_do_not_run_together(payload: Any, operation: str) -> None:
    assert fingerprint([operation, payload], "") != fingerprint(payload, operation)


def test_what_is_wanted_is_told_apart_in_every_field() -> None:
    show, me, one, two = (uuid4() for _ in range(4))
    wanted = SeatsWanted(show_id=show, user_id=me, seat_ids=[one, two])
    others = [
        msgspec.structs.replace(wanted, show_id=one),
        msgspec.structs.replace(wanted, user_id=one),
        msgspec.structs.replace(wanted, seat_ids=[one]),
        msgspec.structs.replace(wanted, seat_ids=[two, one]),
    ]

    assert len({fingerprint(said) for said in [wanted, *others]}) == 5
    assert fingerprint(msgspec.structs.replace(wanted)) == fingerprint(wanted)


def test_without_a_key_nothing_is_claimed() -> None:
    assert claim(ME, None, "book", {}) is None


@given(KEYS, KEYS)
def test_a_request_has_one_key_wherever_it_stands(header: str | None, body: str | None) -> None:
    if header is not None and body is not None and header != body:
        with pytest.raises(MalformedError) as refused:
            one_key(header, body)
        assert "idempotencyKey" in refused.value.extra["errors"]
    else:
        assert one_key(header, body) == (header if header is not None else body)
