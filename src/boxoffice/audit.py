"""What people who work here have done: an entry for each act, in the act's own transaction, never changed.

Who acts says so with an `Actor`; whoever carries the act out calls `record` on the connection of its transaction, so
that the act and its entry exist together or not at all. What buyers do with what is theirs is no entry.
"""

import getpass
import os
import socket
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec

from boxoffice.catalog.paging import CALENDAR_BEGINS, CALENDAR_ENDS, Page, decode, page
from boxoffice.postgres.pool import Connection, Row, row

OPERATOR: Final = "operator"
"""The role of whoever runs the commands on the machine itself; no account has it."""


class Action(StrEnum):
    """What was done. The names are kept for ever: entries have them."""

    ADD_MOVIE = "movie.add"
    CHANGE_MOVIE = "movie.change"
    ADD_THEATRE = "theatre.add"
    CHANGE_THEATRE = "theatre.change"
    ADD_SCREEN = "screen.add"
    CHANGE_SCREEN = "screen.change"
    ADD_SHOW = "show.add"
    CHANGE_SHOW = "show.change"
    HOLD_SEATS = "seats.hold"
    RELEASE_SEATS = "seats.release"
    BOOK = "booking.make"
    CANCEL = "booking.cancel"
    SET_CONTACT = "booking.contact"
    OPEN_PAYMENT = "payment.open"
    REFUND = "booking.refund"
    CHECK_IN = "ticket.check_in"
    PUT_USER = "user.put"
    MEND_PAYMENT = "payment.mend"
    RESOLVE_MATTER = "matter.resolve"


class Kind(StrEnum):
    """What was acted upon."""

    MOVIE = "movie"
    THEATRE = "theatre"
    SCREEN = "screen"
    SHOW = "show"
    BOOKING = "booking"
    PAYMENT = "payment"
    STRAY_EVENT = "stray_event"
    ACCOUNT = "account"


class Actor(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who acts, and by which request."""

    user_id: UUID | None
    """None: who runs the commands."""
    role: str
    """What the actor was allowed as."""
    request_id: str | None = None
    address: str | None = None
    """The network address that the request came from; of a command, who runs it on which machine."""


def operator() -> Actor:
    """Whoever runs a command here, known by the login and the machine."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # an identity without a name, as in some containers
        login = str(os.getuid())
    return Actor(user_id=None, role=OPERATOR, address=f"{login}@{socket.gethostname()}")


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to what. ``details`` are JSON values, with no secret among them."""

    action: Action
    kind: Kind
    subject_id: UUID
    details: dict[str, Any] = {}


def mended(payment_id: UUID, details: dict[str, Any]) -> Act:
    """A payment was brought to what its gateway says."""
    return Act(action=Action.MEND_PAYMENT, kind=Kind.PAYMENT, subject_id=payment_id, details=details)


# Adds an entry; the actor's e-mail address is the one of this moment.
_RECORD = """
INSERT INTO audit_entry (actor_id, actor_role, actor_email, action, subject_kind, subject_id, details, request_id,
                         address)
VALUES ($1, $2, (SELECT email FROM account WHERE id = $1), $3, $4, $5, $6, $7, $8)
"""


async def record(conn: Connection, actor: Actor, act: Act) -> None:
    """Write down what the caller's transaction does."""
    await conn.execute(
        _RECORD,
        actor.user_id,
        actor.role,
        act.action.value,
        act.kind.value,
        act.subject_id,
        msgspec.to_builtins(act.details),
        actor.request_id,
        actor.address,
    )


class Entry(Row, frozen=True, kw_only=True):
    """One act."""

    id: int
    at: datetime
    actor_id: UUID | None
    """Null: who runs the commands."""
    actor_role: str
    actor_email: str | None
    """As it was then."""
    action: str
    subject_kind: str
    subject_id: UUID
    details: dict[str, Any]
    request_id: str | None
    address: str | None


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: all that are given must be so."""

    actor_id: UUID | None = None
    subject_id: UUID | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Before this moment."""


_PAGE: Final = """
SELECT id, at, actor_id, actor_role, actor_email, action, subject_kind, subject_id, details, request_id, address
  FROM audit_entry
 WHERE (at, id) < ($1, $2) AND at >= $3 AND at < $4 AND ($7::text IS NULL OR action = $7)"""
_NEWEST_FIRST: Final = """
 ORDER BY at DESC, id DESC LIMIT $8
"""
# Entries, the newest first, from before a given one. Plans are made once (`connect_pool`): so each of the three has the
# index that its filter needs.
_LIST = f"""{_PAGE}
   AND ($5::uuid IS NULL OR actor_id = $5) AND ($6::uuid IS NULL OR subject_id = $6){_NEWEST_FIRST}"""
# Those of one actor.
_LIST_BY = f"""{_PAGE}
   AND actor_id = $5 AND ($6::uuid IS NULL OR subject_id = $6){_NEWEST_FIRST}"""
# Those about one subject.
_LIST_ABOUT = f"""{_PAGE}
   AND ($5::uuid IS NULL OR actor_id = $5) AND subject_id = $6{_NEWEST_FIRST}"""
_AFTER_ALL: Final = (CALENDAR_ENDS, 2**63 - 1)


async def list_entries(conn: Connection, filters: Filters, limit: int, cursor: str | None = None) -> Page[Entry]:
    """A page of entries, the newest first.

    Raises:
        BadCursorError: the cursor is not one of this list.
    """
    at, entry_id = decode(cursor, tuple[datetime, int]) or _AFTER_ALL
    narrowest = _LIST_BY if filters.actor_id else _LIST
    found = await conn.fetch(
        _LIST_ABOUT if filters.subject_id else narrowest,
        at,
        entry_id,
        filters.since or CALENDAR_BEGINS,
        filters.until or CALENDAR_ENDS,
        filters.actor_id,
        filters.subject_id,
        filters.action and filters.action.value,
        limit + 1,
    )
    return page([row(Entry, record) for record in found], limit, lambda entry: (entry.at, entry.id))
