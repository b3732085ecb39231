"""Shows as people find them: what, where, when, for how much, and how many seats are left.

Seats are counted for the shows of one page alone, so that ten thousand shows list as fast as ten.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from boxoffice.catalog.paging import Page, decode, page
from boxoffice.errors import UnknownError
from boxoffice.money import PRICE_MAX
from boxoffice.postgres.pool import Connection

Price = Annotated[int, msgspec.Meta(ge=0, le=PRICE_MAX)]
"""Minor units."""


class ShowNotFoundError(UnknownError):
    """There is no such show."""

    code = "show_not_found"


class Prices(msgspec.Struct, frozen=True, kw_only=True, rename="upper", omit_defaults=True, forbid_unknown_fields=True):
    """What a seat of each tier costs, in minor units; a tier that is absent has no seats."""

    regular: Price | None = None
    premium: Price | None = None
    vip: Price | None = None


class ShowMovie(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The film of a show."""

    id: UUID
    title: str
    duration_min: int
    rating: str
    poster_url: str | None


class ShowTheatre(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The theatre of a show."""

    id: UUID
    name: str
    city: str
    timezone: str


class ShowScreen(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The screen of a show."""

    id: UUID
    name: str


class Availability(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many seats of a show are what; an unpaid booking counts as booked."""

    total: int
    available: int
    held: int
    booked: int


class Show(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A show."""

    id: UUID
    movie: ShowMovie
    theatre: ShowTheatre
    screen: ShowScreen
    start_time: datetime
    end_time: datetime
    language: str
    format: str
    prices: Prices
    currency: str
    availability: Availability


class ShowFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which shows to list: those that fit all that is given, upcoming ones unless it says otherwise."""

    movie_id: UUID | None = None
    screen_id: UUID | None = None
    theatre_id: UUID | None = None
    city: str | None = None
    date: "date | None" = None
    """The day on which a show starts, by the clock of its theatre."""
    include_past: bool = False


# The shows that `chosen` names, with what belongs to them; seats are counted for these alone.
_WITH_ALL: Final = """
SELECT chosen.id, chosen.starts_at, chosen.ends_at, chosen.language, chosen.format, chosen.currency,
       chosen.price_regular, chosen.price_premium, chosen.price_vip,
       movie.id AS movie_id, movie.title, movie.duration_min, movie.rating, movie.poster_url,
       theatre.id AS theatre_id, theatre.name AS theatre_name, theatre.city, theatre.timezone,
       screen.id AS screen_id, screen.name AS screen_name,
       seats.total, seats.available, seats.booked
FROM chosen
JOIN movie ON movie.id = chosen.movie_id
JOIN theatre ON theatre.id = chosen.theatre_id
JOIN screen ON screen.id = chosen.screen_id
CROSS JOIN LATERAL (
    SELECT count(*) AS total,
           count(*) FILTER (WHERE taken_until <= now()) AS available,
           count(*) FILTER (WHERE taken_until > now() AND booking_id IS NOT NULL) AS booked
    FROM show_seat WHERE show_id = chosen.id
) AS seats
"""

# One show.
_FIND = f"""
WITH chosen AS (SELECT * FROM show WHERE id = $1) {_WITH_ALL}
"""


async def find_show(conn: Connection, show_id: UUID) -> Show:
    """The show with this id.

    Raises:
        ShowNotFoundError: there is none.
    """
    record = await conn.fetchrow(_FIND, show_id)
    if record is None:
        raise ShowNotFoundError
    return _show(record)


async def list_shows(conn: Connection, filters: ShowFilters, limit: int, cursor: str | None = None) -> Page[Show]:
    """A page of shows by start.

    Raises:
        BadCursorError: the cursor is not one of this list.
    """
    after = decode(cursor, tuple[Annotated[datetime, msgspec.Meta(tz=True)], UUID])
    statement, values = _listing(filters, limit + 1, after)
    records = await conn.fetch(statement, *values)
    return page([_show(record) for record in records], limit, lambda show: (show.start_time, show.id))


# Shows by start. Only what is asked for is in the statement, so that each mix of filters gets the plan that
# suits it: a condition that may be off would keep PostgreSQL from using the index for it. The number of rows is in it
# too: plans are made once (`connect_pool`), and one that does not know how few rows are wanted reads them all.
def _listing(filters: ShowFilters, rows: int, after: tuple[datetime, UUID] | None) -> tuple[str, list[Any]]:
    values: list[Any] = []
    conditions: list[str] = []

    def where(condition: str, *wanted: object) -> None:
        places = [f"${len(values) + n}" for n in range(1, len(wanted) + 1)]
        conditions.append(condition.format(*places))
        values.extend(wanted)

    if filters.movie_id is not None:
        where("movie_id = {}", filters.movie_id)
    if filters.screen_id is not None:
        where("screen_id = {}", filters.screen_id)
    if filters.theatre_id is not None:
        where("theatre_id = {}", filters.theatre_id)
    if filters.date is not None:
        # No zone is further than 14 hours from UTC: the first two conditions let the index find the days around.
        where(
            "starts_at >= ({0}::date - 1)::timestamp AT TIME ZONE 'UTC'"
            " AND starts_at < ({0}::date + 2)::timestamp AT TIME ZONE 'UTC'"
            " AND (starts_at AT TIME ZONE (SELECT timezone FROM theatre WHERE id = theatre_id))::date = {0}",
            filters.date,
        )
    elif not filters.include_past:
        where("starts_at > now()")
    if after is not None:
        where("(starts_at, id) > ({}, {})", *after)
    chosen = f"""
        SELECT * FROM show {"WHERE " if conditions else ""}{" AND ".join(conditions)}
        ORDER BY starts_at, id LIMIT {rows:d}
    """
    if filters.city is not None:
        # The first shows of each theatre there, by the index: a city that has few is not looked for among all.
        conditions.insert(0, "theatre_id = here.id")
        values.append(filters.city)
        chosen = f"""
            SELECT show.* FROM theatre AS here CROSS JOIN LATERAL (
                SELECT * FROM show WHERE {" AND ".join(conditions)} ORDER BY starts_at, id LIMIT {rows:d}
            ) AS show
            WHERE lower(here.city) = lower(${len(values)})
            ORDER BY starts_at, id LIMIT {rows:d}
        """
    return f"WITH chosen AS ({chosen}) {_WITH_ALL} ORDER BY chosen.starts_at, chosen.id", values


def _show(record: Mapping[str, Any]) -> Show:
    total, available, booked = record["total"], record["available"], record["booked"]
    return Show(
        id=record["id"],
        movie=ShowMovie(
            id=record["movie_id"],
            title=record["title"],
            duration_min=record["duration_min"],
            rating=record["rating"],
            poster_url=record["poster_url"],
        ),
        theatre=ShowTheatre(
            id=record["theatre_id"],
            name=record["theatre_name"],
            city=record["city"],
            timezone=record["timezone"],
        ),
        screen=ShowScreen(id=record["screen_id"], name=record["screen_name"]),
        start_time=record["starts_at"],
        end_time=record["ends_at"],
        language=record["language"],
        format=record["format"],
        prices=Prices(regular=record["price_regular"], premium=record["price_premium"], vip=record["price_vip"]),
        currency=record["currency"],
        availability=Availability(total=total, available=available, held=total - available - booked, booked=booked),
    )
