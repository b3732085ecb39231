"""What people who work here have done, for administrators."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from boxoffice.audit import Action, Entry, Filters, Kind, list_entries
from boxoffice.catalog.paging import CALENDAR_BEGINS, CALENDAR_ENDS, BadCursorError, Page, encode
from boxoffice.errors import ForbiddenError, MalformedError, UnidentifiedError
from boxoffice.postgres.pool import connection
from boxoffice.web.errors import problems
from boxoffice.web.examples import SHOW_ID, USER_ID, answers
from boxoffice.web.fields import PAGE_LIMIT_DEFAULT, Cursor, Limit
from boxoffice.web.identity import admin_only
from boxoffice.web.office import Office

_ENTRY: Final = Entry(
    id=1207,
    at=datetime(2030, 1, 31, 9, 30, tzinfo=UTC),
    actor_id=USER_ID,
    actor_role="manager",
    actor_email="asha@example.com",
    action=Action.CHANGE_SHOW.value,
    subject_kind=Kind.SHOW.value,
    subject_id=SHOW_ID,
    details={"prices": {"VIP": 65_000}},
    request_id="8c1d7f3e2b9a4c5d000000000000002a",
    address="203.0.113.7",
)

ActorId = Annotated[
    UUID | None, QueryParameter(name="actorId", required=False, description="Only what this account has done.")
]
SubjectId = Annotated[
    UUID | None,
    QueryParameter(name="subjectId", required=False, description="Only what was done to this show, booking, account …"),
]
ActionDone = Annotated[Action | None, QueryParameter(name="action", required=False, description="Only such acts.")]
Since = Annotated[
    datetime | None, QueryParameter(name="from", required=False, description="From this time on, with its offset.")
]
Until = Annotated[
    datetime | None, QueryParameter(name="to", required=False, description="Before this time, with its offset.")
]


@get(
    "/audit",
    operation_id="listAudit",
    summary="What staff have done",
    tags=["operation"],
    guards=[admin_only],
    responses={
        200: answers(Page[Entry], Page(items=[_ENTRY], next_cursor=encode((_ENTRY.at, _ENTRY.id))), "A page of acts.")
    }
    | problems(MalformedError, BadCursorError, UnidentifiedError, ForbiddenError),
)
async def list_all(
    office: NamedDependency[Office],
    actor_id: ActorId = None,
    subject_id: SubjectId = None,
    action: ActionDone = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[Entry]:
    """The newest first; filters add up. Takes the role `admin`.

    An act is written down in its own transaction: changes of the catalogue and of shows, sales and refunds for others,
    check-ins, accounts and roles, and what the operator's commands mend. Nothing can change what is written here. What
    buyers do with what is theirs is not in it.
    """
    filters = Filters(
        actor_id=actor_id,
        subject_id=subject_id,
        action=action,
        since=_known(since, "from"),
        until=_known(until, "to"),
    )
    async with connection(office.pool) as conn:
        return await list_entries(conn, filters, limit, cursor)


def _known(at: datetime | None, name: str) -> datetime | None:
    """The time, which says where on Earth it is that time.

    Raises:
        MalformedError: it does not, or is beyond all calendars.
    """
    if at is None:
        return None
    if at.tzinfo is None or not CALENDAR_BEGINS <= at <= CALENDAR_ENDS:
        wanted = "a time with its offset, such as 2030-01-31T09:30:00Z"
        raise MalformedError(f"{name}: {wanted}, please", errors={name: f"must be {wanted}"})
    return at


ROUTES = [list_all]
