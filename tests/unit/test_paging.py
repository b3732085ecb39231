"""A cursor continues where it was cut, and whatever else is sent as one is refused."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.catalog.paging import CURSOR_LENGTH_MAX, BadCursorError, decode, encode, page

NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200)


@given(NAMES, st.uuids())
def test_a_key_survives_its_cursor(name: str, one: UUID) -> None:
    cursor = encode((name, one))

    assert decode(cursor, tuple[str, UUID]) == (name, one)
    assert len(cursor) <= CURSOR_LENGTH_MAX
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_a_time_survives_to_the_microsecond() -> None:
    key = (datetime(2026, 1, 31, 1, 0, 0, 123456, tzinfo=UTC), uuid4())

    assert decode(encode(key), tuple[datetime, UUID]) == key


def test_no_cursor_is_the_first_page() -> None:
    assert decode(None, tuple[str, UUID]) is None


@given(st.text(max_size=60))
def test_anything_else_is_refused_or_a_key(cursor: str) -> None:
    try:
        key = decode(cursor, tuple[str, UUID])
    except BadCursorError:
        return
    assert key is not None
    assert isinstance(key[1], UUID)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!!",
        "é",
        "bm8",
        encode(("a",)),
        encode(("a", "not an id")),
        encode((1, UUID("d8f920a6-9c7e-4e92-993a-99c185cf26b2"))),
        encode(("a\x00b", UUID("d8f920a6-9c7e-4e92-993a-99c185cf26b2"))),
        "A" * (CURSOR_LENGTH_MAX + 1),
    ],
)
def test_a_cursor_of_another_making_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursorError):
        decode(cursor, tuple[str, UUID])


def test_the_row_too_many_tells_of_the_next_page() -> None:
    first = page([1, 2, 3], 2, lambda row: (row,))

    assert first.items == [1, 2]
    assert decode(first.next_cursor, tuple[int]) == (2,)
    assert page([1, 2], 2, lambda row: (row,)).next_cursor is None
    assert page([], 2, lambda row: (row,)).items == []


def test_a_page_says_null_where_it_is_the_last() -> None:
    assert msgspec.to_builtins(page([1], 2, lambda row: (row,))) == {"items": [1], "nextCursor": None}
