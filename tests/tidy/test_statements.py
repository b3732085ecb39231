"""Every SQL constant of the code is a statement that the migrated schema accepts, and gives the row that is read."""

import importlib
import types
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import asyncpg
import msgspec
from written import is_part, modules, statements

from boxoffice.postgres.pool import Pool, Row, connection

# Which statements feed which row, by the module of the statements. A row of another module is named in full.
READ_AS = {
    "boxoffice.accounts.accounts": {
        "Account": ("_PUT_ACCOUNT", "_FIND_ACCOUNT"),
        "_Secret": ("_FIND_BY_EMAIL",),
    },
    "boxoffice.accounts.sessions": {"boxoffice.accounts.callers.Caller": ("_ROTATE", "_FIND")},
    "boxoffice.audit": {"Entry": ("_LIST", "_LIST_BY", "_LIST_ABOUT")},
    "boxoffice.bookings.cancellation": {"Paid": ("_LOOK", "_LOCK")},
    "boxoffice.bookings.capture": {"boxoffice.bookings.books.Books": ("_LOCK",), "_SetAside": ("_HELD",)},
    "boxoffice.bookings.settlement": {"boxoffice.bookings.books.Books": ("_LOCK",)},
    "boxoffice.bookings.reconciliation": {"Doubtful": ("_TAKE_TURN", "_FINISHED")},
    "boxoffice.bookings.waiting": {"Matter": ("_WAITING", "_NAMED")},
    "boxoffice.catalog.movies": {"Movie": ("_ADD", "_LOCK", "_CHANGE", "_FIND", "_LIST")},
    "boxoffice.catalog.theatres": {
        "Theatre": ("_ADD_THEATRE", "_CHANGE_THEATRE", "_FIND_THEATRE", "_LIST_THEATRES"),
        "Screen": ("_ADD_SCREEN", "_LOCK_SCREEN", "_FIND_SCREEN", "_LIST_SCREENS"),
    },
    "boxoffice.payments.fake_books": {"FakeSession": ("_TAKE_BACK", "_FIND", "_MOVE", "_EXPIRE_LAPSED")},
    "boxoffice.catalog.whats_on": {"Place": ("_PLACES",), "Screening": ("_SCREENINGS",)},
    "boxoffice.payments.ledger": {"Account": ("_BALANCES",), "Disagreement": ("_DISAGREEMENTS",)},
    "boxoffice.payments.refunds": {"Refund": ("_LIST",), "_Unsent": ("_UNSENT",)},
    "boxoffice.payments.sessions": {"Payment": ("_RESERVE", "_OPENED", "_PAYMENTS")},
    "boxoffice.seating.claims": {"_Verdict": ("CLAIM",)},
    "boxoffice.mail.contact": {"Contact": ("_CONTACT",)},
    "boxoffice.mail.outbox": {"Letter": ("_CLAIM",)},
    "boxoffice.tickets.admission": {"_Booked": ("_LOCK",), "_Scanned": ("_SEAT",)},
    "boxoffice.seating.holds": {"HeldSeat": ("_HELD_BY",)},
    "boxoffice.seating.seat_map": {"SeatRow": ("_SEATS",)},
    "boxoffice.seating.usher": {"Showing": ("_SHOWING",)},
}

# What a column of a type becomes in Python, for those whose kind a row can state.
COLUMN_TYPES: dict[type, set[str]] = {
    UUID: {"uuid"},
    str: {"text", "varchar"},
    int: {"int2", "int4", "int8"},
    bool: {"bool"},
    float: {"float4", "float8"},
    datetime: {"timestamptz"},
}


def _pairs() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Each statement of the table above, with the row that it feeds."""
    for module, rows in READ_AS.items():
        for name, names in rows.items():
            home, _, kind = name.rpartition(".")
            found: type[msgspec.Struct] = getattr(importlib.import_module(home or module), kind)
            for one in names:
                yield f"{module}.{one}", found


async def test_every_statement_fits_the_schema(pool: Pool) -> None:
    written = dict(statements())
    refused: dict[str, str] = {}
    async with connection(pool) as conn:
        for name, statement in written.items():
            try:
                columns = [column for column, _ in await _columns(conn, statement)]
            except asyncpg.PostgresError as error:
                refused[name] = str(error)
                continue
            if len(columns) != len(set(columns)):
                refused[name] = f"two columns of one name make no row: {columns}"

    assert len(written) > 50
    assert {name: why for name, why in refused.items() if not is_part(name, written)} == {}


async def test_the_columns_of_a_statement_are_the_fields_of_its_row(pool: Pool) -> None:
    written = dict(statements())
    differ: dict[str, str] = {}
    async with connection(pool) as conn:
        for name, kind in _pairs():
            columns = dict(await _columns(conn, written[name]))
            fields = get_type_hints(kind)
            if set(columns) != set(fields):
                differ[name] = f"columns and {kind.__name__} differ in {sorted(set(columns) ^ set(fields))}"
                continue
            wrong = {field: columns[field] for field, hint in fields.items() if not _fits(columns[field], hint)}
            if wrong:
                differ[name] = f"{kind.__name__} has other types than the columns {wrong}"

    assert differ == {}


def test_every_row_is_fed_by_a_statement_of_the_table_above() -> None:
    rows = {
        f"{value.__module__}.{value.__name__}"
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Row) and value is not Row
    }

    assert rows - {f"{kind.__module__}.{kind.__name__}" for _, kind in _pairs()} == set()


async def _columns(conn: Any, statement: str) -> list[tuple[str, str]]:
    """The names and types of what the statement returns; PostgreSQL checks all of it on the way."""
    prepared = await conn.prepare(statement)
    return [(str(column.name), str(column.type.name)) for column in prepared.get_attributes()]


def _fits(column_type: str, hint: Any) -> bool:
    """Whether a column can be what a field says; what a field leaves open fits."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    allowed = (COLUMN_TYPES.get(str if _is_word(kind) else kind) for kind in kinds if kind is not types.NoneType)
    return all(names is None or column_type in names for names in allowed)


def _is_word(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StrEnum)
