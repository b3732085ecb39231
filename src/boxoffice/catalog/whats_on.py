"""What is on: where films are shown and on which days, and a city's shows with what they cost and how full they are.

Made for people who choose. Times are those of the theatres' own calendars; shows that have begun are not on any more.
"""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from boxoffice.postgres.pool import Connection, Row, row

DAYS_AHEAD: Final = 7
"""Days that can be chosen, today included."""
SHOWS_MAX: Final = 500
"""More than this nobody reads; it bounds what one page costs."""


class Place(Row, frozen=True, kw_only=True):
    """A city, and the next days on which something is shown there."""

    city: str
    timezone: str
    """Of one of its theatres; those of a city share it."""
    today: date
    days: list[date]
    """In order; those without a show are left out."""
    shows: int
    """On those days."""


class Screening(Row, frozen=True, kw_only=True):
    """A show, with all that one chooses by."""

    id: UUID
    starts_at: datetime
    day: date
    """By the theatre's own calendar."""
    language: str
    format: str
    currency: str
    price_from: int
    """Minor units: the cheapest seat there is, free or not."""
    seats: int
    free: int
    theatre_id: UUID
    theatre: str
    timezone: str
    movie_id: UUID
    title: str
    duration_min: int
    rating: str
    genres: list[str]
    movie_language: str
    release_year: int | None
    poster_url: str | None


# Every city where something is on, with its days: found by the index on a theatre's shows.
_PLACES = """
SELECT min(here.city) AS city, min(here.timezone) AS timezone, min(here.today) AS today,
       array_agg(DISTINCT ahead.day ORDER BY ahead.day) AS days, count(*) AS shows
FROM (SELECT id, city, timezone, (now() AT TIME ZONE timezone)::date AS today FROM theatre) AS here
CROSS JOIN LATERAL (
    SELECT (show.starts_at AT TIME ZONE here.timezone)::date AS day
    FROM show
    WHERE show.theatre_id = here.id AND show.starts_at > now()
      AND show.starts_at < ((here.today + $1::integer)::timestamp AT TIME ZONE here.timezone)
) AS ahead
GROUP BY lower(here.city)
ORDER BY min(here.city)
"""


async def list_places(conn: Connection) -> list[Place]:
    """The cities where something is on within `DAYS_AHEAD` days, by name."""
    return [row(Place, record) for record in await conn.fetch(_PLACES, DAYS_AHEAD)]


# The shows of a city from a day until before another, by start: those of a film or with a word in their title, if so
# wanted. Seats are counted for these alone.
_SCREENINGS = """
WITH chosen AS (
    SELECT show.*, (show.starts_at AT TIME ZONE here.timezone)::date AS day, here.name AS theatre, here.timezone,
           movie.title, movie.duration_min, movie.rating, movie.genres, movie.language AS movie_language,
           movie.release_year, movie.poster_url
    FROM theatre AS here
    JOIN show ON show.theatre_id = here.id AND show.starts_at > now()
             AND show.starts_at >= ($2::date::timestamp AT TIME ZONE here.timezone)
             AND show.starts_at < ($3::date::timestamp AT TIME ZONE here.timezone)
    JOIN movie ON movie.id = show.movie_id
    WHERE lower(here.city) = lower($1)
      AND ($4::uuid IS NULL OR show.movie_id = $4)
      AND ($5::text = '' OR position(lower($5) IN lower(movie.title)) > 0)
    ORDER BY show.starts_at, show.id LIMIT $6
)
SELECT id, starts_at, day, language, format, currency,
       coalesce(least(price_regular, price_premium, price_vip), 0) AS price_from,
       total_seats AS seats, counted.free, theatre_id, theatre, timezone, movie_id, title, duration_min, rating, genres,
       movie_language, release_year, poster_url
FROM chosen
CROSS JOIN LATERAL (
    SELECT count(*) AS free FROM show_seat WHERE show_id = chosen.id AND taken_until <= now()
) AS counted
ORDER BY starts_at, id
"""


async def list_screenings(
    conn: Connection, city: str, since: date, until: date, *, movie_id: UUID | None = None, title: str = ""
) -> list[Screening]:
    """The shows in a city from the day ``since`` until before the day ``until``, by start: at most `SHOWS_MAX`.

    ``movie_id`` and ``title`` (a part of it, in capitals or not) say which films' shows; both left out: all.
    """
    records = await conn.fetch(_SCREENINGS, city, since, until, movie_id, title, SHOWS_MAX)
    return [row(Screening, record) for record in records]
