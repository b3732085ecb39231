"""Who acts, for the audit log: the caller, the request's id, and where the request came from.

Handlers write an act down on the connection of its transaction. What buyers do with what is theirs is not written down,
and costs nothing here.
"""

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec
import structlog

from boxoffice.accounts import Caller, Role
from boxoffice.audit import Act, Action, Actor, Kind, record
from boxoffice.bookings.reading import buyer_of
from boxoffice.postgres.pool import Connection
from boxoffice.web.observe import SCOPE
from boxoffice.web.office import Office


def actor(office: Office, caller: Caller) -> Actor:
    """The caller, in this request."""
    scope = SCOPE.get()
    return Actor(
        user_id=caller.user_id,
        role=caller.role.value,
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
        address=None if scope is None else office.limits.address_of(scope),
    )


def actor_for(office: Office, caller: Caller, user_id: UUID) -> Actor | None:
    """The caller, where this is about somebody else."""
    return None if user_id == caller.user_id else actor(office, caller)


class Made(Protocol):
    """Something of the catalogue."""

    @property
    def id(self) -> UUID: ...  # noqa: D102  (as the rows have it)


MadeT = TypeVar("MadeT", bound=Made)


async def noted(conn: Connection, who: Actor, action: Action, doing: Awaitable[MadeT], details: object) -> MadeT:
    """What is made or changed of the catalogue, written down with it.

    ``details`` say what was asked for: where that is nothing, nothing was changed.
    """
    made = await doing
    said = msgspec.to_builtins(details)
    if said:
        kind = Kind(action.partition(".")[0])
        await record(conn, who, Act(action=action, kind=kind, subject_id=made.id, details=said))
    return made


async def note(conn: Connection, office: Office, caller: Caller, act: Act) -> None:
    """Write down what the caller's transaction does."""
    await record(conn, actor(office, caller), act)


async def note_of_booking(
    conn: Connection,
    office: Office,
    caller: Caller,
    action: Action,
    show_id: UUID,
    booking_id: UUID,
    **details: Any,
) -> None:
    """Write down what is done to a booking, where it is another's."""
    if not caller.is_at_least(Role.STAFF):
        return
    buyer = await buyer_of(conn, show_id, booking_id)
    if buyer != caller.user_id:
        said = {"userId": str(buyer), "showId": str(show_id), **details}
        await note(conn, office, caller, Act(action=action, kind=Kind.BOOKING, subject_id=booking_id, details=said))
